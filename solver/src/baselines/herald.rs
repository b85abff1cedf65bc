//! `herald`: Kwon, Lai, Pellauer, Krishna, Chen, Chandra, "Heterogeneous Dataflow Accelerators for
//! Multi-DNN Workloads", HPCA 2021 (Herald is its scheduler).
//!
//! Followed: layers of all DNNs are assigned in an order that keeps dependences, interleaved over
//! the DNNs; each goes to the unit with the least cost for it, unless that would unbalance the units
//! beyond a load-balance factor, then to the next; a post-pass moves layers where that removes idle
//! time. It optimises the finish time of all DNNs, and knows neither power, tiers nor latency
//! objectives.
//!
//! Adapted: layers are blocks, costs are regressed (`predictor.rs`); the paper weighs by the
//! energy-delay product, here by delay, since an instance prices energy by placement and not by
//! block; the load-balance factor of 1.5 is ours; at most three stages a DNN, and the placement on
//! offer nearest to the assignment; the post-pass moves whole DNNs between placements on offer.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::predictor::BlockCosts;
use super::timeline::{makespan, play, undisturbed};
use super::tree::{STAGES, stages};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// Most load of a unit over the mean of all.
const BALANCE: f64 = 1.5;

/// The Herald baseline.
#[derive(Debug, Clone, Copy)]
pub struct Herald;

impl Solver for Herald {
    fn name(&self) -> &'static str {
        "herald"
    }

    fn summary(&self) -> &'static str {
        "dependence-aware list scheduling of blocks with load balance (Herald, HPCA 2021); no bound"
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
    let mut seats = vec![0; board.jobs.len()];
    if !desk.step() {
        return seats;
    }
    let patterns = assign(board);
    for ((seat, job), pattern) in seats.iter_mut().zip(&board.jobs).zip(&patterns) {
        *seat = job.nearest(pattern);
    }
    desk.better(board, &seats);
    without_idle_time(board, seats, desk)
}

/// The unit of every block, in an order that keeps dependences: block 0 of every DNN, block 1, …
fn assign(board: &Board) -> Vec<Vec<usize>> {
    let costs: Vec<BlockCosts> = board.jobs.iter().map(|j| BlockCosts::fit(j, board.units)).collect();
    let mut load = vec![0.0; board.units];
    let mut patterns: Vec<Vec<usize>> = vec![Vec::new(); costs.len()];
    for block in 0..costs.iter().map(BlockCosts::blocks).max().unwrap_or(0) {
        for (own, pattern) in costs.iter().zip(&mut patterns).filter(|(c, _)| block < c.blocks()) {
            let last = pattern.last().copied();
            let full = stages(pattern) >= STAGES;
            let mut units: Vec<usize> = (0..board.units)
                .filter(|u| own.block(block, *u).is_finite() && (!full || last == Some(*u)))
                .collect();
            units.sort_by(|a, b| own.block(block, *a).total_cmp(&own.block(block, *b)).then(a.cmp(b)));
            let mean = |extra: f64| (load.iter().sum::<f64>() + extra) / super::board::count(board.units);
            let balanced = |u: &usize| {
                let cost = own.block(block, *u);
                load[*u] + cost <= BALANCE * mean(cost)
            };
            // Where no unit keeps the balance, the one that is least loaded afterwards.
            let after = |u: usize| load[u] + own.block(block, u);
            let least = units.iter().copied().min_by(|a, b| after(*a).total_cmp(&after(*b)));
            let unit = units.iter().copied().find(balanced).or(least).or(last).unwrap_or(0);
            if own.block(block, unit).is_finite() {
                load[unit] += own.block(block, unit);
            }
            pattern.push(unit);
        }
    }
    patterns
}

/// Moves DNNs, one at a time, to placements that bring the last finish forward, until none does.
fn without_idle_time(board: &Board, mut seats: Vec<usize>, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let order: Vec<usize> = (0..board.jobs.len()).collect();
    let rate = |seats: &[usize]| {
        let finish = play(board, seats, &order, undisturbed);
        (makespan(&finish), finish.iter().sum::<f64>())
    };
    let mut best = rate(&seats);
    loop {
        let before = best;
        for (j, job) in board.jobs.iter().enumerate() {
            for seat in 0..job.seats.len() {
                if !desk.step() {
                    return seats;
                }
                let mut trial = seats.clone();
                trial[j] = seat;
                let now = rate(&trial);
                if now.0 < best.0 - 1e-12 || (now.0 <= best.0 + 1e-12 && now.1 < best.1 - 1e-12) {
                    (seats, best) = (trial, now);
                    desk.better(board, &seats);
                }
            }
        }
        if best == before {
            return seats;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn the_balance_factor_sends_work_to_the_slower_unit() {
        let whole: &[&[(usize, usize, f64)]] = &[&[(0, 2, 10.0)], &[(1, 2, 14.0)]];
        let board = board(&[whole, whole]);
        let patterns = assign(&board);
        let on_one = patterns.iter().flatten().filter(|u| **u == 1).count();
        assert!(on_one > 0, "all four blocks on unit 0 would be twice the mean load: {patterns:?}");
        let seats = blind::tests::on_desk(|desk| place(&board, desk));
        assert_ne!(seats[0], seats[1], "{seats:?}");
    }
}
