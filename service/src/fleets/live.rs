//! The task of one fleet: carbon → caps → plan, for as long as the fleet is there.
//!
//! It waits until something happens (a change of the document, a sample, the next turn is due), takes everything that
//! has happened meanwhile together, and makes one turn. Both halves of a turn run on solver threads: the first, which
//! answers a fallen cap from stored plans, on threads of its own, so that it never waits behind a solve. Whatever a
//! turn brings is on the disk before anybody sees it.

use super::Shared;
use super::boards::{self, Corrections, Known, Outs};
use super::build::{self, ZoneLinks};
use super::clock::{FleetClock, wall};
use super::poller;
use super::records::TurnDto;
use super::snapshot::{SERIES, Snapshot};
use super::state::Status;
use super::told;
use super::wire::FleetDto;
use super::work::{Saved, Work};
use crate::http::pool::{Pool, Refused};
use ecomap_carbon::source::Reading;
use ecomap_fleet::{Cause, FleetError};
use ecomap_store::{Event, Fleet, StoreError};
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Pause before something that failed is tried again: a solver thread that was not free, a store that was busy.
const PAUSE: Duration = Duration::from_millis(50);
/// Times that a busy store is asked again.
const TRIES: u32 = 100;
/// Samples of services that wait for the next turn.
const HEARD: usize = 10_000;
/// Longest wait for the next turn, so that a wall clock set back does no harm.
const LONGEST: Duration = Duration::from_secs(600);

/// What a fleet's task is told.
#[derive(Debug)]
pub enum Message {
    /// The document changed; the store has it.
    Changed,
    /// A source of a zone said something.
    Said {
        /// Zone.
        zone: Arc<str>,
        /// Source, as the chain names it.
        source: Arc<str>,
        /// What.
        reading: Reading,
    },
    /// What a solve must leave out because of boards, by the crew of that number.
    Boards(u64, Arc<Outs>),
    /// Boards no longer behave as predicted; this corrects the predictions.
    Drifted(u64, Arc<Corrections>),
    /// A source of a zone had nothing to say, and why; `None`: it has again.
    Failing {
        /// Zone.
        zone: Arc<str>,
        /// Source, as the chain names it.
        source: Arc<str>,
        /// Why.
        why: Option<String>,
    },
}

/// A fleet's task.
pub(super) struct Live {
    pub(super) shared: Arc<Shared>,
    pub(super) fleet: Fleet,
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) sender: mpsc::WeakSender<Message>,
    pub(super) snapshot: watch::Sender<Arc<Snapshot>>,
    /// What boards taught.
    pub(super) known: Known,
    /// Why the controller must be built anew although the document is the same.
    pub(super) stale: Option<Cause>,
    /// Brings plans to boards, where the fleet has some.
    pub(super) crew: Option<boards::Handle>,
}

/// What the task holds while the fleet is built.
pub(super) struct Held {
    /// Absent while a solver thread has it, and after that thread lost it.
    pub(super) work: Option<Box<Work>>,
    pub(super) zones: Vec<ZoneLinks>,
    pub(super) clock: FleetClock,
    pub(super) speed: f64,
    pub(super) every: SignedDuration,
    pub(super) days: TimeZone,
    pub(super) day: Option<Date>,
    pub(super) last: Option<Timestamp>,
    /// Of every zone: how far down its fallbacks, and the source.
    pub(super) words: Vec<(u8, String)>,
    pub(super) failing: BTreeMap<(Arc<str>, Arc<str>), String>,
    /// Start of the last observed sample stored, by zone and rank.
    pub(super) stored: BTreeMap<(usize, usize), Timestamp>,
    /// What services said since the last turn, to be stored with it.
    pub(super) heard: Vec<ecomap_store::Sample>,
    pub(super) caps: Option<BTreeMap<String, Option<f64>>>,
    pub(super) forced_off: Vec<usize>,
    pub(super) _pollers: JoinSet<()>,
}

/// Why a turn came to nothing.
pub(super) enum Failed {
    /// The fleet is gone from the store, or the service stops.
    Gone,
    /// For people.
    Fault(String),
    /// The same, and what the controller thinks is published is not in the store: it must be built anew.
    Torn(String),
}

impl Failed {
    pub(super) fn torn(self) -> Self {
        match self {
            Self::Fault(why) => Self::Torn(why),
            other => other,
        }
    }
}

