//! The task that speaks to a fleet's boards.
//!
//! It looks at every board now and then, brings the newest plan to all of them, and tells the fleet's task what a
//! solve must leave out. Only the newest plan matters: one that was replaced before it was brought out is never sent.

use super::Boards;
use super::corrected::Corrections;
use super::memory::Memory;
use super::outs::Outs;
use super::wire::{BoardStateDto, RefusedDto, ReportedDto};
use crate::fleets::Shared;
use crate::fleets::clock::wall;
use crate::fleets::live::Message;
use crate::fleets::snapshot::Snapshot;
use crate::fleets::wire::ExecutorsDto;
use ecomap_dispatch::{Board, Dispatcher};
use ecomap_estimator::calibrate::Calibration;
use ecomap_instances::format::agent_v1::AgentStatusDto;
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::format::scenario_v1::{DeviceDto, ScenarioDto};
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use ecomap_instances::profile::Profile;
use ecomap_store::{Event, StoreError};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Reports that wait for the task.
const REPORTS: usize = 256;
/// Refusals shown of a board.
const REFUSALS: usize = 8;
/// Plans whose orders are remembered for the reports that come after.
const REMEMBERED: usize = 8;

/// A plan to be brought to the boards.
#[derive(Debug)]
pub(in crate::fleets) struct Assigned {
    /// Its number within the fleet.
    pub(in crate::fleets) number: u64,
    /// The plan.
    pub(in crate::fleets) result: Arc<ResultDto>,
    /// When it was published, on the service's monotonic clock.
    pub(in crate::fleets) published: Duration,
    /// What its predictions were corrected by.
    pub(in crate::fleets) corrected: Option<Arc<Corrections>>,
}

/// Numbers of crews: what one says after another has been hired counts no more.
static CREWS: AtomicU64 = AtomicU64::new(0);

/// A crew at work; it ends when this is dropped.
pub(in crate::fleets) struct Handle {
    /// Which crew it is.
    pub(in crate::fleets) number: u64,
    /// What it was hired for.
    pub(in crate::fleets) executors: ExecutorsDto,
    /// The devices as the document described them then.
    pub(in crate::fleets) devices: Vec<DeviceDto>,
    plans: watch::Sender<Option<Arc<Assigned>>>,
    _task: JoinSet<()>,
}

impl Handle {
    /// Gives it a plan to bring out.
    pub(in crate::fleets) fn assign(&self, plan: Assigned) {
        self.plans.send_replace(Some(Arc::new(plan)));
    }
}

/// A board of the fleet.
#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) site: String,
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) board: Option<(String, Board)>,
    pub(super) status: Option<AgentStatusDto>,
    /// When it answered last: on the monotonic clock, and on the wall's.
    pub(super) contact: Option<(Duration, Timestamp)>,
    /// Why it gets no plan.
    pub(super) lost: Option<String>,
    pub(super) tries: u32,
    pub(super) next: Duration,
    /// What it draws under the plan that it runs, by that plan.
    pub(super) draws_w: Option<f64>,
    pub(super) refusals: VecDeque<RefusedDto>,
    pub(super) report: Option<ReportedDto>,
}

/// Orders that were committed.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) version: u64,
    pub(super) number: u64,
    pub(super) orders: Vec<OrdersDto>,
    pub(super) corrected: Option<Arc<Corrections>>,
}

pub(super) struct Crew {
    pub(super) shared: Arc<Shared>,
    pub(super) boards: Boards,
    pub(super) uid: i64,
    pub(super) fleet: String,
    pub(super) lease_s: u64,
    plans: watch::Receiver<Option<Arc<Assigned>>>,
    reports: mpsc::Receiver<Arc<TelemetryDto>>,
    /// The other end of `reports`, for boards that are claimed later.
    pub(super) reporter: mpsc::Sender<Arc<TelemetryDto>>,
    pub(super) number: u64,
    /// When it was hired.
    pub(super) hired: Duration,
    messages: mpsc::UnboundedSender<Message>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    pub(super) claims: BTreeMap<String, u64>,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) outs: Outs,
    /// What the fleet's task knows of them.
    pub(super) told: Outs,
    pub(super) dispatcher: Dispatcher,
    /// Last version used.
    pub(super) version: u64,
    pub(super) renewal: u64,
    pub(super) renewed: Duration,
    pub(super) sent: VecDeque<Sent>,
    /// Tries at the present plan that came to nothing, and when the next one is due.
    pub(super) failures: u32,
    pub(super) due: Duration,
    pub(super) failed_plan: Option<u64>,
    pub(super) calibration: Calibration,
    /// The state of it that options were last priced with, as stored.
    pub(super) used: Option<Arc<Vec<u8>>>,
    /// Observations of the state last stored, and when that was.
    pub(super) kept: (u64, Duration),
    pub(super) scenario: ScenarioDto,
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (device, number) in &self.claims {
            self.boards.release(device, *number);
        }
    }
}

