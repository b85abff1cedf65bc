//! A closed-form approximation of co-execution: mean stretch by memory contention and throttling,
//! mean waits, and first guesses of the quantiles.
//!
//! 1. *Stretch.* Units are taken as independently busy with probability ρ. The mean slowdown of a
//!    stage is the sum over all subsets of the other units, of probability × (contention slowdown ÷
//!    throttle). Two rounds, since the stretch raises ρ.
//! 2. *Waits.* FIFO: mean residual work over idle share, `Σ λ s² / (2 (1 − ρ))` (Pollaczek and
//!    Khinchine). Round robin: processor sharing, `s / (1 − ρ of the others)`, behind which own
//!    requests queue.
//! 3. *Quantiles.* A wait is taken as 0 with probability 1 − ρ, else exponential.

use crate::sim::soc::{Discipline, Soc};
use crate::sim::stream::Stream;

/// Loads are taken as at most this.
const MOST: f64 = 0.98;

/// One stage of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lane {
    /// Stream, position in the plan.
    pub stream: usize,
    /// Unit.
    pub unit: usize,
    /// Request rate, per ms.
    pub rate: f64,
    /// Busy time alone and without spread, ms.
    pub service: f64,
    /// Mean factor of the spread.
    pub spread: f64,
    /// Requested share of the bandwidth while it runs, mean over time.
    pub demand: f64,
    /// Share of its time that waits for memory.
    pub memory: f64,
    /// Draw over idle while it runs, W, mean over time.
    pub watts: f64,
    /// Longest block, ms.
    pub longest: f64,
    /// Mean slowdown by contention and throttling, at least 1.
    pub stretch: f64,
    /// Stretched and spread busy time, ms.
    pub stretched: f64,
    /// Load that it puts on its unit, stretched.
    pub load: f64,
    /// Load of all other lanes on its unit, stretched.
    pub others: f64,
    /// Mean residual work of the other lanes found on the unit, ms.
    pub residual: f64,
    /// Longest stretched service of another lane on the unit, ms.
    pub rival: f64,
    /// Other lanes on the unit.
    pub rivals: usize,
    /// Mean time from entering the stage to leaving it, ms.
    pub response: f64,
    /// Mean wait before or between slices, ms.
    pub wait: f64,
    /// Bandwidth share that other units ask for on average.
    pub foreign: f64,
    /// Largest bandwidth share that other units ask for at once.
    pub foreign_peak: f64,
}

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tenant {
    /// Time of one request alone and without spread, ms.
    pub base: f64,
    /// Of it, hand-overs.
    pub transfer: f64,
    /// Request rate, per ms.
    pub rate: f64,
    /// Squared coefficient of variation of the gaps.
    pub variability: f64,
    /// Mean extra time over [`Tenant::base`], relative to it.
    pub excess: f64,
    /// Guess of the median's extra time, relative to the base.
    pub excess50: f64,
    /// Guess of p95's, relative to the base; at least [`Tenant::excess50`].
    pub excess95: f64,
    /// Guess of p99's, relative to the base; at least [`Tenant::excess95`].
    pub excess99: f64,
    /// Largest load of a unit that it uses.
    pub bottleneck: f64,
}

/// The whole board.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Analysis {
    /// Stages, stream by stream.
    pub lanes: Vec<Lane>,
    /// Streams.
    pub tenants: Vec<Tenant>,
    /// Load of each unit, stretched.
    pub load: Vec<f64>,
    /// Mean draw over idle at nominal times, W.
    pub dynamic_w: f64,
    /// The same with stretch and stall power, W.
    pub stretched_w: f64,
    /// Draw over idle if every used unit is busy, W.
    pub peak_w: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct UnitState {
    load: f64,
    demand: f64,
    watts: f64,
}

/// Analyses a plan.
#[must_use]
pub fn analyse(soc: &Soc, streams: &[Stream]) -> Analysis {
    let mut lanes = lanes(soc, streams);
    let mut units = vec![UnitState::default(); soc.units.len()];
    for _ in 0..2 {
        sum(&mut units, &lanes);
        for lane in &mut lanes {
            lane.stretch = stretch(soc, &units, lane);
            lane.stretched = lane.service * lane.spread * lane.stretch;
            lane.load = lane.rate * lane.stretched;
        }
    }
    sum(&mut units, &lanes);
    for n in 0..lanes.len() {
        meet(soc, &mut lanes, n, streams, &units);
    }
    let tenants = tenants(streams, &lanes, &units);
    let mut dynamic_w = 0.0;
    let mut stretched_w = 0.0;
    for lane in &lanes {
        let stall = soc.units[lane.unit].stall_power;
        dynamic_w += lane.rate * lane.service * lane.spread * lane.watts;
        // While stretched by κ, power is stall + (1 − stall)/κ of the full.
        stretched_w += lane.load * lane.watts * (stall + (1.0 - stall) / lane.stretch);
    }
    for (stream, tenant) in streams.iter().zip(&tenants) {
        let handed: f64 = stream.stages.iter().map(|g| g.transfer_ms * g.transfer_w).sum();
        dynamic_w += handed * tenant.rate;
        stretched_w += handed * tenant.rate;
    }
    let peak_w = units.iter().map(|u| u.watts).sum();
    Analysis { lanes, tenants, load: units.iter().map(|u| u.load).collect(), dynamic_w, stretched_w, peak_w }
}

