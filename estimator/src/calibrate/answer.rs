//! What the calibration answers: corrected predictions with their provenance, and events.

use ecomap_instances::ids::{DeviceId, FamilyId};
use ecomap_instances::profile::UnitKind;
use ecomap_instances::units::{Millis, Watts};
use std::collections::BTreeSet;

/// Levels of the hierarchy, from coarse to fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All boards.
    Global,
    /// Boards of one hardware profile.
    Profile,
    /// One board.
    Device,
    /// One board and one set of unit kinds.
    Units,
    /// One board, set of unit kinds and model family.
    Family,
}

impl Level {
    const ALL: [Self; 5] = [Self::Global, Self::Profile, Self::Device, Self::Units, Self::Family];

    /// The level of a path with `depth` names.
    pub(super) fn at(depth: usize) -> Self {
        Self::ALL.get(depth).copied().unwrap_or(Self::Family)
    }
}

/// Which layers a corrected prediction stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Finest level with a residual; `None`: the estimator's answer as it was.
    pub residual: Option<Level>,
    /// Level whose scores gave the offset of p50, p95 and p99; `None`: too few scores anywhere, so
    /// that quantile carries no guarantee.
    pub conformal: [Option<Level>; 3],
    /// Whether the offsets' rates were adapted to the misses seen.
    pub adaptive: bool,
}

/// How much a corrected prediction was calibrated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibratedOn {
    /// Observations of exactly this device, units and family.
    pub observations: u64,
    /// Last version made ([`Calibration::checkpoint`](super::Calibration::checkpoint)).
    pub version: u64,
}

/// A corrected draw of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibratedPower {
    /// Mean draw.
    pub mean: Watts,
    /// Draw that 95 % of windows do not exceed, where [`CalibratedPower::conformal`] is some.
    pub upper: Watts,
    /// Finest level with a residual.
    pub residual: Option<Level>,
    /// Level whose scores gave the upper bound; `None`: too few, `upper` is the mean.
    pub conformal: Option<Level>,
    /// Observations of exactly this device.
    pub observations: u64,
}

/// A corrected prediction: 0 < p50 ≤ p95 ≤ p99, none below the isolated latency given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated {
    /// Median.
    pub p50: Millis,
    /// 95th percentile.
    pub p95: Millis,
    /// 99th percentile.
    pub p99: Millis,
    /// Draw of the device, where one was predicted.
    pub power: Option<CalibratedPower>,
    /// Layers used.
    pub source: Source,
    /// Observations and version.
    pub calibrated_on: CalibratedOn,
}

/// What was found to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Measured over predicted latency of one device, units and family.
    Latency,
    /// Measured over predicted draw of one device.
    Power,
}

/// Which way it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Slower, or drawing more, than before.
    Slower,
    /// Faster, or drawing less.
    Faster,
}

/// Measured over predicted no longer is what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftEvent {
    /// What changed.
    pub quantity: Quantity,
    /// Board.
    pub device: DeviceId,
    /// Units of the placement; all that were in use for power.
    pub units: BTreeSet<UnitKind>,
    /// Family, for latency.
    pub family: Option<FamilyId>,
    /// Value of the test martingale.
    pub statistic: f64,
    /// Value that raises the alarm: 2 / `drift_alpha`.
    pub threshold: f64,
    /// Which way.
    pub direction: Direction,
    /// Time of the observation that raised it.
    pub at_ms: u64,
    /// Observations tested since the start, or since the last alarm.
    pub tested: u64,
}

/// What an observation brought about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A key drifted; its offsets start anew, its residual opens up.
    Drift(DriftEvent),
    /// The key observed longest ago was forgotten to make room: names from profile to family.
    Forgotten(Quantity, Vec<String>),
    /// An observation of a batch was refused; nothing was changed by it.
    Refused {
        /// Position in the batch.
        position: usize,
        /// Why.
        reason: String,
    },
}
