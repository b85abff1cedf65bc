//! Synergy: CPUs and memory for jobs by what they make of them.
//!
//! A job's [`Demand`]s are the points of its sensitivity matrix at which it is at least as fast as
//! with its GPU-proportional share, the *fair share*, which is always one of them. Every mechanism
//! below gives a job one of its demands or lets it wait, so that none falls below its fair share.

pub mod opt;
pub mod order;
mod pack;

pub use order::{Order, Progress};

use crate::error::AcceleratorError;
use crate::float;
use crate::state::{EPSILON, Free, Part, Placement};
use ecomap_instances::accelerators::{Job, Workload};
use ecomap_instances::ids::{JobIx, ServerIx};

/// What a job may be given, over all its accelerators.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// CPU cores.
    pub cpus: f64,
    /// Memory, GB.
    pub memory: f64,
    /// Speed, at least 1.
    pub speed: f64,
}

/// How CPUs and memory are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// Every job its fair share.
    Proportional,
    /// Synergy-TUNE.
    Tune,
    /// Synergy-OPT: phase 1 a MILP, phase 2 a fractional placement, then rounding.
    Opt,
    /// Dominant resource fairness over static best demands.
    Drf,
    /// Tetris: best demands, packed by alignment.
    Tetris,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Proportional, Self::Tune, Self::Opt, Self::Drf, Self::Tetris];

    /// Name as people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proportional => "proportional",
            Self::Tune => "tune",
            Self::Opt => "opt",
            Self::Drf => "drf",
            Self::Tetris => "tetris",
        }
    }
}

/// The demands of every job: the fair share first, then those that no other demand dominates.
#[derive(Debug, Clone)]
pub struct Demands(Vec<Vec<Demand>>);

impl Demands {
    /// Reads them off the sensitivity matrices. Points beyond what the servers of the job have for
    /// it are left out.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        Self(workload.jobs().iter().map(|job| demands(workload, job)).collect())
    }

    /// Of a job.
    #[must_use]
    pub fn of(&self, job: JobIx) -> &[Demand] {
        &self.0[job.at()]
    }

    /// The fair share of a job.
    #[must_use]
    pub fn fair(&self, job: JobIx) -> Demand {
        self.0[job.at()][0]
    }

    /// What a job would like best: the fastest, among equals the one that needs the smallest share of
    /// the cluster's CPUs and memory together.
    #[must_use]
    pub fn best(&self, job: JobIx) -> Demand {
        let fair = self.fair(job);
        let weight = |d: &Demand| d.cpus / fair.cpus.max(EPSILON) + d.memory / fair.memory.max(EPSILON);
        let list = self.of(job).iter().copied();
        list.reduce(|a, b| {
            let better = b.speed > a.speed || (b.speed == a.speed && weight(&b) < weight(&a));
            if better { b } else { a }
        })
        .unwrap_or(fair)
    }
}

fn demands(workload: &Workload, job: &Job) -> Vec<Demand> {
    let count = float(job.accelerators);
    let (cpus, memory) = workload.share();
    let fair = Demand { cpus: cpus * count, memory: memory * count, speed: 1.0 };
    let Some(matrix) = &job.sensitivity else { return vec![fair] };
    let (width, server) = (float(width(workload, job)), &workload.servers()[0]);
    let fits = |d: &Demand| {
        d.speed >= 1.0
            && d.cpus <= f64::from(server.cpus) * width + EPSILON
            && d.memory <= server.memory.get() * width + EPSILON
    };
    let point = |(c, m, speed): (f64, f64, f64)| Demand { cpus: c * count, memory: m * count, speed };
    let points: Vec<Demand> = matrix.points().map(point).filter(fits).collect();
    let dominated = |d: &Demand| {
        let other = |o: &&Demand| o.cpus <= d.cpus && o.memory <= d.memory && o.speed >= d.speed && *o != d;
        points.iter().any(|o| other(&o))
    };
    let kept = points.iter().filter(|d| !dominated(d) && **d != fair).copied();
    std::iter::once(fair).chain(kept).collect()
}

/// Servers that a job runs on: one, or as many whole ones as it needs.
#[must_use]
pub fn width(workload: &Workload, job: &Job) -> usize {
    job.accelerators.div_ceil(workload.servers()[0].topology.len().max(1)).max(1)
}

/// What a round gives to a job: a demand, on `width` servers from `first` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grant {
    /// Job.
    pub job: JobIx,
    /// First server.
    pub first: usize,
    /// Servers.
    pub width: usize,
    /// What it gets.
    pub demand: Demand,
}

/// A round's answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Round {
    /// Who runs.
    pub grants: Vec<Grant>,
    /// Synergy-OPT only: the optimum of phase 1, a bound on the sum of speeds of the jobs chosen.
    pub bound: Option<f64>,
    /// Synergy-OPT only: jobs that phase 2 spread over servers, and rounding placed anew.
    pub fragmented: usize,
}

impl Round {
    /// Sum of speeds.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.grants.iter().map(|g| g.demand.speed).sum()
    }

    /// Accelerators for everyone, the lowest free numbers.
    #[must_use]
    pub fn placements(&self, workload: &Workload) -> Vec<(JobIx, Placement)> {
        let mut free = Free::new(workload);
        let one = |grant: &Grant| {
            let each = workload.job(grant.job).accelerators / grant.width;
            let part = |s: usize| {
                let server = ServerIx::new(s);
                Part { server, accelerators: free.lowest(server, each) }
            };
            let placement = Placement {
                parts: (grant.first..grant.first + grant.width).map(part).collect(),
                cpus: grant.demand.cpus,
                memory: grant.demand.memory,
                speed: grant.demand.speed,
                effective: None,
            };
            free.take(&placement);
            (grant.job, placement)
        };
        self.grants.iter().map(one).collect()
    }
}

/// Shares a cluster out for a round, to the jobs of `queue` in its order.
///
/// # Errors
/// Only of [`Mechanism::Opt`], when a solver fails.
pub fn share_out(
    mechanism: Mechanism,
    workload: &Workload,
    demands: &Demands,
    queue: &[JobIx],
) -> Result<Round, AcceleratorError> {
    let grants = match mechanism {
        Mechanism::Drf => pack::drf(workload, demands, queue),
        Mechanism::Tetris => pack::tetris(workload, demands, queue),
        Mechanism::Opt => return opt::share_out(workload, demands, &runnable(workload, queue)),
        Mechanism::Proportional => pack::proportional(workload, demands, &runnable(workload, queue)),
        Mechanism::Tune => pack::tune(workload, demands, &runnable(workload, queue)),
    };
    Ok(Round { grants, ..Round::default() })
}

/// The jobs of a round: in order, until accelerators run out. A job that needs more than are left is
/// passed over, so that none stays idle while somebody could use it.
#[must_use]
pub fn runnable(workload: &Workload, queue: &[JobIx]) -> Vec<JobIx> {
    let mut left = workload.accelerators();
    let mut jobs = Vec::new();
    for job in queue {
        let wanted = workload.job(*job).accelerators;
        if wanted <= left {
            left -= wanted;
            jobs.push(*job);
        }
    }
    jobs
}
