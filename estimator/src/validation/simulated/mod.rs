//! The simulator against measurements.
//!
//! The other parts of the validation judge the formulas; here `simulate` itself is run for what was
//! measured, and judged by what it says: quantiles of a closed loop ([`alone`]), the change from
//! one power mode to another ([`modes`]), units beside each other ([`corun`]), two DLAs at full
//! load ([`dla`]), cuts ([`cuts`]) and rails over time ([`rails`]). What a section fits, it
//! fits on one half and judges on the other.

pub mod alone;
pub mod corun;
pub mod cuts;
pub mod dla;
pub mod modes;
pub mod rails;

use super::sample::Sample;
use crate::coexecution::{Coexecution, Rule};
use crate::parameters::Parameters;
use crate::roofline::{BlockCost, Roof};
use crate::sim::soc::Discipline;
use crate::sim::stream::work;
use crate::sim::{
    Arrivals, Jitter, Outcome, Run, Soc, SocUnit, Stage, Stream, Work, simulate as run_simulator,
};
use ecomap_instances::generate::Seed;
use ecomap_instances::profile::UnitKind;

/// Seed of every run on the page.
const SEED: Seed = Seed(11);

/// A draw that no limit lowers, W: the published runs were at fixed clocks, not at a module's budget.
const NO_LIMIT: f64 = 1e6;

/// Blocks of a sample as the simulator runs them: intake and launch first, where they are measured.
fn works(sample: &Sample, parameters: &Parameters) -> Option<Vec<Work>> {
    let unit = sample.group.unit(parameters)?;
    let s = sample;
    let roof = Roof::fitted(parameters, unit, &s.profile, &s.unit, &s.mode, s.setting, s.precision)?;
    let mut all = Vec::with_capacity(s.blocks.len() + 2);
    let mut push = |c: BlockCost| {
        if c.time.get() > 0.0 {
            all.push(work(c.time, c.memory_bound, c.traffic, c.energy));
        }
    };
    push(s.blocks.first().map_or_else(BlockCost::default, |b| roof.intake(b.input)));
    if s.launch {
        let time = s.unit.fixed_overhead;
        push(BlockCost { time, overhead: time, energy: roof.starting(time), ..BlockCost::default() });
    }
    for block in s.blocks.iter() {
        push(roof.block(block));
    }
    Some(all)
}

/// Spread of a sample's unit, as fitted on the fit half.
fn jitter(sample: &Sample, parameters: &Parameters) -> Jitter {
    sample
        .group
        .unit(parameters)
        .map_or(Jitter::NONE, |u| Jitter { p95: u.dispersion.p95, p99: u.dispersion.p99 })
}

/// One segment on unit `unit`, one request at a time without a pause.
fn loop_on(unit: usize, blocks: Vec<Work>, jitter: Jitter) -> Stream {
    let stage = Stage { unit, blocks, jitter, transfer_ms: 0.0, transfer_w: 0.0 };
    Stream { stages: vec![stage], arrivals: Arrivals::Closed { think_ms: 0.0 }, queue_limit: 64 }
}

/// A unit under the shipped rules, or others.
fn unit(rule: Rule, kind: UnitKind) -> SocUnit {
    SocUnit {
        kind,
        discipline: match kind {
            UnitKind::Dla => Discipline::Fifo,
            UnitKind::Gpu | UnitKind::Cpu => {
                Discipline::RoundRobin { quantum_ms: rule.quantum_ms, switch_ms: rule.switch_ms }
            }
        },
        curve: rule.curve(),
        stall_power: rule.stall_power,
    }
}

fn rule(generation: &str, kind: UnitKind) -> Option<Rule> {
    Some(Coexecution::embedded().ok()?.unit(generation, kind))
}

/// A board of the given units.
fn board(units: Vec<SocUnit>, bandwidth: f64, idle_w: f64) -> Soc {
    Soc { units, bandwidth, idle_w, limit_w: NO_LIMIT }
}

/// Bandwidth that memory delivers in a sample's mode, bytes per ms.
fn bandwidth(sample: &Sample) -> f64 {
    sample.mode.memory_bandwidth.get() * sample.profile.usable_bandwidth / 1000.0
}

/// Runs for `requests` requests of the slowest stream.
fn run(soc: &Soc, streams: &[Stream], requests: f64) -> Option<Outcome> {
    let slowest = streams.iter().map(Stream::gap_ms).fold(0.0, f64::max);
    let measure_ms = requests * slowest;
    let run = Run { seed: SEED, warmup_ms: 0.05 * measure_ms, measure_ms, max_events: 20_000_000 };
    run_simulator(soc, streams, &run).ok().filter(|o| !o.cut_short)
}
