//! Arrivals and ends, one after the other: MAPA.

use super::Finished;
use crate::error::AcceleratorError;
use crate::float;
use crate::mapa::{Policy, place};
use crate::speed::Table;
use crate::state::{Free, Placement};
use ecomap_instances::accelerators::Workload;
use ecomap_instances::ids::JobIx;

struct Running {
    job: JobIx,
    placement: Placement,
    start: f64,
    end: f64,
}

pub(super) fn run(workload: &Workload, policy: Policy) -> Result<Vec<Finished>, AcceleratorError> {
    let table = Table::new(workload);
    let mut free = Free::new(workload);
    let mut running: Vec<Running> = Vec::new();
    let mut finished = Vec::with_capacity(workload.jobs().len());
    let mut now: f64 = 0.0;
    let mut next = 0;
    loop {
        // All that can start at this moment, in order.
        while let Some(job) = workload.jobs().get(next).filter(|j| j.arrival.get() <= now) {
            let Some(placement) = place(policy, workload, &table, &free, job) else {
                if running.is_empty() {
                    return Err(AcceleratorError::FitsNowhere(job.id.to_string()));
                }
                break;
            };
            free.take(&placement);
            let end = now + job.service.get() / placement.speed;
            running.push(Running { job: JobIx::new(next), placement, start: now, end });
            next += 1;
        }
        // The next end, or the next arrival where that is sooner and nobody waits for room.
        let ending = (0..running.len()).min_by(|a, b| running[*a].end.total_cmp(&running[*b].end));
        let arrival = workload.jobs().get(next).map(|j| j.arrival.get()).filter(|at| *at > now);
        match (ending, arrival) {
            (None, None) => return Ok(finished),
            (Some(at), arrival) if arrival.is_none_or(|a| running[at].end <= a) => {
                let done = running.remove(at);
                now = done.end;
                free.give(&done.placement);
                let attained = float(done.placement.accelerators()) * (done.end - done.start);
                finished.push(Finished { job: done.job, start: done.start, end: done.end, attained });
            }
            (_, Some(arrival)) => now = arrival,
            (Some(_), None) => return Ok(finished),
        }
    }
}
