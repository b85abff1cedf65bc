//! What holds now, and on whose word.

use crate::forecast;
use crate::sample::{Sample, Signal};
use crate::series::Series;
use crate::source::Reading;
use ecomap_instances::units::GramsPerKwh;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use thiserror::Error;

/// On whose word the present intensity holds, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// A source's sample for now, or one no older than the chain allows; `rank` 0 is the source preferred.
    Source {
        /// Who.
        source: Arc<str>,
        /// Position in the chain.
        rank: usize,
    },
    /// A forecast made earlier for now.
    Forecast {
        /// Whose.
        source: Arc<str>,
        /// When it was made.
        issued: Timestamp,
    },
    /// What was observed at the same time yesterday.
    Yesterday {
        /// By whom.
        source: Arc<str>,
    },
    /// Nothing is known: the pessimistic value of the configuration.
    Pessimistic,
}

impl Provenance {
    /// How far down the order this is, for alerts: 0 the preferred source, then other sources, forecasts,
    /// yesterday, nothing.
    #[must_use]
    pub fn level(&self) -> u8 {
        match self {
            Self::Source { rank: 0, .. } => 0,
            Self::Source { .. } => 1,
            Self::Forecast { .. } => 2,
            Self::Yesterday { .. } => 3,
            Self::Pessimistic => 4,
        }
    }
}

/// The intensity that holds now.
#[derive(Debug, Clone, PartialEq)]
pub struct Current {
    /// Grams for each kilowatt-hour.
    pub intensity: GramsPerKwh,
    /// On whose word.
    pub provenance: Provenance,
    /// How long ago the interval of the value ended; zero where it lasts.
    pub age: SignedDuration,
    /// Whether the source calls it an estimate; always for anything but a source's word.
    pub estimated: bool,
}

/// Why a chain cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Average and marginal signals in one chain, which was not asked for.
    #[error(
        "source `{0}` gives the {1:?} signal, the first source the other one: they are not mixed unless asked for"
    )]
    Mixed(Arc<str>, Signal),
    /// A pessimistic value that is none.
    #[error("the pessimistic intensity is not within 0 to 5000 g/kWh")]
    Pessimistic,
}

/// One zone's sources in order of preference.
#[derive(Debug, Clone)]
pub struct Chain {
    links: Vec<(Arc<str>, Series)>,
    fresh: SignedDuration,
    pessimistic: GramsPerKwh,
}

impl Chain {
    /// A chain of the named sources. A sample counts as present until `fresh` after its interval ended.
    ///
    /// # Errors
    /// [`ChainError::Mixed`] for sources of both signals unless `mix`; [`ChainError::Pessimistic`].
    pub fn new(
        sources: &[(Arc<str>, Signal)],
        fresh: SignedDuration,
        pessimistic: GramsPerKwh,
        mix: bool,
    ) -> Result<Self, ChainError> {
        if !(0.0..=crate::sample::MOST).contains(&pessimistic.get()) {
            return Err(ChainError::Pessimistic);
        }
        if let Some((_, first)) = sources.first()
            && let Some((name, signal)) = sources.iter().find(|(_, s)| s != first && !mix)
        {
            return Err(ChainError::Mixed(Arc::clone(name), *signal));
        }
        let links = sources.iter().map(|(name, _)| (Arc::clone(name), Series::default())).collect();
        Ok(Self { links, fresh, pessimistic })
    }

    /// Takes over what the source of this rank said.
    pub fn take(&mut self, rank: usize, reading: Reading, now: Timestamp) {
        if let Some((_, series)) = self.links.get_mut(rank) {
            series.extend(reading.samples, now);
        }
    }

    /// What holds at `now`.
    #[must_use]
    pub fn now(&self, now: Timestamp) -> Current {
        let word = |sample: &Sample, provenance: Provenance, estimated: bool| Current {
            intensity: sample.intensity(),
            age: sample.age(now),
            provenance,
            estimated: estimated || sample.estimated(),
        };
        for (rank, (name, series)) in self.links.iter().enumerate() {
            let sample =
                series.observed(now).or_else(|| series.latest(now).filter(|s| s.age(now) <= self.fresh));
            if let Some(sample) = sample {
                return word(sample, Provenance::Source { source: Arc::clone(name), rank }, false);
            }
        }
        for (name, series) in &self.links {
            if let Some(sample) = series.foretold(now) {
                let by = Provenance::Forecast { source: Arc::clone(name), issued: sample.issued() };
                return word(sample, by, true);
            }
        }
        let day = SignedDuration::from_hours(24);
        for (name, series) in &self.links {
            if let Some(sample) = now.checked_sub(day).ok().and_then(|then| series.observed(then)) {
                return word(sample, Provenance::Yesterday { source: Arc::clone(name) }, true);
            }
        }
        Current {
            intensity: self.pessimistic,
            provenance: Provenance::Pessimistic,
            age: SignedDuration::ZERO,
            estimated: true,
        }
    }

    /// Intensities of every hour from `now` on, `hours` of them, for policies that plan ahead: the first source's
    /// forecast that covers the middle of the hour, else the same hour of the last day known, moved by how far now is from
    /// the same time of that day, which fades ([`crate::forecast`]), else what holds now.
    #[must_use]
    pub fn ahead(&self, now: Timestamp, hours: usize) -> Vec<GramsPerKwh> {
        let present = self.now(now);
        let day = SignedDuration::from_hours(24);
        let yesterday = now.checked_sub(day).ok();
        let then = yesterday.and_then(|then| self.links.iter().find_map(|(_, s)| s.observed(then)));
        let moved = then.map_or(0.0, |then| present.intensity.get() - then.intensity().get());
        (0..hours)
            .map(|h| {
                if h == 0 {
                    return present.intensity;
                }
                let half = SignedDuration::from_mins(30);
                let offset = i64::try_from(h).map_or(SignedDuration::ZERO, SignedDuration::from_hours);
                let Ok(at) = now.checked_add(offset + half) else { return present.intensity };
                let foretold = self.links.iter().find_map(|(_, s)| s.foretold(at));
                let before = || {
                    (1..=2).find_map(|days| {
                        let then = at.checked_sub(SignedDuration::from_hours(24 * days)).ok()?;
                        self.links.iter().find_map(|(_, s)| s.observed(then))
                    })
                };
                let fade = i32::try_from(h).map_or(0.0, |h| forecast::FADE.powi(h));
                let moved = |s: &Sample| GramsPerKwh::new((s.intensity().get() + fade * moved).max(0.0));
                foretold.map(Sample::intensity).or_else(|| before().map(moved)).unwrap_or(present.intensity)
            })
            .collect()
    }

    /// The samples of the source of this rank.
    #[must_use]
    pub fn series(&self, rank: usize) -> Option<&Series> {
        self.links.get(rank).map(|(_, s)| s)
    }
}
