//! News from outside: pushed samples, and reports of boards. Stored first, then told to the fleet that they are for.

use super::build::MANUAL;
use super::clock::wall;
use super::live::Message;
use super::manager::{EditError, Fleets, PATIENCE};
use super::told;
use ecomap_carbon::Sample;
use ecomap_carbon::source::Reading;
use ecomap_dispatch::registry::NotTaken;
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use ecomap_store::{Event, StoreError};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is not from a board of ours, or there are too many.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// It could not be stored; the board sends it again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fleets {
    /// Takes a board's report: stored first, then told to the fleet that it belongs to. `false`: it was taken before.
    ///
    /// # Errors
    /// Why it is not taken, or the store's.
    pub async fn report(&self, device: &str, report: TelemetryDto) -> Result<bool, ReportError> {
        let report = Arc::new(report);
        if !self.shared.boards.fresh(device, &report)? {
            return Ok(false);
        }
        // A document that was read can be written.
        let body = serde_json::to_string(&*report).unwrap_or_default();
        let row = ecomap_store::Telemetry {
            id: 0,
            fleet: self.shared.boards.fleet_of(device),
            device: Some(device.to_owned()),
            at: wall(),
            body,
        };
        self.shared.store.write(move |tx| tx.add_telemetry(&row)).await?;
        // Only now does it count as taken: had the store failed, the board would send it again. What it sends twice
        // before the store has answered is stored twice, and learnt from once.
        Ok(self.shared.boards.report(device, &report)?)
    }

    /// Takes pushed samples: stored first, then told to the fleet's task.
    ///
    /// # Errors
    /// [`EditError`]; then nothing changed.
    pub async fn push(&self, id: &str, samples: Vec<Sample>) -> Result<u64, EditError> {
        let handle = self.lock().get(id).map(|h| (h.uid, h.inbox.clone()));
        let (uid, inbox) = handle.ok_or(EditError::NotFound)?;
        let mut zones: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for sample in samples {
            zones.entry(sample.zone().to_owned()).or_default().push(sample);
        }
        // A place for every message first, so that what is stored is also told.
        let places = tokio::time::timeout(PATIENCE, inbox.reserve_many(zones.len())).await;
        let mut places = match places {
            Ok(Ok(places)) => places,
            Ok(Err(_)) => return Err(EditError::NotFound),
            Err(_) => return Err(EditError::Busy),
        };
        let now = self.now(id).unwrap_or_else(wall);
        let rows: Vec<ecomap_store::Sample> =
            zones.values().flatten().map(|s| told::row(s, MANUAL, now)).collect();
        let name = id.to_owned();
        let event = self
            .shared
            .store
            .write(move |tx| {
                if tx.fleet(&name)?.is_none_or(|f| f.uid != uid) {
                    return Err(StoreError::NotFound);
                }
                tx.add_samples(uid, &rows)?;
                let reason = format!("{} samples were pushed", rows.len());
                let zones: Vec<&str> = rows.iter().map(|r| r.zone.as_str()).collect();
                let data = json!({ "samples": rows.len(), "zones": dedup(zones) }).to_string();
                tx.add_event(&Event::new(Some(&name), "carbon_pushed", &reason, &data, now))
            })
            .await?;
        for (zone, samples) in zones {
            if let Some(place) = places.next() {
                let reading = Reading { samples, dropped: 0 };
                place.send(Message::Said { zone: zone.as_str().into(), source: MANUAL.into(), reading });
            }
        }
        self.shared.announce(event);
        Ok(event)
    }
}

fn dedup(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names.dedup();
    names
}
