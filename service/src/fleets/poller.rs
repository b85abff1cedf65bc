//! Asking services, each at its pace.

use super::Shared;
use super::build::ZoneLinks;
use super::client::Memory;
use super::clock::wall;
use super::live::Message;
use super::services::Service;
use ecomap_carbon::poll::{Pace, Poll};
use ecomap_carbon::source::{Exchange, Reading};
use ecomap_carbon::{Source, SourceError};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Questions of one conversation at most: a login, the present, a forecast, and one of each again.
const QUESTIONS: usize = 8;
/// Longest sleep at once, so that a wall clock that jumps does no harm.
const LONGEST: Duration = Duration::from_secs(60);
/// Shortest wait between two looks at the clock.
const SHORTEST: Duration = Duration::from_millis(20);

/// Starts a task for every service that a zone listens to. They end when the set is dropped.
pub(super) fn start(
    shared: &Arc<Shared>,
    zones: &[ZoneLinks],
    inbox: &mpsc::WeakSender<Message>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for links in zones {
        for remote in &links.remote {
            let Some(service) = shared.services.get(&remote.service).cloned() else { continue };
            // Checked when the fleet was put.
            let Ok(source) = service.source(&links.zone, &remote.asked) else { continue };
            let one = Poller {
                shared: Arc::clone(shared),
                zone: Arc::clone(&links.zone),
                name: remote.service.as_str().into(),
                service,
                source,
                inbox: inbox.clone(),
            };
            tasks.spawn(one.run());
        }
    }
    tasks
}

struct Poller {
    shared: Arc<Shared>,
    zone: Arc<str>,
    name: Arc<str>,
    service: Service,
    source: Box<dyn Source>,
    inbox: mpsc::WeakSender<Message>,
}

impl Poller {
    async fn run(mut self) {
        let seed =
            self.zone.bytes().chain(self.name.bytes()).fold(0_u64, |h, b| h.wrapping_mul(31) ^ u64::from(b));
        let pace: Pace = self.service.pace;
        let mut poll = Poll::new(pace, wall(), seed);
        let mut memory = Memory::default();
        loop {
            let wait = poll.due().duration_since(wall());
            if wait > jiff::SignedDuration::ZERO {
                let wait = Duration::try_from(wait).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST);
                tokio::time::sleep(wait).await;
                continue;
            }
            let outcome = self.converse(&mut poll, &mut memory).await;
            let now = wall();
            let message = match outcome {
                Ok(Some(reading)) => {
                    poll.succeeded(now);
                    Message::Said { zone: Arc::clone(&self.zone), source: Arc::clone(&self.name), reading }
                }
                // The quota is spent; `due` says when there is room.
                Ok(None) => {
                    tokio::time::sleep(SHORTEST).await;
                    continue;
                }
                Err(why) => {
                    tracing::warn!(zone = %self.zone, source = %self.name, %why, "a carbon source has nothing to say");
                    let text = why.to_string();
                    poll.failed(why, now);
                    Message::Failing {
                        zone: Arc::clone(&self.zone),
                        source: Arc::clone(&self.name),
                        why: Some(text),
                    }
                }
            };
            let Some(inbox) = self.inbox.upgrade() else { return };
            if matches!(message, Message::Said { .. }) {
                let (zone, source) = (Arc::clone(&self.zone), Arc::clone(&self.name));
                if inbox.send(Message::Failing { zone, source, why: None }).await.is_err() {
                    return;
                }
            }
            if inbox.send(message).await.is_err() {
                return;
            }
        }
    }

    /// One conversation; `None` where the quota does not allow the next question.
    async fn converse(
        &mut self,
        poll: &mut Poll,
        memory: &mut Memory,
    ) -> Result<Option<Reading>, SourceError> {
        let mut exchange = self.source.begin(wall());
        for _ in 0..QUESTIONS {
            let request = match exchange {
                Exchange::Done(reading) => return Ok(Some(reading)),
                Exchange::Ask(request) => request,
            };
            if !self.allowed(poll) {
                return Ok(None);
            }
            let answer =
                self.shared.client.ask(&self.service.url, &request, self.service.timeout, memory).await?;
            exchange = self.source.accept(&answer, wall())?;
        }
        match exchange {
            Exchange::Done(reading) => Ok(Some(reading)),
            Exchange::Ask(_) => Err(SourceError::Malformed("the conversation does not end".to_owned())),
        }
    }

    fn allowed(&self, poll: &mut Poll) -> bool {
        let now: Timestamp = wall();
        poll.request(now)
    }
}
