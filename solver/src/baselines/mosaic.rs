//! `mosaic`: Han, Hyun, Park, Kim, Choi et al., "MOSAIC: Heterogeneity-, Communication-, and
//! Constraint-Aware Model Slicing and Execution for Accurate and Efficient Inference", PACT 2019.
//!
//! Followed: execution and communication costs by linear regression; the best slicing of a model
//! into consecutive parts, each on one unit, by dynamic programming over blocks. It optimises the
//! latency of each DNN by itself, and knows neither co-runners, power nor tiers.
//!
//! Adapted: the regression is over the placements on offer (`predictor.rs`), since an instance has
//! no shapes of layers; at most three slices, as everywhere here; the placement on offer nearest to
//! the slicing is taken.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::predictor::BlockCosts;
use super::tree::STAGES;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The MOSAIC baseline.
#[derive(Debug, Clone, Copy)]
pub struct Mosaic;

impl Solver for Mosaic {
    fn name(&self) -> &'static str {
        "mosaic"
    }

    fn summary(&self) -> &'static str {
        "each DNN sliced for latency by dynamic programming on regressed costs (MOSAIC, PACT 2019); no bound"
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
    for (j, job) in board.jobs.iter().enumerate() {
        if !desk.step() {
            break;
        }
        let costs = BlockCosts::fit(job, board.units);
        if let Some(pattern) = best_slicing(&costs, board.units, |block, unit| costs.block(block, unit)) {
            seats[j] = job.nearest(&pattern);
        }
    }
    seats
}

/// The unit of each block that minimises Σ `cost` + transfers within [`STAGES`] slices.
pub(crate) fn best_slicing(
    costs: &BlockCosts,
    units: usize,
    cost: impl Fn(usize, usize) -> f64,
) -> Option<Vec<usize>> {
    let blocks = costs.blocks();
    let states = units * STAGES;
    // best[state]: least cost of the blocks so far, the last on unit state / STAGES, in slice state % STAGES.
    let mut best = vec![f64::INFINITY; states];
    let mut from: Vec<Vec<usize>> = Vec::with_capacity(blocks);
    for block in 0..blocks {
        let mut next = vec![f64::INFINITY; states];
        let mut back = vec![usize::MAX; states];
        for unit in 0..units {
            let own = cost(block, unit);
            if block == 0 {
                next[unit * STAGES] = own;
                continue;
            }
            for slice in 0..STAGES {
                let state = unit * STAGES + slice;
                let stay = (best[state], state);
                let switch = (0..units).filter(|other| *other != unit && slice > 0).map(|other| {
                    (best[other * STAGES + slice - 1] + costs.transfer, other * STAGES + slice - 1)
                });
                let (least, state_before) =
                    switch.fold(stay, |least, new| if new.0 < least.0 { new } else { least });
                next[state] = least + own;
                back[state] = state_before;
            }
        }
        best = next;
        from.push(back);
    }
    let mut state = (0..states).min_by(|a, b| best[*a].total_cmp(&best[*b]))?;
    if !best[state].is_finite() {
        return None;
    }
    let mut pattern = vec![0; blocks];
    for block in (0..blocks).rev() {
        pattern[block] = state / STAGES;
        state = from[block][state];
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;
    use crate::baselines::tree::stages;

    /// Every unit for every block, by brute force.
    fn brute(costs: &BlockCosts) -> f64 {
        let blocks = costs.blocks();
        (0..1_usize << blocks)
            .map(|bits| (0..blocks).map(|b| bits >> b & 1).collect::<Vec<_>>())
            .filter(|p| stages(p) <= STAGES)
            .map(|p| costs.latency(&p))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn the_slicing_is_the_best_of_all() {
        let seats: &[&[(usize, usize, f64)]] = &[
            &[(0, 6, 30.0)],
            &[(1, 6, 28.0)],
            &[(0, 2, 4.0), (1, 4, 16.0)],
            &[(1, 3, 12.0), (0, 3, 9.0)],
            &[(0, 1, 3.0), (1, 2, 6.0), (0, 3, 15.0)],
            &[(1, 2, 10.0), (0, 2, 5.0), (1, 2, 4.0)],
        ];
        let board = board(&[seats]);
        let costs = BlockCosts::fit(&board.jobs[0], 2);
        let pattern = best_slicing(&costs, 2, |b, u| costs.block(b, u)).unwrap();
        assert!(stages(&pattern) <= STAGES);
        assert!((costs.latency(&pattern) - brute(&costs)).abs() < 1e-12, "{pattern:?}");
    }
}
