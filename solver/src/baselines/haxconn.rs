//! `haxconn`: Dagli, Belviranli, "Shared Memory-contention-aware Concurrent DNN Execution for
//! Diversely Heterogeneous System-on-Chips" (HaX-CoNN), PPoPP 2024.
//!
//! Followed: DNNs run side by side on two units of a board, each DNN with at most one transition
//! between them; a layer group that runs while the other unit is busy too is slowed by a piecewise
//! function of the memory throughput it asks for; the schedule with the earliest end of the last DNN
//! is found exactly. It knows neither power, tiers nor latency objectives.
//!
//! Slowdown: the coefficients that the authors fitted with PCCS on a Jetson AGX Xavier, as in
//! `src/z3_solver_multi_dnn.py` of github.com/ismetdagli/HaX-CoNN, x in GB/s. Other boards have other
//! memories; x is scaled to the share of Xavier's 136.5 GB/s. The published arrays of throughputs are
//! marked as dummies by the authors and not used; throughput here follows from the priced traffic.
//!
//! Adapted: the two units are the GPU and the first other unit that any DNN can use (the paper's GPU
//! and DLA); the paper asks an SMT solver, here a branch and bound goes over all placements on offer
//! with one transition at most, and plays every complete one (`timeline.rs`) in all orders of up to
//! four DNNs, above that in two. Up to 200 000 placements are played; a note says when that ended it,
//! and what is returned is then the best so far.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use super::timeline::{Active, makespan, play};
use super::tree::stages;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// Placements played at most, a board.
const MOST: u64 = 200_000;
/// DNNs up to which all orders are tried.
const ALL_ORDERS: usize = 4;
/// Memory bandwidth of the board on which the slowdown was fitted, GB/s (NVIDIA: 136.5).
const XAVIER_GB_PER_S: f64 = 136.5;
/// Least denominator of the fitted functions, percent of full speed; they are not meant beyond.
const SLOWEST: f64 = 10.0;

/// The HaX-CoNN baseline.
#[derive(Debug, Clone, Copy)]
pub struct HaxConn;

impl Solver for HaxConn {
    fn name(&self) -> &'static str {
        "haxconn"
    }

    fn summary(&self) -> &'static str {
        "exact two-unit schedule, one transition a DNN, memory contention (HaX-CoNN, PPoPP 2024); no bound"
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
        let gpus: Vec<usize> = (0..instance.devices.len())
            .map(|d| {
                let class = instance.class_of(ecomap_instances::ids::DeviceIx::new(d));
                class.units.iter().position(|u| u.as_str().starts_with("gpu")).unwrap_or(0)
            })
            .collect();
        blind::solve(self, instance, options, observer, Deal::LeastWork, |board, desk| {
            place(board, gpus[board.device.at()], desk)
        })
    }
}

/// Slowdown of a GPU layer group that asks for `x` GB/s on a Xavier, beside a busy second unit.
pub(crate) fn gpu_slowdown(x: f64) -> f64 {
    let lost = if x < 38.1 {
        x * 4.9 / 127.5
    } else if x < 96.2 {
        x
    } else {
        (x - 41.9) * 1.11
    };
    100.0 / (100.0 - lost).max(SLOWEST)
}

/// As [`gpu_slowdown`], for the DLA.
pub(crate) fn dla_slowdown(x: f64) -> f64 {
    let lost = if x < 27.9 { x } else { (x + 49.0) * 0.35 };
    100.0 / (100.0 - lost).max(SLOWEST)
}

fn place(board: &Board, gpu: usize, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let second = second_unit(board, gpu);
    let allowed =
        |pattern: &[usize]| stages(pattern) <= 2 && pattern.iter().all(|u| *u == gpu || Some(*u) == second);
    // A DNN that fits neither unit keeps its fastest seat, and is part of the schedule with it.
    let choices: Vec<Vec<usize>> = board
        .jobs
        .iter()
        .map(|job| {
            let list: Vec<usize> = (0..job.seats.len()).filter(|s| allowed(&job.patterns[*s])).collect();
            if list.is_empty() { vec![0] } else { list }
        })
        .collect();
    let mut search = Search {
        board,
        choices: &choices,
        gpu,
        orders: orders(board.jobs.len()),
        desk,
        played: 0,
        best: None,
        cut: false,
    };
    search.descend(&mut Vec::new(), &mut vec![0.0; board.units], 0.0);
    let (cut, best) = (search.cut, search.best);
    if cut {
        desk.note(format!("the schedule of board {} was not searched to its end", board.device.at()));
    }
    best.map_or_else(|| choices.iter().map(|c| c[0]).collect(), |(_, seats)| seats)
}

/// The unit beside the GPU that most DNNs can use.
fn second_unit(board: &Board, gpu: usize) -> Option<usize> {
    let users =
        |unit: usize| board.jobs.iter().filter(|j| j.patterns.iter().any(|p| p.contains(&unit))).count();
    (0..board.units).filter(|u| *u != gpu && users(*u) > 0).max_by_key(|u| (users(*u), usize::MAX - u))
}

struct Search<'b, 'd, 'w, 'a, 'o> {
    board: &'b Board,
    choices: &'b [Vec<usize>],
    gpu: usize,
    orders: Vec<Vec<usize>>,
    desk: &'d mut Desk<'w, 'a, 'o>,
    played: u64,
    best: Option<(f64, Vec<usize>)>,
    cut: bool,
}

