//! In which order jobs are considered.

use crate::float;
use ecomap_instances::accelerators::Workload;
use ecomap_instances::ids::JobIx;

/// An order of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// By arrival.
    Fifo,
    /// Shortest remaining time first.
    Srtf,
    /// Least attained service first, in accelerator-seconds (Tiresias).
    Las,
    /// Finish-time fairness: the job first whose finish is delayed most by sharing (Themis).
    Ftf,
}

impl Order {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fifo, Self::Srtf, Self::Las, Self::Ftf];

    /// Name as people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Srtf => "srtf",
            Self::Las => "las",
            Self::Ftf => "ftf",
        }
    }

    /// Sorts jobs of a workload that have come so far, by their progress at `now` s; ties by arrival.
    ///
    /// The finish-time fairness of a job is (time since its arrival + what remains) over the time it
    /// would take on its even share of the cluster: what it needs, times the accelerators wanted by all
    /// `jobs` over those there are, at least 1.
    pub fn sort(self, workload: &Workload, jobs: &mut [JobIx], progress: &[Progress], now: f64) {
        let wanted: f64 = jobs.iter().map(|j| float(workload.job(*j).accelerators)).sum();
        let crowding = (wanted / float(workload.accelerators()).max(1.0)).max(1.0);
        let key = |job: &JobIx| {
            let (job, at) = (workload.job(*job), &progress[job.at()]);
            match self {
                Self::Fifo => job.arrival.get(),
                Self::Srtf => at.remaining,
                Self::Las => at.attained,
                Self::Ftf => {
                    let shared = now - job.arrival.get() + at.remaining;
                    -shared / (job.service.get() * crowding)
                }
            }
        };
        jobs.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Service left, s at speed 1.
    pub remaining: f64,
    /// Accelerator-seconds that it has had.
    pub attained: f64,
}

impl Progress {
    /// Of every job before it has begun.
    #[must_use]
    pub fn begin(workload: &Workload) -> Vec<Self> {
        workload.jobs().iter().map(|j| Self { remaining: j.service.get(), attained: 0.0 }).collect()
    }
}
