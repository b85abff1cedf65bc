//! Predictions corrected by what boards measured.

use ecomap_estimator::calibrate::{Calibration, Placed, Predicted};
use ecomap_estimator::predictor::{Candidate, DevicePlan, DevicePrediction, Isolated};
use ecomap_estimator::table::CostTable;
use ecomap_estimator::{EstimatorError, Predictor};
use ecomap_instances::family::Family;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::format::scenario_v1::ScenarioDto;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::Profile;
use ecomap_instances::units::Millis;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stands for any board of a profile: what is known of the profile then answers. A legal name, and hardly a board's.
const ANY: &str = "any:board/of-the-profile";

/// A calibration, and which boards it is asked about.
///
/// Boards of one profile are priced together. Where a fleet has one board of a profile, that board's own history
/// corrects; where it has several, what they have in common.
#[derive(Debug, Clone)]
pub struct Corrections {
    calibration: Arc<Calibration>,
    /// The one board of a profile.
    only: BTreeMap<String, String>,
}

impl Corrections {
    /// `scenario` says which boards there are.
    #[must_use]
    pub fn new(calibration: Calibration, scenario: &ScenarioDto) -> Self {
        let mut boards: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for device in &scenario.devices {
            let own = boards.entry(&device.profile).or_default();
            match device.count {
                None => own.push(device.id.clone()),
                Some(1) => own.push(format!("{}-1", device.id)),
                Some(_) => own.extend([ANY.to_owned(), ANY.to_owned()]),
            }
        }
        let only = boards.into_iter().filter_map(|(profile, mut names)| {
            let name = names.pop()?;
            names.is_empty().then(|| (profile.to_owned(), name))
        });
        Self { calibration: Arc::new(calibration), only: only.collect() }
    }

    /// The prediction corrected; `None` for numbers outside the calibration's bounds.
    fn predict(&self, mut placed: Placed, latency: Quantiles) -> Option<Quantiles> {
        placed.device = self.only.get(placed.profile.as_str()).map_or(ANY, String::as_str).into();
        let answer = self.calibration.predict(&placed, &Predicted { latency, isolated: None, power: None });
        let answer = answer.inspect_err(|why| tracing::debug!(%why, "a prediction stays as it is"));
        answer.ok().map(|a| Quantiles { p50: a.p50, p95: a.p95, p99: a.p99 })
    }

    /// What a certificate says of predictions that these corrected.
    fn mark(&self) -> String {
        format!("corrected by {} observations", self.calibration.observations())
    }

    /// Whether the options of a result were priced with these.
    #[must_use]
    pub fn priced(&self, result: &ResultDto) -> bool {
        result.certificate.versions.get("estimator").is_some_and(|version| version.ends_with(&self.mark()))
    }

    /// What was predicted before a correction made `corrected` of it: residuals are those of the predictor, or the
    /// calibration would forget what it had learnt as soon as it was used.
    #[must_use]
    pub fn undo(&self, placed: &Placed, corrected: Quantiles) -> Quantiles {
        let Some(twice) = self.predict(placed.clone(), corrected) else { return corrected };
        let back = |once: Millis, twice: Millis| Millis::new(once.get() * once.get() / twice.get());
        Quantiles {
            p50: back(corrected.p50, twice.p50),
            p95: back(corrected.p95, twice.p95),
            p99: back(corrected.p99, twice.p99),
        }
    }
}

/// A predictor whose isolated latencies a calibration corrects.
#[derive(Debug)]
pub struct Corrected<'a, P> {
    inner: P,
    by: &'a Corrections,
}

impl<'a, P: Predictor> Corrected<'a, P> {
    /// `inner`, corrected.
    #[must_use]
    pub fn new(inner: P, by: &'a Corrections) -> Self {
        Self { inner, by }
    }

