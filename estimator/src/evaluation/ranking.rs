//! Does a predictor put the plans of one workload in the right order?

use super::Ask;
use crate::dataset::{Draw, Effort, Row, make};
use crate::error::EstimatorError;
use crate::features::Encoded;
use crate::learned::Factors;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Workloads with their simulated plans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workloads {
    /// Plans of each workload.
    pub plans: Vec<Vec<Row>>,
}

/// How well plans are ordered by the rate-weighted mean of the tenants' latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Mean over workloads of Kendall's τ-b between predicted and simulated mean p50.
    pub tau50: f64,
    /// The same of mean p95.
    pub tau95: f64,
    /// Mean over workloads of how much worse, in percent of the simulated mean p50, the plan
    /// predicted best is than the best.
    pub loss50: f64,
    /// The same of mean p95.
    pub loss95: f64,
}

/// Simulates plans.
///
/// # Errors
/// [`EstimatorError::Simulation`] for a malformed plan.
pub fn simulate(draws: &[Vec<Draw>], effort: Effort) -> Result<Workloads, EstimatorError> {
    let plans = draws
        .par_iter()
        .map(|list| list.iter().map(|d| make(d, effort).map(|(row, _)| row)).collect::<Result<Vec<_>, _>>())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Workloads { plans })
}

/// Judges a predictor.
///
/// # Errors
/// As the predictor.
pub fn judge(workloads: &Workloads, ask: &Ask<'_>) -> Result<Order, EstimatorError> {
    let mut sum = Order { tau50: 0.0, tau95: 0.0, loss50: 0.0, loss95: 0.0 };
    for plans in &workloads.plans {
        let encoded: Vec<Encoded> = plans.iter().map(|r| r.features.clone()).collect();
        let answers = ask(&encoded)?;
        for (at, n, tau, loss) in
            [(2, 0, &mut sum.tau50, &mut sum.loss50), (8, 1, &mut sum.tau95, &mut sum.loss95)]
        {
            let actual: Vec<f64> = plans.iter().map(|r| score(r, |k| r.truth[k].quantiles[at])).collect();
            let told: Vec<f64> =
                plans.iter().zip(&answers).map(|(r, a)| score(r, |k| predicted(r, a, k, n))).collect();
            *tau += kendall(&told, &actual);
            let best = actual.iter().copied().fold(f64::INFINITY, f64::min);
            let chosen =
                (0..told.len()).min_by(|a, b| told[*a].total_cmp(&told[*b])).map_or(best, |k| actual[k]);
            *loss += 100.0 * (chosen / best - 1.0);
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let count = (workloads.plans.len() as f64).max(1.0);
    Ok(Order {
        tau50: sum.tau50 / count,
        tau95: sum.tau95 / count,
        loss50: sum.loss50 / count,
        loss95: sum.loss95 / count,
    })
}

fn predicted(row: &Row, answer: &Factors, tenant: usize, quantile: usize) -> f64 {
    answer.slowdown[tenant][quantile] * row.features.base_ms[tenant]
}

fn score(row: &Row, latency: impl Fn(usize) -> f64) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for (k, truth) in row.truth.iter().enumerate() {
        sum += truth.rate * latency(k);
        weight += truth.rate;
    }
    sum / weight.max(1e-12)
}

/// Kendall's τ-b.
#[must_use]
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let (mut agree, mut ties_a, mut ties_b, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for i in 0..a.len().min(b.len()) {
        for j in 0..i {
            let (x, y) = (a[i].total_cmp(&a[j]) as i8, b[i].total_cmp(&b[j]) as i8);
            pairs += 1.0;
            agree += f64::from(x * y);
            ties_a += f64::from(u8::from(x == 0));
            ties_b += f64::from(u8::from(y == 0));
        }
    }
    let scale: f64 = (pairs - ties_a) * (pairs - ties_b);
    if scale > 0.0 { agree / scale.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::kendall;

    #[test]
    fn kendall_by_hand() {
        assert!((kendall(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((kendall(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        // Five pairs of six agree.
        assert!((kendall(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 4.0, 3.0]) - 4.0 / 6.0).abs() < 1e-12);
    }
}
