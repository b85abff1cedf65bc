//! Packing: who gets which demand on which server.

use super::{Demand, Demands, Grant, width};
use crate::float;
use crate::state::EPSILON;
use ecomap_instances::accelerators::Workload;
use ecomap_instances::ids::JobIx;
use std::cmp::Reverse;

/// What of a server is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Left {
    pub(super) accelerators: usize,
    pub(super) cpus: f64,
    pub(super) memory: f64,
}

/// A cluster that is being filled.
#[derive(Debug, Clone)]
pub(super) struct Packing<'w> {
    workload: &'w Workload,
    demands: &'w Demands,
    pub(super) left: Vec<Left>,
    pub(super) grants: Vec<Grant>,
}

impl<'w> Packing<'w> {
    pub(super) fn new(workload: &'w Workload, demands: &'w Demands) -> Self {
        let left = workload.servers().iter().map(|s| Left {
            accelerators: s.topology.len(),
            cpus: f64::from(s.cpus),
            memory: s.memory.get(),
        });
        Self { workload, demands, left: left.collect(), grants: Vec::new() }
    }

    /// Whether `width` servers from `first` on hold a job's demand, spread evenly.
    fn holds(&self, job: JobIx, first: usize, demand: Demand) -> bool {
        let job = self.workload.job(job);
        let width = width(self.workload, job);
        let (each, parts) = (job.accelerators / width, float(width));
        self.left.get(first..first + width).is_some_and(|window| {
            window.iter().all(|l| {
                l.accelerators >= each
                    && l.cpus + EPSILON >= demand.cpus / parts
                    && l.memory + EPSILON >= demand.memory / parts
            })
        })
    }

    /// First servers where a job with this demand fits.
    pub(super) fn places(&self, job: JobIx, demand: Demand) -> impl Iterator<Item = usize> + '_ {
        (0..self.left.len()).filter(move |first| self.holds(job, *first, demand))
    }

    /// The place with the fewest free accelerators where it fits.
    fn tightest(&self, job: JobIx, demand: Demand) -> Option<usize> {
        self.places(job, demand).min_by_key(|first| self.left[*first].accelerators)
    }

    pub(super) fn put(&mut self, job: JobIx, first: usize, demand: Demand) {
        let width = width(self.workload, self.workload.job(job));
        self.grants.push(Grant { job, first, width, demand });
        let grant = self.grants.len() - 1;
        self.account(grant, true);
    }

    /// Takes a grant out of what is left, or puts it back.
    fn account(&mut self, grant: usize, take: bool) {
        let Grant { job, first, width, demand } = self.grants[grant];
        let each = self.workload.job(job).accelerators / width;
        let (parts, sign) = (float(width), if take { -1.0 } else { 1.0 });
        for left in &mut self.left[first..first + width] {
            left.accelerators = if take { left.accelerators - each } else { left.accelerators + each };
            left.cpus += sign * demand.cpus / parts;
            left.memory += sign * demand.memory / parts;
        }
    }

    /// Gives a grant another demand in its place.
    fn regrant(&mut self, grant: usize, demand: Demand) {
        self.account(grant, false);
        self.grants[grant].demand = demand;
        self.account(grant, true);
    }

    /// Places a job as Synergy-TUNE does: with its demand; else with its fair share; else on the
    /// first place with enough accelerators, fewest of them first, once its peers there that have
    /// more than their fair share of something are back at it.
    pub(super) fn tune(&mut self, job: JobIx, wanted: Demand) -> bool {
        let fair = self.demands.fair(job);
        for demand in [wanted, fair] {
            if let Some(first) = self.tightest(job, demand) {
                self.put(job, first, demand);
                return true;
            }
        }
        let nothing = Demand { cpus: f64::NEG_INFINITY, memory: f64::NEG_INFINITY, speed: 1.0 };
        let mut rooms: Vec<usize> = self.places(job, nothing).collect();
        rooms.sort_by_key(|first| self.left[*first].accelerators);
        // Servers whose CPUs, then memory, are least short for each accelerator come first.
        let short = |l: &Left| {
            let count = float(l.accelerators.max(1));
            (l.cpus / count, l.memory / count)
        };
        rooms.sort_by(|a, b| {
            let (x, y) = (short(&self.left[*a]), short(&self.left[*b]));
            let count = self.left[*a].accelerators.cmp(&self.left[*b].accelerators);
            count.then(y.0.total_cmp(&x.0)).then(y.1.total_cmp(&x.1))
        });
        for first in rooms {
            let end = first + width(self.workload, self.workload.job(job));
            for grant in 0..self.grants.len() {
                let Grant { job: peer, first: at, width, demand } = self.grants[grant];
                let fair = self.demands.fair(peer);
                let above = demand.cpus > fair.cpus + EPSILON || demand.memory > fair.memory + EPSILON;
                if above && at < end && first < at + width {
                    self.regrant(grant, fair);
                }
            }
            if self.holds(job, first, fair) {
                self.put(job, first, fair);
                return true;
            }
        }
        false
    }
}

