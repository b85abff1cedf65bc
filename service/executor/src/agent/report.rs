//! Announces the board and sends its telemetry.
//!
//! A thread reads power and closes intervals, because both may block; a task sends what waits in the spool, oldest
//! first, and waits longer after each failure. Neither ever keeps a plan from running.

use crate::agent::Handle;
use crate::agent::transport::{Transport, TransportError};
use crate::clock::WallClock;
use crate::runtime::Runtime;
use crate::telemetry::{Moment, Recorder, Spool};
use ecomap_instances::format::agent_v1::RegistrationDto;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::Notify;

/// First wait after the service was away.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A board that has no news says so at this interval.
const STILL_HERE: Duration = Duration::from_secs(30);

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between readings of power.
    pub sample: Duration,
    /// Between reports.
    pub report: Duration,
}

/// The recording thread. It ends, with a last report, when this is dropped.
#[derive(Debug)]
pub struct Recording {
    spool: Arc<Mutex<Spool>>,
    news: Arc<Notify>,
    stop: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Recording {
    /// Starts to record.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        recorder: Recorder,
        (runtime, agent): (Arc<dyn Runtime>, Handle),
        spool: Spool,
        pace: Pace,
        clock: Arc<dyn WallClock>,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let spool = Arc::new(Mutex::new(spool));
        let news = Arc::new(Notify::new());
        let mut desk = Desk { recorder, runtime, agent, spool: Arc::clone(&spool), news: Arc::clone(&news) };
        let work = move || desk.run(&stopped, pace, clock.as_ref());
        let thread = thread::Builder::new().name("telemetry".to_owned()).spawn(work)?;
        Ok(Self { spool, news, stop, thread: Some(thread) })
    }

    /// Reports that wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Sends what waits, for ever. To be run as a task, and cancelled by dropping it: a report that was under way then
    /// is sent again, and the service knows it by its number.
    pub async fn deliver(&self, transport: &dyn Transport) {
        let mut wait = FIRST_WAIT;
        loop {
            let front = self.spool.lock().unwrap_or_else(PoisonError::into_inner).front();
            let Some((name, body)) = front else {
                // Looks by itself too, so that a notice that was missed delays a report and loses none.
                let _ = tokio::time::timeout(STILL_HERE, self.news.notified()).await;
                continue;
            };
            if self.settle(&name, transport.report(body).await) {
                wait = FIRST_WAIT;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }

    /// Takes note of how sending went; `false`: it is to be tried again.
    fn settle(&self, name: &str, sent: Result<(), TransportError>) -> bool {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        match sent {
            Ok(()) => spool.done(name),
            Err(TransportError::Refused(status)) => {
                tracing::warn!(status, name, "the service refuses a report; it is dropped");
                spool.refused(name);
            }
            Err(error) => {
                tracing::debug!(%error, "telemetry waits");
                return false;
            }
        }
        true
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Desk {
    recorder: Recorder,
    runtime: Arc<dyn Runtime>,
    agent: Handle,
    spool: Arc<Mutex<Spool>>,
    news: Arc<Notify>,
}

impl Desk {
    fn run(&mut self, stopped: &Receiver<()>, pace: Pace, clock: &dyn WallClock) {
        let mut closed = clock.now();
        loop {
            let stop = !matches!(stopped.recv_timeout(pace.sample), Err(RecvTimeoutError::Timeout));
            let status = self.agent.status().borrow().clone();
            if stop || clock.now().saturating_sub(closed) >= pace.report {
                closed = clock.now();
                self.close(status.mode, status.safe);
            } else {
                self.recorder.sample(&self.runtime.counters(), status.mode.as_deref());
            }
            if stop {
                return;
            }
        }
    }

    fn close(&mut self, mode: Option<String>, safe: bool) {
        let lost = self.spool.lock().unwrap_or_else(PoisonError::into_inner).take_lost();
        let report = self.recorder.close(self.runtime.counters(), &Moment { mode, safe, lost });
        match serde_json::to_vec(&report) {
            Ok(body) => {
                let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
                spool.push(report.started_ms, report.sequence, body);
                drop(spool);
                self.news.notify_one();
            }
            Err(error) => tracing::error!(%error, "a report cannot be written"),
        }
    }
}

/// Announces the board, again whenever its state changes, and now and then without. Runs for ever.
pub async fn announce(agent: Handle, address: &str, transport: &dyn Transport) {
    let mut status = agent.status();
    let mut wait = FIRST_WAIT;
    loop {
        let registration =
            RegistrationDto { address: address.to_owned(), status: status.borrow_and_update().clone() };
        match transport.register(&registration).await {
            Ok(()) => {
                wait = FIRST_WAIT;
                if matches!(tokio::time::timeout(STILL_HERE, status.changed()).await, Ok(Err(_))) {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the board is not announced yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}
