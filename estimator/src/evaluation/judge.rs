//! Errors and coverage on rows of a data set.

use super::quantile;
use crate::dataset::Row;
use crate::learned::Factors;
use crate::learned::artifact::Conformal;
use crate::sim::outcome::{GRID, StreamOutcome};
use serde::{Deserialize, Serialize};

/// Requests that a tenant needs for its quantiles to count.
pub const MIN_REQUESTS: u64 = 200;

/// What a predictor reaches on a set of plans. Errors are absolute percentage errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Plans.
    pub plans: usize,
    /// Tenants with enough requests.
    pub tenants: usize,
    /// Median error of p50, p95, p99.
    pub latency: [f64; 3],
    /// Nine in ten tenants' errors of p50, p95, p99 are below.
    pub latency_p90: [f64; 3],
    /// Median error of the power.
    pub power: f64,
    /// Nine in ten plans' errors of the power are below.
    pub power_p90: f64,
    /// Mean over tenants of the share of requests answered within the predicted p95, percent.
    pub covered95: f64,
    /// The same for p99.
    pub covered99: f64,
}

/// Compares answers with what was simulated.
#[must_use]
pub fn judge(rows: &[&Row], answers: &[Factors], conformal: Conformal) -> Verdict {
    let mut errors = [Vec::new(), Vec::new(), Vec::new()];
    let mut power = Vec::new();
    let (mut covered95, mut covered99) = (0.0, 0.0);
    for (row, answer) in rows.iter().zip(answers) {
        power.push(100.0 * (answer.power_w / row.power_w - 1.0).abs());
        for ((truth, slow), base) in row.truth.iter().zip(&answer.slowdown).zip(&row.features.base_ms) {
            if truth.completed < MIN_REQUESTS {
                continue;
            }
            let told = StreamOutcome { quantiles: truth.quantiles, ..StreamOutcome::default() };
            for ((n, at), list) in [0.5, 0.95, 0.99].iter().enumerate().zip(&mut errors) {
                let Some(actual) =
                    GRID.iter().position(|q| (q - at).abs() < 1e-9).map(|k| truth.quantiles[k])
                else {
                    continue;
                };
                list.push(100.0 * (slow[n] * base / actual - 1.0).abs());
            }
            covered95 += told.share_within(slow[1] * base * conformal.p95);
            covered99 += told.share_within(slow[2] * base * conformal.p99);
        }
    }
    let tenants = errors[0].len();
    #[allow(clippy::cast_precision_loss)]
    let share = |sum: f64| 100.0 * sum / (tenants as f64).max(1.0);
    let [mut a, mut b, mut c] = errors;
    let mut at = |q: f64| [quantile(&mut a, q), quantile(&mut b, q), quantile(&mut c, q)];
    Verdict {
        plans: rows.len(),
        tenants,
        latency: at(0.5),
        latency_p90: at(0.9),
        power: quantile(&mut power, 0.5),
        power_p90: quantile(&mut power, 0.9),
        covered95: share(covered95),
        covered99: share(covered99),
    }
}
