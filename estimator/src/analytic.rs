//! The analytic predictor: roofline costs, M/D/1 waiting, linear interference.

use crate::error::EstimatorError;
use crate::parameters::Parameters;
use crate::predictor::{
    Candidate, DevicePlan, DevicePrediction, Isolated, Parts, Predictor, Quantiled, Source, TaskPrediction,
};
use crate::queueing::{SATURATION, wait_quantile};
use crate::table::{CostTable, PlacementCost};
use ecomap_instances::family::Family;
use ecomap_instances::ids::{ModeIx, UnitIx};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::Profile;
use ecomap_instances::units::{Hertz, Millis, Watts};
use std::sync::Arc;

/// Slopes below this are left out.
const SLOPE_FLOOR: f64 = 1e-3;

/// Roofline with fitted efficiencies.
#[derive(Debug, Clone)]
pub struct Roofline {
    parameters: Arc<Parameters>,
}

impl Roofline {
    /// With the embedded parameters.
    ///
    /// # Errors
    /// Only if the embedded file is broken, which a test rules out.
    pub fn embedded() -> Result<Self, EstimatorError> {
        Ok(Self::new(Parameters::embedded()?.clone()))
    }

    /// With other parameters.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters: Arc::new(parameters) }
    }

    /// The parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn price(&self, candidate: &Candidate<'_>) -> Option<Isolated> {
        let cost = candidate.table.placement(candidate.segments)?;
        Some(Isolated {
            latency: self.quantiles(candidate.table, &cost, candidate.rate),
            base: cost.base,
            transfer: cost.transfer,
            service: cost.services().map(|(u, s)| (UnitIx::new(u), s)).collect(),
            load: cost.services().map(|(u, s)| (UnitIx::new(u), s * candidate.rate)).collect(),
            energy: cost.energy,
            memory: cost.memory,
            traffic: cost.traffic,
            precisions: cost.precisions,
            slopes: self.slopes(candidate.table, &cost),
        })
    }

    /// Base time, plus the wait at the slowest unit, plus the largest spread.
    ///
    /// Requests that pass several servers of constant service one after another wait in total as
    /// long as they would before the slowest alone (Friedman, "Reduction methods for tandem queuing
    /// systems", Operations Research 13, 1965).
    fn quantiles(&self, table: &CostTable, cost: &PlacementCost, rate: Hertz) -> Quantiles {
        let mut slowest = Millis::ZERO;
        let (mut spread95, mut spread99) = (Millis::ZERO, Millis::ZERO);
        for (unit, service) in cost.services() {
            slowest = slowest.max(service);
            if let Some(kind) = table.unit_kind(unit) {
                let d = self.parameters.dispersion(table.profile(), kind);
                spread95 = spread95.max(service * (d.p95 - 1.0));
                spread99 = spread99.max(service * (d.p99 - 1.0));
            }
        }
        let wait = |q: f64| wait_quantile(slowest, slowest * rate, q);
        Quantiles {
            p50: cost.base + wait(0.5),
            p95: cost.base + wait(0.95) + spread95,
            p99: cost.base + wait(0.99) + spread99,
        }
    }

    /// Relative delay per unit of co-runners' load: on a unit that it uses, the share of time
    /// spent there × the queueing slope; from any unit, the memory-bound share of the time spent
    /// on the *other* units × that unit's bandwidth slope.
    fn slopes(&self, table: &CostTable, cost: &PlacementCost) -> Vec<(UnitIx, f64)> {
        let base = cost.base.max(Millis::new(1e-9));
        table
            .units_on()
            .filter_map(|(unit, kind)| {
                let rule = self.parameters.contention(kind);
                let mut slope = 0.0;
                for (k, (used, service)) in cost.services().enumerate() {
                    slope += if used == unit {
                        rule.queue * (service / base)
                    } else {
                        rule.bandwidth * (cost.memory_bound[k] / base)
                    };
                }
                (slope >= SLOPE_FLOOR).then_some((UnitIx::new(unit), slope))
            })
            .collect()
    }

    fn device(&self, plan: &DevicePlan) -> DevicePrediction {
        let alone: Vec<Option<Isolated>> = plan
            .tasks
            .iter()
            .map(|task| {
                let table = self.table(&plan.profile, plan.mode, &task.family, task.tier);
                self.price(&Candidate { table: &table, segments: &task.segments, rate: task.rate })
            })
            .collect();
        let alone: Vec<(Option<&Isolated>, Hertz)> =
            alone.iter().zip(&plan.tasks).map(|(one, task)| (one.as_ref(), task.rate)).collect();
        together(&plan.profile, plan.mode, &alone)
    }
}

