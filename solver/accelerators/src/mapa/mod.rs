//! MAPA's four policies: which accelerators of a server a job gets.

use crate::bandwidth::preserved;
use crate::matching::Match;
use crate::speed::{Table, over_links};
use crate::state::{Free, Part, Placement};
use ecomap_instances::accelerators::{Job, Workload};
use ecomap_instances::ids::ServerIx;
use std::cmp::Ordering;

/// How accelerators are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// The lowest free numbers.
    Baseline,
    /// Inside one block when one has room, else as the baseline.
    TopoAware,
    /// Highest aggregated bandwidth.
    Greedy,
    /// Highest effective bandwidth for jobs that are sensitive to it; for others, what preserves most
    /// bandwidth among the rest, ties by aggregated bandwidth.
    Preserve,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Baseline, Self::TopoAware, Self::Greedy, Self::Preserve];

    /// Name as people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::TopoAware => "topo-aware",
            Self::Greedy => "greedy",
            Self::Preserve => "preserve",
        }
    }
}

/// Chooses accelerators for a job; `None` when no server has enough of them free.
///
/// MAPA knows one server. With several, each policy judges the matches of all servers by its own
/// measure, the first server first among equals (the baseline: the first server that has room).
#[must_use]
pub fn place(
    policy: Policy,
    workload: &Workload,
    table: &Table,
    free: &Free,
    job: &Job,
) -> Option<Placement> {
    let fits = |s: &(usize, &crate::state::FreeServer)| s.1.accelerators() >= job.accelerators;
    let roomy = || free.servers.iter().enumerate().filter(fits);
    let (server, found) = match policy {
        Policy::Baseline => lowest(free, table, job, roomy().next()?.0)?,
        Policy::TopoAware => roomy()
            .find_map(|(s, _)| in_block(workload, free, table, job, s))
            .or_else(|| lowest(free, table, job, roomy().next()?.0))?,
        Policy::Greedy => best(free, table, job, |_, m| [m.aggregated.get(), 0.0])?,
        Policy::Preserve if job.bandwidth_sensitive => {
            best(free, table, job, |_, m| [m.effective.get(), 0.0])?
        }
        Policy::Preserve => best(free, table, job, |s, m| {
            // What the match takes from its own server; the others keep what they have.
            let topology = &workload.servers()[s].topology;
            let mask = free.servers[s].mask;
            let lost = preserved(topology, mask & !m.mask) - preserved(topology, mask);
            [lost.get(), m.aggregated.get()]
        })?,
    };
    Some(placement(workload, table, job, server, found))
}

/// The placement of a match.
#[must_use]
pub fn placement(workload: &Workload, table: &Table, job: &Job, server: usize, found: &Match) -> Placement {
    let own = &workload.servers()[server];
    let part = crate::float(job.accelerators) / crate::float(own.topology.len().max(1));
    Placement {
        parts: vec![Part { server: ServerIx::new(server), accelerators: found.order.clone() }],
        cpus: f64::from(own.cpus) * part,
        memory: own.memory.get() * part,
        speed: over_links(job, table.best(job), found.effective),
        effective: (job.accelerators > 1).then(|| found.effective.get()),
    }
}

/// The free matches of all servers, the best by `measure`, first entry first.
fn best<'t>(
    free: &Free,
    table: &'t Table,
    job: &Job,
    measure: impl Fn(usize, &Match) -> [f64; 2],
) -> Option<(usize, &'t Match)> {
    let mut top: Option<([f64; 2], usize, &Match)> = None;
    for (s, server) in free.servers.iter().enumerate() {
        for found in table.on(s, job).iter().filter(|m| m.mask & !server.mask == 0) {
            let value = measure(s, found);
            if top.is_none_or(|(best, _, _)| compare(&value, &best) == Ordering::Greater) {
                top = Some((value, s, found));
            }
        }
    }
    top.map(|(_, s, found)| (s, found))
}

fn compare(a: &[f64; 2], b: &[f64; 2]) -> Ordering {
    a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]))
}

/// The match on the lowest free numbers of a server.
fn lowest<'t>(free: &Free, table: &'t Table, job: &Job, server: usize) -> Option<(usize, &'t Match)> {
    within(free.lowest(ServerIx::new(server), job.accelerators), table, job, server)
}

/// The match on the lowest free numbers of the first block that has room.
fn in_block<'t>(
    workload: &Workload,
    free: &Free,
    table: &'t Table,
    job: &Job,
    server: usize,
) -> Option<(usize, &'t Match)> {
    let topology = &workload.servers()[server].topology;
    let block = topology.block();
    let all = free.lowest(ServerIx::new(server), topology.len());
    (0..topology.len().div_ceil(block)).find_map(|b| {
        let of = all.iter().copied().filter(|a| a / block == b).take(job.accelerators);
        within(of.collect(), table, job, server)
    })
}

fn within<'t>(set: Vec<usize>, table: &'t Table, job: &Job, server: usize) -> Option<(usize, &'t Match)> {
    if set.len() < job.accelerators {
        return None;
    }
    let mask = set.into_iter().fold(0_u16, |mask, a| mask | 1 << a);
    table.on(server, job).iter().find(|m| m.mask == mask).map(|m| (server, m))
}

#[cfg(test)]
mod tests;
