//! All fleets of a service: their documents in the store, their tasks, and how the two stay together.

use super::Shared;
use super::boards::{Boards, Known};
use super::build;
use super::client::Client;
use super::clock::{FleetClock, wall};
use super::document;
use super::live::{Live, Message};
use super::patch::{self, Done, PatchDto};
use super::records::PlanSummaryDto;
use super::services::Services;
use super::snapshot::Snapshot;
use super::wire::{ControlDto, FleetDto};
use crate::ServiceError;
use crate::http::pool::{Pool, Refused};
use crate::pipeline::Sizes;
use crate::worker::Isolated;
use ecomap_instances::issue::Issues;
use ecomap_solver::CancelToken;
use ecomap_solver::clock::Clock;
use ecomap_store::{Event, Expect, Fleet, Store, StoreError};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Messages that may wait for a fleet's task.
const INBOX: usize = 64;
/// How long a push waits for a place there.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Attempts at a change that finds another version each time.
const ATTEMPTS: usize = 8;

/// What must be there for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing in particular.
    None,
    /// No such fleet (`If-None-Match: *`).
    Absent,
    /// Some such fleet (`If-Match: *`).
    Present,
    /// This one, in this version (`If-Match` with its tag).
    Version(i64, u64),
    /// A tag that no fleet ever has.
    Never,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no such fleet.
    #[error("there is no such fleet")]
    NotFound,
    /// What is there is not what the caller expects.
    #[error("the fleet is in another version, or is there already")]
    Precondition,
    /// The document or the change does not hold.
    #[error("{0}")]
    Invalid(Issues),
    /// As many fleets as there may be.
    #[error("there are {0} fleets, as many as there may be")]
    Full(u64),
    /// Too much to do, now.
    #[error("too much to do")]
    Busy,
    /// The service ends.
    #[error("the service is shutting down")]
    Stopping,
    /// A bug or a broken disk.
    #[error(transparent)]
    Internal(ServiceError),
}

impl From<StoreError> for EditError {
    fn from(why: StoreError) -> Self {
        match why {
            StoreError::Conflict => Self::Precondition,
            StoreError::NotFound => Self::NotFound,
            StoreError::Full(n) => Self::Full(n),
            StoreError::Busy => Self::Busy,
            StoreError::Closed => Self::Stopping,
            other => Self::Internal(ServiceError::Store(other)),
        }
    }
}

pub(super) struct Handle {
    pub(super) uid: i64,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    pub(super) inbox: mpsc::Sender<Message>,
}

/// All fleets. Clones share them.
#[derive(Clone)]
pub struct Fleets {
    pub(super) shared: Arc<Shared>,
    live: Arc<Mutex<BTreeMap<String, Handle>>>,
    stop: Arc<watch::Sender<bool>>,
}

impl std::fmt::Debug for Fleets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleets").field("live", &self.lock().len()).finish_non_exhaustive()
    }
}

