//! What a simulation measured.

use crate::float;
use ecomap_instances::accelerators::Workload;
use ecomap_instances::ids::JobIx;

/// A job that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finished {
    /// Job.
    pub job: JobIx,
    /// When it first ran, s.
    pub start: f64,
    /// When it ended, s.
    pub end: f64,
    /// Accelerator-seconds that it had.
    pub attained: f64,
}

/// Times of a workload under a method, simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Jobs in the order of the workload.
    pub finished: Vec<Finished>,
    completion: Vec<f64>,
    execution: Vec<f64>,
    /// From the first arrival to the last end, s.
    pub makespan: f64,
    /// Accelerator-seconds had, over those that the cluster has until the last end.
    pub utilisation: f64,
}

impl Report {
    pub(super) fn new(workload: &Workload, mut finished: Vec<Finished>) -> Self {
        finished.sort_by_key(|f| f.job);
        let sorted = |of: &dyn Fn(&Finished) -> f64| {
            let mut list: Vec<f64> = finished.iter().map(of).collect();
            list.sort_by(f64::total_cmp);
            list
        };
        let completion = sorted(&|f| f.end - workload.job(f.job).arrival.get());
        let execution = sorted(&|f| f.end - f.start);
        let first = workload.jobs().first().map_or(0.0, |j| j.arrival.get());
        let makespan = finished.iter().map(|f| f.end).fold(first, f64::max) - first;
        let had: f64 = finished.iter().map(|f| f.attained).sum();
        let utilisation = had / (float(workload.accelerators()) * makespan).max(1e-9);
        Self { finished, completion, execution, makespan, utilisation }
    }

    /// Mean completion time (end − arrival), s.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.completion.iter().sum::<f64>() / float(self.completion.len().max(1))
    }

    /// Completion time that a share `q` of the jobs does not exceed (nearest rank), s.
    #[must_use]
    pub fn completion(&self, q: f64) -> f64 {
        rank(&self.completion, q)
    }

    /// The same of execution times (end − start), s.
    #[must_use]
    pub fn execution(&self, q: f64) -> f64 {
        rank(&self.execution, q)
    }
}

/// The least entry of an ascending list that a share `q` of it does not exceed.
fn rank(list: &[f64], q: f64) -> f64 {
    let least = |n: &usize| float(n + 1) >= q * float(list.len()) - 1e-9;
    (0..list.len()).find(least).map_or(0.0, |n| list[n])
}
