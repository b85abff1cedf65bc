//! `odmdef`: Lim, Kim, "ODMDEF: On-Device Multi-DNN Execution Framework Utilizing Adaptive
//! Layer-Allocation on General Purpose Cores and Accelerators", IEEE Access 9, 2021.
//!
//! Followed: DNNs are handled online, in the order in which they come; for each block in turn a
//! predictor (linear regression) says how long it takes on each unit, and the block goes where it
//! would be done first, work already queued there included. It optimises the finish time of each
//! block, greedily, and knows neither power, tiers nor latency objectives.
//!
//! Adapted: the predictor is regressed from the placements on offer (`predictor.rs`); after the third
//! stage a DNN stays on its unit; the placement on offer nearest to the choice is taken. The paper's
//! second predictor, a classifier of run-time load by nearest neighbours, has no counterpart in a
//! priced instance: the queue is known exactly.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::predictor::BlockCosts;
use super::tree::STAGES;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The ODMDEF baseline.
#[derive(Debug, Clone, Copy)]
pub struct Odmdef;

impl Solver for Odmdef {
    fn name(&self) -> &'static str {
        "odmdef"
    }

    fn summary(&self) -> &'static str {
        "online choice of a unit for each block by a predictor (ODMDEF, IEEE Access 2021); no bound"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        blind::solve(self, instance, options, observer, Deal::LeastWork, place)
    }
}

fn place(board: &Board, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let mut queue = vec![0.0; board.units];
    let mut seats = vec![0; board.jobs.len()];
    for (j, job) in board.jobs.iter().enumerate() {
        if !desk.step() {
            break;
        }
        let costs = BlockCosts::fit(job, board.units);
        seats[j] = job.nearest(&online(&costs, &mut queue));
    }
    seats
}

/// The unit of each block, where it would be done first; `queue` is when each unit is free, s.
fn online(costs: &BlockCosts, queue: &mut [f64]) -> Vec<usize> {
    let mut pattern: Vec<usize> = Vec::with_capacity(costs.blocks());
    let (mut done, mut stages) = (0.0_f64, 0);
    for block in 0..costs.blocks() {
        let last = pattern.last().copied();
        let end = |unit: usize| {
            let hop = if last.is_some_and(|l| l != unit) { costs.transfer } else { 0.0 };
            queue[unit].max(done + hop) + costs.block(block, unit)
        };
        let first = (0..queue.len())
            .filter(|unit| stages < STAGES || last == Some(*unit))
            .min_by(|a, b| end(*a).total_cmp(&end(*b)))
            .unwrap_or(0);
        done = end(first);
        // A block that is not available there comes from a placement with more slices than are left.
        if !done.is_finite() {
            done = queue[first];
        }
        stages += usize::from(last != Some(first));
        queue[first] = done;
        pattern.push(first);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;
    use crate::baselines::tree::stages;

    #[test]
    fn later_dnns_avoid_the_queue() {
        let whole: &[&[(usize, usize, f64)]] = &[&[(0, 3, 30.0)], &[(1, 3, 45.0)]];
        let board = board(&[whole, whole]);
        let seats = blind::tests::on_desk(|desk| place(&board, desk));
        assert_eq!(seats, [0, 1], "the second finds 30 ms queued on unit 0 and 45 ms of work on unit 1");
    }

    #[test]
    fn no_more_than_three_stages() {
        // Alternately fast on either unit: four switches would be best.
        let seats: &[&[(usize, usize, f64)]] =
            &[&[(0, 1, 1.0), (1, 1, 1.0), (0, 1, 1.0)], &[(1, 1, 9.0), (0, 1, 9.0), (1, 1, 9.0)]];
        let board = board(&[seats]);
        let costs = BlockCosts::fit(&board.jobs[0], 2);
        assert!(stages(&online(&costs, &mut [0.0; 2])) <= STAGES);
    }
}
