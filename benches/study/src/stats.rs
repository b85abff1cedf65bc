//! Means with intervals over scenes. The hours of one day resemble one another, so what is resampled
//! is a scene (scenario, trace and seed), never an hour.

use crate::mix::Mix;
use crate::table::Row;
use std::collections::BTreeMap;

/// Resamples of an interval.
const RESAMPLES: usize = 2_000;
/// Seed of the resampling: figures repeat.
const SEED: u64 = 20;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean over scenes.
    pub mean: f64,
    /// Percentile 2.5 of the resampled means.
    pub low: f64,
    /// Percentile 97.5.
    pub high: f64,
}

/// A count as a number; far below 2^53.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn number(n: usize) -> f64 {
    n as f64
}

/// The mean; 0 of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / number(values.len()) }
}

/// The mean of `of` in each scene (scenario, trace, seed) of the rows.
#[must_use]
pub fn by_scene(rows: &[&Row], of: impl Fn(&Row) -> f64) -> Vec<f64> {
    let mut scenes: BTreeMap<(&str, &str, u64), Vec<f64>> = BTreeMap::new();
    for row in rows {
        scenes.entry((&row.scenario, &row.trace, row.seed)).or_default().push(of(row));
    }
    scenes.values().map(|values| mean(values)).collect()
}

/// The mean of `values` with its percentile bootstrap interval (Efron 1979).
#[must_use]
pub fn interval(values: &[f64]) -> Interval {
    let mut mix = Mix::new(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<f64> =
                (0..values.len()).filter_map(|_| values.get(mix.below(values.len())).copied()).collect();
            mean(&drawn)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |index: usize| means.get(index).copied().unwrap_or(0.0);
    Interval { mean: mean(values), low: at(RESAMPLES / 40), high: at(RESAMPLES - 1 - RESAMPLES / 40) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_mean_and_narrows_to_a_point_for_equal_values() {
        let spread = interval(&[1.0, 2.0, 3.0, 4.0, 10.0]);
        assert!(spread.low < spread.mean && spread.mean < spread.high);
        assert!(spread.low >= 1.0 && spread.high <= 10.0);
        assert_eq!(interval(&[2.0; 4]), Interval { mean: 2.0, low: 2.0, high: 2.0 });
        assert_eq!(interval(&[]), Interval { mean: 0.0, low: 0.0, high: 0.0 });
    }
}
