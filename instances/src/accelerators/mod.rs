//! Jobs that want several accelerators of a cluster: the kind of problem that MAPA (Ranganath et
//! al., SC 2021) and Synergy (Mohan et al., OSDI 2022) solve.
//!
//! A [`Workload`] asks one of two [`Question`]s. `Topology`: which accelerators of a server a job
//! gets, when what counts are the links between them (MAPA). `Resources`: how many CPUs and how
//! much memory it gets beside them, when what counts is how fast it is fed (Synergy).

mod topology;

pub use topology::{Link, LinkKind, MOST_ACCELERATORS, Named, Topology};

use crate::ids::{JobId, JobIx, ServerId};
use crate::units::{Gigabytes, Seconds};

/// What a workload is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Which accelerators, by the links between them.
    Topology,
    /// How many CPUs and how much memory, by the jobs' sensitivities.
    Resources,
}

impl Question {
    /// Name as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topology => "topology",
            Self::Resources => "resources",
        }
    }
}

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Name.
    pub id: ServerId,
    /// Its accelerators.
    pub topology: Topology,
    /// CPU cores.
    pub cpus: u32,
    /// Memory.
    pub memory: Gigabytes,
}

/// Who talks to whom in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// Each to the next, the last to the first.
    Ring,
    /// Each to each.
    AllToAll,
}

/// Speed of a job by what each of its accelerators gets, 1 at the GPU-proportional share.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    cpus: Vec<f64>,
    memory: Vec<f64>,
    speed: Vec<Vec<f64>>,
}

impl Sensitivity {
    /// A matrix: `speed[i][j]` at `cpus[i]` cores and `memory[j]` GB for each accelerator. The
    /// reader checks that axes ascend and that speeds never fall along them.
    #[must_use]
    pub const fn new(cpus: Vec<f64>, memory: Vec<f64>, speed: Vec<Vec<f64>>) -> Self {
        Self { cpus, memory, speed }
    }

    /// Every point: CPUs, memory in GB (both for one accelerator), speed.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let rows = self.cpus.iter().zip(&self.speed);
        rows.flat_map(|(c, row)| self.memory.iter().zip(row).map(|(m, speed)| (*c, *m, *speed)))
    }

    /// Speed at the largest point of the matrix that is within `cpus` and `memory` for each
    /// accelerator; `None` below the smallest.
    #[must_use]
    pub fn speed(&self, cpus: f64, memory: f64) -> Option<f64> {
        let i = self.cpus.iter().rposition(|c| *c <= cpus + EPSILON)?;
        let j = self.memory.iter().rposition(|m| *m <= memory + EPSILON)?;
        self.speed.get(i)?.get(j).copied()
    }

    /// CPU cores of the rows.
    #[must_use]
    pub fn cpus(&self) -> &[f64] {
        &self.cpus
    }

    /// Memory of the columns, GB.
    #[must_use]
    pub fn memory(&self) -> &[f64] {
        &self.memory
    }

    /// Speeds, row by row.
    #[must_use]
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.speed
    }
}

/// Slack of a comparison of cores or gigabytes, for shares that are no round numbers.
const EPSILON: f64 = 1e-9;

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Name.
    pub id: JobId,
    /// Accelerators, all at the same time.
    pub accelerators: usize,
    /// Who talks to whom.
    pub pattern: Pattern,
    /// Whether its policy is that of jobs that need bandwidth.
    pub bandwidth_sensitive: bool,
    /// Share of its time that it communicates, at the best bandwidth of an empty cluster; 0 for jobs
    /// that are not sensitive.
    pub communication: f64,
    /// How it answers to CPUs and memory; `None`: not beyond its GPU-proportional share.
    pub sensitivity: Option<Sensitivity>,
    /// When it comes.
    pub arrival: Seconds,
    /// How long it runs at speed 1.
    pub service: Seconds,
}

/// What is to be scheduled. Made by [`accelerators_v1`](crate::format::accelerators_v1), which checks
/// all rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    name: String,
    question: Question,
    servers: Vec<Server>,
    jobs: Vec<Job>,
}

impl Workload {
    pub(crate) const fn new(name: String, question: Question, servers: Vec<Server>, jobs: Vec<Job>) -> Self {
        Self { name, question, servers, jobs }
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is about.
    #[must_use]
    pub const fn question(&self) -> Question {
        self.question
    }

    /// Servers; at least one.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Jobs by arrival; at least one.
    #[must_use]
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// A job.
    #[must_use]
    pub fn job(&self, job: JobIx) -> &Job {
        &self.jobs[job.at()]
    }

    /// Accelerators of the cluster.
    #[must_use]
    pub fn accelerators(&self) -> usize {
        self.servers.iter().map(|s| s.topology.len()).sum()
    }

    /// GPU-proportional share of one accelerator: CPUs and memory of the first server over its
    /// accelerators. (With the question `resources` all servers are alike.)
    #[must_use]
    pub fn share(&self) -> (f64, f64) {
        let Some(server) = self.servers.first() else { return (0.0, 0.0) };
        let count = u32::try_from(server.topology.len()).map_or(1.0, f64::from).max(1.0);
        (f64::from(server.cpus) / count, server.memory.get() / count)
    }
}
