//! Verifies placements from the workload alone: nothing of the policies or of the enumeration is used.

use crate::bandwidth::Links;
use crate::float;
use crate::matching::pairs;
use crate::state::Placement;
use ecomap_instances::accelerators::{Job, Question, Workload};
use ecomap_instances::ids::JobIx;
use std::collections::BTreeSet;

/// Slack of a comparison.
const TOLERANCE: f64 = 1e-6;

/// What does not hold, for people; empty when all holds.
///
/// - every job is placed at most once, with as many accelerators as it needs;
/// - every accelerator exists, and has one job at most; one server for a job whose links count, equal
///   parts for one that is wider than a server;
/// - no server gives more CPUs or memory than it has;
/// - the effective bandwidth claimed is that of the links between the accelerators, in their order;
/// - the speed claimed is that of the sensitivity matrix, and at least that of the fair share.
#[must_use]
pub fn check(workload: &Workload, placed: &[(JobIx, Placement)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut jobs = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut used = vec![(0.0, 0.0); workload.servers().len()];
    for (ix, placement) in placed {
        let Some(job) = workload.jobs().get(ix.at()) else {
            found.push(format!("job {} does not exist", ix.at()));
            continue;
        };
        if !jobs.insert(*ix) {
            found.push(format!("{}: placed twice", job.id));
        }
        if placement.accelerators() != job.accelerators {
            found.push(format!(
                "{}: {} accelerators, not {}",
                job.id,
                placement.accelerators(),
                job.accelerators
            ));
        }
        let count = float(placement.accelerators().max(1));
        for part in &placement.parts {
            let Some(server) = workload.servers().get(part.server.at()) else {
                found.push(format!("{}: server {} does not exist", job.id, part.server.at()));
                continue;
            };
            for accelerator in &part.accelerators {
                if *accelerator >= server.topology.len() {
                    found.push(format!("{}: {} has no accelerator {accelerator}", job.id, server.id));
                } else if !taken.insert((part.server.at(), *accelerator)) {
                    found.push(format!("{}: accelerator {accelerator} of {} is taken", job.id, server.id));
                }
            }
            let share = float(part.accelerators.len()) / count;
            used[part.server.at()].0 += placement.cpus * share;
            used[part.server.at()].1 += placement.memory * share;
        }
        found.extend(spread(job, placement, workload));
        found.extend(speed(workload, job, placement));
    }
    for (server, (cpus, memory)) in workload.servers().iter().zip(used) {
        if cpus > f64::from(server.cpus) + TOLERANCE {
            found.push(format!("{}: {cpus} CPUs, it has {}", server.id, server.cpus));
        }
        if memory > server.memory.get() + TOLERANCE {
            found.push(format!("{}: {memory} GB, it has {}", server.id, server.memory.get()));
        }
    }
    found
}

/// Whether a job is spread as it may be.
fn spread(job: &Job, placement: &Placement, workload: &Workload) -> Option<String> {
    let parts = &placement.parts;
    let one = parts.len() == 1;
    let even = parts.windows(2).all(|pair| pair[0].accelerators.len() == pair[1].accelerators.len());
    let fits = workload.servers().iter().any(|s| s.topology.len() >= job.accelerators);
    let allowed = one || (even && !fits && workload.question() == Question::Resources);
    (!allowed).then(|| format!("{}: spread over {} servers", job.id, parts.len()))
}

/// Whether bandwidth and speed are what the placement gives.
fn speed(workload: &Workload, job: &Job, placement: &Placement) -> Option<String> {
    let count = float(placement.accelerators().max(1));
    let (cpus, memory) = (placement.cpus / count, placement.memory / count);
    let differs = |a: f64, b: f64| (a - b).abs() > TOLERANCE * b.abs().max(1.0);
    match workload.question() {
        Question::Topology => {
            let part = placement.parts.first()?;
            let server = workload.servers().get(part.server.at())?;
            if part.accelerators.iter().any(|a| *a >= server.topology.len()) {
                return None; // said above
            }
            let effective = (job.accelerators > 1).then(|| {
                let links = Links::of(&server.topology, pairs(job.pattern, &part.accelerators));
                links.effective_at(part.accelerators.len()).get()
            });
            let same = match (placement.effective, effective) {
                (Some(claimed), Some(is)) => !differs(claimed, is),
                (claimed, is) => claimed == is,
            };
            if !same {
                return Some(format!(
                    "{}: {:?} GB/s, its links give {effective:?}",
                    job.id, placement.effective
                ));
            }
            let fine = placement.speed > 0.0 && placement.speed <= 1.0 + TOLERANCE;
            (!fine).then(|| format!("{}: speed {} is not within 0 and 1", job.id, placement.speed))
        }
        Question::Resources => {
            // Without a matrix nothing is known beyond the fair share.
            let fair = workload.share();
            let enough = cpus + TOLERANCE >= fair.0 && memory + TOLERANCE >= fair.1;
            let is = match &job.sensitivity {
                Some(matrix) => matrix.speed(cpus + TOLERANCE, memory + TOLERANCE).unwrap_or(0.0),
                None if enough => 1.0,
                None => 0.0,
            };
            if differs(placement.speed, is) {
                return Some(format!("{}: speed {}, what it gets makes {is}", job.id, placement.speed));
            }
            (is < 1.0 - TOLERANCE).then(|| format!("{}: speed {is} is below its fair share's", job.id))
        }
    }
}
