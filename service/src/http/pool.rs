//! Threads for work that keeps a core busy, apart from the ones that serve connections.
//!
//! A fixed number of workers takes jobs from a queue of fixed length. When the queue is full,
//! [`Pool::submit`] says so at once instead of waiting. A caller that goes away drops its
//! [`Ticket`], which cancels the job: a queued one is never run, a running one is asked to stop
//! through its [`CancelToken`].

use ecomap_solver::CancelToken;
use ecomap_solver::clock::Clock;
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Stack of a worker. HiGHS and deeply nested documents stay far below.
const STACK_BYTES: usize = 8 << 20;

/// Why a job was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Every worker is busy and the queue is full. Try again after the time given.
    Full {
        /// Estimate of when a place is free.
        retry_after: Duration,
    },
    /// The pool no longer takes jobs.
    Closed,
}

/// The job was dropped before it could answer: it panicked, or the pool was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// What the pool is doing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Jobs waiting.
    pub queued: usize,
    /// Jobs running.
    pub running: usize,
}

/// Hands an answer to whoever waits for it.
type Deliver = Box<dyn FnOnce()>;

struct Job {
    cancel: CancelToken,
    run: Box<dyn FnOnce() -> Deliver + Send>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: BTreeMap<u64, CancelToken>,
    next: u64,
    closed: bool,
    /// Smoothed duration of a job, seconds.
    typical: f64,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    capacity: usize,
    workers: usize,
    clock: Arc<dyn Clock>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock and their panics are caught, so the state is never half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bounded pool. Clones share it. It ends when [`Pool::close`] is called.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("workers", &self.0.workers).field("load", &self.load()).finish()
    }
}

impl Pool {
    /// Starts `workers` threads (at least one) with room for `capacity` waiting jobs.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(
        name: &str,
        workers: usize,
        capacity: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, std::io::Error> {
        let workers = workers.max(1);
        let pool = Self(Arc::new(Shared {
            state: Mutex::new(State { typical: 0.1, ..State::default() }),
            wake: Condvar::new(),
            capacity,
            workers,
            clock,
        }));
        for n in 0..workers {
            let shared = Arc::clone(&pool.0);
            let started = std::thread::Builder::new()
                .name(format!("{name}-{n}"))
                .stack_size(STACK_BYTES)
                .spawn(move || work(&shared));
            if let Err(error) = started {
                pool.close();
                return Err(error);
            }
        }
        Ok(pool)
    }

    /// Hands over a job. `cancel` is the token that `job` listens to.
    ///
    /// # Errors
    /// [`Refused`] when there is no room or the pool is closed.
    pub fn submit<T: Send + 'static>(
        &self,
        cancel: CancelToken,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Ticket<T>, Refused> {
        let (sender, answer) = oneshot::channel();
        let run = Box::new(move || -> Deliver {
            let outcome = job();
            Box::new(move || {
                // The receiver is gone when the caller went away; then nobody wants the answer.
                let _ = sender.send(outcome);
            })
        });
        let mut state = self.0.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        // Jobs whose callers went away hold no place.
        if state.queue.len() >= self.0.capacity {
            state.queue.retain(|job| !job.cancel.is_cancelled());
        }
        let idle = self.0.workers.saturating_sub(state.running.len());
        if state.queue.len() >= self.0.capacity.saturating_add(idle) {
            let ahead = state.queue.len() + state.running.len();
            #[allow(clippy::cast_precision_loss)] // both are small counts
            let seconds = state.typical * ahead as f64 / self.0.workers as f64;
            return Err(Refused::Full { retry_after: Duration::from_secs_f64(seconds.clamp(1.0, 60.0)) });
        }
        state.queue.push_back(Job { cancel: cancel.clone(), run });
        drop(state);
        self.0.wake.notify_one();
        Ok(Ticket { answer, guard: CancelOnDrop(Some(cancel)) })
    }

    /// Jobs waiting and running.
    #[must_use]
    pub fn load(&self) -> Load {
        let state = self.0.lock();
        Load { queued: state.queue.len(), running: state.running.len() }
    }

