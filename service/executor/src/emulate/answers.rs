//! Answers requests when the simulator says that they would have been.

use crate::clock::WallClock;
use crate::runtime::port::Answer;
use crate::runtime::{InferError, InferResponse};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Most requests under way.
const UNDER_WAY: usize = 1024;

#[derive(Debug)]
struct Due {
    at: Duration,
    answer: Answer,
    response: InferResponse,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// A thread that waits; it ends when this is dropped, and what waits is then answered *closed*.
#[derive(Debug)]
pub struct Answers(SyncSender<Due>);

impl Answers {
    pub(super) fn start(clock: Arc<dyn WallClock>) -> std::io::Result<Self> {
        let (send, receive) = sync_channel::<Due>(UNDER_WAY);
        let work = move || {
            let mut waiting: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
            loop {
                let now = clock.now();
                while waiting.peek().is_some_and(|next| next.0.at <= now) {
                    if let Some(Reverse(due)) = waiting.pop() {
                        // The client may have gone.
                        let _ = due.answer.send(Ok(due.response));
                    }
                }
                let wait =
                    waiting.peek().map_or(Duration::from_secs(1), |next| next.0.at.saturating_sub(now));
                match receive.recv_timeout(wait) {
                    Ok(due) if waiting.len() < UNDER_WAY => waiting.push(Reverse(due)),
                    Ok(due) => drop(due.answer.send(Err(InferError::Busy(UNDER_WAY)))),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        thread::Builder::new().name("emulated-answers".to_owned()).spawn(work)?;
        Ok(Self(send))
    }

    /// Answers at a time of the clock.
    ///
    /// # Errors
    /// [`InferError::Busy`] when too many wait.
    pub fn later(&self, at: Duration, answer: Answer, response: InferResponse) -> Result<(), InferError> {
        self.0.try_send(Due { at, answer, response }).map_err(|error| match error {
            TrySendError::Full(_) => InferError::Busy(UNDER_WAY),
            TrySendError::Disconnected(_) => InferError::Closed,
        })
    }
}
