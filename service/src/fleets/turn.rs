//! One turn of a fleet's task, and how what it brings reaches the disk before anybody's eyes.

use super::boards::wire::BoardStateDto;
use super::clock::wall;
use super::live::{Failed, Held, Live};
use super::records::{PlanRecordDto, TurnDto};
use super::snapshot::{SERIES, Snapshot};
use super::state::{DeviceDto, Status};
use super::told;
use super::work::{self, Saved, Work};
use ecomap_carbon::source::Exchange;
use ecomap_fleet::replay::left_of_day;
use ecomap_instances::format::telemetry_v1::OriginDto;
use ecomap_store::{Event, Plan};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Hours of outlook given to policies: a day of 25 hours and the hour under way.
const AHEAD: usize = 26;
/// Shortest time between the ends of two turns on the fleet's clock.
const TICK: SignedDuration = SignedDuration::from_millis(1);

impl Live {
    /// One turn.
    pub(super) async fn turn(
        &mut self,
        held: &mut Held,
        series: &mut VecDeque<TurnDto>,
    ) -> Result<(), Failed> {
        let mut now = held.clock.now(self.shared.clock.now(), wall());
        if let Some(last) = held.last.filter(|last| now <= *last) {
            now = last.checked_add(TICK).unwrap_or(last);
        }
        for links in &mut held.zones {
            for (rank, source) in &mut links.local {
                if let Exchange::Done(reading) = source.begin(now) {
                    links.chain.take(*rank, reading, now);
                }
            }
        }
        let local = now.to_zoned(held.days.clone()).date();
        let new_day = held.day.replace(local).is_some_and(|d| d != local);
        let left = left_of_day(now, &held.days);
        let ahead = work::ahead(&held.zones, now, AHEAD);
        let events = self.words(held, now);

        let lost = || Failed::Fault("the turn before was lost".to_owned());
        let work = held.work.take().ok_or_else(lost)?;
        let version = work.version();
        let begin = move |work: &mut Work| {
            if new_day {
                work.new_day(now);
            }
            work.begin(now, &ahead, left)
        };
        let (work, begun) = Self::on(&self.shared.urgent, work, begin).await?;
        held.work = Some(work);
        let (mut turn, plans) = begun?;
        held.last = Some(now);
        for plan in plans {
            self.publish(version, plan, now).await.map_err(Failed::torn)?;
        }
        let work = held.work.take().ok_or_else(lost)?;
        let finish = move |work: &mut Work| {
            let outcome = work.finish(&mut turn);
            let figures = work.figures(Some(&turn));
            let row = work.turn(&turn, &figures);
            (turn, outcome, figures, row, work.saved(now))
        };
        let (work, (turn, outcome, figures, mut row, saved)) =
            Self::on(&self.shared.solves, work, finish).await?;
        reported(&self.snapshot.borrow().boards, &figures.devices, &mut row);
        held.work = Some(work);
        let (plans, failed) = match outcome {
            Ok(plans) => (plans, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        for plan in plans {
            self.publish(version, plan, now).await.map_err(Failed::torn)?;
        }
        let events = events.into_iter().chain(self.told(held, &turn, &row)).collect();
        self.close(held, (&row, saved), events, now).await.map_err(Failed::torn)?;
        series.push_back(row);
        while series.len() > SERIES {
            series.pop_front();
        }
        let zones = self.zones(held, now);
        let recovered = self.snapshot.borrow().status == Status::Faulty && failed.is_none();
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.version = version;
            next.at = Some(now.to_string());
            (next.speed, next.clock) = (held.speed, Some(held.clock));
            next.zones = Arc::new(zones);
            next.figures = Arc::new(figures);
            next.series = Arc::new(series.clone());
            if failed.is_none() {
                (next.status, next.problem) = (Status::Running, None);
            }
            *snapshot = Arc::new(next);
        });
        if recovered {
            let event =
                Event::new(Some(&self.fleet.id), "recovered", "the fleet is kept solved again", "{}", now);
            let id = self.store(move |tx| tx.add_event(&event)).await?;
            self.announce(id);
        }
        failed.map_or(Ok(()), |why| Err(why.into()))
    }

