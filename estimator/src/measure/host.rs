//! This machine as a board of the simulator.
//!
//! Times of models alone are the measured medians, spread over blocks by the generic CPU's roofline.
//! Three numbers are left, which runs alone cannot tell; [`Tuning`] holds them, and
//! [`compare`](fn@super::compare) fits them on half of the co-runs.

use super::file::{BlockShare, Measured, RunRecord};
use super::plan::{Case, Half, Kind, Load};
use crate::error::EstimatorError;
use crate::parameters::Parameters;
use crate::roofline::Roof;
use crate::sim::contention::Curve;
use crate::sim::{
    Arrivals, Discipline, Jitter, Outcome, Run, Soc, SocUnit, Stage, Stream, Work, simulate as run_simulator,
};
use crate::validation::quantile;
use ecomap_instances::Catalog;
use ecomap_instances::family::Block;
use ecomap_instances::generate::Seed;
use ecomap_instances::profile::UnitKind;
use std::collections::BTreeMap;

/// Profile that stands for a machine that is not a board.
const PROFILE: &str = "host-cpu";

/// What the runs alone do not tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Speed lost by memory-bound work for each share of the profile's bandwidth that all units request.
    pub loss: f64,
    /// Share of the time bound by arithmetic that suffers like memory-bound time: caches and hardware
    /// threads that two units of one processor share.
    pub shared: f64,
    /// Time slice between tenants of one unit, ms.
    pub slice_ms: f64,
}

impl Tuning {
    /// The rules of a generic board: no contention between cores, slices of Linux.
    pub const GENERIC: Self = Self { loss: 0.0, shared: 0.0, slice_ms: 3.0 };
}

/// Times of each model alone on each unit, from one half of the repetitions.
#[derive(Debug, Clone)]
pub struct Host {
    alone: BTreeMap<(usize, usize), Alone>,
    units: usize,
    bandwidth: f64,
    idle_w: f64,
}

/// One model alone on one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alone {
    /// Median over repetitions of the median latency, ms.
    pub p50: f64,
    /// The same of the 95th percentile.
    pub p95: f64,
    /// The same of the 99th percentile.
    pub p99: f64,
}

/// Shares of time, by the roofline of a generic CPU, for blocks read from an ONNX file.
///
/// # Errors
/// Only if an embedded file is broken.
pub fn shares(blocks: &[Block]) -> Result<Vec<BlockShare>, EstimatorError> {
    let catalog = Catalog::embedded().map_err(|e| EstimatorError::Instance(e.clone()))?;
    let parameters = Parameters::embedded()?;
    let broken = || EstimatorError::Parameters(format!("no profile {PROFILE}"));
    let profile = catalog.profile(PROFILE).ok_or_else(broken)?;
    let mode = profile.modes.first().ok_or_else(broken)?;
    let setting = mode.units.first().copied().flatten().ok_or_else(broken)?;
    let unit = profile.units.first().ok_or_else(broken)?;
    let roof = Roof::new(parameters, profile, unit, mode, setting).ok_or_else(broken)?;
    let costs: Vec<_> = blocks.iter().map(|b| roof.block(b)).collect();
    let total: f64 = costs.iter().map(|c| c.time.get()).sum();
    Ok(costs
        .iter()
        .map(|c| BlockShare {
            time: c.time.get() / total.max(1e-12),
            memory: (c.memory_bound.get() / c.time.get().max(1e-12)).clamp(0.0, 1.0),
            traffic_bytes: c.traffic.get(),
        })
        .collect())
}

/// Which repetitions of the cases alone belong to a half: even ones are fitted.
#[must_use]
pub const fn half_of(repetition: u32) -> Half {
    if repetition.is_multiple_of(2) { Half::Fit } else { Half::Check }
}

/// Median over runs of a quantile of a tenant's latencies; `None` without any.
#[must_use]
pub fn median_of(runs: &[&RunRecord], tenant: usize, q: f64) -> Option<f64> {
    let each: Vec<f64> =
        runs.iter().filter_map(|r| quantile(&r.tenants.get(tenant)?.latencies_ms, q)).collect();
    quantile(&each, 0.5)
}

