//! What a fleet's task goes on from: the last plan, what was said before, and who brings plans to the boards.

use super::boards::{self, Known, Memory};
use super::build::{Before, ZoneLinks};
use super::live::{Failed, Live};
use super::snapshot::Snapshot;
use super::wire::FleetDto;
use super::{told, work};
use ecomap_carbon::Sample;
use ecomap_carbon::source::Reading;
use ecomap_fleet::Cause;
use ecomap_instances::format::result_v1::ResultDto;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Live {
    /// Makes sure that somebody brings plans to the boards that the document names, and begins with the last plan and
    /// with what the boards taught before.
    pub(super) async fn hire(
        &mut self,
        dto: &FleetDto,
        past: Option<&(Before, Option<Arc<ResultDto>>)>,
    ) -> Result<(), Failed> {
        let hired = self.crew.as_ref().map(|c| (&c.executors, &c.devices));
        if hired == dto.executors.as_ref().map(|e| (e, &dto.scenario.devices)) {
            return Ok(());
        }
        self.crew = None;
        self.known = Known::default();
        self.snapshot.send_modify(|snapshot| {
            let mut next = Snapshot::clone(snapshot);
            next.boards = Arc::default();
            *snapshot = Arc::new(next);
        });
        let Some(executors) = &dto.executors else { return Ok(()) };
        let uid = self.fleet.uid;
        let row = self.shared.store.read(move |v| v.calibration(uid)).await?;
        let memory = Memory::of(row).map_err(|why| Failed::Fault(why.to_string()))?;
        self.known.calibration = memory.corrections(&dto.scenario);
        let last = past.and_then(|(before, result)| Some((before.number, result.clone()?)));
        let devices = last.iter().filter_map(|(_, r)| r.plan.as_ref()).flat_map(|p| &p.devices);
        let draws: BTreeMap<String, f64> = devices.map(|d| (d.device.clone(), d.power_w)).collect();
        let whose = (self.fleet.uid, self.fleet.id.as_str());
        let to = (&self.sender, &self.snapshot);
        self.crew = boards::hire(&self.shared, whose, (executors, &dto.scenario), (&draws, memory), to);
        if let Some((number, result)) = last {
            self.assign(number, result);
        }
        Ok(())
    }

    /// Hands a published plan to those who bring it to the boards.
    pub(super) fn assign(&self, number: u64, result: Arc<ResultDto>) {
        if let Some(crew) = &self.crew {
            let corrected = self.known.calibration.clone().filter(|c| c.priced(&result));
            let published = self.shared.clock.now();
            crew.assign(boards::Assigned { number, result, published, corrected });
        }
    }

    /// The last plan in the store.
    pub(super) async fn past(&self) -> Result<Option<(Before, Option<Arc<ResultDto>>)>, Failed> {
        let uid = self.fleet.uid;
        let Some(row) = self.shared.store.read(move |v| v.last_plan(uid)).await? else { return Ok(None) };
        let result: Option<ResultDto> = serde_json::from_str(&row.result).ok();
        let before = Before {
            number: row.number,
            at: row.at,
            cause: work::cause(&row.cause),
            plan: result.as_ref().and_then(|r| r.plan.clone()),
            changed: (row.version != self.fleet.version).then_some(Cause::Change),
        };
        Ok(Some((before, result.map(Arc::new))))
    }

    /// Gives the chains what was said before.
    pub(super) async fn recall(&self, zones: &mut [ZoneLinks], now: Timestamp) -> Result<(), Failed> {
        let uid = self.fleet.uid;
        let since = now.checked_sub(SignedDuration::from_hours(49)).unwrap_or(now);
        let rows = self.shared.store.read(move |v| v.samples(uid, since, 20_000)).await?;
        for links in zones {
            for (rank, name) in links.names.iter().enumerate() {
                let own = rows.iter().filter(|r| r.zone == *links.zone && r.source == **name);
                let samples: Vec<Sample> = own.filter_map(|r| told::revive(r, &links.zone, name)).collect();
                if !samples.is_empty() {
                    links.chain.take(rank, Reading { samples, dropped: 0 }, now);
                }
            }
        }
        Ok(())
    }
}