    /// Brings a plan to the disk, and then before everybody's eyes.
    async fn publish(&self, version: u64, plan: PlanRecordDto, now: Timestamp) -> Result<(), Failed> {
        let text = |value: serde_json::Result<String>| value.map_err(|why| Failed::Fault(why.to_string()));
        let (summary, result) = (plan.summary, Arc::new(plan.result));
        let row = Plan {
            number: summary.number,
            at: now,
            cause: summary.cause.clone(),
            version,
            summary: text(serde_json::to_string(&summary))?,
            result: text(serde_json::to_string(&*result))?,
        };
        let event = Event::new(
            Some(&self.fleet.id),
            "plan",
            &told::reason(&summary),
            &told::brief(&summary).to_string(),
            now,
        );
        let (uid, number) = (self.fleet.uid, summary.number);
        let id = self
            .store(move |tx| {
                tx.add_plan(uid, &row)?;
                tx.add_event(&event)
            })
            .await?;
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.plan = Some(Arc::new(summary));
            *snapshot = Arc::new(next);
        });
        self.announce(id);
        self.assign(number, result);
        Ok(())
    }

    pub(super) fn announce(&self, id: u64) {
        self.snapshot.send_modify(|snapshot| {
            if id > snapshot.last_event {
                let mut next = Snapshot::clone(snapshot);
                next.last_event = id;
                *snapshot = Arc::new(next);
            }
        });
        self.shared.announce(id);
    }

    /// Writes what a turn leaves behind.
    async fn close(
        &self,
        held: &mut Held,
        (row, saved): (&TurnDto, Saved),
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<(), Failed> {
        let text = |value: serde_json::Result<String>| value.map_err(|why| Failed::Fault(why.to_string()));
        let (body, state) = (text(serde_json::to_string(row))?, text(serde_json::to_string(&saved))?);
        let mut samples = fresh(held, now);
        samples.append(&mut held.heard);
        let uid = self.fleet.uid;
        let id = self
            .store(move |tx| {
                tx.add_turn(uid, now, &body)?;
                tx.set_state(uid, &state)?;
                tx.add_samples(uid, &samples)?;
                let mut last = None;
                for event in &events {
                    last = Some(tx.add_event(event)?);
                }
                Ok(last)
            })
            .await?;
        if let Some(id) = id {
            self.announce(id);
        }
        Ok(())
    }
}

/// Puts what boards reported beside what was predicted: a site's sum, where none of its boards that are on is missing.
fn reported(boards: &[BoardStateDto], devices: &[DeviceDto], row: &mut TurnDto) {
    let mut sites: BTreeMap<&str, Option<(f64, BTreeSet<&str>)>> = BTreeMap::new();
    for device in devices.iter().filter(|d| !d.lost && d.mode.is_some()) {
        let board = boards.iter().find(|b| b.device == device.device && b.reachable);
        let report = board.and_then(|b| b.report.as_ref());
        let power = report.and_then(|r| Some((r.power_w?, r.power_basis?)));
        let sum = sites.entry(device.site.as_str()).or_insert_with(|| Some((0.0, BTreeSet::new())));
        *sum = sum.take().zip(power).map(|((watts, mut all), (more, basis))| {
            all.insert(basis_name(basis));
            (watts + more, all)
        });
    }
    for (site, sum) in sites {
        let Some((watts, bases)) = sum else { continue };
        row.reported_w.insert(site.to_owned(), watts);
        row.reported_basis.insert(site.to_owned(), bases.into_iter().collect::<Vec<_>>().join("+"));
    }
}

const fn basis_name(basis: OriginDto) -> &'static str {
    match basis {
        OriginDto::Measured => "measured",
        OriginDto::Modelled => "modelled",
        OriginDto::Emulated => "emulated",
    }
}

/// In a burst of turns only the newest observed samples are new.
fn fresh(held: &mut Held, now: Timestamp) -> Vec<ecomap_store::Sample> {
    let mut all = Vec::new();
    for (z, links) in held.zones.iter().enumerate() {
        for (rank, name) in links.names.iter().enumerate() {
            // Pushed samples are stored when they are pushed, a service's when it answers.
            if !links.local.iter().any(|(local, _)| *local == rank) {
                continue;
            }
            let Some(sample) = links.chain.series(rank).and_then(|s| s.latest(now)) else { continue };
            if held.stored.insert((z, rank), sample.from()) != Some(sample.from()) {
                all.push(told::row(sample, name, now));
            }
        }
    }
    all
}
