//! What boards taught outlives the service: it is stored now and then, and taken up when a crew is hired.

use super::corrected::Corrections;
use super::crew::Crew;
use crate::fleets::clock::wall;
use ecomap_estimator::EstimatorError;
use ecomap_estimator::calibrate::{Calibration, Settings};
use ecomap_instances::format::scenario_v1::ScenarioDto;
use ecomap_store::{self as store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How long what was learnt may stay unstored while nothing drifts.
const UNSTORED: Duration = Duration::from_secs(60);

/// What a crew knows when it begins.
#[derive(Debug)]
pub(in crate::fleets) struct Memory {
    /// The newest state.
    pub(super) learnt: Calibration,
    /// The state that options were last priced with, as stored.
    pub(super) used: Option<Arc<Vec<u8>>>,
}

impl Memory {
    /// What was stored, if anything was. What cannot be read is forgotten, and the log says so.
    ///
    /// # Errors
    /// Only a bug's: the settings that all calibrations have are refused.
    pub(in crate::fleets) fn of(row: Option<store::Calibration>) -> Result<Self, EstimatorError> {
        let nothing = || Calibration::new(Settings::default());
        let Some(row) = row else { return Ok(Self { learnt: nothing()?, used: None }) };
        match Calibration::from_json(&row.learnt) {
            Ok(learnt) => Ok(Self { learnt, used: row.used.map(Arc::new) }),
            Err(why) => {
                tracing::warn!(%why, "the stored calibration cannot be read: boards are learnt about anew");
                Ok(Self { learnt: nothing()?, used: None })
            }
        }
    }

    /// What options are priced with, if they are corrected.
    pub(in crate::fleets) fn corrections(&self, scenario: &ScenarioDto) -> Option<Arc<Corrections>> {
        let used = Calibration::from_json(self.used.as_ref()?);
        let used = used.inspect_err(|why| tracing::warn!(%why, "stored corrections cannot be read"));
        Some(Arc::new(Corrections::new(used.ok()?, scenario)))
    }
}

impl Crew {
    /// Stores what was learnt since the last time, if that is long ago.
    pub(super) async fn keep(&mut self) {
        let now = self.shared.clock.now();
        if self.calibration.observations() > self.kept.0 && now.saturating_sub(self.kept.1) >= UNSTORED {
            self.keep_now().await;
        }
    }

    /// Options are priced with the newest state from now on.
    pub(super) async fn use_newest(&mut self) -> Arc<Corrections> {
        if let Some(bytes) = self.written().await {
            self.used = Some(Arc::new(bytes));
        }
        self.keep_now().await;
        self.corrections()
    }

    /// What was learnt as a document, written aside: it may be megabytes.
    async fn written(&self) -> Option<Vec<u8>> {
        let state = self.calibration.clone();
        match tokio::task::spawn_blocking(move || state.to_json()).await {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(why)) => {
                tracing::warn!(%why, "what boards taught cannot be stored");
                None
            }
            Err(_) => None,
        }
    }

    async fn keep_now(&mut self) {
        self.kept.1 = self.shared.clock.now();
        let observations = self.calibration.observations();
        let Some(learnt) = self.written().await else { return };
        let used = self.used.as_ref().map(|used| used.to_vec());
        let (uid, fleet) = (self.uid, self.fleet.clone());
        let row = store::Calibration { at: wall(), learnt, used };
        let written = self.shared.store.write(move |tx| {
            if tx.fleet(&fleet)?.is_none_or(|f| f.uid != uid) {
                return Err(StoreError::NotFound);
            }
            tx.set_calibration(uid, &row)
        });
        match written.await {
            Ok(()) => self.kept.0 = observations,
            Err(why) => {
                tracing::warn!(fleet = self.fleet, %why, "what boards taught could not be stored yet");
            }
        }
    }
}
