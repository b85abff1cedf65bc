//! `rankmap`: Karatzas, Stamoulis, Anagnostopoulos, "RankMap: Priority-Aware Multi-DNN Manager for
//! Heterogeneous Embedded Devices", DATE 2025.
//!
//! Followed: Monte-Carlo tree search over the unit of each block, as in `OmniBoost`; the reward is
//! the priority-weighted sum of *potential throughputs*, what a DNN reaches over what it would reach
//! alone; a mapping that lets any DNN fall below the starvation threshold is disqualified. It
//! optimises weighted potential throughput, and knows neither power, tiers nor latency objectives.
//!
//! Adapted: the estimator is the common one (`throughput.rs`); priorities are those of the tenants
//! (the paper's static ranks); tree, budget and rollouts are those of `tree.rs`. The threshold of
//! 0.05 is ours: a DNN below a twentieth of its speed alone counts as starved. Where every mapping
//! starves somebody, the one whose worst-off DNN is best off is taken.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::throughput::{ideal, throughput};
use super::tree;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Least potential throughput of a DNN that is not starved.
pub(crate) const STARVED: f64 = 0.05;

/// The `RankMap` baseline.
#[derive(Debug, Clone, Copy)]
pub struct RankMap;

impl Solver for RankMap {
    fn name(&self) -> &'static str {
        "rankmap"
    }

    fn summary(&self) -> &'static str {
        "tree search for priority-weighted throughput without starvation (RankMap, DATE 2025); no bound"
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

/// Reached over reachable throughput of every DNN.
fn potential(board: &Board, seats: &[usize], ideals: &[f64]) -> Vec<f64> {
    throughput(board, seats).iter().zip(ideals).map(|(rate, ideal)| rate / ideal).collect()
}

/// Weighted potential throughput; `None` when somebody starves.
fn rated(board: &Board, potentials: &[f64], threshold: f64) -> Option<f64> {
    let total: f64 = board.jobs.iter().map(|j| j.priority).sum();
    let weighted = board.jobs.iter().zip(potentials).map(|(j, p)| j.priority * p).sum::<f64>() / total;
    potentials.iter().all(|p| *p >= threshold).then_some(weighted)
}

fn place(board: &Board, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(desk.seed());
    let ideals: Vec<f64> = (0..board.jobs.len()).map(|j| ideal(board, j)).collect();
    let reward = |seats: &[usize]| rated(board, &potential(board, seats, &ideals), STARVED);
    if let Some(found) = tree::search(board, desk, &mut rng, reward) {
        return found.seats;
    }
    let worst_off =
        |seats: &[usize]| Some(potential(board, seats, &ideals).into_iter().fold(f64::INFINITY, f64::min));
    let found = tree::search(board, desk, &mut rng, worst_off);
    found.map_or_else(|| vec![0; board.jobs.len()], |f| f.seats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn a_starved_dnn_disqualifies_a_mapping() {
        let mut board = board(&[&[&[(0, 1, 1.0)]], &[&[(0, 1, 99.0)]]]);
        let ideals = [ideal(&board, 0), ideal(&board, 1)];
        let potentials = potential(&board, &[0, 0], &ideals);
        // One request each takes 100 ms: 10/s of 1000/s, and of 10.1/s.
        assert!((potentials[0] - 0.01).abs() < 1e-9 && (potentials[1] - 0.99).abs() < 1e-9);
        assert_eq!(rated(&board, &potentials, STARVED), None);
        board.jobs[1].priority = 3.0;
        let value = rated(&board, &potentials, 0.01).unwrap();
        assert!((value - (0.01 + 3.0 * 0.99) / 4.0).abs() < 1e-9);
    }

    #[test]
    fn priority_decides_who_gets_the_fast_unit() {
        let one: &[&[(usize, usize, f64)]] = &[&[(0, 2, 10.0)], &[(1, 2, 100.0)]];
        for favoured in 0..2 {
            let mut board = board(&[one, one]);
            board.jobs[favoured].priority = 50.0;
            let seats = blind::tests::on_desk(|desk| place(&board, desk));
            assert_eq!(seats[favoured], 0, "{seats:?}");
            assert_eq!(seats[1 - favoured], 1, "{seats:?}");
        }
    }
}