    fn correct(&self, candidate: &Candidate<'_>, one: &mut Isolated) {
        let table = candidate.table;
        let (profile, family) = (table.profile(), table.family());
        let Some(tier) = family.tiers.get(table.tier()) else { return };
        let kinds = candidate.segments.iter().filter_map(|s| profile.units.get(s.unit)).map(|u| u.kind);
        let placed = Placed {
            device: ANY.into(),
            profile: profile.id.as_str().into(),
            family: family.id.as_str().into(),
            tier: tier.id.as_str().into(),
            units: kinds.collect(),
        };
        // What lies outside the calibration's bounds is left as it was predicted.
        if let Some(latency) = self.by.predict(placed, one.latency) {
            let factor = latency.p50.get() / one.latency.p50.get();
            one.latency = latency;
            if factor.is_finite() {
                one.base = one.base * factor;
                one.transfer = one.transfer * factor;
            }
        }
    }
}

impl<P: Predictor> Predictor for Corrected<'_, P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn version(&self) -> String {
        format!("{}, {}", self.inner.version(), self.by.mark())
    }

    fn table(&self, profile: &Arc<Profile>, mode: ModeIx, family: &Arc<Family>, tier: usize) -> CostTable {
        self.inner.table(profile, mode, family, tier)
    }

    fn isolated(&self, batch: &[Candidate<'_>]) -> Vec<Option<Isolated>> {
        let mut all = self.inner.isolated(batch);
        for (candidate, one) in batch.iter().zip(&mut all) {
            if let Some(one) = one {
                self.correct(candidate, one);
            }
        }
        all
    }

    fn joint(&self, plans: &[DevicePlan]) -> Result<Vec<DevicePrediction>, EstimatorError> {
        self.inner.joint(plans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_estimator::calibrate::{Latencies, Observation, Settings};
    use ecomap_instances::profile::UnitKind;

    fn ms(value: f64) -> Quantiles {
        Quantiles { p50: Millis::new(value), p95: Millis::new(1.5 * value), p99: Millis::new(2.0 * value) }
    }

    fn placed(device: &str) -> Placed {
        Placed {
            device: device.into(),
            profile: "jetson-agx-xavier".into(),
            family: "yolov8".into(),
            tier: "yolov8s".into(),
            units: [UnitKind::Gpu].into(),
        }
    }

    /// Boards `names` of one profile, all 1.3 times as slow as predicted.
    fn corrections(names: &[&str]) -> Corrections {
        let text = ecomap_instances::scenarios::embedded("xavier-3").unwrap();
        let mut scenario: ScenarioDto = serde_json::from_slice(text).unwrap();
        let device = scenario.devices[0].clone();
        let of = |id: &&str| {
            let mut own = device.clone();
            own.id = (*id).to_owned();
            own
        };
        scenario.devices = names.iter().map(of).collect();
        let mut calibration = Calibration::new(Settings::default()).unwrap();
        for second in 1..=60_u32 {
            for name in names {
                let sample = (0..16).map(|k| Millis::new(13.0 * (0.95 + 0.007 * f64::from(k)))).collect();
                calibration
                    .observe(&Observation {
                        placed: placed(name),
                        predicted: Predicted { latency: ms(10.0), isolated: None, power: None },
                        latencies: Latencies { count: 16, sample },
                        power: None,
                        at_ms: 1000 * u64::from(second),
                    })
                    .unwrap();
            }
        }
        Corrections::new(calibration, &scenario)
    }

    #[test]
    fn one_board_of_a_profile_and_several_are_corrected() {
        for names in [&["a"][..], &["a", "b"]] {
            let corrections = corrections(names);
            let p50 = corrections.predict(placed("a"), ms(10.0)).unwrap().p50.get();
            assert!((12.0..14.5).contains(&p50), "{names:?}: {p50}");
            let undone = corrections.undo(&placed("a"), corrections.predict(placed("a"), ms(10.0)).unwrap());
            assert!((undone.p50.get() - 10.0).abs() < 0.5, "{names:?}: {undone:?}");
        }
    }
}
