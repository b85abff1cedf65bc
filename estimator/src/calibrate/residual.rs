//! The bias of a key: a robust, exponentially forgotten mean of log-residuals.

use super::settings::Settings;
use serde::{Deserialize, Serialize};

/// Robust standard deviation of log-residuals before any was seen: a factor of 1.4.
const FIRST_SCALE: f64 = 0.35;
/// Observations that [`FIRST_SCALE`] counts for.
const SCALE_WEIGHT: f64 = 4.0;
/// Smallest robust standard deviation: 1 %.
const MIN_SCALE: f64 = 0.01;
/// Observations that a key keeps after a drift.
const AFTER_DRIFT: f64 = 2.0;
/// E|e| of a normal variable is sigma · sqrt(2/π): the factor that undoes it.
const ABSOLUTE_TO_SIGMA: f64 = 1.253_314_137_315_500_1;

/// One level's residual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cell {
    /// Effective number of observations: `n <- decay n + 1`.
    n: f64,
    mean: f64,
    scale: f64,
}

impl Default for Cell {
    fn default() -> Self {
        Self { n: 0.0, mean: 0.0, scale: FIRST_SCALE }
    }
}

impl Cell {
    /// One step of a recursive Huber estimate (Huber, *Ann. Math. Statist.* 35(1), 1964): an error
    /// beyond `huber` scales moves the mean no farther than one at that bound.
    pub(super) fn learn(&mut self, residual: f64, settings: &Settings) {
        self.n = settings.decay() * self.n + 1.0;
        let error = residual - self.mean;
        let limit = settings.huber * self.scale;
        self.mean += error.clamp(-limit, limit) / self.n;
        let size = ABSOLUTE_TO_SIGMA * error.abs().min(2.0 * limit);
        self.scale = (self.scale + (size - self.scale) / (self.n + SCALE_WEIGHT)).max(MIN_SCALE);
    }

    /// The mean, shrunk towards 0 (the level above): `n / (n + shrinkage)` of it.
    pub(super) fn shrunk(&self, settings: &Settings) -> f64 {
        if self.n > 0.0 { self.mean * self.n / (self.n + settings.shrinkage) } else { 0.0 }
    }

    pub(super) fn is_fitted(&self) -> bool {
        self.n > 0.0
    }

    /// Opens up for a new regime.
    pub(super) fn forget(&mut self) {
        self.n = self.n.min(AFTER_DRIFT);
        self.scale = self.scale.max(FIRST_SCALE);
    }

    pub(super) fn is_sound(&self) -> bool {
        let bounded = |v: f64, low: f64, high: f64| v >= low && v <= high;
        bounded(self.n, 0.0, 1e7)
            && bounded(self.mean, -100.0, 100.0)
            && bounded(self.scale, MIN_SCALE, 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_bias() {
        let settings = Settings::default();
        let mut cell = Cell::default();
        for i in 0..400 {
            cell.learn(0.5 + if i % 2 == 0 { 0.1 } else { -0.1 }, &settings);
        }
        assert!((cell.mean - 0.5).abs() < 0.02, "{cell:?}");
        assert!((cell.scale - 0.12).abs() < 0.03, "{cell:?}");
        assert!(cell.shrunk(&settings) < cell.mean);
    }

    #[test]
    fn one_outlier_moves_little() {
        let settings = Settings::default();
        let mut cell = Cell::default();
        (0..200).for_each(|i| cell.learn(if i % 2 == 0 { 0.05 } else { -0.05 }, &settings));
        let before = cell.mean;
        cell.learn(9.0, &settings);
        assert!((cell.mean - before).abs() < 0.005, "{} {}", before, cell.mean);
    }

    #[test]
    fn a_share_of_outliers_does_not_throw_it() {
        let settings = Settings::default();
        let mut cell = Cell::default();
        for i in 0..2000 {
            let residual = if i % 20 == 0 { 5.0 } else { 0.2 + 0.1 * f64::sin(f64::from(i)) };
            cell.learn(residual, &settings);
        }
        assert!((cell.mean - 0.2).abs() < 0.05, "{cell:?}");
    }

    #[test]
    fn the_first_outlier_is_bounded_too() {
        let mut cell = Cell::default();
        cell.learn(9.0, &Settings::default());
        assert!(cell.mean <= 1.5 * FIRST_SCALE + 1e-12);
    }

    #[test]
    fn old_observations_fade() {
        let settings = Settings { half_life: 20.0, ..Settings::default() };
        let mut cell = Cell::default();
        (0..300).for_each(|_| cell.learn(0.0, &settings));
        (0..200).for_each(|_| cell.learn(0.4, &settings));
        assert!((cell.mean - 0.4).abs() < 0.02, "{cell:?}");
    }
}
