//! What a device measured beside what was predicted for it.

use crate::EstimatorError;
use ecomap_instances::ids::{DeviceId, FamilyId, ProfileId, TierId, is_legal_id};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::UnitKind;
use ecomap_instances::units::{Millis, Watts};
use std::collections::BTreeSet;

/// Most latencies in one observation.
pub const MAX_SAMPLES: usize = 1024;
/// Largest latency accepted, predicted or measured: 10 000 s.
pub const MAX_LATENCY_MS: f64 = 1e7;
/// Smallest latency accepted.
pub const MIN_LATENCY_MS: f64 = 1e-6;
/// Largest power accepted.
pub const MAX_POWER_W: f64 = 1e5;
/// Largest time accepted, 2^53 - 1: what JSON numbers hold exactly.
const MAX_TIME_MS: u64 = (1 << 53) - 1;

/// What runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Board.
    pub device: DeviceId,
    /// Its hardware profile.
    pub profile: ProfileId,
    /// Model family.
    pub family: FamilyId,
    /// Tier of the family.
    pub tier: TierId,
    /// Kinds of compute unit that the placement uses; at least one.
    pub units: BTreeSet<UnitKind>,
}

/// What an estimator said of it, uncorrected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// Latency on the device.
    pub latency: Quantiles,
    /// Latency alone on the device, below which no answer goes. `None`: no such floor, e.g. when
    /// the isolated latency itself is to be corrected.
    pub isolated: Option<Quantiles>,
    /// Mean draw of the whole device.
    pub power: Option<Watts>,
}

/// Latencies of the requests that completed in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies {
    /// Requests that completed.
    pub count: u64,
    /// Latencies of a uniform random sample of them, 1 to [`MAX_SAMPLES`], in any order.
    pub sample: Vec<Millis>,
}

/// One window of telemetry of one tenant on one device.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What ran where.
    pub placed: Placed,
    /// What had been predicted for it.
    pub predicted: Predicted,
    /// What was measured.
    pub latencies: Latencies,
    /// Mean draw of the whole device in the window.
    pub power: Option<Watts>,
    /// End of the window in milliseconds since the epoch, by the caller's clock. Two observations
    /// of one key never share it: a repeated one is refused as a duplicate.
    pub at_ms: u64,
}

fn bad(field: &'static str, message: impl Into<String>) -> EstimatorError {
    EstimatorError::Observation { field, message: message.into() }
}

fn range(field: &'static str, value: f64, low: f64, high: f64) -> Result<(), EstimatorError> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(bad(field, format!("{value} is not a number from {low} to {high}")))
}

fn quantiles(field: &'static str, q: &Quantiles) -> Result<(), EstimatorError> {
    for value in [q.p50, q.p95, q.p99] {
        range(field, value.get(), MIN_LATENCY_MS, MAX_LATENCY_MS)?;
    }
    if q.p50 <= q.p95 && q.p95 <= q.p99 { Ok(()) } else { Err(bad(field, "quantiles are not in order")) }
}

fn watts(field: &'static str, power: Option<Watts>) -> Result<(), EstimatorError> {
    power.map_or(Ok(()), |p| range(field, p.get(), 1e-6, MAX_POWER_W))
}

impl Placed {
    pub(super) fn check(&self) -> Result<(), EstimatorError> {
        let ids = [
            ("device", self.device.as_str()),
            ("profile", self.profile.as_str()),
            ("family", self.family.as_str()),
            ("tier", self.tier.as_str()),
        ];
        for (field, id) in ids {
            if !is_legal_id(id) {
                return Err(bad(field, "not a legal identifier"));
            }
        }
        if self.units.is_empty() { Err(bad("units", "no compute unit is named")) } else { Ok(()) }
    }

    /// Names of the levels of the latency hierarchy below the root.
    pub(super) fn latency_path(&self) -> Vec<String> {
        let mut path = self.power_path();
        path.push(self.units.iter().map(|u| u.as_str()).collect::<Vec<_>>().join("+"));
        path.push(self.family.as_str().to_owned());
        path
    }

    /// The same for power, which is a device's.
    pub(super) fn power_path(&self) -> Vec<String> {
        vec![self.profile.as_str().to_owned(), self.device.as_str().to_owned()]
    }
}

impl Predicted {
    pub(super) fn check(&self) -> Result<(), EstimatorError> {
        quantiles("predicted", &self.latency)?;
        self.isolated.map_or(Ok(()), |q| quantiles("isolated", &q))?;
        watts("predicted_power", self.power)
    }
}

impl Observation {
    /// Refuses what cannot have been measured.
    pub(super) fn check(&self) -> Result<(), EstimatorError> {
        self.placed.check()?;
        self.predicted.check()?;
        let sample = &self.latencies.sample;
        if sample.is_empty() || sample.len() > MAX_SAMPLES {
            return Err(bad("latencies", format!("{} samples; 1 to {MAX_SAMPLES} allowed", sample.len())));
        }
        if u64::try_from(sample.len()).is_ok_and(|n| n > self.latencies.count) {
            return Err(bad(
                "count",
                format!("{} samples of {} requests", sample.len(), self.latencies.count),
            ));
        }
        for latency in sample {
            range("latencies", latency.get(), MIN_LATENCY_MS, MAX_LATENCY_MS)?;
        }
        watts("power", self.power)?;
        if self.at_ms > MAX_TIME_MS { Err(bad("at_ms", "beyond 2^53 milliseconds")) } else { Ok(()) }
    }

    /// Sample latencies in ascending order: the order in which they came has no part in anything.
    pub(super) fn ascending(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.latencies.sample.iter().map(|l| l.get()).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}