impl Fleets {
    /// No fleet runs yet. `threads` solver threads of their own, and room for `most` fleets.
    ///
    /// # Errors
    /// When a thread cannot be started, or the client for services cannot be made.
    pub fn new(
        store: Store,
        (services, boards): (Services, Boards),
        (threads, most): (usize, usize),
        short: &Pool,
        (sizes, isolated): (Sizes, Option<Isolated>),
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let pool = |name: &str, threads: usize| {
            Pool::start(name, threads, most.max(1), Arc::clone(clock)).map_err(ServiceError::Start)
        };
        let (sender, stop) = watch::channel(false);
        let shared = Shared {
            store,
            clock: Arc::clone(clock),
            solves: pool("fleet", threads)?,
            urgent: pool("urgent", 1)?,
            short: short.clone(),
            sizes,
            isolated,
            services,
            boards,
            client: Client::new()?,
            news: watch::Sender::new(0),
            stop,
        };
        Ok(Self { shared: Arc::new(shared), live: Arc::default(), stop: Arc::new(sender) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Handle>> {
        // Nothing panics while it is held.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Starts the tasks of all stored fleets; returns how many. Needs an asynchronous runtime.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(&self) -> Result<usize, StoreError> {
        let (_, last) = self.shared.store.read(|v| v.event_range()).await?;
        self.shared.announce(last);
        let fleets = self.shared.store.read(|v| v.fleets()).await?;
        let count = fleets.len();
        for fleet in fleets {
            self.attach(fleet).await?;
        }
        Ok(count)
    }

    /// Ends all tasks. What they had under way is not published.
    pub fn close(&self) {
        self.stop.send_replace(true);
        self.lock().clear();
        for pool in [&self.shared.solves, &self.shared.urgent] {
            pool.cancel_all();
            pool.close();
        }
        // Whoever follows events looks up, and sees that nothing more comes.
        self.shared.news.send_modify(|_| {});
    }

    /// Whether the service ends.
    #[must_use]
    pub fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Tells of the service's end.
    #[must_use]
    pub fn watch_stop(&self) -> watch::Receiver<bool> {
        self.shared.stop.clone()
    }

    /// Starts the task of a fleet, or tells it of its new version.
    async fn attach(&self, fleet: Fleet) -> Result<(), StoreError> {
        let live = |h: &&Handle| h.uid == fleet.uid && !h.inbox.is_closed();
        let known = self.lock().get(&fleet.id).filter(live).map(|h| h.inbox.clone());
        if let Some(inbox) = known {
            // A full inbox means that the task has not looked yet; it looks for the version whatever it is told.
            let _ = tokio::time::timeout(PATIENCE, inbox.send(Message::Changed)).await;
            return Ok(());
        }
        let uid = fleet.uid;
        let plan = self.shared.store.read(move |v| v.last_plan(uid)).await?;
        let plan = plan.and_then(|p| serde_json::from_str::<PlanSummaryDto>(&p.summary).ok());
        let (inbox, messages) = mpsc::channel(INBOX);
        let (snapshot, seen) = watch::channel(Arc::new(Snapshot::starting(&fleet, plan)));
        let id = fleet.id.clone();
        let task = Live {
            shared: Arc::clone(&self.shared),
            fleet,
            inbox: messages,
            sender: inbox.downgrade(),
            snapshot,
            known: Known::default(),
            stale: None,
            crew: None,
        };
        let mut live = self.lock();
        if live.get(&id).is_some_and(|known| known.uid >= uid && !known.inbox.is_closed()) || self.stopping()
        {
            return Ok(());
        }
        live.insert(id, Handle { uid, snapshot: seen, inbox });
        drop(live);
        tokio::spawn(task.run());
        Ok(())
    }

    /// Puts a fleet: a new one, or the next version of one that is there. Returns it and whether it is new.
    ///
    /// # Errors
    /// [`EditError`]; then nothing changed.
    pub async fn put(
        &self,
        id: &str,
        dto: &FleetDto,
        precondition: Precondition,
    ) -> Result<(Fleet, bool), EditError> {
        let document = document::text(dto).map_err(EditError::Internal)?;
        let expect = match precondition {
            Precondition::None => Expect::Any,
            Precondition::Absent => Expect::Absent,
            Precondition::Present => Expect::Present,
            Precondition::Version(uid, version) => Expect::Version(uid, version),
            Precondition::Never => return Err(EditError::Precondition),
        };
        // A fleet's events are on its own clock, which may begin with it.
        let begins = || if accelerated(&dto.control) { build::start(&dto.control) } else { None };
        let at = self.now(id).or_else(begins).unwrap_or_else(wall);
        let (id, now) = (id.to_owned(), wall());
        let (fleet, event) = self
            .shared
            .store
            .write(move |tx| {
                let fleet = tx.put_fleet(&id, &document, expect, now)?;
                let (kind, reason) = match fleet.version {
                    1 => ("created", "the fleet was put".to_owned()),
                    n => ("changed", format!("the fleet was put again, version {n}")),
                };
                let data = json!({ "version": fleet.version }).to_string();
                let event = tx.add_event(&Event::new(Some(&id), kind, &reason, &data, at))?;
                Ok((fleet, event))
            })
            .await?;
        self.shared.announce(event);
        let created = fleet.version == 1;
        self.attach(fleet.clone()).await?;
        Ok((fleet, created))
    }

    /// Changes a fleet by operations, each an event; all of them or none.
    ///
    /// # Errors
    /// [`EditError`]; then nothing changed.
    pub async fn patch(
        &self,
        id: &str,
        patch: &Arc<PatchDto>,
        precondition: Precondition,
    ) -> Result<Fleet, EditError> {
        for _ in 0..ATTEMPTS {
            let fleet = self.fleet(id).await?.ok_or(EditError::NotFound)?;
            let fits = match precondition {
                Precondition::None | Precondition::Present => true,
                Precondition::Absent | Precondition::Never => false,
                Precondition::Version(uid, version) => (uid, version) == (fleet.uid, fleet.version),
            };
            if !fits {
                return Err(EditError::Precondition);
            }
            let job = {
                let (shared, patch, document) = (Arc::clone(&self.shared), Arc::clone(patch), fleet.document);
                move || changed(&shared, &document, &patch)
            };
            let ticket = self.shared.short.submit(CancelToken::default(), job).map_err(|why| match why {
                Refused::Full { .. } => EditError::Busy,
                Refused::Closed => EditError::Stopping,
            })?;
            let (document, done) = ticket.await.map_err(|_| EditError::Busy)??;
            let at = self.now(id).unwrap_or_else(wall);
            let (id, now) = (id.to_owned(), wall());
            let expect = Expect::Version(fleet.uid, fleet.version);
            let written = self
                .shared
                .store
                .write(move |tx| {
                    let fleet = tx.put_fleet(&id, &document, expect, now)?;
                    let mut last = 0;
                    for event in &done {
                        let mut data = event.data.clone();
                        data["version"] = json!(fleet.version);
                        let event = Event::new(Some(&id), event.kind, &event.reason, &data.to_string(), at);
                        last = tx.add_event(&event)?;
                    }
                    Ok((fleet, last))
                })
                .await;
            match written {
                // Somebody else was faster; without a precondition that is no matter.
                Err(StoreError::Conflict) => {}
                Err(why) => return Err(why.into()),
                Ok((fleet, event)) => {
                    self.shared.announce(event);
                    self.attach(fleet.clone()).await?;
                    return Ok(fleet);
                }
            }
        }
        Err(EditError::Busy)
    }

    /// Deletes a fleet with its plans and history.
    ///
    /// # Errors
    /// [`EditError`]; then nothing changed.
    pub async fn delete(&self, id: &str, precondition: Precondition) -> Result<(), EditError> {
        let expect = match precondition {
            Precondition::None | Precondition::Present => Expect::Present,
            Precondition::Version(uid, version) => Expect::Version(uid, version),
            Precondition::Absent | Precondition::Never => return Err(EditError::Precondition),
        };
        let at = self.now(id).unwrap_or_else(wall);
        let name = id.to_owned();
        let (fleet, event) = self
            .shared
            .store
            .write(move |tx| {
                let fleet = tx.delete_fleet(&name, expect)?;
                let event = Event::new(Some(&name), "deleted", "the fleet was deleted", "{}", at);
                let event = tx.add_event(&event)?;
                Ok((fleet, event))
            })
            .await?;
        let mut live = self.lock();
        if live.get(id).is_some_and(|h| h.uid == fleet.uid) {
            live.remove(id);
        }
        drop(live);
        self.shared.announce(event);
        Ok(())
    }

    /// The fleet as stored.
    ///
    /// # Errors
    /// The store's.
    pub async fn fleet(&self, id: &str) -> Result<Option<Fleet>, StoreError> {
        let id = id.to_owned();
        self.shared.store.read(move |v| v.fleet(&id)).await
    }

    /// The present picture of a fleet, and how to follow it.
    #[must_use]
    pub fn snapshot(&self, id: &str) -> Option<watch::Receiver<Arc<Snapshot>>> {
        self.lock().get(id).map(|h| h.snapshot.clone())
    }

    /// What a fleet's clock shows.
    #[must_use]
    pub fn now(&self, id: &str) -> Option<Timestamp> {
        let snapshot = self.snapshot(id)?;
        let clock: Option<FleetClock> = snapshot.borrow().clock;
        Some(clock.map_or_else(wall, |clock| clock.now(self.shared.clock.now(), wall())))
    }

    /// Pictures of all fleets, by name.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        self.lock().values().map(|h| Arc::clone(&h.snapshot.borrow())).collect()
    }

    /// Follows the id of the last event.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }

    /// The configured services.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.shared.services
    }

    /// The configured boards.
    #[must_use]
    pub fn boards(&self) -> &Boards {
        &self.shared.boards
    }
}

/// A document with the operations applied.
fn changed(shared: &Shared, document: &str, patch: &PatchDto) -> Result<(String, Vec<Done>), EditError> {
    let mut dto: FleetDto =
        serde_json::from_str(document).map_err(|why| EditError::Internal(ServiceError::Json(why)))?;
    let done = patch::apply(&mut dto, patch).map_err(EditError::Invalid)?;
    // What a change breaks is told in terms of the document as it would be.
    document::check(&dto, &shared.services, shared.sizes).map_err(EditError::Invalid)?;
    document::executors(&dto, &shared.boards).map_err(EditError::Invalid)?;
    Ok((document::text(&dto).map_err(EditError::Internal)?, done))
}

#[allow(clippy::float_cmp)] // exactly the default
fn accelerated(control: &ControlDto) -> bool {
    control.speed != 1.0
}
