//! Linear regression of what each block costs on each unit, from the placements on offer.
//!
//! The instance prices whole placements; methods that decide block by block need costs of blocks.
//! For one DNN on one board: latency of a placement ≈ Σ over blocks of cost[block, unit] + cuts ×
//! transfer, fitted by least squares with a small ridge, since placements on offer are fewer than
//! pairs of block and unit. A pair that no placement uses is not available.

use super::board::{Job, count};

/// Ridge, as a share of the number of placements.
const RIDGE: f64 = 1e-3;

/// Costs of the blocks of one DNN on one board, s.
#[derive(Debug, Clone)]
pub(crate) struct BlockCosts {
    units: usize,
    /// By block, then unit; infinite where no placement has the block on the unit.
    cost: Vec<f64>,
    /// What a change of units costs.
    pub transfer: f64,
}

impl BlockCosts {
    /// Fits the costs of `job`.
    pub(crate) fn fit(job: &Job, units: usize) -> Self {
        let blocks = job.blocks();
        let pairs = blocks * units;
        let size = pairs + 1;
        let mut seen = vec![false; pairs];
        let mut normal = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        for (seat, pattern) in job.seats.iter().zip(&job.patterns) {
            let mut row: Vec<(usize, f64)> =
                pattern.iter().enumerate().map(|(block, unit)| (block * units + unit, 1.0)).collect();
            row.iter().for_each(|(at, _)| seen[*at] = true);
            row.push((pairs, count(seat.stages.len().saturating_sub(1))));
            for (a, x) in &row {
                right[*a] += x * seat.alone;
                for (b, y) in &row {
                    normal[a * size + b] += x * y;
                }
            }
        }
        for at in 0..size {
            normal[at * size + at] += RIDGE * count(job.seats.len().max(1));
        }
        let solved = cholesky_solve(&mut normal, right, size);
        let cost = (0..pairs).map(|at| if seen[at] { solved[at].max(0.0) } else { f64::INFINITY }).collect();
        Self { units, cost, transfer: solved[pairs].max(0.0) }
    }

    /// Cost of a block on a unit, s; infinite where it is not available.
    pub(crate) fn block(&self, block: usize, unit: usize) -> f64 {
        self.cost[block * self.units + unit]
    }

    /// Blocks of the DNN.
    pub(crate) fn blocks(&self) -> usize {
        self.cost.len() / self.units.max(1)
    }

    /// Predicted latency of a unit for each block, s.
    pub(crate) fn latency(&self, pattern: &[usize]) -> f64 {
        let compute: f64 = pattern.iter().enumerate().map(|(block, unit)| self.block(block, *unit)).sum();
        let cuts = pattern.windows(2).filter(|w| w[0] != w[1]).count();
        compute + count(cuts) * self.transfer
    }
}

/// Solves A·x = b for a symmetric positive definite A of `size` rows, which is overwritten.
fn cholesky_solve(a: &mut [f64], mut b: Vec<f64>, size: usize) -> Vec<f64> {
    for k in 0..size {
        for j in 0..k {
            let sum: f64 = (0..j).map(|m| a[k * size + m] * a[j * size + m]).sum();
            a[k * size + j] = (a[k * size + j] - sum) / a[j * size + j];
        }
        let sum: f64 = (0..k).map(|m| a[k * size + m] * a[k * size + m]).sum();
        // The ridge keeps the pivot positive; the floor keeps rounding from spoiling it.
        a[k * size + k] = (a[k * size + k] - sum).max(1e-12).sqrt();
    }
    for k in 0..size {
        let sum: f64 = (0..k).map(|m| a[k * size + m] * b[m]).sum();
        b[k] = (b[k] - sum) / a[k * size + k];
    }
    for k in (0..size).rev() {
        let sum: f64 = (k + 1..size).map(|m| a[m * size + k] * b[m]).sum();
        b[k] = (b[k] - sum) / a[k * size + k];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn the_solver_of_normal_equations_solves() {
        let mut a = vec![4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0];
        let x = cholesky_solve(&mut a, vec![7.4, 12.0, 7.8], 3);
        // A·x for x = (1, 1.8…) is checked by substitution.
        let back = |row: [f64; 3]| row.iter().zip(&x).map(|(r, x)| r * x).sum::<f64>();
        for (row, right) in [([4.0, 2.0, 0.6], 7.4), ([2.0, 5.0, 1.0], 12.0), ([0.6, 1.0, 3.0], 7.8)] {
            assert!((back(row) - right).abs() < 1e-9, "{x:?}");
        }
    }

    #[test]
    fn costs_that_are_linear_are_found() {
        // Block costs 4, 6 ms on unit 0 and 9, 3 ms on unit 1; no transfer.
        let seats: &[&[(usize, usize, f64)]] =
            &[&[(0, 2, 10.0)], &[(1, 2, 12.0)], &[(0, 1, 4.0), (1, 1, 3.0)], &[(1, 1, 9.0), (0, 1, 6.0)]];
        let board = board(&[seats]);
        let costs = BlockCosts::fit(&board.jobs[0], 2);
        for (pattern, ms) in [([0, 0], 10.0), ([1, 1], 12.0), ([0, 1], 7.0), ([1, 0], 15.0)] {
            assert!(
                (costs.latency(&pattern) * 1e3 - ms).abs() < 0.1,
                "{pattern:?}: {}",
                costs.latency(&pattern)
            );
        }
    }

    #[test]
    fn a_pair_without_a_placement_is_not_available() {
        let board = board(&[&[&[(0, 3, 9.0)], &[(0, 2, 5.0), (1, 1, 2.0)]]]);
        let costs = BlockCosts::fit(&board.jobs[0], 2);
        assert_eq!(costs.blocks(), 3);
        assert!(costs.block(0, 1).is_infinite() && costs.block(1, 1).is_infinite());
        assert!(costs.block(2, 1).is_finite());
    }
}
