//! `band`: Jeong, Lee, Lee, Lee, Kim, Kwon, Jeong, Lee, Lee, Chun, "Band: Coordinated Multi-DNN
//! Inference on Heterogeneous Mobile Processors", MobiSys 2022.
//!
//! Followed: a DNN is cut into subgraphs by unit; a scheduling policy takes the waiting DNNs one by
//! one, and the one taken goes where its last subgraph is expected to end first, given what is queued.
//! Three policies: *HEFT* takes the DNN with the most work left; *least slack time* the one whose
//! deadline less its expected end is smallest; *shortest expected latency* the one whose best expected
//! latency is the largest, as in Band's code. They optimise latency and deadlines, and know neither
//! power nor tiers.
//!
//! Adapted: the subgraph schedules are the placements on offer; all three policies run, and the one
//! with the fewest missed deadlines, then the least mean latency, gives the plan; a note names it. A
//! DNN without a deadline has endless slack.

use super::blind::{self, Desk};
use super::board::{Board, Deal, Seat, count};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The Band baseline.
#[derive(Debug, Clone, Copy)]
pub struct Band;

impl Solver for Band {
    fn name(&self) -> &'static str {
        "band"
    }

    fn summary(&self) -> &'static str {
        "best of HEFT, least slack time and shortest expected latency (Band, MobiSys 2022); no bound"
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

/// Which waiting DNN is scheduled next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Heft,
    LeastSlack,
    ShortestExpected,
}

impl Policy {
    const ALL: [Self; 3] = [Self::Heft, Self::LeastSlack, Self::ShortestExpected];

    const fn name(self) -> &'static str {
        match self {
            Self::Heft => "HEFT",
            Self::LeastSlack => "least slack time",
            Self::ShortestExpected => "shortest expected latency",
        }
    }
}

/// Seats and expected ends, by job.
struct Schedule {
    seats: Vec<usize>,
    ends: Vec<f64>,
}

fn place(board: &Board, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let mut best: Option<((usize, f64), Policy, Schedule)> = None;
    for policy in Policy::ALL {
        if !desk.step() {
            break;
        }
        let made = schedule(board, policy);
        let missed =
            board.jobs.iter().zip(&made.ends).filter(|(j, e)| j.deadline.is_some_and(|d| **e > d)).count();
        let mean = made.ends.iter().sum::<f64>() / count(made.ends.len());
        if best.as_ref().is_none_or(|((m, l), _, _)| missed < *m || (missed == *m && mean < *l)) {
            desk.better(board, &made.seats);
            best = Some(((missed, mean), policy, made));
        }
    }
    best.map_or_else(
        || vec![0; board.jobs.len()],
        |(_, policy, made)| {
            desk.note(format!("policy of board {}: {}", board.device.at(), policy.name()));
            made.seats
        },
    )
}

fn schedule(board: &Board, policy: Policy) -> Schedule {
    let mut free = vec![0.0; board.units];
    let mut seats = vec![0; board.jobs.len()];
    let mut ends = vec![0.0; board.jobs.len()];
    let mut waiting: Vec<usize> = (0..board.jobs.len()).collect();
    while !waiting.is_empty() {
        let expected: Vec<(usize, usize, f64)> = waiting
            .iter()
            .map(|j| {
                let all = board.jobs[*j].seats.iter().map(|seat| end(seat, &mut free.clone()));
                let (seat, end) =
                    all.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f64::INFINITY));
                (*j, seat, end)
            })
            .collect();
        let urgency = |(j, _, end): &(usize, usize, f64)| match policy {
            Policy::Heft => upward_rank(board, *j),
            Policy::LeastSlack => end - board.jobs[*j].deadline.unwrap_or(f64::INFINITY),
            Policy::ShortestExpected => *end,
        };
        let Some(taken) =
            expected.iter().max_by(|a, b| urgency(a).total_cmp(&urgency(b)).then(b.0.cmp(&a.0)))
        else {
            break;
        };
        let (job, seat, _) = *taken;
        ends[job] = end(&board.jobs[job].seats[seat], &mut free);
        seats[job] = seat;
        waiting.retain(|j| *j != job);
    }
    Schedule { seats, ends }
}

/// HEFT's rank of a DNN whose subgraphs form a chain: its mean latency over the ways to run it.
fn upward_rank(board: &Board, job: usize) -> f64 {
    let seats = &board.jobs[job].seats;
    seats.iter().map(|s| s.alone).sum::<f64>() / count(seats.len())
}

/// Expected end of a DNN in `seat` when units are free at `free`, which is moved on.
fn end(seat: &Seat, free: &mut [f64]) -> f64 {
    let mut ready = 0.0_f64;
    for (n, stage) in seat.stages.iter().enumerate() {
        let hop = if n > 0 { seat.transfer() } else { 0.0 };
        let done = free[stage.unit].max(ready + hop) + stage.seconds;
        free[stage.unit] = done;
        ready = done;
    }
    ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    /// Two DNNs that run on unit 0 only: 30 ms and 10 ms.
    fn queue() -> Board {
        board(&[&[&[(0, 1, 30.0)]], &[&[(0, 1, 10.0)]]])
    }

    #[test]
    fn policies_differ_in_whom_they_take_first() {
        let mut board = queue();
        board.jobs[0].deadline = Some(0.100);
        board.jobs[1].deadline = Some(0.015);
        let ends =
            |policy| schedule(&board, policy).ends.iter().map(|e| (e * 1e3).round()).collect::<Vec<_>>();
        assert_eq!(ends(Policy::Heft), [30.0, 40.0], "the most work first");
        assert_eq!(ends(Policy::LeastSlack), [40.0, 10.0], "the tightest deadline first");
        assert_eq!(ends(Policy::ShortestExpected), [30.0, 40.0], "the largest of the best latencies first");
    }

    #[test]
    fn each_goes_where_it_ends_first() {
        let whole: &[&[(usize, usize, f64)]] = &[&[(0, 2, 10.0)], &[(1, 2, 15.0)]];
        let board = board(&[whole, whole]);
        for policy in Policy::ALL {
            let mut seats = schedule(&board, policy).seats;
            seats.sort_unstable();
            assert_eq!(seats, [0, 1], "{policy:?}");
        }
    }
}