impl From<FleetError> for Failed {
    fn from(why: FleetError) -> Self {
        Self::Fault(why.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(why: StoreError) -> Self {
        match why {
            StoreError::NotFound | StoreError::Closed => Self::Gone,
            other => Self::Fault(other.to_string()),
        }
    }
}

impl Live {
    /// Runs until the fleet is deleted or the service stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.shared.stop.clone();
        let mut held: Option<Held> = None;
        let mut series: VecDeque<TurnDto> = VecDeque::new();
        let mut resumed = false;
        loop {
            let step = async {
                let version = held.as_ref().and_then(|h| h.work.as_ref()).map(|w| w.version());
                if version != Some(self.fleet.version) || self.stale.is_some() {
                    let before = held.take();
                    held = Some(self.rebuild(before, &mut series, &mut resumed).await?);
                }
                match held.as_mut() {
                    Some(held) => self.turn(held, &mut series).await,
                    None => Ok(()),
                }
            };
            let outcome = tokio::select! {
                outcome = step => outcome,
                () = ended(&mut stop) => return,
            };
            let wait = match outcome {
                Ok(()) => held.as_ref().map_or(PAUSE, |h| h.clock.real(h.every)),
                Err(Failed::Gone) => return,
                Err(Failed::Torn(why)) => {
                    held = None;
                    self.fault(&why).await;
                    Duration::from_secs(1)
                }
                Err(Failed::Fault(why)) => {
                    self.fault(&why).await;
                    let every = held.as_ref().map_or(Duration::from_secs(30), |h| h.clock.real(h.every));
                    every.clamp(Duration::from_secs(1), Duration::from_secs(60))
                }
            };
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.hear(message, held.as_mut()).await,
                    // Everybody who could send has gone: the fleet was deleted.
                    None => return,
                },
                () = tokio::time::sleep(wait.min(LONGEST)) => {}
                () = ended(&mut stop) => return,
            }
            // A burst is one turn.
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message, held.as_mut()).await;
            }
        }
    }

    async fn hear(&mut self, message: Message, held: Option<&mut Held>) {
        match message {
            Message::Changed => {
                let id = self.fleet.id.clone();
                if let Ok(Some(fleet)) = self.shared.store.read(move |v| v.fleet(&id)).await
                    && fleet.uid == self.fleet.uid
                {
                    self.fleet = fleet;
                }
            }
            // A crew that was replaced has no say any more.
            Message::Boards(crew, _) | Message::Drifted(crew, _)
                if self.crew.as_ref().map(|c| c.number) != Some(crew) => {}
            Message::Boards(_, outs) => {
                self.known.outs = outs;
                self.stale.get_or_insert(Cause::Boards);
            }
            Message::Drifted(_, corrections) => {
                self.known.calibration = Some(corrections);
                self.stale = Some(Cause::Drift);
            }
            Message::Said { zone, source, reading } => {
                let Some(held) = held else { return };
                let now = held.clock.now(self.shared.clock.now(), wall());
                if let Some(links) = held.zones.iter_mut().find(|z| z.zone == zone)
                    && let Some(rank) = links.names.iter().position(|n| *n == source)
                {
                    if rank != links.manual && held.heard.len() < HEARD {
                        held.heard.extend(reading.samples.iter().map(|s| told::row(s, &source, now)));
                    }
                    links.chain.take(rank, reading, now);
                }
            }
            Message::Failing { zone, source, why } => {
                let Some(held) = held else { return };
                let key = (zone, source);
                match why {
                    Some(why) => held.failing.insert(key, why),
                    None => held.failing.remove(&key),
                };
            }
        }
    }

    /// Runs `job` with the work in hand on a thread of `pool`.
    pub(super) async fn on<T: Send + 'static>(
        pool: &Pool,
        mut work: Box<Work>,
        job: impl FnOnce(&mut Work) -> T + Send + 'static,
    ) -> Result<(Box<Work>, T), Failed> {
        let cancel = work.cancel_token();
        let run = move || {
            let outcome = job(&mut work);
            (work, outcome)
        };
        // Every fleet has one job at most, and the queue has room for all fleets.
        match pool.submit(cancel, run) {
            Ok(ticket) => {
                ticket.await.map_err(|_| Failed::Fault("the turn was lost; its log says why".to_owned()))
            }
            Err(Refused::Closed) => Err(Failed::Gone),
            Err(Refused::Full { .. }) => Err(Failed::Fault("every solver thread is busy".to_owned())),
        }
    }

    /// Builds the present version of the fleet. It goes on from `before`, or from what the store knows.
    async fn rebuild(
        &mut self,
        before: Option<Held>,
        series: &mut VecDeque<TurnDto>,
        resumed: &mut bool,
    ) -> Result<Held, Failed> {
        if before.is_none() {
            let id = self.fleet.id.clone();
            let stored = self.shared.store.read(move |v| v.fleet(&id)).await?;
            self.fleet = stored.filter(|f| f.uid == self.fleet.uid).ok_or(Failed::Gone)?;
        }
        let uid = self.fleet.uid;
        let dto: FleetDto = serde_json::from_str(&self.fleet.document)
            .map_err(|why| Failed::Fault(format!("the stored document cannot be read: {why}")))?;
        let version = self.fleet.version;
        let since = before.as_ref().and_then(|b| b.last);
        let clock = before.as_ref().map(|b| (b.clock, b.speed));
        let work = before.and_then(|b| b.work);
        let saved = work.as_ref().zip(since).map(|(work, at)| work.saved(at));
        // Without a turn since the service started, what was stored is where the fleet was.
        let saved =
            saved.or_else(|| self.fleet.state.as_deref().and_then(|s| serde_json::from_str::<Saved>(s).ok()));
        let same = work.as_ref().is_some_and(|w| w.version() == version);
        let why = if same { self.stale.unwrap_or(Cause::Change) } else { Cause::Change };
        self.stale = None;
        let past = match work.and_then(|w| w.before(why)) {
            Some(past) => Some(past),
            None => self.past().await?,
        };
        let saved_at = saved.as_ref().and_then(|s| s.at.parse::<Timestamp>().ok());
        let speed = dto.control.speed;
        let clock = match clock {
            #[allow(clippy::float_cmp)] // the same number or another one
            Some((clock, before)) if before == speed => clock,
            _ => {
                let origin = saved_at.or_else(|| build::start(&dto.control)).unwrap_or(Timestamp::UNIX_EPOCH);
                FleetClock::new(speed, origin, self.shared.clock.now())
            }
        };
        let now = clock.now(self.shared.clock.now(), wall());
        // A clock that ran ahead, or a wall that was set back: the fleet's time never does.
        let last = since.or(saved_at).filter(|at| *at <= now || clock.accelerated());
        let mut zones = build::zones(&dto, &self.shared.services)
            .map_err(|(pointer, why)| Failed::Fault(format!("{pointer}: {why}")))?;
        self.recall(&mut zones, now).await?;
        if !*resumed {
            let rows = self.shared.store.read(move |v| v.last_turns(uid, SERIES as u64)).await?;
            series.extend(rows.iter().filter_map(|t| serde_json::from_str::<TurnDto>(&t.body).ok()));
        }
        let (every, offset) = (i64::from(dto.control.every_s), dto.control.utc_offset_minutes);
        self.hire(&dto, past.as_ref()).await?;
        let known = self.known.clone();
        let job = {
            let (id, isolated) = (self.fleet.id.clone(), self.shared.isolated.clone());
            let (sizes, clock) = (self.shared.sizes, Arc::clone(&self.shared.clock));
            move || {
                let (before, result) = past.map_or((None, None), |(b, r)| (Some(b), r));
                let means = (sizes, isolated, &clock);
                Work::new(&id, (version, dto), before.as_ref(), result, saved.as_ref(), &known, means)
            }
        };
        let ticket = match self.shared.solves.submit(ecomap_solver::CancelToken::default(), job) {
            Ok(ticket) => ticket,
            Err(Refused::Closed) => return Err(Failed::Gone),
            Err(Refused::Full { .. }) => return Err(Failed::Fault("every solver thread is busy".to_owned())),
        };
        let work = ticket
            .await
            .map_err(|_| Failed::Fault("building the fleet was lost; its log says why".to_owned()))?
            .map_err(|why| Failed::Fault(why.to_string()))?;
        let pollers = poller::start(&self.shared, &zones, &self.sender);
        let days = Offset::from_seconds(offset.saturating_mul(60)).map_or(TimeZone::UTC, TimeZone::fixed);
        let day = last.map(|at| at.to_zoned(days.clone()).date());
        if !*resumed && self.fleet.state.is_some() {
            let number = self.snapshot.borrow().number();
            let reason = format!("the service started again and goes on from plan {number}");
            let event = Event::new(
                Some(&self.fleet.id),
                "resumed",
                &reason,
                &json!({ "plan": number }).to_string(),
                now,
            );
            self.store(move |tx| tx.add_event(&event)).await?;
        }
        *resumed = true;
        Ok(Held {
            work: Some(Box::new(work)),
            speed,
            words: vec![(u8::MAX, String::new()); zones.len()],
            zones,
            clock,
            every: SignedDuration::from_secs(every),
            days,
            day,
            last,
            failing: BTreeMap::new(),
            stored: BTreeMap::new(),
            heard: Vec::new(),
            caps: series.back().map(|t| t.cap_w.clone()),
            forced_off: Vec::new(),
            _pollers: pollers,
        })
    }

    /// Writes to the store, with patience while it is busy.
    pub(super) async fn store<T: Send + 'static>(
        &self,
        change: impl Fn(&ecomap_store::Tx<'_>) -> Result<T, StoreError> + Send + Clone + 'static,
    ) -> Result<T, StoreError> {
        for _ in 0..TRIES {
            match self.shared.store.write(change.clone()).await {
                Err(StoreError::Busy) => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
        Err(StoreError::Busy)
    }

    /// Says that the fleet is not kept solved, once for each reason.
    async fn fault(&mut self, why: &str) {
        let known = {
            let snapshot = self.snapshot.borrow();
            snapshot.problem.as_deref() == Some(why)
        };
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            (next.status, next.problem) = (Status::Faulty, Some(why.to_owned()));
            *snapshot = Arc::new(next);
        });
        if known {
            return;
        }
        tracing::warn!(fleet = %self.fleet.id, why, "a fleet is not kept solved");
        let now = self.snapshot.borrow().at.as_deref().and_then(|at| at.parse().ok()).unwrap_or_else(wall);
        let event = Event::new(Some(&self.fleet.id), "fault", why, "{}", now);
        match self.store(move |tx| tx.add_event(&event)).await {
            Ok(id) => self.announce(id),
            Err(why) => tracing::error!(%why, "the fault could not be stored"),
        }
    }
}

/// Waits until the service ends.
async fn ended(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
