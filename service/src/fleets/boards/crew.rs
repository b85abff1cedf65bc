//! The task that speaks to a fleet's boards.
//!
//! It looks at every board now and then, brings the newest plan to all of them, and tells the fleet's task what a
//! solve must leave out. Only the newest plan matters: one that was replaced before it was brought out is never sent.

use super::Boards;
use super::corrected::Corrections;
use super::outs::{Out, Outs};
use super::wire::{BoardStateDto, RefusedDto, ReportedDto};
use crate::fleets::Shared;
use crate::fleets::clock::wall;
use crate::fleets::live::Message;
use crate::fleets::snapshot::Snapshot;
use crate::fleets::wire::ExecutorsDto;
use ecomap_dispatch::{Board, Dispatcher};
use ecomap_estimator::calibrate::{Calibration, Settings};
use ecomap_instances::format::agent_v1::{AgentStatusDto, RenewDto};
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::format::scenario_v1::ScenarioDto;
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use ecomap_instances::profile::Profile;
use ecomap_store::{Event, StoreError};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Reports that wait for the task.
const REPORTS: usize = 256;
/// Refusals shown of a board.
const REFUSALS: usize = 8;
/// Plans whose orders are remembered for the reports that come after.
const REMEMBERED: usize = 8;
/// Longest wait between two tries at a board that does not answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Times that a board is asked before it counts as lost.
const ASKED: usize = 2;

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

/// A crew at work; it ends when this is dropped.
pub(in crate::fleets) struct Handle {
    /// What it was hired for.
    pub(in crate::fleets) executors: ExecutorsDto,
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
    tries: u32,
    next: Duration,
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
    inbox: mpsc::WeakSender<Message>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    pub(super) claims: BTreeMap<String, u64>,
    pub(super) members: BTreeMap<String, Member>,
    pub(super) outs: Outs,
    /// What the fleet's task knows of them.
    told: Outs,
    pub(super) dispatcher: Dispatcher,
    /// Last version used.
    pub(super) version: u64,
    renewal: u64,
    renewed: Duration,
    pub(super) sent: VecDeque<Sent>,
    /// Tries at the present plan that came to nothing, and when the next one is due.
    pub(super) failures: u32,
    pub(super) due: Duration,
    pub(super) failed_plan: Option<u64>,
    pub(super) calibration: Calibration,
    pub(super) scenario: ScenarioDto,
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (device, number) in &self.claims {
            self.boards.release(device, *number);
        }
    }
}

