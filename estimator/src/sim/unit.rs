//! A compute unit at work: who runs, who waits.

use super::soc::Discipline;
use super::stream::{Jitter, Work};
use std::collections::VecDeque;

/// One stage of one stream: its requests wait here, in order.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stream: usize,
    pub(super) unit: usize,
    pub(super) blocks: Vec<Work>,
    pub(super) jitter: Jitter,
    pub(super) transfer_ms: f64,
    pub(super) transfer_w: f64,
    /// Lane of the next stage.
    pub(super) next: Option<usize>,
    /// Arrival times of requests that wait.
    pub(super) queue: VecDeque<f64>,
    /// A request that has begun and was put aside.
    pub(super) suspended: Option<Job>,
}

/// A request on a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// When the request reached the board.
    pub(super) arrived: f64,
    /// Spread of this execution.
    pub(super) factor: f64,
    /// Block that runs.
    pub(super) block: usize,
    /// Time that it still takes at full speed, ms.
    pub(super) remaining: f64,
}

/// A unit.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) discipline: Discipline,
    /// Lane and request that run.
    pub(super) running: Option<(usize, Job)>,
    /// Rest of the slice, ms.
    pub(super) slice: f64,
    /// Lanes that wait: one entry a request (FIFO) or a lane (round robin).
    pub(super) order: VecDeque<usize>,
    /// Lane that ran last.
    pub(super) last: Option<usize>,
    /// Progress per ms.
    pub(super) rate: f64,
}

impl Engine {
    pub(super) fn new(discipline: Discipline) -> Self {
        Self {
            discipline,
            running: None,
            slice: f64::INFINITY,
            order: VecDeque::new(),
            last: None,
            rate: 1.0,
        }
    }

    /// Time until something happens here.
    pub(super) fn due(&self) -> f64 {
        let Some((_, job)) = &self.running else { return f64::INFINITY };
        let end = job.remaining / self.rate;
        // A slice matters only to those who wait.
        if self.order.is_empty() { end } else { end.min(self.slice.max(0.0)) }
    }

    /// A request of lane `lane` has come; its time is already in the lane's queue.
    pub(super) fn enter(&mut self, lane: usize, waits: usize) {
        let listed = match self.discipline {
            Discipline::Fifo => false,
            // A lane is listed once: when its first request comes while it does not run.
            Discipline::RoundRobin { .. } => waits > 1 || self.running.is_some_and(|(l, _)| l == lane),
        };
        if !listed {
            self.order.push_back(lane);
        }
    }

    /// Gives the unit to whoever is first, if it is free.
    pub(super) fn dispatch(&mut self, lanes: &mut [Lane], mut draw: impl FnMut(usize) -> f64) {
        if self.running.is_some() {
            return;
        }
        let Some(lane) = self.order.pop_front() else { return };
        let Some(state) = lanes.get_mut(lane) else { return };
        let mut job = match state.suspended.take() {
            Some(job) => job,
            None => {
                let Some(arrived) = state.queue.pop_front() else { return };
                let factor = state.jitter.at(draw(state.stream));
                let first = state.blocks.first().map_or(0.0, |b| b.time_ms);
                Job { arrived, factor, block: 0, remaining: first * factor }
            }
        };
        if let Discipline::RoundRobin { quantum_ms, switch_ms } = self.discipline {
            self.slice = quantum_ms;
            if self.last.is_some_and(|l| l != lane) {
                job.remaining += switch_ms;
                self.slice += switch_ms;
            }
        }
        self.last = Some(lane);
        self.running = Some((lane, job));
    }
}