/// Jobs by accelerators, most first; among equals in the order given.
pub(super) fn widest_first(workload: &Workload, jobs: &[JobIx]) -> Vec<JobIx> {
    let mut jobs = jobs.to_vec();
    jobs.sort_by_key(|job| Reverse(workload.job(*job).accelerators));
    jobs
}

/// Every job its fair share.
pub(super) fn proportional(workload: &Workload, demands: &Demands, jobs: &[JobIx]) -> Vec<Grant> {
    let mut packing = Packing::new(workload, demands);
    for job in widest_first(workload, jobs) {
        let fair = demands.fair(job);
        if let Some(first) = packing.tightest(job, fair) {
            packing.put(job, first, fair);
        }
    }
    packing.grants
}

/// Synergy-TUNE.
pub(super) fn tune(workload: &Workload, demands: &Demands, jobs: &[JobIx]) -> Vec<Grant> {
    let mut packing = Packing::new(workload, demands);
    for job in widest_first(workload, jobs) {
        packing.tune(job, demands.best(job));
    }
    packing.grants
}

/// Dominant resource fairness: the job whose demand has the smallest dominant share of the cluster is
/// next, on the tightest place where it fits; a job whose demand fits nowhere waits.
pub(super) fn drf(workload: &Workload, demands: &Demands, queue: &[JobIx]) -> Vec<Grant> {
    let servers = workload.servers();
    let all = float(workload.accelerators()).max(1.0);
    let cpus: f64 = servers.iter().map(|s| f64::from(s.cpus)).sum();
    let memory: f64 = servers.iter().map(|s| s.memory.get()).sum();
    let dominant = |job: &JobIx| {
        let demand = demands.best(*job);
        let accelerators = float(workload.job(*job).accelerators) / all;
        accelerators.max(demand.cpus / cpus).max(demand.memory / memory)
    };
    let mut jobs = queue.to_vec();
    jobs.sort_by(|a, b| dominant(a).total_cmp(&dominant(b)));
    let mut packing = Packing::new(workload, demands);
    for job in jobs {
        let demand = demands.best(job);
        if let Some(first) = packing.tightest(job, demand) {
            packing.put(job, first, demand);
        }
    }
    packing.grants
}

/// Tetris: again and again the job and place with the highest alignment, the scalar product of what
/// the job needs and what is left, each as a share of a server.
///
/// Only the alignment is Tetris' own; its preference for short jobs is left to the order of the
/// queue, which decides among equals.
pub(super) fn tetris(workload: &Workload, demands: &Demands, queue: &[JobIx]) -> Vec<Grant> {
    let mut packing = Packing::new(workload, demands);
    let Some(whole) = packing.left.first().copied() else { return Vec::new() };
    let mut waiting = queue.to_vec();
    loop {
        let mut top: Option<(f64, usize, usize, Demand)> = None;
        // Waiting jobs beyond what could ever start in a round are not looked at.
        for (n, job) in waiting.iter().enumerate().take(4 * workload.accelerators().max(16)) {
            let demand = demands.best(*job);
            let wanted = float(workload.job(*job).accelerators);
            for first in packing.places(*job, demand) {
                let left = packing.left[first];
                let count = float(whole.accelerators).powi(2).max(1.0);
                let alignment = wanted * float(left.accelerators) / count
                    + demand.cpus * left.cpus / whole.cpus.powi(2)
                    + demand.memory * left.memory / whole.memory.powi(2);
                if top.is_none_or(|(best, ..)| alignment > best + EPSILON) {
                    top = Some((alignment, n, first, demand));
                }
            }
        }
        let Some((_, n, first, demand)) = top else { return packing.grants };
        let job = waiting.remove(n);
        packing.put(job, first, demand);
    }
}