/// Starts the task; `before` is what each board may draw by the plan before. `None` where there is no catalogue, which
/// is a bug.
pub(in crate::fleets) fn hire(
    shared: &Arc<Shared>,
    (uid, fleet): (i64, &str),
    (executors, scenario): (&ExecutorsDto, &ScenarioDto),
    (before, memory): (&BTreeMap<String, f64>, Memory),
    (inbox, snapshot): (&mpsc::WeakSender<Message>, &watch::Sender<Arc<Snapshot>>),
) -> Option<Handle> {
    let (plans, newest) = watch::channel(None);
    let (sender, reports) = mpsc::channel(REPORTS);
    let (messages, mut said) = mpsc::unbounded_channel();
    let number = CREWS.fetch_add(1, Ordering::Relaxed);
    let boards = shared.boards.clone();
    let catalog = crate::input::catalog().ok()?;
    let (mut members, mut claims) = (BTreeMap::new(), BTreeMap::new());
    for device in &executors.devices {
        let of = |d: &&DeviceDto| {
            d.id == *device
                || d.count.is_some() && device.rsplit_once('-').is_some_and(|(stem, _)| d.id == stem)
        };
        let Some(described) = scenario.devices.iter().find(of) else { continue };
        let lost = match boards.claim(device, (uid, fleet), &sender) {
            Ok(number) => {
                claims.insert(device.clone(), number);
                None
            }
            Err(other) => Some(elsewhere(&other)),
        };
        let member = Member {
            site: described.site.clone(),
            profile: catalog.profile(&described.profile).cloned(),
            lost,
            draws_w: before.get(device).copied(),
            ..Member::default()
        };
        members.insert(device.clone(), member);
    }
    let crew = Crew {
        shared: Arc::clone(shared),
        dispatcher: Dispatcher::new(boards.pace),
        boards,
        uid,
        fleet: fleet.to_owned(),
        lease_s: u64::from(executors.lease_s),
        plans: newest,
        reports,
        reporter: sender,
        number,
        hired: shared.clock.now(),
        messages,
        snapshot: snapshot.clone(),
        claims,
        members,
        outs: Outs::default(),
        told: Outs::default(),
        version: 0,
        renewal: 0,
        renewed: Duration::ZERO,
        sent: VecDeque::new(),
        failures: 0,
        due: Duration::ZERO,
        failed_plan: None,
        kept: (memory.learnt.observations(), shared.clock.now()),
        calibration: memory.learnt,
        used: memory.used,
        scenario: scenario.clone(),
    };
    let mut task = JoinSet::new();
    task.spawn(crew.run());
    // Messages in the order in which they were said, without the crew waiting for the fleet's task.
    let inbox = inbox.clone();
    task.spawn(async move {
        while let Some(message) = said.recv().await {
            let Some(inbox) = inbox.upgrade() else { return };
            let _ = inbox.send(message).await;
        }
    });
    let devices = scenario.devices.clone();
    Some(Handle { number, executors: executors.clone(), devices, plans, _task: task })
}

/// Why a board that another fleet has gets no plan.
pub(super) fn elsewhere(fleet: &str) -> String {
    format!("it belongs to the fleet `{fleet}`")
}

