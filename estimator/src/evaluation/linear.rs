//! The analytic predictor's formulas on a plan's streams: exact waits of own requests, and linear
//! interference of the others.

use crate::learned::Factors;
use crate::parameters::Parameters;
use crate::queueing::wait_quantile;
use crate::sim::soc::Soc;
use crate::sim::stream::Stream;
use ecomap_instances::units::Millis;

/// Factors of a plan.
#[must_use]
pub fn predict(parameters: &Parameters, soc: &Soc, streams: &[Stream]) -> Factors {
    let mut load = vec![0.0; soc.units.len()];
    let mut power_w = soc.idle_w;
    for s in streams {
        let rate = 1.0 / s.gap_ms();
        for g in &s.stages {
            if let Some(sum) = load.get_mut(g.unit) {
                *sum += rate * g.time_ms();
            }
            power_w += rate * g.blocks.iter().map(|b| b.watts * b.time_ms).sum::<f64>();
            power_w += rate * g.transfer_w * g.transfer_ms;
        }
    }
    let slowdown = streams.iter().map(|s| tenant(parameters, soc, s, &load)).collect();
    Factors { slowdown, power_w }
}

fn tenant(parameters: &Parameters, soc: &Soc, stream: &Stream, load: &[f64]) -> [f64; 3] {
    let base = stream.base_ms().max(1e-9);
    let rate = 1.0 / stream.gap_ms();
    let on = |unit: usize| -> f64 {
        stream.stages.iter().filter(|g| g.unit == unit).map(crate::sim::Stage::time_ms).sum()
    };
    let bound = |unit: usize| -> f64 {
        let blocks = stream.stages.iter().filter(|g| g.unit != unit).flat_map(|g| &g.blocks);
        blocks.map(|b| b.memory_share * b.time_ms).sum()
    };
    let mut delay = 0.0;
    let mut slowest: f64 = 0.0;
    for (unit, (soc, load)) in soc.units.iter().zip(load).enumerate() {
        let rule = parameters.contention(soc.kind);
        let mine = on(unit);
        slowest = slowest.max(mine);
        let others = (load - rate * mine).max(0.0);
        delay += others * (rule.queue * mine + rule.bandwidth * bound(unit)) / base;
    }
    let spread = |at: &dyn Fn(&crate::sim::Jitter) -> f64| {
        stream.stages.iter().map(|g| g.time_ms() * (at(&g.jitter) - 1.0)).fold(0.0, f64::max)
    };
    let wait = |q: f64| wait_quantile(Millis::new(slowest), rate * slowest, q).get();
    let at = |extra: f64| (1.0 + extra / base) * (1.0 + delay);
    let p50 = at(wait(0.5));
    let p95 = at(wait(0.95) + spread(&|j| j.p95)).max(p50);
    [p50, p95, at(wait(0.99) + spread(&|j| j.p99)).max(p95)]
}
