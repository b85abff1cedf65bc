//! The part of a job that is only in memory: where it is, and events for those who follow.

use crate::http::fair::Turn;
use crate::jobs::question::{JobId, State};
use crate::jobs::wire::{BestDto, EventDto};
use crate::pipeline::Priced;
use ecomap_instances::plan::Assignment;
use ecomap_solver::clock::Clock;
use ecomap_solver::{CancelToken, Incumbent, Observer};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Events kept for those who come back. Later incumbents say all that earlier ones did.
const KEPT: usize = 64;
/// Least time between two events that only move the bound.
const PACE: Duration = Duration::from_millis(50);

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// Counts from 1 within a run of the service.
    pub seq: u64,
    /// `state` or `incumbent`.
    pub kind: &'static str,
    /// What clients see.
    pub data: EventDto,
}

/// A plan on the way, and what it is a plan for.
pub type OnTheWay = (Arc<Priced>, Assignment);

#[derive(Debug)]
struct Inner {
    state: State,
    best: Option<BestDto>,
    plan: Option<OnTheWay>,
    ring: VecDeque<JobEvent>,
    next: u64,
    said: Option<Duration>,
}

/// A job that waits or runs, or has ended a little while ago.
#[derive(Debug)]
pub struct Live {
    /// Its name.
    pub id: JobId,
    /// Whose turn it takes.
    pub turn: Turn,
    /// Ends it early.
    pub cancel: CancelToken,
    asked: AtomicBool,
    inner: Mutex<Inner>,
    tick: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

impl Live {
    /// A job that waits, or was asked to end before.
    #[must_use]
    pub fn new(id: JobId, turn: Turn, state: State, clock: Arc<dyn Clock>) -> Arc<Self> {
        let inner = Inner { state, best: None, plan: None, ring: VecDeque::new(), next: 1, said: None };
        let live = Self {
            id,
            turn,
            cancel: CancelToken::default(),
            asked: AtomicBool::new(state == State::Ending),
            inner: Mutex::new(inner),
            tick: watch::Sender::new(0),
            clock,
        };
        live.enter(state);
        Arc::new(live)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// The best so far.
    #[must_use]
    pub fn best(&self) -> Option<BestDto> {
        self.lock().best
    }

    /// The best plan so far.
    #[must_use]
    pub fn plan(&self) -> Option<OnTheWay> {
        self.lock().plan.clone()
    }

    /// Asks it to end early and keep what it has.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        self.cancel.cancel();
    }

    /// Whether its owner asked it to end early.
    #[must_use]
    pub fn asked_to_end(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Changes its state and tells those who follow.
    pub fn enter(&self, state: State) {
        let mut inner = self.lock();
        if inner.state.ended() {
            return; // whoever asked it to end came too late
        }
        inner.state = state;
        if state.ended() || state == State::Queued {
            inner.plan = None;
        }
        self.say(inner, "state");
    }

    /// Takes over the figures of its result.
    pub fn finish(&self, state: State, best: Option<BestDto>) {
        self.lock().best = best;
        self.enter(state);
    }

    fn say(&self, mut inner: MutexGuard<'_, Inner>, kind: &'static str) {
        let seq = inner.next;
        inner.next += 1;
        let data = EventDto { state: inner.state, best: inner.best };
        if inner.ring.len() >= KEPT {
            inner.ring.pop_front();
        }
        inner.ring.push_back(JobEvent { seq, kind, data });
        drop(inner);
        self.tick.send_replace(seq);
    }

    /// The first event after `seq` that is kept.
    #[must_use]
    pub fn after(&self, seq: u64) -> Option<JobEvent> {
        self.lock().ring.iter().find(|e| e.seq > seq).cloned()
    }

    /// Follows events.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }

    /// Waits until nothing more comes, or it waits for another run of the service.
    pub async fn ended(&self) {
        let mut tick = self.follow();
        // The sender lives as long as `self`.
        let _ = tick.wait_for(|_| self.state().ended()).await;
    }
}

/// Writes what a solver says to a job.
#[derive(Debug)]
pub struct Witness {
    live: Arc<Live>,
    priced: Option<Arc<Priced>>,
}

impl Witness {
    /// For a job.
    #[must_use]
    pub fn new(live: &Arc<Live>) -> Self {
        Self { live: Arc::clone(live), priced: None }
    }

    /// What plans are for.
    pub fn priced(&mut self, priced: &Arc<Priced>) {
        self.priced = Some(Arc::clone(priced));
    }
}

impl Observer for Witness {
    fn progress(&mut self, at: &Incumbent) {
        let best = BestDto::from(at);
        let now = self.live.clock.now();
        let mut inner = self.live.lock();
        let before = inner.best.replace(best);
        let better = before.is_none_or(|b| b.primal_bound != best.primal_bound);
        let moved = before.is_none_or(|b| b.dual_bound != best.dual_bound);
        let due = inner.said.is_none_or(|at| now.saturating_sub(at) >= PACE);
        if better || (moved && due) {
            inner.said = Some(now);
            self.live.say(inner, "incumbent");
        }
    }

    fn plan(&mut self, plan: &Assignment) {
        if let Some(priced) = &self.priced {
            self.live.lock().plan = Some((Arc::clone(priced), plan.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_solver::clock::SystemClock;

    fn incumbent(primal: f64, dual: f64) -> Incumbent {
        Incumbent { primal: Some(primal), dual: Some(dual), nodes: 1, elapsed: Duration::from_secs(1) }
    }

    #[test]
    fn events_are_numbered_and_the_last_ones_kept() {
        let id = JobId::generate().expect("random");
        let live = Live::new(id, Turn::of("a"), State::Queued, SystemClock::shared());
        live.enter(State::Running);
        let mut witness = Witness::new(&live);
        for n in 0..100 {
            witness.progress(&incumbent(f64::from(200 - n), 0.0));
        }
        live.finish(State::Done, live.best());
        let mut seen = Vec::new();
        let mut last = 0;
        while let Some(event) = live.after(last) {
            last = event.seq;
            seen.push(event);
        }
        assert_eq!((seen.len(), last), (KEPT, 103));
        assert!(seen.windows(2).all(|w| w[0].seq + 1 == w[1].seq));
        let end = seen.last().expect("some");
        assert_eq!((end.kind, end.data.state), ("state", State::Done));
        assert_eq!(end.data.best.and_then(|b| b.primal_bound), Some(101.0));
        assert_eq!(live.after(last), None);
    }

    #[test]
    fn what_says_nothing_new_is_not_said() {
        let id = JobId::generate().expect("random");
        let live = Live::new(id, Turn::of("a"), State::Running, SystemClock::shared());
        let mut witness = Witness::new(&live);
        witness.progress(&incumbent(5.0, 1.0));
        let last = *live.follow().borrow();
        witness.progress(&incumbent(5.0, 1.0));
        assert_eq!(live.after(last), None);
        witness.progress(&incumbent(4.0, 1.0));
        let event = live.after(last).expect("a better plan is said at once");
        assert_eq!(event.data.best.and_then(|b| b.gap), Some(0.75));
    }
}
