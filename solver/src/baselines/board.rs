//! What a mapping paper sees: one board, its compute units, and DNNs cut into blocks that are to be
//! placed on them. No power, no tiers, no cluster.
//!
//! Methods that know nothing of these get them fixed beforehand, the same for all:
//!
//! - every tenant at its most accurate tier that any board can serve;
//! - every board in its *standing mode*, the one with the largest budget that has choices at all;
//! - with several boards, tenants are dealt: the heaviest first, each to the board with the least
//!   work so far among those that can hold it (`round-robin` deals in turn instead).
//!
//! A *seat* is one placement on offer. Its stages are the segments with their service times; these
//! follow from the loads of the instance, load = rate × service time (row 3).

use super::common::Problem;
use super::repair::Ranks;
use crate::columns::Column;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx, TenantIx};
use ecomap_instances::instance::Host;
use std::collections::{BTreeMap, BTreeSet};

/// One segment of a placement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stage {
    /// First block.
    pub from: usize,
    /// One past the last block.
    pub to: usize,
    /// Compute unit.
    pub unit: usize,
    /// Service time of a request, s.
    pub seconds: f64,
}

/// One placement on offer to a DNN on its board.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub column: Column,
    pub stages: Vec<Stage>,
    /// Service time by unit, s. Also of units outside the stages, where a unit needs help.
    pub demand: Vec<f64>,
    /// Latency on the board without co-runners, s.
    pub alone: f64,
    /// Memory traffic of one request, bytes.
    pub bytes: f64,
}

impl Seat {
    fn new(instance: &Instance, column: Column, host: &Host, units: usize) -> Self {
        let rate = instance.tenants[column.tenant.at()].rate.get().max(1e-9);
        let mut demand = vec![0.0; units];
        for (unit, load) in &host.load {
            demand[unit.at()] += load / rate;
        }
        let blocks = |unit: usize| -> usize {
            host.segments.iter().filter(|s| s.unit == unit).map(|s| s.to - s.from).sum()
        };
        let stages = host
            .segments
            .iter()
            .map(|s| Stage {
                from: s.from,
                to: s.to,
                unit: s.unit,
                seconds: demand[s.unit] * count(s.to - s.from) / count(blocks(s.unit)),
            })
            .collect();
        let alone = (host.isolated.p50 - host.network).get().max(0.0) / 1e3;
        Self { column, stages, demand, alone, bytes: host.bandwidth.get() / rate }
    }

    /// What passing data between stages takes, s: what the latency has beyond the service times.
    pub(crate) fn transfer(&self) -> f64 {
        let cuts = self.stages.len().saturating_sub(1);
        let total: f64 = self.stages.iter().map(|s| s.seconds).sum();
        if cuts == 0 { 0.0 } else { (self.alone - total).max(0.0) / count(cuts) }
    }

    /// The unit of each block.
    pub(crate) fn units_by_block(&self) -> Vec<usize> {
        self.stages.iter().flat_map(|s| std::iter::repeat_n(s.unit, s.to - s.from)).collect()
    }
}

/// A DNN on a board.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub tenant: TenantIx,
    pub priority: f64,
    /// Latency objective less the network's part, s.
    pub deadline: Option<f64>,
    /// Never empty; fastest alone first.
    pub seats: Vec<Seat>,
    /// The unit of each block, by seat.
    pub patterns: Vec<Vec<usize>>,
}

impl Job {
    /// Blocks of the DNN.
    pub(crate) fn blocks(&self) -> usize {
        self.patterns.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The seat on offer nearest to a unit for each block: the fewest blocks on another unit, then
    /// the faster. Methods that choose freely end here.
    pub(crate) fn nearest(&self, pattern: &[usize]) -> usize {
        let differs = |p: &[usize]| {
            p.iter().zip(pattern).filter(|(a, b)| a != b).count() + p.len().abs_diff(pattern.len())
        };
        (0..self.seats.len()).min_by_key(|s| differs(&self.patterns[*s])).unwrap_or(0)
    }
}

/// A board with its DNNs.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    pub device: DeviceIx,
    pub units: usize,
    /// Memory bandwidth in the standing mode, bytes/s.
    pub bandwidth: f64,
    pub jobs: Vec<Job>,
}

/// How tenants are spread over boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deal {
    /// Heaviest first, to the board with the least work.
    LeastWork,
    /// In the order of the file, to one board after another.
    Turn,
}

/// The boards that get a tenant. Tenants without a choice in a standing mode are on none.
pub(crate) fn boards(problem: &Problem<'_>, deal: Deal) -> Vec<Board> {
    let instance = problem.instance;
    let standing = standing_modes(problem);
    let lists: Vec<Vec<Column>> =
        (0..problem.columns.len()).map(|i| seats_of(problem, &standing, i)).collect();
    let homes = match deal {
        Deal::LeastWork => by_least_work(instance, &lists),
        Deal::Turn => in_turn(instance, &lists),
    };
    let mut jobs: BTreeMap<DeviceIx, Vec<Job>> = BTreeMap::new();
    for (list, home) in lists.iter().zip(homes) {
        let Some(device) = home else { continue };
        if let Some(job) = job(instance, list, device) {
            jobs.entry(device).or_default().push(job);
        }
    }
    jobs.into_iter()
        .map(|(device, jobs)| {
            let class = instance.class_of(device);
            let mode = standing[instance.devices[device.at()].class.at()].map(|m| &class.modes[m.at()]);
            Board {
                device,
                units: class.units.len(),
                bandwidth: mode.map_or(0.0, |m| m.bandwidth.get()),
                jobs,
            }
        })
        .collect()
}