/// Starts the task; `before` is what each board may draw by the plan before. `None` where there can be no calibration,
/// which is a bug.
pub(in crate::fleets) fn hire(
    shared: &Arc<Shared>,
    (uid, fleet): (i64, &str),
    (executors, scenario): (&ExecutorsDto, &ScenarioDto),
    before: &BTreeMap<String, f64>,
    (inbox, snapshot): (&mpsc::WeakSender<Message>, &watch::Sender<Arc<Snapshot>>),
) -> Option<Handle> {
    let (plans, newest) = watch::channel(None);
    let (sender, reports) = mpsc::channel(REPORTS);
    let boards = shared.boards.clone();
    let catalog = crate::input::catalog().ok()?;
    let (mut members, mut claims) = (BTreeMap::new(), BTreeMap::new());
    for device in &executors.devices {
        let of = |d: &&ecomap_instances::format::scenario_v1::DeviceDto| {
            d.id == *device
                || d.count.is_some() && device.rsplit_once('-').is_some_and(|(stem, _)| d.id == stem)
        };
        let Some(described) = scenario.devices.iter().find(of) else { continue };
        let lost = match boards.claim(device, (uid, fleet), &sender) {
            Ok(number) => {
                claims.insert(device.clone(), number);
                None
            }
            Err(other) => Some(format!("it belongs to the fleet `{other}`")),
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
        inbox: inbox.clone(),
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
        calibration: Calibration::new(Settings::default()).ok()?,
        scenario: scenario.clone(),
    };
    let mut task = JoinSet::new();
    task.spawn(crew.run());
    Some(Handle { executors: executors.clone(), plans, _task: task })
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
            self.show();
        }
    }

    /// Asks every board how far it is; those that do not answer are asked more and more seldom.
    async fn look(&mut self) {
        let now = self.shared.clock.now();
        let ask = self.boards.pace.ask;
        let mut asked = Vec::new();
        for (device, member) in &mut self.members {
            if !self.claims.contains_key(device) || (member.lost.is_some() && now < member.next) {
                continue;
            }
            let address = self.boards.address(device);
            if member.board.as_ref().map(|(at, _)| at) != address.as_ref() {
                member.board =
                    address.and_then(|at| Some((at.clone(), self.boards.board(device, &at).ok()?)));
            }
            let link = member.board.as_ref().map(|(_, board)| Arc::clone(&board.link));
            asked.push((device.clone(), link));
        }
        let answers = join_all(asked.into_iter().map(|(device, link)| async move {
            let Some(link) = link else { return (device, Err("it has not announced itself".to_owned())) };
            let mut last = String::new();
            for _ in 0..ASKED {
                match tokio::time::timeout(ask, link.status()).await {
                    Ok(Ok(status)) => return (device, Ok(status)),
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_) => last = "no answer in time".to_owned(),
                }
            }
            (device, Err(last))
        }));
        let mut events = Vec::new();
        for (device, answer) in answers.await {
            let answer = answer.and_then(|status| {
                if status.device == device {
                    Ok(status)
                } else {
                    Err(format!("the agent there is that of `{}`", status.device))
                }
            });
            match answer {
                Ok(status) => events.extend(self.found(&device, status)),
                Err(why) => events.extend(self.lose(&device, &why)),
            }
        }
        self.reckon();
        self.tell(events).await;
    }

    fn found(&mut self, device: &str, status: AgentStatusDto) -> Option<Event> {
        let now = self.shared.clock.now();
        let member = self.members.get_mut(device)?;
        let safe = status.safe && !member.status.as_ref().is_some_and(|s| s.safe);
        let back = member.lost.take().is_some();
        self.renewal = self.renewal.max(status.renewal);
        (member.status, member.contact, member.tries) = (Some(status), Some((now, wall())), 0);
        let (kind, reason) = if back {
            ("board_back", format!("{device} answers again"))
        } else if safe {
            ("board_safe", format!("{device} has lowered itself: its budget had expired"))
        } else {
            return None;
        };
        Some(self.event(kind, &reason, &json!({ "device": device })))
    }

    /// A board does not answer, or must not be used; an event the first time.
    pub(super) fn lose(&mut self, device: &str, why: &str) -> Option<Event> {
        let now = self.shared.clock.now();
        let member = self.members.get_mut(device)?;
        member.tries = member.tries.saturating_add(1);
        let pause = self.boards.check.saturating_mul(1 << member.tries.min(10)).min(LONGEST);
        member.next = now + pause;
        let first = member.lost.replace(why.to_owned()).is_none();
        let draws = member.draws_w;
        let reason =
            format!("{device} does not answer ({why}); it keeps its plan, others are planned without it");
        first.then(|| self.event("board_lost", &reason, &json!({ "device": device, "may_draw_w": draws })))
    }

    /// Works out what a solve must leave out, and tells the fleet's task when that changed.
    fn reckon(&mut self) {
        let now = self.shared.clock.now();
        self.outs.forgive(now);
        self.outs.boards.clear();
        for (device, member) in &self.members {
            let refused =
                self.outs.barred.iter().any(
                    |b| matches!(&b.what, ecomap_dispatch::Exclusion::Board { device: d } if d == device),
                );
            if member.lost.is_none() && !refused {
                continue;
            }
            let least = member
                .profile
                .as_ref()
                .and_then(|p| p.modes.iter().map(|m| m.board_budget().get()).min_by(f64::total_cmp));
            // When its budget has expired the board is in its safe mode, of the least budget.
            let expired = member.contact.is_some_and(|(at, _)| now > at + Duration::from_secs(self.lease_s));
            let draws = member.draws_w.unwrap_or(0.0);
            let reserve_w = if expired { least.map_or(draws, |least| draws.min(least)) } else { draws };
            self.outs.boards.insert(device.clone(), Out { site: member.site.clone(), reserve_w });
        }
        let same = self.told.boards == self.outs.boards
            && self.told.barred.iter().map(|b| &b.what).eq(self.outs.barred.iter().map(|b| &b.what));
        if !same {
            self.told = self.outs.clone();
            self.message(Message::Boards(Arc::new(self.outs.clone())));
        }
    }

    /// Hands the fleet's task something to act upon. The task that is gone needs nothing any more.
    pub(super) fn message(&self, message: Message) {
        let Some(inbox) = self.inbox.upgrade() else { return };
        tokio::spawn(async move {
            let _ = inbox.send(message).await;
        });
    }

    /// After a dispatch went wrong.
    pub(super) async fn learn(&mut self, events: Vec<Event>) {
        self.reckon();
        self.tell(events).await;
    }

    /// Prolongs the budgets of boards whose plan stays.
    async fn renew(&mut self) {
        let now = self.shared.clock.now();
        if self.sent.is_empty() || now < self.renewed + Duration::from_secs(self.lease_s) / 3 {
            return;
        }
        self.renewed = now;
        self.renewal += 1;
        let boards = self.reached();
        let renewal = RenewDto { renewal: self.renewal, lease_s: self.lease_s };
        for lost in self.dispatcher.renew(&boards, &renewal).await {
            tracing::warn!(device = lost.device, why = lost.reason, "a budget was not renewed");
        }
    }

    /// The boards that answer.
    pub(super) fn reached(&self) -> Vec<Board> {
        let there = self.members.values().filter(|m| m.lost.is_none() && m.status.is_some());
        let boards = there.filter_map(|m| {
            let (_, board) = m.board.as_ref()?;
            Some(Board { draws_w: m.draws_w, ..board.clone() })
        });
        boards.collect()
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
        let plan = running.and_then(|v| self.sent.iter().find(|s| s.version == v)).map(|s| s.number);
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
