//! A plan executed in the simulator, board by board: what it draws and what its tenants get.

use crate::StudyError;
use crate::config::Simulation;
use ecomap_estimator::Roofline;
use ecomap_estimator::coexecution::Coexecution;
use ecomap_estimator::learned::setup::Workshop;
use ecomap_estimator::predictor::{DevicePlan, Task};
use ecomap_estimator::sim::{Run, StreamOutcome, simulate};
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::{DeviceIx, ModeIx};
use ecomap_instances::plan::Assignment;
use ecomap_instances::{Instance, Scenario};

/// Share by which a short run's mean draw may be above the cap by chance: requests arrive at random.
pub const NOISE: f64 = 0.01;
/// Steps of the bisection for the 95th percentile of all requests.
const BISECTIONS: u32 = 60;

/// What an executed plan measured, all boards together. Simulated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measured {
    /// Draw of all sites, boards that are off included, W.
    pub power_w: f64,
    /// Emission rate, g/h.
    pub carbon_g_per_h: f64,
    /// Mean latency over the requests answered, network included, ms.
    pub mean_ms: f64,
    /// 95th percentile of the same, ms.
    pub p95_ms: f64,
    /// Share of all requests that came late, were dropped, or belong to a tenant that is shed.
    pub late: f64,
    /// Tenants that are shed, or whose latency at the quantile of their objective is above it.
    pub slo_broken: usize,
    /// Mean accuracy over all requests, those that are shed or dropped counting 0, percent.
    pub accuracy: f64,
    /// Sites whose draw is above their cap by more than [`NOISE`].
    pub above_cap: usize,
    /// Watts above caps, over all sites.
    pub over_w: f64,
    /// Share of all requests that were answered within each latency of [`latencies`].
    pub within: Vec<f64>,
}

/// The latencies at which distributions of requests are kept: ten a decade from 0.1 ms to 100 s, ms.
pub fn latencies() -> impl Iterator<Item = f64> {
    (-10..=50).map(|tenth| 10_f64.powf(f64::from(tenth) / 10.0))
}

/// Executes plans.
#[derive(Debug)]
pub struct Truth {
    workshop: Workshop,
    effort: Simulation,
}

/// What one tenant got.
struct Served {
    rate: f64,
    network_ms: f64,
    accuracy: f64,
    outcome: StreamOutcome,
}

impl Truth {
    /// With the embedded parameters.
    ///
    /// # Errors
    /// Only if these are broken.
    pub fn new(effort: Simulation) -> Result<Self, StudyError> {
        let rules = Coexecution::embedded()?.clone();
        Ok(Self { workshop: Workshop::new(Roofline::embedded()?, rules), effort })
    }

    /// Executes `plan` for the time that stands for an hour.
    ///
    /// # Errors
    /// [`StudyError::Misfit`] and [`StudyError::Simulation`] for a plan that is not of this scenario.
    pub fn execute(
        &self,
        scenario: &Scenario,
        instance: &Instance,
        plan: &Assignment,
        seed: u64,
    ) -> Result<Measured, StudyError> {
        let mut draw = vec![0.0; instance.sites.len()];
        let mut served: Vec<Option<Served>> = plan.picks.iter().map(|_| None).collect();
        for (d, mode) in plan.modes.iter().enumerate() {
            let device = DeviceIx::new(d);
            let class = instance.class_of(device);
            let Some(mode) = mode else {
                draw[class.site.at()] += class.off.get();
                continue;
            };
            let tenants: Vec<usize> = (0..plan.picks.len())
                .filter(|i| plan.picks[*i].is_some_and(|p| p.device == Some(device)))
                .collect();
            let board = board(scenario, instance, plan, d, *mode, &tenants)?;
            let prepared =
                self.workshop.prepare(&board).filter(|p| p.streams.len() == tenants.len()).ok_or_else(
                    || StudyError::Misfit(format!("a tenant cannot run on `{}`", instance.devices[d].id)),
                )?;
            let run = Run {
                seed: Seed(seed ^ ((d as u64) << 32)),
                warmup_ms: self.effort.warmup_s * 1e3,
                measure_ms: self.effort.measure_s * 1e3,
                max_events: self.effort.max_events,
            };
            let outcome = simulate(&prepared.soc, &prepared.streams, &run)?;
            draw[class.site.at()] += outcome.power_w;
            for (i, stream) in tenants.into_iter().zip(outcome.streams) {
                served[i] = told(instance, plan, i, stream);
            }
        }
        Ok(measured(instance, &draw, &served))
    }
}