    /// Asks every running job to stop and keep what it has, and likewise every waiting one once it
    /// starts.
    pub fn cancel_all(&self) {
        let state = self.0.lock();
        state.running.values().chain(state.queue.iter().map(|j| &j.cancel)).for_each(CancelToken::cancel);
    }

    /// Takes no more jobs and lets the workers end. Waiting jobs are dropped: their callers see
    /// [`Lost`].
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.0.wake.notify_all();
    }
}

fn work(shared: &Shared) {
    loop {
        let mut state = shared.lock();
        let (id, job) = loop {
            if state.closed {
                return;
            }
            match state.queue.pop_front() {
                Some(job) if job.cancel.is_cancelled() => drop(job),
                Some(job) => {
                    let id = state.next;
                    state.next += 1;
                    state.running.insert(id, job.cancel.clone());
                    break (id, job);
                }
                None => state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(state);
        let begun = shared.clock.now();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(job.run));
        let took = shared.clock.now().saturating_sub(begun).as_secs_f64();
        let mut state = shared.lock();
        state.running.remove(&id);
        state.typical = 0.8 * state.typical + 0.2 * took;
        drop(state);
        // After the books are closed, so that who has an answer also sees a free worker.
        match outcome {
            Ok(deliver) => deliver(),
            Err(_) => tracing::error!("a job panicked; this is a bug"),
        }
    }
}

/// The answer to come. Dropping it cancels the job.
#[derive(Debug)]
pub struct Ticket<T> {
    answer: oneshot::Receiver<T>,
    guard: CancelOnDrop,
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        self.guard.0 = None;
        Poll::Ready(answer.map_err(|_| Lost))
    }
}

#[derive(Debug)]
struct CancelOnDrop(Option<CancelToken>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_solver::clock::SystemClock;
    use std::sync::mpsc;

    fn pool(workers: usize, capacity: usize) -> Pool {
        Pool::start("test", workers, capacity, SystemClock::shared()).expect("threads")
    }

    #[tokio::test]
    async fn full_is_said_at_once_and_places_come_back() {
        let pool = pool(1, 1);
        let (release, gate) = mpsc::channel::<()>();
        let (entered, inside) = mpsc::channel::<()>();
        let first = pool
            .submit(CancelToken::default(), move || {
                let _ = entered.send(());
                let _ = gate.recv();
                1
            })
            .expect("a free worker");
        inside.recv().expect("the first job runs");
        let second = pool.submit(CancelToken::default(), || 2).expect("a free place");
        let refused = pool.submit(CancelToken::default(), || 3).expect_err("no place");
        assert!(matches!(refused, Refused::Full { retry_after } if retry_after >= Duration::from_secs(1)));
        // A caller that goes away gives its place back.
        drop(second);
        let third = pool.submit(CancelToken::default(), || 3).expect("the place of the second");
        release.send(()).expect("the first job waits");
        assert_eq!((first.await, third.await), (Ok(1), Ok(3)));
        pool.close();
    }

    #[tokio::test]
    async fn dropping_a_ticket_cancels_the_running_job() {
        let pool = pool(1, 1);
        let (entered, inside) = mpsc::channel::<()>();
        let (told, heard) = mpsc::channel::<()>();
        let cancel = CancelToken::default();
        let token = cancel.clone();
        let ticket = pool
            .submit(cancel, move || {
                let _ = entered.send(());
                while !token.is_cancelled() {
                    std::thread::yield_now();
                }
                let _ = told.send(());
            })
            .expect("a free worker");
        inside.recv().expect("runs");
        drop(ticket);
        heard.recv_timeout(Duration::from_secs(10)).expect("the job hears of it");
        pool.close();
    }

    #[tokio::test]
    async fn a_panic_loses_one_job_only() {
        let pool = pool(1, 4);
        let bad = pool.submit(CancelToken::default(), || -> u8 { panic!("for the test") }).expect("taken");
        assert_eq!(bad.await, Err(Lost));
        let good = pool.submit(CancelToken::default(), || 7_u8).expect("taken");
        assert_eq!(good.await, Ok(7));
        pool.close();
        assert!(matches!(pool.submit(CancelToken::default(), || ()), Err(Refused::Closed)));
    }
}