fn lanes(soc: &Soc, streams: &[Stream]) -> Vec<Lane> {
    let per_bandwidth = 1.0 / soc.bandwidth.max(1e-12);
    let mut lanes = Vec::new();
    for (n, stream) in streams.iter().enumerate() {
        let rate = 1.0 / stream.gap_ms();
        for stage in &stream.stages {
            let service = stage.time_ms().max(1e-9);
            let mut traffic = 0.0;
            let mut memory = 0.0;
            let mut energy = 0.0;
            let mut longest: f64 = 0.0;
            for b in &stage.blocks {
                traffic += b.traffic;
                memory += b.memory_share * b.time_ms;
                energy += b.watts * b.time_ms;
                longest = longest.max(b.time_ms);
            }
            let spread = stage.jitter.mean();
            lanes.push(Lane {
                stream: n,
                unit: stage.unit,
                rate,
                service,
                spread,
                demand: traffic / service * per_bandwidth,
                memory: memory / service,
                watts: energy / service,
                longest,
                stretch: 1.0,
                stretched: service * spread,
                load: rate * service * spread,
                ..Lane::default()
            });
        }
    }
    lanes
}

/// Load, and demand and power while busy, of each unit.
fn sum(units: &mut [UnitState], lanes: &[Lane]) {
    units.fill(UnitState::default());
    for lane in lanes {
        let u = &mut units[lane.unit];
        u.load += lane.load;
        u.demand += lane.load * lane.demand;
        u.watts += lane.load * lane.watts;
    }
    for u in units {
        if u.load > 0.0 {
            u.demand /= u.load;
            u.watts /= u.load;
        }
        u.load = u.load.min(MOST);
    }
}

/// Mean slowdown of a lane over all subsets of the other units in use.
fn stretch(soc: &Soc, units: &[UnitState], lane: &Lane) -> f64 {
    let mut others = [UnitState::default(); 8];
    let mut count = 0;
    for (n, u) in units.iter().enumerate() {
        if n != lane.unit && u.load > 0.0 && count < others.len() {
            others[count] = *u;
            count += 1;
        }
    }
    let curve = &soc.units[lane.unit].curve;
    let mut mean = 0.0;
    for subset in 0..1_u32 << count {
        let mut p = 1.0;
        let mut demand = lane.demand;
        let mut watts = lane.watts;
        for (k, u) in others.iter().take(count).enumerate() {
            if subset >> k & 1 == 1 {
                p *= u.load;
                demand += u.demand;
                watts += u.watts;
            } else {
                p *= 1.0 - u.load;
            }
        }
        let slow = 1.0 + lane.memory * (curve.slowdown(lane.demand, demand) - 1.0);
        mean += p * slow / soc.throttle(watts);
    }
    mean.max(1.0)
}

/// What a lane meets on its unit.
fn meet(soc: &Soc, lanes: &mut [Lane], n: usize, streams: &[Stream], units: &[UnitState]) {
    let mut lane = lanes[n];
    let variability = streams[lane.stream].arrivals.variability().min(4.0);
    for (k, other) in lanes.iter().enumerate() {
        if k == n || other.unit != lane.unit {
            continue;
        }
        lane.others += other.load;
        lane.residual += other.load * other.stretched / 2.0;
        lane.rival = lane.rival.max(other.stretched);
        lane.rivals += 1;
    }
    for (v, u) in units.iter().enumerate() {
        if v != lane.unit {
            lane.foreign += u.load * u.demand;
            lane.foreign_peak += u.demand;
        }
    }
    let others = lane.others.min(MOST);
    lane.wait = match soc.units[lane.unit].discipline {
        Discipline::Fifo => {
            let own = lane.load * lane.stretched / 2.0 * variability;
            (lane.residual + own) / (1.0 - (others + lane.load).min(MOST))
        }
        Discipline::RoundRobin { .. } => {
            let shared = lane.stretched / (1.0 - others);
            let busy = (lane.rate * shared).min(MOST);
            shared - lane.stretched + variability * busy * shared / (2.0 * (1.0 - busy))
        }
    };
    lane.response = lane.stretched + lane.wait;
    lanes[n] = lane;
}

fn tenants(streams: &[Stream], lanes: &[Lane], units: &[UnitState]) -> Vec<Tenant> {
    let mut list: Vec<Tenant> = streams
        .iter()
        .map(|s| {
            let base = s.base_ms();
            let transfer = s.stages.iter().map(|g| g.transfer_ms).sum();
            Tenant {
                base,
                transfer,
                rate: 1.0 / s.gap_ms(),
                variability: s.arrivals.variability().min(4.0),
                ..Tenant::default()
            }
        })
        .collect();
    let mut at = 0;
    for (stream, tenant) in streams.iter().zip(&mut list) {
        let mut extra = [0.0; 4];
        for (lane, stage) in lanes[at..].iter().zip(&stream.stages) {
            let unit = units[lane.unit].load.min(MOST);
            let calm = lane.service * (lane.stretch - 1.0);
            // Wait of those that wait, and its quantiles under an exponential tail.
            let tail = lane.wait / unit.max(1e-6);
            let quantile = |miss: f64| if unit > miss { tail * (unit / miss).ln() } else { 0.0 };
            let spread = |q: f64| lane.service * lane.stretch * (stage.jitter.at(q) - 1.0);
            extra[0] += lane.response - lane.service;
            extra[1] += calm + quantile(0.5).max(lane.wait * 0.3);
            extra[2] += calm + quantile(0.05).max(lane.wait) + spread(0.95);
            extra[3] += calm + quantile(0.01).max(lane.wait) + spread(0.99);
            tenant.bottleneck = tenant.bottleneck.max(unit);
        }
        at += stream.stages.len();
        let base = tenant.base.max(1e-9);
        tenant.excess = extra[0] / base;
        tenant.excess50 = extra[1] / base;
        tenant.excess95 = (extra[2] / base).max(tenant.excess50);
        tenant.excess99 = (extra[3] / base).max(tenant.excess95);
    }
    list
}
