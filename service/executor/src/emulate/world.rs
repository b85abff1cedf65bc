//! The board: its mode, its plan, and what the simulator has counted.
//!
//! Time goes in windows. For each the simulator runs the plan's streams in the mode in force, with a seed of its own
//! and a warm-up, and what it measures is added to the counters. Latencies are taken evenly from the simulated
//! distribution (its quantiles, joined by lines), one for each request that was answered. Busy time of a unit is the
//! simulator's; it is told apart by tenant in proportion to requests answered times time alone on the unit.

use crate::emulate::placed::{Placed, Rules, streams};
use crate::runtime::counters::{latencies, record};
use crate::runtime::{Counters, PlanVersion, Served};
use ecomap_estimator::sim::outcome::GRID;
use ecomap_estimator::sim::{Outcome, Run, Stream, StreamOutcome, simulate};
use ecomap_instances::Seed;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::Profile;
use ecomap_instances::units::Joules;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Events of one window at most.
const MAX_EVENTS: u64 = 20_000_000;
/// Longest warm-up of a window, ms.
const WARMUP_MS: f64 = 1000.0;

/// A plan that is routed by.
#[derive(Debug)]
pub struct Plan {
    /// Version.
    pub version: PlanVersion,
    /// Its tenants.
    pub tenants: Vec<Placed>,
}

/// What is simulated in one window.
#[derive(Debug, Clone)]
pub struct Window {
    rules: Rules,
    profile: Arc<Profile>,
    mode: usize,
    plan: Option<Arc<Plan>>,
    seed: Seed,
    length: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Simulated {
    window: Window,
    streams: Vec<Option<Stream>>,
    outcome: Outcome,
}

/// The board.
#[derive(Debug)]
pub struct World {
    rules: Rules,
    /// Its hardware profile.
    pub profile: Arc<Profile>,
    /// Mode in force, position in the profile.
    pub mode: usize,
    /// Plan that is routed by.
    pub plan: Option<Arc<Plan>>,
    /// What was counted.
    pub counters: Counters,
    /// Energy since the beginning.
    pub energy: Joules,
    /// Latencies of the last window, by tenant, at the simulator's quantiles.
    pub curves: BTreeMap<String, [f64; GRID.len()]>,
    seed: Seed,
    windows: u64,
}

impl World {
    /// A board in the given mode, with nothing running.
    #[must_use]
    pub fn new(rules: Rules, profile: Arc<Profile>, mode: usize, seed: Seed) -> Self {
        let units = profile.units.iter().map(|u| (u.id.clone(), Default::default())).collect();
        Self {
            rules,
            profile,
            mode,
            plan: None,
            counters: Counters { units, ..Counters::default() },
            energy: Joules::ZERO,
            curves: BTreeMap::new(),
            seed,
            windows: 0,
        }
    }

    /// The next window of the given length. It is simulated outside the lock that guards the board.
    pub fn window(&mut self, length: Duration) -> Window {
        self.windows += 1;
        Window {
            rules: self.rules,
            profile: Arc::clone(&self.profile),
            mode: self.mode,
            plan: self.plan.clone(),
            seed: Seed(self.seed.0.wrapping_add(self.windows)),
            length,
        }
    }

    /// Routes by a plan from now on.
    pub fn switch(&mut self, plan: Arc<Plan>) -> Option<PlanVersion> {
        for counters in self.counters.tenants.values_mut() {
            counters.tier = None;
        }
        for tenant in &plan.tenants {
            self.counters.tenants.entry(tenant.tenant.clone()).or_default().tier = tenant.tier_id().cloned();
        }
        self.curves.clear();
        self.counters.version = Some(plan.version);
        self.plan.replace(plan).map(|p| p.version)
    }

