//! How fast a job runs where it is put.
//!
//! Neither paper publishes the law by which its simulator turns an allocation into time; MAPA's runs
//! on a DGX-1 are measured. Ours:
//!
//! - links: a job that communicates for the share β of its time at the best effective bandwidth E* of
//!   an empty cluster runs at `1 / (1 − β + β·E*/E)` where it gets E;
//! - CPUs and memory: the sensitivity matrix says, 1 at the GPU-proportional share, as in Synergy.

use crate::matching::{Match, matches};
use ecomap_instances::accelerators::{Job, Pattern, Server, Topology, Workload};
use ecomap_instances::units::GigabytesPerSecond;

/// Speed of a job on links of an effective bandwidth, 1 at `best`.
#[must_use]
pub fn over_links(job: &Job, best: GigabytesPerSecond, effective: GigabytesPerSecond) -> f64 {
    if job.accelerators < 2 || effective.get() <= 0.0 {
        return 1.0;
    }
    1.0 / (1.0 - job.communication + job.communication * (best / effective))
}

/// The matches of every topology, pattern and size of a workload, each made once.
#[derive(Debug, Clone, Default)]
pub struct Table {
    topologies: Vec<Topology>,
    /// Position in `topologies`, by server.
    of_server: Vec<usize>,
    /// By topology, pattern and size.
    found: Vec<[Vec<Option<Vec<Match>>>; 2]>,
}

impl Table {
    /// Makes what the jobs of `workload` need.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        let mut topologies: Vec<Topology> = Vec::new();
        let place = |server: &Server| match topologies.iter().position(|t| *t == server.topology) {
            Some(at) => at,
            None => {
                topologies.push(server.topology.clone());
                topologies.len() - 1
            }
        };
        let of_server = workload.servers().iter().map(place).collect();
        let mut found: Vec<[Vec<Option<Vec<Match>>>; 2]> =
            topologies.iter().map(|t| [vec![None; t.len() + 1], vec![None; t.len() + 1]]).collect();
        for job in workload.jobs() {
            for (topology, of) in topologies.iter().zip(&mut found) {
                if let Some(slot @ None) = of[pattern(job.pattern)].get_mut(job.accelerators) {
                    *slot = Some(matches(topology, job.pattern, job.accelerators));
                }
            }
        }
        Self { topologies, of_server, found }
    }

    /// Matches of a job on a server.
    #[must_use]
    pub fn on(&self, server: usize, job: &Job) -> &[Match] {
        let of = self.of_server.get(server).and_then(|t| self.found.get(*t));
        let list = of.and_then(|of| of[pattern(job.pattern)].get(job.accelerators));
        list.and_then(Option::as_ref).map_or(&[], Vec::as_slice)
    }

    /// Best effective bandwidth of a job on an empty cluster.
    #[must_use]
    pub fn best(&self, job: &Job) -> GigabytesPerSecond {
        let lists = self.found.iter().filter_map(|of| of[pattern(job.pattern)].get(job.accelerators));
        let all = lists.filter_map(Option::as_ref).flatten();
        all.map(|m| m.effective).fold(GigabytesPerSecond::ZERO, GigabytesPerSecond::max)
    }

    /// Topologies that differ.
    #[must_use]
    pub fn topologies(&self) -> &[Topology] {
        &self.topologies
    }
}

const fn pattern(pattern: Pattern) -> usize {
    match pattern {
        Pattern::Ring => 0,
        Pattern::AllToAll => 1,
    }
}
