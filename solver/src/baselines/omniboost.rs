//! `omniboost`: Karatzas, Anagnostopoulos, "OmniBoost: Boosting Throughput of Heterogeneous Embedded
//! Devices under Multi-DNN Workload", DAC 2023.
//!
//! Followed: Monte-Carlo tree search that decides one compute unit per block, at most three stages a
//! DNN, reward −5000 for invalid states, 500 iterations, UCB temperature 2; the reward of a mapping
//! is the mean throughput of its DNNs by an estimator; the best mapping met is the answer. It
//! optimises mean throughput, and knows neither power, tiers nor latency objectives.
//!
//! Adapted: the estimator is the common one (`throughput.rs`) in place of the paper's network; a
//! rollout draws placements on offer, since a random unit for every block hardly ever is one; a
//! fourth stage is the only way to be invalid, and its reward is not passed up (`tree.rs`).

use super::blind::{self, Desk};
use super::board::{Board, Deal, count};
use super::throughput::throughput;
use super::tree;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The `OmniBoost` baseline.
#[derive(Debug, Clone, Copy)]
pub struct OmniBoost;

impl Solver for OmniBoost {
    fn name(&self) -> &'static str {
        "omniboost"
    }

    fn summary(&self) -> &'static str {
        "Monte-Carlo tree search for mean throughput, one unit per block (OmniBoost, DAC 2023); no bound"
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
    let mut rng = ChaCha8Rng::seed_from_u64(desk.seed());
    let reward = |seats: &[usize]| {
        let rates = throughput(board, seats);
        Some(rates.iter().sum::<f64>() / count(rates.len()))
    };
    let found = tree::search(board, desk, &mut rng, reward);
    found.map_or_else(|| vec![0; board.jobs.len()], |f| f.seats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn two_equal_dnns_go_to_two_units() {
        let whole: &[&[(usize, usize, f64)]] = &[&[(0, 2, 10.0)], &[(1, 2, 11.0)]];
        let board = board(&[whole, whole]);
        let both: f64 = throughput(&board, &[0, 1]).iter().sum();
        let same: f64 = throughput(&board, &[0, 0]).iter().sum();
        assert!(both > same, "{both} {same}");
        let seats = blind::tests::on_desk(|desk| place(&board, desk));
        assert!(seats == [0, 1] || seats == [1, 0], "{seats:?}");
    }
}