impl Host {
    /// From the runs alone of one half of the repetitions; models without any are left out.
    ///
    /// # Errors
    /// Only if an embedded file is broken.
    pub fn new(measured: &Measured, half: Half) -> Result<Self, EstimatorError> {
        let catalog = Catalog::embedded().map_err(|e| EstimatorError::Instance(e.clone()))?;
        let profile = catalog.profile(PROFILE);
        let mode = profile.and_then(|p| p.modes.first());
        let (Some(profile), Some(mode)) = (profile, mode) else {
            return Err(EstimatorError::Parameters(format!("no profile {PROFILE}")));
        };
        let mut sets: BTreeMap<(usize, usize), Vec<&RunRecord>> = BTreeMap::new();
        for (run, case) in measured.kept() {
            if case.kind == Kind::Isolated
                && half_of(run.repetition) == half
                && let Some(t) = case.tenants.first()
            {
                sets.entry((t.model, t.unit)).or_default().push(run);
            }
        }
        let of = |runs: &[&RunRecord]| {
            let p50 = median_of(runs, 0, 0.5)?;
            let p95 = median_of(runs, 0, 0.95)?.max(p50);
            Some(Alone { p50, p95, p99: median_of(runs, 0, 0.99)?.max(p95) })
        };
        Ok(Self {
            alone: sets.into_iter().filter_map(|(k, runs)| Some((k, of(&runs)?))).collect(),
            units: measured.units.len(),
            bandwidth: mode.memory_bandwidth.get() * profile.usable_bandwidth / 1000.0,
            idle_w: mode.idle.get(),
        })
    }

    /// A model alone on a unit.
    #[must_use]
    pub fn alone(&self, model: usize, unit: usize) -> Option<Alone> {
        self.alone.get(&(model, unit)).copied()
    }

    /// Every model and unit that was measured alone.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.alone.keys().copied()
    }

    /// The board.
    #[must_use]
    pub fn soc(&self, tuning: &Tuning) -> Soc {
        let loss = tuning.loss;
        let unit = SocUnit {
            kind: UnitKind::Cpu,
            discipline: Discipline::RoundRobin { quantum_ms: tuning.slice_ms, switch_ms: 0.0 },
            curve: Curve { minor: loss, knee: 1.0, steep: loss, shoulder: 1.0, flat: loss },
            stall_power: 1.0,
        };
        Soc { units: vec![unit; self.units], bandwidth: self.bandwidth, idle_w: self.idle_w, limit_w: 1e6 }
    }

    /// The tenants of a case; `rates` are per second, `None` in a closed loop. `None` when a model was
    /// not measured alone where it is to run.
    #[must_use]
    pub fn streams(
        &self,
        measured: &Measured,
        case: &Case,
        rates: &[Option<f64>],
        tuning: &Tuning,
    ) -> Option<Vec<Stream>> {
        case.tenants
            .iter()
            .zip(rates)
            .map(|(t, rate)| {
                let alone = self.alone(t.model, t.unit)?;
                let blocks = measured
                    .models
                    .get(t.model)?
                    .blocks
                    .iter()
                    .filter(|b| b.time > 0.0)
                    .map(|b| Work {
                        time_ms: alone.p50 * b.time,
                        memory_share: b.memory + (1.0 - b.memory) * tuning.shared,
                        traffic: b.traffic_bytes,
                        watts: 0.0,
                    })
                    .collect();
                let stage = Stage {
                    unit: t.unit,
                    blocks,
                    jitter: Jitter {
                        p95: (alone.p95 / alone.p50).min(100.0),
                        p99: (alone.p99 / alone.p50).min(100.0),
                    },
                    transfer_ms: 0.0,
                    transfer_w: 0.0,
                };
                let arrivals = match (t.load, rate) {
                    (Load::Poisson(_), Some(rate)) => Arrivals::Poisson { gap_ms: 1000.0 / rate },
                    _ => Arrivals::Closed { think_ms: 0.0 },
                };
                Some(Stream {
                    stages: vec![stage],
                    arrivals,
                    queue_limit: crate::sim::stream::DEFAULT_QUEUE_LIMIT,
                })
            })
            .collect()
    }
}

/// Simulates for about `requests` requests of the slowest tenant, but at most `max_events` events.
///
/// # Errors
/// [`EstimatorError::Simulation`] from numbers out of range, which a checked document has not.
pub fn simulate(
    soc: &Soc,
    streams: &[Stream],
    requests: f64,
    max_events: u64,
) -> Result<Outcome, EstimatorError> {
    let slowest = streams.iter().map(Stream::gap_ms).fold(0.0, f64::max);
    let measure_ms = requests * slowest;
    let run = Run { seed: Seed(5), warmup_ms: 0.1 * measure_ms, measure_ms, max_events };
    Ok(run_simulator(soc, streams, &run)?)
}