/// One board's tasks, by the scenario's own families and profiles.
fn board(
    scenario: &Scenario,
    instance: &Instance,
    plan: &Assignment,
    device: usize,
    mode: ModeIx,
    tenants: &[usize],
) -> Result<DevicePlan, StudyError> {
    let misfit = |what: &str| StudyError::Misfit(what.to_owned());
    let id = &instance.devices[device].id;
    let told = scenario.devices.iter().find(|d| d.id == *id).ok_or_else(|| misfit("no such device"))?;
    let mode = &instance.class_of(DeviceIx::new(device)).modes[mode.at()].id;
    let mode = told.profile.mode_position(mode.as_str()).ok_or_else(|| misfit("no such mode"))?;
    let tasks = tenants
        .iter()
        .map(|i| {
            let tenant = &instance.tenants[*i];
            let told = scenario.tenants.iter().find(|t| t.id == tenant.id);
            let told = told.ok_or_else(|| misfit("no such tenant"))?;
            let host = plan.picks[*i].and_then(|p| tenant.options[p.option.at()].host.as_ref());
            let host = host.ok_or_else(|| misfit("a choice without a board"))?;
            let tier = told.family.tier_position(tenant.tiers[host.tier].id.as_str());
            let tier = tier.ok_or_else(|| misfit("no such tier"))?;
            Ok(Task { family: told.family.clone(), tier, segments: host.segments.clone(), rate: tenant.rate })
        })
        .collect::<Result<_, StudyError>>()?;
    Ok(DevicePlan { profile: told.profile.clone(), mode: ModeIx::new(mode), tasks })
}

fn told(instance: &Instance, plan: &Assignment, i: usize, outcome: StreamOutcome) -> Option<Served> {
    let tenant = &instance.tenants[i];
    let host = plan.picks[i].and_then(|p| tenant.options[p.option.at()].host.as_ref())?;
    Some(Served {
        rate: tenant.rate.get(),
        network_ms: host.network.get(),
        accuracy: tenant.tiers[host.tier].accuracy,
        outcome,
    })
}

impl Served {
    /// Share of the arrivals that were answered. Those in flight at the end count as answered, unless
    /// nothing was.
    fn answered(&self) -> f64 {
        if self.outcome.completed == 0 && self.outcome.arrived > 0 {
            return 0.0;
        }
        let (arrived, dropped) = (as_number(self.outcome.arrived), as_number(self.outcome.dropped));
        if arrived > 0.0 { ((arrived - dropped) / arrived).max(0.0) } else { 1.0 }
    }

    /// Share of the answers that came within `latency_ms` end to end.
    fn within(&self, latency_ms: f64) -> f64 {
        let on_device = latency_ms - self.network_ms;
        if on_device < 0.0 { 0.0 } else { self.outcome.share_within(on_device) }
    }
}

fn measured(instance: &Instance, draw: &[f64], served: &[Option<Served>]) -> Measured {
    let mut told = Measured { power_w: draw.iter().sum(), ..Measured::default() };
    for (site, watts) in instance.sites.iter().zip(draw) {
        told.carbon_g_per_h += watts * site.carbon.get() / 1e3;
        if let Some(cap) = site.cap {
            told.over_w += (watts - cap.get()).max(0.0);
            told.above_cap += usize::from(*watts > cap.get() * (1.0 + NOISE));
        }
    }
    let (mut all, mut answers) = (0.0, 0.0);
    for (tenant, served) in instance.tenants.iter().zip(served) {
        all += tenant.rate.get();
        let Some(served) = served else {
            told.late += tenant.rate.get();
            told.slo_broken += 1;
            continue;
        };
        let answered = served.answered();
        answers += served.rate * answered;
        told.mean_ms += served.rate * answered * (served.outcome.mean_ms + served.network_ms);
        told.accuracy += served.rate * answered * served.accuracy;
        let in_time = tenant.slo.map_or(1.0, |slo| served.within(slo.latency.get()));
        told.late += served.rate * (1.0 - answered * in_time);
        let promised = tenant.slo.map_or(0.0, |slo| match slo.quantile {
            ecomap_instances::scenario::Quantile::P50 => 0.5,
            ecomap_instances::scenario::Quantile::P95 => 0.95,
            ecomap_instances::scenario::Quantile::P99 => 0.99,
        });
        told.slo_broken += usize::from(answered * in_time < promised - 1e-9);
    }
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    told.mean_ms = share(told.mean_ms, answers);
    told.late = share(told.late, all);
    told.accuracy = share(told.accuracy, all);
    told.p95_ms = percentile(served, 0.95, answers);
    told.within = latencies().map(|latency| share(answered_within(served, latency), all)).collect();
    told
}

/// Answers that come within a latency, 1/s.
fn answered_within(served: &[Option<Served>], latency_ms: f64) -> f64 {
    served.iter().flatten().map(|s| s.rate * s.answered() * s.within(latency_ms)).sum()
}

/// The latency within which a share of all answers came, by bisection.
fn percentile(served: &[Option<Served>], share: f64, answers: f64) -> f64 {
    let last = |s: &Served| s.network_ms + s.outcome.at(1.0).unwrap_or(0.0);
    let (mut low, mut high) = (0.0, served.iter().flatten().map(last).fold(0.0, f64::max));
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if answered_within(served, middle) >= share * answers { high = middle } else { low = middle }
    }
    high
}

/// A count as a number; far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn as_number(n: u64) -> f64 {
    n as f64
}
