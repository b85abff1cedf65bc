//! Threads for work that keeps a core busy, apart from the ones that serve connections.
//!
//! A fixed number of workers takes jobs from a queue of fixed length, in the order that
//! [`fair`](super::fair) gives. When the queue is full, [`Pool::submit_as`] says so at once instead of
//! waiting, unless another owner holds more places: that one loses its last. A caller that goes away
//! drops its [`Ticket`], which cancels the job: a queued one is never run, a running one is asked to
//! stop through its [`CancelToken`]. Jobs that nobody waits for on a connection ([`Pool::enqueue`])
//! take turns like the others, but no places: who hands them over bounds them.

use crate::http::fair::{FairQueue, Turn};
use ecomap_solver::CancelToken;
use ecomap_solver::clock::Clock;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The job was dropped before it could answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It panicked, or the pool was closed.
    Gone,
    /// Its place was needed by an owner who holds fewer.
    Displaced {
        /// Estimate of when a place is free.
        retry_after: Duration,
    },
}

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
    displaced: Displaced,
}

/// Told to a ticket: seconds after which to try again, or 0 while the place is held.
#[derive(Debug, Clone, Default)]
struct Displaced(Arc<AtomicU64>);

#[derive(Default)]
struct State {
    queue: FairQueue<Job>,
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
    displaced: AtomicU64,
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
            displaced: AtomicU64::new(0),
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

    /// Hands over a job of the service's own. `cancel` is the token that `job` listens to.
    ///
    /// # Errors
    /// As [`Pool::submit_as`].
    pub fn submit<T: Send + 'static>(
        &self,
        cancel: CancelToken,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Ticket<T>, Refused> {
        self.submit_as(&Turn::service(), cancel, job)
    }

    /// Hands over a job that somebody waits for, in its owner's turn.
    ///
    /// # Errors
    /// [`Refused`] when there is no room or the pool is closed.
    pub fn submit_as<T: Send + 'static>(
        &self,
        turn: &Turn,
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
        if state.queue.held() >= self.0.capacity {
            state.queue.retain(|job| !job.cancel.is_cancelled());
        }
        let idle = self.0.workers.saturating_sub(state.running.len());
        let mut outvoted = None;
        if state.queue.held() >= self.0.capacity.saturating_add(idle) {
            let ahead = state.queue.held() + state.running.len();
            #[allow(clippy::cast_precision_loss)] // both are small counts
            let seconds = state.typical * ahead as f64 / self.0.workers as f64;
            let retry_after = Duration::from_secs_f64(seconds.clamp(1.0, 60.0));
            outvoted = state.queue.displace(&turn.owner);
            match &outvoted {
                Some(job) => job.displaced.0.store(retry_after.as_secs(), Ordering::Release),
                None => return Err(Refused::Full { retry_after }),
            }
            self.0.displaced.fetch_add(1, Ordering::Relaxed);
        }
        let displaced = Displaced::default();
        let job = Job { cancel: cancel.clone(), run, displaced: displaced.clone() };
        let typical = state.typical;
        state.queue.push(turn, job, true, typical);
        drop(state);
        // Its drop tells its caller, who may answer at once.
        drop(outvoted);
        self.0.wake.notify_one();
        Ok(Ticket { answer, guard: CancelOnDrop(Some(cancel)), displaced })
    }

    /// Hands over a job that may wait for long. It takes a turn, but no place.
    ///
    /// # Errors
    /// [`Refused::Closed`].
    pub fn enqueue(
        &self,
        turn: &Turn,
        cancel: CancelToken,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refused> {
        let run = Box::new(move || -> Deliver {
            job();
            Box::new(|| {})
        });
        let mut state = self.0.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let typical = state.typical;
        state.queue.push(turn, Job { cancel, run, displaced: Displaced::default() }, false, typical);
        drop(state);
        self.0.wake.notify_one();
        Ok(())
    }

    /// Jobs that lost their place to another owner.
    #[must_use]
    pub fn displaced(&self) -> u64 {
        self.0.displaced.load(Ordering::Relaxed)
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
        let (id, job, charge) = loop {
            if state.closed {
                return;
            }
            match state.queue.pop() {
                Some((job, charge)) if job.cancel.is_cancelled() => {
                    state.queue.finish(&charge, 0.0);
                    drop(job);
                }
                Some((job, charge)) => {
                    let id = state.next;
                    state.next += 1;
                    state.running.insert(id, job.cancel.clone());
                    break (id, job, charge);
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
        state.queue.finish(&charge, took);
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
    displaced: Displaced,
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(Pin::new(&mut self.answer).poll(cx));
        self.guard.0 = None;
        Poll::Ready(answer.map_err(|_| match self.displaced.0.load(Ordering::Acquire) {
            0 => Lost::Gone,
            seconds => Lost::Displaced { retry_after: Duration::from_secs(seconds) },
        }))
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
        assert_eq!(bad.await, Err(Lost::Gone));
        let good = pool.submit(CancelToken::default(), || 7_u8).expect("taken");
        assert_eq!(good.await, Ok(7));
        pool.close();
        assert!(matches!(pool.submit(CancelToken::default(), || ()), Err(Refused::Closed)));
    }

    #[tokio::test]
    async fn a_flood_of_one_owner_neither_delays_nor_shuts_out_another() {
        let pool = pool(1, 3);
        let (release, gate) = mpsc::channel::<()>();
        let (entered, inside) = mpsc::channel::<()>();
        let flood = Turn::of("flood");
        let block = move || {
            let _ = entered.send(());
            let _ = gate.recv();
        };
        let first = pool.submit_as(&flood, CancelToken::default(), block).expect("a free worker");
        inside.recv().expect("runs");
        let (told, order) = mpsc::channel();
        let tell = |name: &'static str| {
            let told = told.clone();
            move || told.send(name)
        };
        let one = pool.submit_as(&flood, CancelToken::default(), tell("flood-1")).expect("a place");
        let two = pool.submit_as(&flood, CancelToken::default(), tell("flood-2")).expect("a place");
        let three = pool.submit_as(&flood, CancelToken::default(), tell("flood-3")).expect("a place");
        assert!(pool.submit_as(&flood, CancelToken::default(), tell("flood-4")).is_err(), "full");
        let other =
            pool.submit_as(&Turn::of("b"), CancelToken::default(), tell("b")).expect("a place is made");
        assert!(matches!(three.await, Err(Lost::Displaced { .. })));
        pool.enqueue(&Turn::of("c"), CancelToken::default(), {
            let tell = tell("c");
            move || {
                let _ = tell();
            }
        })
        .expect("takes no place");
        release.send(()).expect("the first job waits");
        let _ = (first.await, one.await, two.await, other.await);
        pool.close();
        let order: Vec<_> = order.try_iter().collect();
        assert_eq!(order.len(), 4);
        assert!(
            order.iter().position(|n| *n == "b") < order.iter().position(|n| *n == "flood-1"),
            "{order:?}"
        );
        assert!(
            order.iter().position(|n| *n == "c") < order.iter().position(|n| *n == "flood-2"),
            "{order:?}"
        );
        assert_eq!(pool.displaced(), 1);
    }
}