/// A board from what its tenants are alone, with their rates: each latency by linear interference,
/// power by the sum of energies.
///
/// One more tenant lowers no latency and no power, to the last bit: rates, loads, slopes and energies
/// are at least 0, sums run in the order of the tenants, and rounding keeps ≤.
#[must_use]
pub fn together(profile: &Profile, mode: ModeIx, tenants: &[(Option<&Isolated>, Hertz)]) -> DevicePrediction {
    let units = profile.units.len();
    let mut loads = vec![0.0; units * tenants.len()];
    let mut total = vec![0.0; units];
    let mut power = profile.modes.get(mode.at()).map_or(Watts::ZERO, |m| m.idle);
    for (n, (one, rate)) in tenants.iter().enumerate() {
        let Some(one) = one else { continue };
        power += one.energy * *rate;
        for (unit, share) in one.load.iter().filter(|(unit, _)| unit.at() < units) {
            loads[n * units + unit.at()] += share;
            total[unit.at()] += share;
        }
    }
    let others = |n: usize, unit: usize| {
        let rows = loads.chunks_exact(units).enumerate();
        rows.filter(|(k, _)| *k != n).map(|(_, row)| row[unit]).sum::<f64>()
    };
    let task = |(n, (one, _)): (usize, &(Option<&Isolated>, Hertz))| {
        one.map(|one| {
            let slopes = one.slopes.iter().filter(|(unit, _)| unit.at() < units);
            let delay: f64 = slopes.map(|(unit, slope)| slope * others(n, unit.at())).sum();
            under_load(one, delay)
        })
    };
    DevicePrediction {
        tasks: tenants.iter().enumerate().map(task).collect(),
        power,
        extrapolated: total.iter().any(|l| *l > SATURATION),
        load: total,
        source: Source::Analytic,
    }
}

/// Linear interference: slowdown = 1 + Σ slope × co-runners' load, at least 1 by construction.
fn under_load(one: &Isolated, delay: f64) -> TaskPrediction {
    let slowdown = 1.0 + delay;
    TaskPrediction {
        slowdown: Quantiled { p50: slowdown, p95: slowdown, p99: slowdown },
        latency: one.latency.scaled(slowdown),
        isolated: one.latency,
        parts: Parts {
            service: one.base - one.transfer,
            transfer: one.transfer,
            contention: one.latency.p50 * delay,
            queueing: one.latency.p50 - one.base,
        },
    }
}

