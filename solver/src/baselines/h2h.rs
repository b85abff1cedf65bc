//! `h2h`: Zhang, Hao, Zhou, Jones, Hu, "H2H: Heterogeneous Model to Heterogeneous System Mapping with
//! Computation and Communication Awareness", DAC 2022.
//!
//! Followed, step by step: (1) every layer to the unit that computes it fastest; (3) neighbours on
//! one unit hand their activations over without a transfer; (4) layers at a cut are moved to the unit
//! of a neighbour as long as the system's latency falls. It optimises the system's latency, the
//! latest finish of all DNNs, and knows neither power, tiers nor latency objectives.
//!
//! Adapted: layers are blocks, costs are regressed (`predictor.rs`); step (2), weights kept in each
//! accelerator's own memory, has no counterpart on a board whose units share one memory; runs of
//! blocks are joined until three stages are left; the placement on offer nearest to the mapping is
//! taken. The system's latency is the larger of the busiest unit's work and the slowest DNN.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::predictor::BlockCosts;
use super::tree::{STAGES, stages};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The H2H baseline.
#[derive(Debug, Clone, Copy)]
pub struct H2h;

impl Solver for H2h {
    fn name(&self) -> &'static str {
        "h2h"
    }

    fn summary(&self) -> &'static str {
        "fastest unit per block, then remapping against transfers (H2H, DAC 2022); no bound"
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
    if !desk.step() {
        return vec![0; board.jobs.len()];
    }
    let costs: Vec<BlockCosts> = board.jobs.iter().map(|j| BlockCosts::fit(j, board.units)).collect();
    let mut patterns: Vec<Vec<usize>> = costs.iter().map(|c| fastest(c, board.units)).collect();
    remap(&costs, board.units, &mut patterns, || desk.step());
    for (own, pattern) in costs.iter().zip(&mut patterns) {
        while stages(pattern) > STAGES {
            join(own, pattern);
        }
    }
    board.jobs.iter().zip(&patterns).map(|(job, pattern)| job.nearest(pattern)).collect()
}

/// Step 1: the unit that computes each block fastest.
fn fastest(costs: &BlockCosts, units: usize) -> Vec<usize> {
    (0..costs.blocks())
        .map(|b| (0..units).min_by(|x, y| costs.block(b, *x).total_cmp(&costs.block(b, *y))).unwrap_or(0))
        .collect()
}

/// The larger of the busiest unit's work and the slowest DNN; and the sum of latencies, for ties.
fn system(costs: &[BlockCosts], units: usize, patterns: &[Vec<usize>]) -> (f64, f64) {
    let mut work = vec![0.0; units];
    let (mut slowest, mut total) = (0.0_f64, 0.0);
    for (own, pattern) in costs.iter().zip(patterns) {
        for (block, unit) in pattern.iter().enumerate() {
            work[*unit] += own.block(block, *unit);
        }
        let latency = own.latency(pattern);
        slowest = slowest.max(latency);
        total += latency;
    }
    (work.into_iter().fold(slowest, f64::max), total)
}

/// Step 4: blocks at a cut go to the neighbour's unit while that helps.
fn remap(costs: &[BlockCosts], units: usize, patterns: &mut [Vec<usize>], mut step: impl FnMut() -> bool) {
    let mut best = system(costs, units, patterns);
    loop {
        let before = best;
        for j in 0..patterns.len() {
            for block in 0..patterns[j].len() {
                let old = patterns[j][block];
                let left = block.checked_sub(1).map(|b| patterns[j][b]);
                let right = patterns[j].get(block + 1).copied();
                for unit in [left, right].into_iter().flatten().filter(|u| *u != old) {
                    if !step() {
                        return;
                    }
                    let kept = patterns[j][block];
                    patterns[j][block] = unit;
                    let now = system(costs, units, patterns);
                    if now.0 < best.0 - 1e-12 || (now.0 <= best.0 + 1e-12 && now.1 < best.1 - 1e-12) {
                        best = now;
                    } else {
                        patterns[j][block] = kept;
                    }
                }
            }
        }
        if best == before {
            return;
        }
    }
}

/// Gives the run of blocks that costs the least to move to the unit of a run beside it.
fn join(costs: &BlockCosts, pattern: &mut Vec<usize>) {
    let mut runs = Vec::new();
    let mut from = 0;
    for run in pattern.chunk_by(|a, b| a == b) {
        runs.push((from, from + run.len()));
        from += run.len();
    }
    let mut best: Option<(f64, Vec<usize>)> = None;
    for (from, to) in runs {
        let beside = [from.checked_sub(1), (to < pattern.len()).then_some(to)];
        for unit in beside.into_iter().flatten().map(|b| pattern[b]) {
            let mut trial = pattern.clone();
            trial[from..to].fill(unit);
            let latency = costs.latency(&trial);
            if best.as_ref().is_none_or(|(b, _)| latency < *b) {
                best = Some((latency, trial));
            }
        }
    }
    if let Some((_, joined)) = best {
        *pattern = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn a_block_that_is_not_worth_its_transfers_moves() {
        // Block 1 is 1 ms faster on unit 1, but two transfers of 3 ms surround it.
        let seats: &[&[(usize, usize, f64)]] =
            &[&[(0, 3, 12.0)], &[(1, 3, 18.0)], &[(0, 1, 4.0), (1, 1, 3.0), (0, 1, 4.0)]];
        let mut board = board(&[seats]);
        board.jobs[0].seats[2].alone += 0.006;
        let costs = vec![BlockCosts::fit(&board.jobs[0], 2)];
        let mut patterns = vec![vec![0, 1, 0]];
        remap(&costs, 2, &mut patterns, || true);
        assert_eq!(patterns, [vec![0, 0, 0]]);
    }

    #[test]
    fn runs_are_joined_until_three_stages_are_left() {
        let seats: &[&[(usize, usize, f64)]] = &[&[(0, 5, 10.0)], &[(1, 5, 10.0)]];
        let board = board(&[seats]);
        let costs = BlockCosts::fit(&board.jobs[0], 2);
        let mut pattern = vec![0, 1, 0, 1, 0];
        while stages(&pattern) > STAGES {
            join(&costs, &mut pattern);
        }
        assert!(stages(&pattern) <= STAGES, "{pattern:?}");
    }
}
