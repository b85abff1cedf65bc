//! Settings of the calibration, with their ranges.

use crate::EstimatorError;
use serde::{Deserialize, Serialize};

/// Most numbers that the windows of one calibration may hold; four bytes each in memory.
const MAX_NUMBERS: usize = 8_000_000;

/// Settings of a [`Calibration`](super::Calibration). They are stored with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seed of the draws: which request of a window is scored, and how ties are broken.
    pub seed: u64,
    /// Observations after which a residual counts half, 1 to 1 000 000.
    pub half_life: f64,
    /// Observations at which a level has half the say over what the level above leaves, 0 to 1000.
    pub shrinkage: f64,
    /// Deviations, in robust standard deviations, beyond which an observation counts no more than
    /// at that bound, 0.5 to 10 (Huber's k; 1.5 keeps about 96 % efficiency on normal residuals).
    pub huber: f64,
    /// Scores in a calibration window, 19 to 4096. p95 needs 19, p99 needs 99.
    pub window: usize,
    /// Requests scored of each observation, 1 to 32. The guarantee is exact for 1.
    pub draws: usize,
    /// Step of adaptive conformal inference as a share of the variance of a miss, 0 to 1; 0 switches
    /// it off.
    pub adaptive_rate: f64,
    /// Probability that a key that never drifts ever raises an alarm, 1e-9 to 0.5.
    pub drift_alpha: f64,
    /// Every how many observations of a key one enters the drift test, 1 to 1000; above 1 for
    /// telemetry whose neighbouring windows resemble each other.
    pub drift_every: u64,
    /// Most keys of each kind, 8 to 65 536; beyond, the one observed longest ago is forgotten.
    pub max_keys: usize,
    /// Versions kept in memory to go back to, 1 to 64.
    pub keep: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            half_life: 100.0,
            shrinkage: 8.0,
            huber: 1.5,
            window: 512,
            draws: 1,
            adaptive_rate: 0.1,
            drift_alpha: 0.01,
            drift_every: 1,
            max_keys: 1024,
            keep: 8,
        }
    }
}

impl Settings {
    /// Refuses settings out of range.
    ///
    /// # Errors
    /// [`EstimatorError::Settings`] for the first one.
    pub fn check(&self) -> Result<(), EstimatorError> {
        let real = [
            ("half_life", self.half_life, 1.0, 1e6),
            ("shrinkage", self.shrinkage, 0.0, 1000.0),
            ("huber", self.huber, 0.5, 10.0),
            ("adaptive_rate", self.adaptive_rate, 0.0, 1.0),
            ("drift_alpha", self.drift_alpha, 1e-9, 0.5),
        ];
        for (field, value, low, high) in real {
            if !(value >= low && value <= high) {
                return Err(bad(field, format!("{value} is not a number from {low} to {high}")));
            }
        }
        let every = usize::try_from(self.drift_every).unwrap_or(usize::MAX);
        let whole = [
            ("window", self.window, 19, 4096),
            ("draws", self.draws, 1, 32),
            ("drift_every", every, 1, 1000),
            ("max_keys", self.max_keys, 8, 65_536),
            ("keep", self.keep, 1, 64),
        ];
        for (field, value, low, high) in whole {
            if value < low || value > high {
                return Err(bad(field, format!("{value} is not from {low} to {high}")));
            }
        }
        let numbers = self.max_keys * (4 * self.window + 4 * super::drift::EPOCH);
        if numbers > MAX_NUMBERS {
            let message = format!("keys and window together allow {numbers} numbers, at most {MAX_NUMBERS}");
            return Err(bad("max_keys", message));
        }
        Ok(())
    }

    /// What a residual keeps of its weight at each observation.
    pub(super) fn decay(&self) -> f64 {
        0.5f64.powf(1.0 / self.half_life)
    }
}

fn bad(field: &'static str, message: String) -> EstimatorError {
    EstimatorError::Settings { field, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept() {
        let fine = Settings::default();
        assert!(fine.check().is_ok());
        for (bad, field) in [
            (Settings { half_life: f64::NAN, ..fine.clone() }, "half_life"),
            (Settings { huber: 0.0, ..fine.clone() }, "huber"),
            (Settings { window: 18, ..fine.clone() }, "window"),
            (Settings { drift_alpha: 0.0, ..fine.clone() }, "drift_alpha"),
            (Settings { max_keys: 65_536, ..fine.clone() }, "max_keys"),
            (Settings { drift_every: u64::MAX, ..fine }, "drift_every"),
        ] {
            let error = bad.check().unwrap_err();
            assert!(matches!(error, EstimatorError::Settings { field: f, .. } if f == field), "{error}");
        }
    }
}
