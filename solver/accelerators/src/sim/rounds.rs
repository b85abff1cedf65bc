//! Rounds of fixed length: Synergy.

use super::{Finished, ROUND};
use crate::error::AcceleratorError;
use crate::float;
use crate::synergy::{Demands, Mechanism, Order, Progress, share_out};
use ecomap_instances::accelerators::Workload;
use ecomap_instances::ids::JobIx;

pub(super) fn run(
    workload: &Workload,
    mechanism: Mechanism,
    order: Order,
) -> Result<Vec<Finished>, AcceleratorError> {
    let demands = Demands::new(workload);
    let mut progress = Progress::begin(workload);
    let mut starts = vec![f64::NAN; workload.jobs().len()];
    let mut finished = Vec::with_capacity(workload.jobs().len());
    let mut active: Vec<JobIx> = Vec::new();
    let mut next = 0;
    let mut now = 0.0;
    loop {
        while workload.jobs().get(next).is_some_and(|j| j.arrival.get() <= now) {
            active.push(JobIx::new(next));
            next += 1;
        }
        if active.is_empty() {
            let Some(job) = workload.jobs().get(next) else { return Ok(finished) };
            // Empty rounds are passed over; rounds stay where they are.
            now = ((job.arrival.get() / ROUND).ceil() * ROUND).max(now + ROUND);
            continue;
        }
        order.sort(workload, &mut active, &progress, now);
        let round = share_out(mechanism, workload, &demands, &active)?;
        if round.grants.is_empty() {
            let id = active.first().map_or_else(String::new, |j| workload.job(*j).id.to_string());
            return Err(AcceleratorError::FitsNowhere(id));
        }
        for grant in &round.grants {
            let at = grant.job.at();
            if starts[at].is_nan() {
                starts[at] = now;
            }
            let width = float(workload.job(grant.job).accelerators);
            let needed = progress[at].remaining / grant.demand.speed;
            let ran = needed.min(ROUND);
            progress[at].attained += width * ran;
            progress[at].remaining -= ran * grant.demand.speed;
            if needed <= ROUND {
                let attained = progress[at].attained;
                finished.push(Finished { job: grant.job, start: starts[at], end: now + needed, attained });
                active.retain(|job| *job != grant.job);
            }
        }
        now += ROUND;
    }
}