    /// Adds what was simulated.
    pub fn add(&mut self, simulated: &Simulated) {
        let Simulated { window, streams, outcome } = simulated;
        self.counters.at += window.length;
        self.energy += Joules::new(outcome.power_w * window.length.as_secs_f64());
        let tenants = window.plan.as_ref().map_or(&[][..], |p| &p.tenants);
        let mut outcomes = outcome.streams.iter();
        let mut weights = vec![Vec::new(); self.profile.units.len()];
        for (tenant, stream) in tenants.iter().zip(streams) {
            let counters = self.counters.tenants.entry(tenant.tenant.clone()).or_default();
            let Some(stream) = stream else {
                // The mode has switched off a unit that the tenant needs: whoever comes gets nothing.
                let came = expected(tenant.rate_per_s, window.length);
                counters.arrivals += came;
                counters.failed += came;
                continue;
            };
            let Some(measured) = outcomes.next() else { continue };
            counters.arrivals += measured.arrived;
            counters.busy += measured.dropped;
            if let (Some(tier), Some(new)) = (tenant.tier_id(), answered(measured)) {
                let late = tenant.limit.map_or(0, |limit| later(&new, limit));
                match counters.served.get_mut(tier) {
                    Some(served) => {
                        // Bounds of both are the same, so adding does not fail.
                        let _ = served.latency_us.add(&new);
                        served.late += late;
                    }
                    None => {
                        counters.served.insert(tier.clone(), Served { latency_us: new, late });
                    }
                }
            }
            if measured.completed > 0 {
                self.curves.insert(tenant.tenant.to_string(), measured.quantiles);
            }
            for stage in &stream.stages {
                if let Some(unit) = weights.get_mut(stage.unit) {
                    unit.push((tenant.tenant.clone(), stage.time_ms() * measured.completed as f64));
                }
            }
        }
        for ((unit, busy), weights) in self.profile.units.iter().zip(&outcome.busy).zip(weights) {
            let time = window.length.mul_f64(busy.clamp(0.0, 1.0));
            let counters = self.counters.units.entry(unit.id.clone()).or_default();
            let all: f64 = weights.iter().map(|(_, w)| w).sum();
            if all > 0.0 {
                counters.busy += time;
                for (tenant, weight) in weights {
                    *counters.by_tenant.entry(tenant).or_default() += time.mul_f64(weight / all);
                }
            }
        }
    }
}

impl Window {
    /// Simulates it.
    #[must_use]
    pub fn simulate(self) -> Option<Simulated> {
        let tenants = self.plan.as_ref().map_or(&[][..], |p| &p.tenants);
        let (soc, streams) = streams(self.rules, &self.profile, ModeIx::new(self.mode), tenants)?;
        let running: Vec<Stream> = streams.iter().flatten().cloned().collect();
        let measure_ms = self.length.as_secs_f64() * 1e3;
        let run =
            Run { seed: self.seed, warmup_ms: measure_ms.min(WARMUP_MS), measure_ms, max_events: MAX_EVENTS };
        match simulate(&soc, &running, &run) {
            Ok(outcome) => Some(Simulated { window: self, streams, outcome }),
            Err(error) => {
                tracing::error!(%error, "a window cannot be simulated");
                None
            }
        }
    }
}

/// Requests that come at a rate in a time, to the nearest.
fn expected(rate_per_s: f64, time: Duration) -> u64 {
    let come = (rate_per_s * time.as_secs_f64()).round().clamp(0.0, 1e15);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 10^15 by the line above
    let come = come as u64;
    come
}

/// One latency for each answer, evenly from the simulated distribution; `None` without answers.
fn answered(measured: &StreamOutcome) -> Option<hdrhistogram::Histogram<u64>> {
    let mut histogram = latencies()?;
    let count = measured.completed;
    for k in 0..count {
        let ms = at((k as f64 + 0.5) / count as f64, &measured.quantiles);
        record(&mut histogram, Duration::from_secs_f64(ms.max(0.0) / 1e3));
    }
    (count > 0).then_some(histogram)
}

/// Latency at a share of requests, ms: between the simulator's quantiles on a line, the lowest below them.
#[must_use]
pub fn at(share: f64, quantiles: &[f64; GRID.len()]) -> f64 {
    let mut below = (0.0, quantiles.first().copied().unwrap_or(0.0));
    for point in GRID.into_iter().zip(*quantiles) {
        if share <= point.0 {
            let part = (share - below.0) / (point.0 - below.0).max(1e-12);
            return below.1 + (point.1 - below.1) * part;
        }
        below = point;
    }
    below.1
}

fn later(histogram: &hdrhistogram::Histogram<u64>, limit: Duration) -> u64 {
    let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
    histogram.iter_recorded().filter(|v| v.value_iterated_to() > limit).map(|v| v.count_at_value()).sum()
}
