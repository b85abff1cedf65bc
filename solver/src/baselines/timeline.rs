//! One request of every DNN on a board, played through: each unit serves one stage at a time to its
//! end, stages that wait go in the order given, data take their transfer time from stage to stage.
//! What runs at the same moment may slow each other down; how, the caller says.

use super::board::{Board, Seat};

/// Times closer than this are one, s.
const INSTANT: f64 = 1e-12;

/// A stage at work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    pub job: usize,
    pub unit: usize,
    /// Memory traffic while it runs alone, bytes/s.
    pub traffic: f64,
}

/// Where a job stands.
struct Progress<'s> {
    seat: &'s Seat,
    stage: usize,
    /// When the next stage may begin.
    ready: f64,
    /// Seconds of work left of the stage at work.
    left: Option<f64>,
    done: f64,
}

/// Finish time of each job, s. `slow` gives the factor ≥ 1 by which each active stage is slowed.
pub(crate) fn play(
    board: &Board,
    seats: &[usize],
    order: &[usize],
    slow: impl Fn(&[Active]) -> Vec<f64>,
) -> Vec<f64> {
    let mut jobs: Vec<Progress<'_>> = board
        .jobs
        .iter()
        .zip(seats)
        .map(|(job, s)| Progress { seat: &job.seats[*s], stage: 0, ready: 0.0, left: None, done: 0.0 })
        .collect();
    let mut now = 0.0_f64;
    loop {
        for unit in 0..board.units {
            let busy = jobs.iter().any(|j| j.left.is_some() && j.unit() == Some(unit));
            let next = order.iter().copied().find(|j| {
                jobs[*j].left.is_none() && jobs[*j].unit() == Some(unit) && jobs[*j].ready <= now + INSTANT
            });
            if let (false, Some(j)) = (busy, next) {
                jobs[j].left = Some(jobs[j].seat.stages[jobs[j].stage].seconds);
            }
        }
        let active: Vec<Active> = (0..jobs.len())
            .filter(|j| jobs[*j].left.is_some())
            .filter_map(|j| jobs[j].unit().map(|unit| Active { job: j, unit, traffic: jobs[j].traffic() }))
            .collect();
        let waiting = jobs.iter().filter(|j| j.left.is_none() && j.unit().is_some()).map(|j| j.ready);
        let next_ready = waiting.filter(|r| *r > now + INSTANT).fold(f64::INFINITY, f64::min);
        if active.is_empty() {
            if next_ready.is_infinite() {
                break;
            }
            now = next_ready;
            continue;
        }
        let slowed = slow(&active);
        let ends = active.iter().zip(&slowed).map(|(a, s)| jobs[a.job].left.unwrap_or(0.0) * s);
        let step = ends.fold(next_ready - now, f64::min).max(0.0);
        now += step;
        for (a, s) in active.iter().zip(&slowed) {
            let job = &mut jobs[a.job];
            let left = job.left.unwrap_or(0.0) - step / s;
            if left <= INSTANT {
                job.left = None;
                job.stage += 1;
                job.done = now;
                job.ready = now + job.seat.transfer();
            } else {
                job.left = Some(left);
            }
        }
    }
    jobs.iter().map(|j| j.done).collect()
}

impl Progress<'_> {
    /// Unit of the stage at work or next.
    fn unit(&self) -> Option<usize> {
        self.seat.stages.get(self.stage).map(|s| s.unit)
    }

    fn traffic(&self) -> f64 {
        let seconds: f64 = self.seat.stages.iter().map(|s| s.seconds).sum();
        if seconds > 0.0 { self.seat.bytes / seconds } else { 0.0 }
    }
}

/// Nobody slows anybody.
pub(crate) fn undisturbed(active: &[Active]) -> Vec<f64> {
    vec![1.0; active.len()]
}

/// The last finish time.
pub(crate) fn makespan(finish: &[f64]) -> f64 {
    finish.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::throughput::tests::board;

    #[test]
    fn stages_wait_for_their_unit_and_their_data() {
        let mut board = board(&[&[&[(0, 1, 10.0), (1, 1, 5.0)]], &[&[(0, 1, 4.0)]], &[&[(1, 1, 12.0)]]]);
        let finish = play(&board, &[0, 0, 0], &[0, 1, 2], undisturbed);
        let ms: Vec<f64> = finish.iter().map(|f| (f * 1e3).round()).collect();
        assert_eq!(ms, [17.0, 14.0, 12.0], "unit 1 is taken by the third until 12");
        board.jobs[0].seats[0].alone += 0.006;
        let later = play(&board, &[0, 0, 0], &[0, 1, 2], undisturbed);
        assert!((later[0] - 0.021).abs() < 1e-9, "data arrive at 16: {later:?}");
    }

    #[test]
    fn slowdown_counts_while_both_run() {
        let board = board(&[&[&[(0, 1, 10.0)]], &[&[(1, 1, 4.0)]]]);
        let twice = |a: &[Active]| if a.len() > 1 { vec![2.0; a.len()] } else { vec![1.0; a.len()] };
        let finish = play(&board, &[0, 0], &[0, 1], twice);
        // 8 ms together, in which each does 4 ms of work; 6 ms are left.
        assert!((finish[1] - 0.008).abs() < 1e-9 && (finish[0] - 0.014).abs() < 1e-9, "{finish:?}");
    }
}
