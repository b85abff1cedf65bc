//! What of a cluster is free, and what a job got of it.

use ecomap_instances::accelerators::{Server, Workload};
use ecomap_instances::ids::ServerIx;

/// Accelerators of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Server.
    pub server: ServerIx,
    /// Its accelerators, in the order of the pattern.
    pub accelerators: Vec<usize>,
}

/// What a job got.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Where; more than one part for a job that is wider than a server.
    pub parts: Vec<Part>,
    /// CPU cores, of all parts together and spread evenly over accelerators.
    pub cpus: f64,
    /// Memory in GB, likewise.
    pub memory: f64,
    /// How fast it runs.
    pub speed: f64,
    /// Effective bandwidth, GB/s, where links count and there are any.
    pub effective: Option<f64>,
}

impl Placement {
    /// Accelerators of all parts.
    #[must_use]
    pub fn accelerators(&self) -> usize {
        self.parts.iter().map(|p| p.accelerators.len()).sum()
    }
}

/// Slack of a comparison of cores or gigabytes; shares are no round numbers.
pub(crate) const EPSILON: f64 = 1e-6;

/// What of one server is free.
#[derive(Debug, Clone, PartialEq)]
pub struct FreeServer {
    /// Accelerators, by bits.
    pub mask: u16,
    /// CPU cores.
    pub cpus: f64,
    /// Memory, GB.
    pub memory: f64,
}

impl FreeServer {
    /// All of a server.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let all = (0..server.topology.len()).fold(0_u16, |mask, a| mask | 1 << a);
        Self { mask: all, cpus: f64::from(server.cpus), memory: server.memory.get() }
    }

    /// Free accelerators.
    #[must_use]
    pub const fn accelerators(&self) -> usize {
        self.mask.count_ones() as usize
    }

    /// Whether so much of everything is free.
    #[must_use]
    pub fn holds(&self, accelerators: usize, cpus: f64, memory: f64) -> bool {
        self.accelerators() >= accelerators && self.cpus + EPSILON >= cpus && self.memory + EPSILON >= memory
    }
}

/// What of a cluster is free.
#[derive(Debug, Clone, PartialEq)]
pub struct Free {
    /// Server by server.
    pub servers: Vec<FreeServer>,
}

impl Free {
    /// All of a cluster.
    #[must_use]
    pub fn new(workload: &Workload) -> Self {
        Self { servers: workload.servers().iter().map(FreeServer::of).collect() }
    }

    /// The `count` lowest free accelerators of a server.
    #[must_use]
    pub fn lowest(&self, server: ServerIx, count: usize) -> Vec<usize> {
        let mask = self.servers.get(server.at()).map_or(0, |s| s.mask);
        (0..16).filter(|a| mask >> a & 1 == 1).take(count).collect()
    }

    /// Gives a placement its parts.
    pub fn take(&mut self, placement: &Placement) {
        self.change(placement, true);
    }

    /// Takes them back.
    pub fn give(&mut self, placement: &Placement) {
        self.change(placement, false);
    }

    fn change(&mut self, placement: &Placement, take: bool) {
        let all = crate::float(placement.accelerators().max(1));
        for part in &placement.parts {
            let Some(server) = self.servers.get_mut(part.server.at()) else { continue };
            let share = crate::float(part.accelerators.len()) / all;
            let mask = part.accelerators.iter().fold(0_u16, |mask, a| mask | 1 << a);
            let sign = if take { -1.0 } else { 1.0 };
            server.mask = if take { server.mask & !mask } else { server.mask | mask };
            server.cpus += sign * placement.cpus * share;
            server.memory += sign * placement.memory * share;
        }
    }
}