/// By class, the mode of the largest budget that any column uses.
pub(crate) fn standing_modes(problem: &Problem<'_>) -> Vec<Option<ModeIx>> {
    let instance = problem.instance;
    let mut used: Vec<BTreeSet<ModeIx>> = vec![BTreeSet::new(); instance.classes.len()];
    for column in problem.columns.iter().flatten() {
        if let Some((host, _)) = column.host(instance) {
            used[host.class.at()].insert(host.mode);
        }
    }
    let ranks = Ranks::new(instance);
    used.iter()
        .zip(0..)
        .map(|(modes, c)| {
            let class = ecomap_instances::ids::ClassIx::new(c);
            modes.iter().copied().min_by_key(|m| ranks.mode(class, *m))
        })
        .collect()
}

/// The columns of tenant `i` in standing modes, at its best tier that has any.
fn seats_of(problem: &Problem<'_>, standing: &[Option<ModeIx>], i: usize) -> Vec<Column> {
    let instance = problem.instance;
    let accuracy = |c: &Column| c.host(instance).map(|(h, _)| instance.tenants[i].tiers[h.tier].accuracy);
    let mut list: Vec<Column> = problem.columns[i]
        .iter()
        .filter(|c| c.host(instance).is_some_and(|(h, _)| standing[h.class.at()] == Some(h.mode)))
        .copied()
        .collect();
    let best = list.iter().filter_map(accuracy).fold(f64::NEG_INFINITY, f64::max);
    list.retain(|c| accuracy(c) == Some(best));
    // Two tiers of one accuracy: the first of the file.
    let tier = list.iter().filter_map(|c| c.host(instance)).map(|(h, _)| h.tier).min();
    list.retain(|c| c.host(instance).map(|(h, _)| h.tier) == tier);
    list
}

fn job(instance: &Instance, list: &[Column], device: DeviceIx) -> Option<Job> {
    let units = instance.class_of(device).units.len();
    let mut seats: Vec<Seat> = list
        .iter()
        .filter(|c| c.pick.device == Some(device))
        .filter_map(|c| c.host(instance).map(|(host, _)| Seat::new(instance, *c, host, units)))
        .collect();
    seats.sort_by(|a, b| a.alone.total_cmp(&b.alone).then(a.column.pick.cmp(&b.column.pick)));
    let tenant = seats.first()?.column.tenant;
    let network = seats.first().and_then(|s| s.column.host(instance)).map_or(0.0, |(h, _)| h.network.get());
    let patterns = seats.iter().map(Seat::units_by_block).collect();
    Some(Job {
        tenant,
        priority: instance.tenants[tenant.at()].priority,
        deadline: instance.tenants[tenant.at()].slo.map(|slo| (slo.latency.get() - network) / 1e3),
        seats,
        patterns,
    })
}

/// The least that a tenant needs on a board.
#[derive(Debug, Clone, Copy)]
struct Need {
    load: f64,
    /// Memory, with weights counted in full.
    memory: f64,
}

/// The boards on offer to a tenant, ascending.
fn offers(instance: &Instance, list: &[Column]) -> BTreeMap<DeviceIx, Need> {
    let mut offers = BTreeMap::new();
    for column in list {
        if let Some((host, device)) = column.host(instance) {
            let weights: f64 = host.weights.iter().map(|w| instance.weights[w.at()].bytes.get()).sum();
            let need = offers.entry(device).or_insert(Need { load: f64::INFINITY, memory: f64::INFINITY });
            need.load = need.load.min(host.load.iter().map(|(_, l)| l).sum());
            need.memory = need.memory.min(host.memory.get() + weights);
        }
    }
    offers
}

fn by_least_work(instance: &Instance, lists: &[Vec<Column>]) -> Vec<Option<DeviceIx>> {
    let offers: Vec<BTreeMap<DeviceIx, Need>> = lists.iter().map(|l| offers(instance, l)).collect();
    let least: Vec<f64> =
        offers.iter().map(|o| o.values().map(|n| n.load).fold(f64::INFINITY, f64::min)).collect();
    let mut order: Vec<usize> = (0..lists.len()).filter(|i| !offers[*i].is_empty()).collect();
    order.sort_by(|a, b| least[*b].total_cmp(&least[*a]).then(a.cmp(b)));
    let mut work = vec![0.0; instance.devices.len()];
    let mut memory = vec![0.0; instance.devices.len()];
    let mut homes = vec![None; lists.len()];
    for i in order {
        let home = offers[i].iter().min_by(|(a, x), (b, y)| {
            let full = |d: DeviceIx, n: &Need| memory[d.at()] + n.memory > instance.class_of(d).memory.get();
            let after =
                |d: DeviceIx, n: &Need| (work[d.at()] + n.load) / count(instance.class_of(d).units.len());
            full(**a, x).cmp(&full(**b, y)).then(after(**a, x).total_cmp(&after(**b, y))).then(a.cmp(b))
        });
        if let Some((device, need)) = home {
            work[device.at()] += need.load;
            memory[device.at()] += need.memory;
            homes[i] = Some(*device);
        }
    }
    homes
}

fn in_turn(instance: &Instance, lists: &[Vec<Column>]) -> Vec<Option<DeviceIx>> {
    let mut next = 0;
    lists
        .iter()
        .map(|list| {
            let offers = offers(instance, list);
            let count = instance.devices.len();
            let home = (0..count)
                .map(|k| DeviceIx::new((next + k) % count))
                .find(|device| offers.contains_key(device));
            if let Some(device) = home {
                next = device.at() + 1;
            }
            home
        })
        .collect()
}

/// A count as a number; counts here are far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}