impl Crew {
    async fn run(mut self) {
        let mut looked = Duration::ZERO;
        loop {
            let now = self.shared.clock.now();
            let wait = (looked + self.boards.check).saturating_sub(now);
            tokio::select! {
                changed = self.plans.changed() => if changed.is_err() { return },
                Some(report) = self.reports.recv() => {
                    self.take(&report).await;
                    self.show();
                    continue;
                }
                () = tokio::time::sleep(wait) => looked = self.shared.clock.now(),
            }
            self.look().await;
            self.renew().await;
            let plan = self.plans.borrow_and_update().clone();
            if let Some(plan) = plan {
                self.bring(&plan).await;
            }
            self.keep().await;
            self.show();
        }
    }

    /// Hands the fleet's task something to act upon. The task that is gone needs nothing any more.
    pub(super) fn message(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// After a dispatch went wrong.
    pub(super) async fn learn(&mut self, events: Vec<Event>) {
        self.reckon();
        self.tell(events).await;
    }

    /// Remembers a refusal for those who look at the board.
    pub(super) fn refuse(&mut self, device: &str, plan: u64, code: &str, reason: &str) {
        let Some(member) = self.members.get_mut(device) else { return };
        let refused =
            RefusedDto { at: wall().to_string(), plan, code: code.to_owned(), reason: reason.to_owned() };
        member.refusals.push_back(refused);
        while member.refusals.len() > REFUSALS {
            member.refusals.pop_front();
        }
    }

    pub(super) fn remember(&mut self, sent: Sent) {
        self.sent.push_back(sent);
        while self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    pub(super) fn event(&self, kind: &str, reason: &str, data: &Value) -> Event {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let at = snapshot.clock.map_or_else(wall, |clock| clock.now(self.shared.clock.now(), wall()));
        Event::new(Some(&self.fleet), kind, reason, &data.to_string(), at)
    }

    /// Stores events and tells whoever follows.
    pub(super) async fn tell(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let (uid, fleet) = (self.uid, self.fleet.clone());
        let written = self.shared.store.write(move |tx| {
            // A fleet that was deleted meanwhile has no events any more.
            if tx.fleet(&fleet)?.is_none_or(|f| f.uid != uid) {
                return Err(StoreError::NotFound);
            }
            let mut last = 0;
            for event in &events {
                last = tx.add_event(event)?;
            }
            Ok(last)
        });
        match written.await {
            Ok(last) => {
                self.snapshot.send_modify(|snapshot| {
                    let mut next = Snapshot::clone(snapshot);
                    next.last_event = next.last_event.max(last);
                    *snapshot = Arc::new(next);
                });
                self.shared.announce(last);
            }
            Err(why) => tracing::warn!(fleet = self.fleet, %why, "events of boards could not be stored"),
        }
    }

    /// Puts the boards into the fleet's picture.
    fn show(&self) {
        let boards: Vec<BoardStateDto> =
            self.members.iter().map(|(device, m)| self.picture(device, m)).collect();
        self.snapshot.send_if_modified(|snapshot| {
            if *snapshot.boards == boards {
                return false;
            }
            let mut next = Snapshot::clone(snapshot);
            next.boards = Arc::new(boards);
            *snapshot = Arc::new(next);
            true
        });
    }

    fn picture(&self, device: &str, member: &Member) -> BoardStateDto {
        let status = member.status.as_ref();
        let running = status.and_then(|s| s.running);
        let plan = running
            .and_then(|v| self.sent.iter().find(|s| s.version == v))
            .map(|s| s.number)
            .filter(|n| *n > 0);
        BoardStateDto {
            device: device.to_owned(),
            basis: status.map(|s| s.basis),
            reachable: member.lost.is_none() && status.is_some(),
            plan,
            version: running,
            mode: status.and_then(|s| s.mode.clone()),
            safe: status.is_some_and(|s| s.safe),
            lease_left_s: status.and_then(|s| s.lease_left_s),
            last_contact: member.contact.map(|(_, at)| at.to_string()),
            problem: member.lost.clone(),
            reserved_w: self.outs.boards.get(device).map(|out| out.reserve_w),
            refusals: member.refusals.iter().cloned().collect(),
            report: member.report.clone(),
        }
    }

    /// What the calibration says now.
    pub(super) fn corrections(&self) -> Arc<Corrections> {
        Arc::new(Corrections::new(self.calibration.clone(), &self.scenario))
    }
}
