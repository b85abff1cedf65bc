//! From factors to latencies: conformal factors, floors, and where the time goes.

use super::Factors;
use super::artifact::Conformal;
use crate::features::analysis::Analysis;
use crate::predictor::{Isolated, Parts, Quantiled, TaskPrediction};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::units::Millis;

/// Latency of each tenant under a plan.
///
/// Never below the same quantile alone on the device, so that a model priced with isolated
/// latencies stays a relaxation; quantiles stay in order.
#[must_use]
pub fn finish(
    factors: &Factors,
    conformal: Conformal,
    analysis: &Analysis,
    alone: &[Isolated],
) -> Vec<TaskPrediction> {
    factors
        .slowdown
        .iter()
        .zip(alone)
        .zip(&analysis.tenants)
        .enumerate()
        .map(|(n, ((slow, one), tenant))| {
            let base = Millis::new(tenant.base);
            let p50 = (base * slow[0]).max(one.latency.p50);
            let p95 = (base * (slow[1] * conformal.p95)).max(one.latency.p95).max(p50);
            let p99 = (base * (slow[2] * conformal.p99)).max(one.latency.p99).max(p95);
            let stretched: f64 =
                analysis.lanes.iter().filter(|l| l.stream == n).map(|l| l.service * (l.stretch - 1.0)).sum();
            let above = p50 - base;
            let contention = Millis::new(stretched).min(above).max(Millis::ZERO);
            TaskPrediction {
                slowdown: Quantiled {
                    p50: p50 / one.latency.p50,
                    p95: p95 / one.latency.p95,
                    p99: p99 / one.latency.p99,
                },
                latency: Quantiles { p50, p95, p99 },
                isolated: one.latency,
                parts: Parts {
                    service: base - Millis::new(tenant.transfer),
                    transfer: Millis::new(tenant.transfer),
                    contention,
                    queueing: above - contention,
                },
            }
        })
        .collect()
}
