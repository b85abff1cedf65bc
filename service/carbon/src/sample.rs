//! One carbon intensity over one interval.

use ecomap_instances::units::GramsPerKwh;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use thiserror::Error;

/// Above any grid's intensity (lignite alone is near 1 200 g/kWh): more is a unit mistaken.
pub const MOST: f64 = 5_000.0;
/// Longest interval that one sample may speak for.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// Longest name of a zone, bytes.
pub const ZONE: usize = 64;

/// Which question an intensity answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// What the grid emits for each kilowatt-hour it delivers.
    Average,
    /// What one more kilowatt-hour would emit.
    Marginal,
}

/// Whether an intensity was observed or foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For a time that had begun when the source said so.
    Observed,
    /// For a time to come.
    Forecast,
}

/// Why something is no sample.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// Not a number, negative, or beyond any grid.
    #[error("intensity {0} g/kWh is not within 0 to {MOST}")]
    Intensity(f64),
    /// Empty or too long.
    #[error("an interval of {0} s is not within 1 s to 24 h")]
    Interval(i64),
    /// Empty, too long, or with characters that no zone has.
    #[error("`{0}` is no name of a zone")]
    Zone(String),
}

/// The intensity of one zone over one interval, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    zone: Arc<str>,
    from: Timestamp,
    to: Timestamp,
    intensity: GramsPerKwh,
    signal: Signal,
    kind: Kind,
    estimated: bool,
    source: Arc<str>,
    issued: Timestamp,
}

/// What a [`Sample`] is made of.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    /// Zone as the fleet names it.
    pub zone: &'a Arc<str>,
    /// Start of the interval.
    pub from: Timestamp,
    /// Its end, exclusive.
    pub to: Timestamp,
    /// Grams of CO2 equivalent for each kilowatt-hour.
    pub grams_per_kwh: f64,
    /// Average or marginal.
    pub signal: Signal,
    /// Observed or foretold.
    pub kind: Kind,
    /// Whether the source itself calls it an estimate.
    pub estimated: bool,
    /// Who says so.
    pub source: &'a Arc<str>,
    /// When the source made it known, or when it was read where the source does not say.
    pub issued: Timestamp,
}

/// Whether `name` can be a zone: 1 to 64 letters, digits, `-`, `_`, `.` or `:`.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    (1..=ZONE).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

impl Sample {
    /// Checks the parts.
    ///
    /// # Errors
    /// [`SampleError`] for numbers that are no intensity, intervals that are none, names that are no zone.
    pub fn try_new(parts: &Parts<'_>) -> Result<Self, SampleError> {
        if !is_zone(parts.zone) {
            return Err(SampleError::Zone(parts.zone.chars().take(ZONE).collect()));
        }
        if !(0.0..=MOST).contains(&parts.grams_per_kwh) {
            return Err(SampleError::Intensity(parts.grams_per_kwh));
        }
        let lasts = parts.to.duration_since(parts.from);
        if lasts <= SignedDuration::ZERO || lasts > LONGEST {
            return Err(SampleError::Interval(lasts.as_secs()));
        }
        Ok(Self {
            zone: Arc::clone(parts.zone),
            from: parts.from,
            to: parts.to,
            intensity: GramsPerKwh::new(parts.grams_per_kwh),
            signal: parts.signal,
            kind: parts.kind,
            estimated: parts.estimated,
            source: Arc::clone(parts.source),
            issued: parts.issued,
        })
    }

    /// Zone as the fleet names it.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Start of the interval.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// End of the interval, exclusive.
    #[must_use]
    pub fn to(&self) -> Timestamp {
        self.to
    }

    /// Grams of CO2 equivalent for each kilowatt-hour.
    #[must_use]
    pub fn intensity(&self) -> GramsPerKwh {
        self.intensity
    }

    /// Average or marginal.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Observed or foretold.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the source itself calls it an estimate.
    #[must_use]
    pub fn estimated(&self) -> bool {
        self.estimated
    }

    /// Who says so.
    #[must_use]
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// When it was made known.
    #[must_use]
    pub fn issued(&self) -> Timestamp {
        self.issued
    }

    /// Whether the interval holds `at`.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }

    /// How long ago the interval ended; zero while it lasts.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.to).max(SignedDuration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(zone: &Arc<str>, source: &Arc<str>, grams: f64, seconds: i64) -> Result<Sample, SampleError> {
        let from = Timestamp::UNIX_EPOCH;
        Sample::try_new(&Parts {
            zone,
            from,
            to: from + SignedDuration::from_secs(seconds),
            grams_per_kwh: grams,
            signal: Signal::Average,
            kind: Kind::Observed,
            estimated: false,
            source,
            issued: from,
        })
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        let (zone, source): (Arc<str>, Arc<str>) = ("DE".into(), "test".into());
        assert!(parts(&zone, &source, 300.0, 3600).is_ok());
        assert!(parts(&zone, &source, 0.0, 3600).is_ok(), "a grid may emit nothing");
        for grams in [f64::NAN, f64::INFINITY, -0.1, 5_000.1] {
            assert!(matches!(parts(&zone, &source, grams, 3600), Err(SampleError::Intensity(_))), "{grams}");
        }
        for seconds in [0, -60, 86_401] {
            assert!(
                matches!(parts(&zone, &source, 1.0, seconds), Err(SampleError::Interval(_))),
                "{seconds}"
            );
        }
        for name in ["", "a b", "a/../b", &"x".repeat(65)] {
            assert!(matches!(parts(&name.into(), &source, 1.0, 60), Err(SampleError::Zone(_))), "{name}");
        }
    }

    #[test]
    fn an_interval_holds_its_start_and_not_its_end() {
        let sample = parts(&"DE".into(), &"test".into(), 1.0, 60).unwrap();
        assert!(sample.covers(sample.from()) && !sample.covers(sample.to()));
        assert_eq!(sample.age(sample.from()), SignedDuration::ZERO);
        assert_eq!(sample.age(sample.to() + SignedDuration::from_secs(5)).as_secs(), 5);
    }
}
