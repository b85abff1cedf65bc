//! The samples of one zone.

use crate::sample::{Kind, Sample};
use ecomap_instances::units::GramsPerKwh;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long observed samples are kept: yesterday's same hour with room.
const KEPT: SignedDuration = SignedDuration::from_hours(49);
/// Most samples of each kind: 49 hours of five minutes, twice over.
const MOST: usize = 1_200;

/// Observed and forecast samples of one zone from one source, by the start of their interval.
#[derive(Debug, Clone, Default)]
pub struct Series {
    observed: BTreeMap<Timestamp, Sample>,
    forecast: BTreeMap<Timestamp, Sample>,
}

impl Series {
    /// Takes samples in: a later word replaces an earlier one for the same start, a new forecast replaces the old
    /// one from its first point on. What is older than 49 hours goes.
    pub fn extend(&mut self, samples: impl IntoIterator<Item = Sample>, now: Timestamp) {
        let (observed, forecast): (Vec<_>, Vec<_>) =
            samples.into_iter().partition(|s| s.kind() == Kind::Observed);
        if let Some(first) = forecast.iter().map(Sample::from).min() {
            self.forecast.split_off(&first);
        }
        for sample in observed {
            let newer = self.observed.get(&sample.from()).is_none_or(|old| old.issued() <= sample.issued());
            if newer {
                self.observed.insert(sample.from(), sample);
            }
        }
        self.forecast.extend(forecast.into_iter().map(|s| (s.from(), s)));
        if let Ok(oldest) = now.checked_sub(KEPT) {
            self.observed = self.observed.split_off(&oldest);
            self.forecast = self.forecast.split_off(&oldest);
        }
        while self.observed.len() > MOST {
            self.observed.pop_first();
        }
        while self.forecast.len() > MOST {
            self.forecast.pop_last();
        }
    }

    /// The observed sample whose interval holds `at`.
    #[must_use]
    pub fn observed(&self, at: Timestamp) -> Option<&Sample> {
        covering(&self.observed, at)
    }

    /// The last observed sample that had begun by `now`.
    #[must_use]
    pub fn latest(&self, now: Timestamp) -> Option<&Sample> {
        self.observed.range(..=now).next_back().map(|(_, s)| s)
    }

    /// The forecast whose interval holds `at`.
    #[must_use]
    pub fn foretold(&self, at: Timestamp) -> Option<&Sample> {
        covering(&self.forecast, at)
    }

    /// Forecasts that have not ended by `now`, in order of time.
    pub fn ahead(&self, now: Timestamp) -> impl Iterator<Item = &Sample> {
        self.forecast.values().filter(move |s| s.to() > now)
    }

    /// Samples stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.observed.len() + self.forecast.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mean observed intensity over the time from `from` to `to` that is covered, and the share covered.
    #[must_use]
    pub fn mean(&self, from: Timestamp, to: Timestamp) -> Option<(GramsPerKwh, f64)> {
        let (mut weighed, mut covered) = (0.0, 0.0);
        for sample in self.observed.values() {
            let (a, b) = (sample.from().max(from), sample.to().min(to));
            let seconds = b.duration_since(a).as_secs_f64();
            if seconds > 0.0 {
                weighed += seconds * sample.intensity().get();
                covered += seconds;
            }
        }
        let whole = to.duration_since(from).as_secs_f64();
        (covered > 0.0 && whole > 0.0)
            .then(|| (GramsPerKwh::new(weighed / covered), (covered / whole).min(1.0)))
    }
}

fn covering(samples: &BTreeMap<Timestamp, Sample>, at: Timestamp) -> Option<&Sample> {
    samples.range(..=at).next_back().map(|(_, s)| s).filter(|s| s.covers(at))
}