impl Search<'_, '_, '_, '_, '_> {
    /// Branches over the seats of the next DNN. `work` is what units have to do, `slowest` the
    /// longest DNN so far: no schedule ends before either.
    fn descend(&mut self, seats: &mut Vec<usize>, work: &mut Vec<f64>, slowest: f64) {
        let bound = work.iter().copied().fold(slowest, f64::max);
        if self.cut || self.best.as_ref().is_some_and(|(best, _)| bound >= best - 1e-12) {
            return;
        }
        let job = seats.len();
        if job == self.board.jobs.len() {
            self.leaf(seats);
            return;
        }
        for &seat in &self.choices[job] {
            let chosen = &self.board.jobs[job].seats[seat];
            let before = work.clone();
            chosen.stages.iter().for_each(|s| work[s.unit] += s.seconds);
            let own: f64 = chosen.stages.iter().map(|s| s.seconds).sum();
            seats.push(seat);
            self.descend(seats, work, slowest.max(own));
            seats.pop();
            *work = before;
        }
    }

    fn leaf(&mut self, seats: &[usize]) {
        if self.played >= MOST || !self.desk.step() {
            self.cut = true;
            return;
        }
        self.played += 1;
        let ends = self.orders.iter().map(|order| {
            makespan(&play(self.board, seats, order, |active| contention(self.board, self.gpu, active)))
        });
        let end = ends.fold(f64::INFINITY, f64::min);
        if self.best.as_ref().is_none_or(|(best, _)| end < best - 1e-12) {
            self.best = Some((end, seats.to_vec()));
            self.desk.better(self.board, seats);
        }
    }
}

/// Slowdown of each active stage: none for one that runs alone.
fn contention(board: &Board, gpu: usize, active: &[Active]) -> Vec<f64> {
    active
        .iter()
        .map(|a| {
            if active.len() < 2 {
                return 1.0;
            }
            let x = a.traffic / board.bandwidth.max(1.0) * XAVIER_GB_PER_S;
            if a.unit == gpu { gpu_slowdown(x) } else { dla_slowdown(x) }
        })
        .collect()
}

/// Orders in which DNNs take a unit that several wait for.
fn orders(jobs: usize) -> Vec<Vec<usize>> {
    let first: Vec<usize> = (0..jobs).collect();
    if jobs > ALL_ORDERS {
        return vec![first.clone(), first.into_iter().rev().collect()];
    }
    let mut all = vec![Vec::new()];
    for job in first {
        let mut longer = Vec::new();
        for order in &all {
            for at in 0..=order.len() {
                let mut next: Vec<usize> = order.clone();
                next.insert(at, job);
                longer.push(next);
            }
        }
        all = longer;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn slowdowns_follow_the_published_pieces() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(gpu_slowdown(0.0), 1.0);
        near(gpu_slowdown(30.0), 100.0 / (100.0 - 30.0 * 4.9 / 127.5));
        near(gpu_slowdown(50.0), 2.0);
        near(gpu_slowdown(100.0), 100.0 / (100.0 - 58.1 * 1.11));
        near(dla_slowdown(20.0), 1.25);
        near(dla_slowdown(51.0), 100.0 / 65.0);
    }

    #[test]
    fn orders_are_all_permutations_of_a_few() {
        let mut all = orders(4);
        assert_eq!(all.len(), 24);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 24);
        assert_eq!(orders(5).len(), 2);
    }

    #[test]
    fn the_schedule_is_the_best_of_all_and_has_one_transition() {
        let seats: &[&[(usize, usize, f64)]] = &[
            &[(0, 3, 12.0)],
            &[(1, 3, 20.0)],
            &[(0, 2, 7.0), (1, 1, 6.0)],
            &[(1, 1, 6.0), (0, 2, 8.0)],
            &[(0, 1, 1.0), (1, 1, 1.0), (0, 1, 1.0)],
        ];
        let board = board(&[seats, seats, seats]);
        let found = blind::tests::on_desk(|desk| place(&board, 0, desk));
        assert!(found.iter().all(|s| *s != 4), "the seat with two transitions is taken: {found:?}");
        let end = |seats: &[usize]| {
            let all = orders(3);
            all.iter()
                .map(|o| makespan(&play(&board, seats, o, |a| contention(&board, 0, a))))
                .fold(f64::INFINITY, f64::min)
        };
        let brute = (0..64).map(|n| end(&[n % 4, n / 4 % 4, n / 16])).fold(f64::INFINITY, f64::min);
        assert!((end(&found) - brute).abs() < 1e-12);
    }

    #[test]
    fn heavy_traffic_keeps_dnns_apart() {
        let whole: &[&[(usize, usize, f64)]] = &[&[(0, 1, 10.0)], &[(1, 1, 11.0)]];
        let mut board = board(&[whole, whole]);
        let side_by_side = blind::tests::on_desk(|desk| place(&board, 0, desk));
        assert_ne!(side_by_side[0], side_by_side[1]);
        // 80 % of the bandwidth each: side by side the GPU's stage would take four times as long.
        for seat in board.jobs.iter_mut().flat_map(|j| &mut j.seats) {
            seat.bytes = 0.8 * board.bandwidth * seat.alone;
        }
        let apart = blind::tests::on_desk(|desk| place(&board, 0, desk));
        assert_eq!(apart, [0, 0]);
    }
}