impl Predictor for Roofline {
    fn name(&self) -> &'static str {
        "roofline"
    }

    fn version(&self) -> String {
        format!("{}+parameters.{}", env!("CARGO_PKG_VERSION"), self.parameters.version)
    }

    fn monotone(&self) -> bool {
        true
    }

    fn table(&self, profile: &Arc<Profile>, mode: ModeIx, family: &Arc<Family>, tier: usize) -> CostTable {
        CostTable::new(&self.parameters, profile, mode, family, tier)
    }

    fn isolated(&self, batch: &[Candidate<'_>]) -> Vec<Option<Isolated>> {
        batch.iter().map(|c| self.price(c)).collect()
    }

    fn joint(&self, plans: &[DevicePlan]) -> Result<Vec<DevicePrediction>, EstimatorError> {
        Ok(plans.iter().map(|p| self.device(p)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictor::Task;
    use crate::test_support::{block, family, flat_parameters, toy_profile};
    use ecomap_instances::scenario::Segment;

    fn segments(list: &[(usize, usize, usize)]) -> Vec<Segment> {
        list.iter().map(|&(from, to, unit)| Segment { from, to, unit }).collect()
    }

    fn roofline() -> Roofline {
        Roofline::new(flat_parameters(0.5, 0.5, 0.0))
    }

    fn alone(rate: f64, placement: &[(usize, usize, usize)]) -> Isolated {
        let model = family(vec![block(1e9, 4e6), block(2e9, 4e6)]);
        let predictor = roofline();
        let table = predictor.table(&toy_profile(), ModeIx::new(0), &model, 0);
        let segments = segments(placement);
        let batch = [Candidate { table: &table, segments: &segments, rate: Hertz::new(rate) }];
        predictor.isolated(&batch).remove(0).unwrap()
    }

    #[test]
    fn load_is_linear_in_the_rate_and_quantiles_are_ordered() {
        for placement in [vec![(0, 2, 0)], vec![(0, 1, 0), (1, 2, 1)], vec![(0, 1, 3), (1, 2, 0)]] {
            let unit = alone(1.0, &placement);
            for rate in [1.5, 2.0, 7.0, 30.0] {
                let one = alone(rate, &placement);
                for (a, b) in unit.load.iter().zip(&one.load) {
                    assert!((a.1 * rate - b.1).abs() < 1e-12);
                }
                assert_eq!(one.energy, unit.energy);
                let q = one.latency;
                assert!(one.base <= q.p50 && q.p50 <= q.p95 && q.p95 <= q.p99);
                assert!(q.p99 >= unit.latency.p99);
            }
        }
    }

    #[test]
    fn slope_is_the_share_of_time_on_the_unit() {
        let one = alone(1.0, &[(0, 2, 0)]);
        assert_eq!(one.slopes, vec![(UnitIx::new(0), 2.0)]);
        let split = alone(1.0, &[(0, 1, 0), (1, 2, 1)]);
        // gpu 2.1 ms, hand-over 0.07 ms, dla0 16.1 ms; queueing slope 2.
        let base = 2.1 + 0.07 + 16.1;
        assert!((split.slopes[0].1 - 2.0 * 2.1 / base).abs() < 1e-9);
        assert!((split.slopes[1].1 - 2.0 * 16.1 / base).abs() < 1e-9);
    }

    #[test]
    fn slowdown_is_at_least_one_and_grows_with_co_runners() {
        let model = family(vec![block(1e9, 4e6), block(2e9, 4e6)]);
        let task = |rate: f64| Task {
            family: model.clone(),
            tier: 0,
            segments: segments(&[(0, 2, 0)]),
            rate: Hertz::new(rate),
        };
        let plan = |tasks| DevicePlan { profile: toy_profile(), mode: ModeIx::new(0), tasks };
        let predictor = roofline();
        let plans =
            [plan(vec![task(10.0)]), plan(vec![task(10.0), task(20.0)]), plan(vec![task(10.0), task(40.0)])];
        let answer = predictor.joint(&plans).unwrap();
        let slow: Vec<f64> = answer.iter().map(|d| d.tasks[0].as_ref().unwrap().slowdown.p95).collect();
        assert!((slow[0] - 1.0).abs() < 1e-12);
        // 6.1 ms × 20/s = 0.122 of the gpu by the other tenant, slope 2.
        assert!((slow[1] - 1.244).abs() < 1e-9);
        assert!(slow[2] > slow[1]);
        // 5 W idle and 20 W × 0.183 busy.
        assert!((answer[1].power.get() - (5.0 + 20.0 * 0.183)).abs() < 1e-9);
        assert!((answer[1].load[0] - 0.183).abs() < 1e-12);
    }

    /// To the last bit, wherever the newcomer stands in the list.
    #[test]
    fn a_newcomer_lowers_nothing() {
        let model = family(vec![block(1e9, 4e6), block(2e9, 4e6)]);
        let ways = [vec![(0, 2, 0)], vec![(0, 1, 0), (1, 2, 1)], vec![(0, 1, 3), (1, 2, 0)], vec![(0, 2, 3)]];
        let task = |n: usize| Task {
            family: model.clone(),
            tier: 0,
            segments: segments(&ways[n % ways.len()]),
            rate: Hertz::new(0.1 + 1.7 * f64::from(u32::try_from(n).unwrap())),
        };
        let predictor = roofline();
        assert!(predictor.monotone());
        for newcomer in 0..7 {
            for at in 0..=6 {
                let mut tasks: Vec<Task> = (0..7).filter(|n| *n != newcomer).map(task).collect();
                let plan = |tasks| DevicePlan { profile: toy_profile(), mode: ModeIx::new(0), tasks };
                let before = predictor.joint(&[plan(tasks.clone())]).unwrap().remove(0);
                tasks.insert(at, task(newcomer));
                let mut after = predictor.joint(&[plan(tasks)]).unwrap().remove(0);
                after.tasks.remove(at);
                assert!(after.power >= before.power);
                for (a, b) in after.tasks.iter().flatten().zip(before.tasks.iter().flatten()) {
                    assert!(a.latency.p50 >= b.latency.p50);
                    assert!(a.latency.p95 >= b.latency.p95 && a.latency.p99 >= b.latency.p99);
                }
            }
        }
    }

    #[test]
    fn a_task_that_cannot_run_has_no_prediction() {
        let model = family(vec![block(1e9, 4e6)]);
        let task = Task { family: model, tier: 0, segments: segments(&[(0, 1, 9)]), rate: Hertz::new(1.0) };
        let plan = DevicePlan { profile: toy_profile(), mode: ModeIx::new(0), tasks: vec![task] };
        assert_eq!(roofline().joint(&[plan]).unwrap()[0].tasks, vec![None]);
    }
}
