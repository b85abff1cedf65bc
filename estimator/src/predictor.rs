//! The port through which the rest of the system asks for predictions.
//!
//! Requests are batches, so that a network served by ONNX Runtime can answer one call for a whole
//! device or tenant. Rate-free costs live in a [`CostTable`] that a predictor builds once for each
//! (tier, profile, mode); a [`Candidate`] is a placement on such a table at a request rate.

use crate::error::EstimatorError;
use crate::table::{CostTable, Precisions};
use ecomap_instances::family::Family;
use ecomap_instances::ids::{ModeIx, UnitIx};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::Profile;
use ecomap_instances::scenario::Segment;
use ecomap_instances::units::{Bytes, Hertz, Joules, Millis, Watts};
use std::sync::Arc;

/// One placement to be priced alone on its device.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Tier, profile and mode.
    pub table: &'a CostTable,
    /// Placement.
    pub segments: &'a [Segment],
    /// Mean request rate.
    pub rate: Hertz,
}

/// A candidate alone on its device.
#[derive(Debug, Clone, PartialEq)]
pub struct Isolated {
    /// Time on the device: service, transfers, waiting behind own requests. No network.
    pub latency: Quantiles,
    /// Time on the device without any waiting or spread.
    pub base: Millis,
    /// Part of it for hand-overs between units.
    pub transfer: Millis,
    /// Busy time per request of each unit used, ascending.
    pub service: Vec<(UnitIx, Millis)>,
    /// Utilisation of each unit used: rate × busy time.
    pub load: Vec<(UnitIx, f64)>,
    /// Energy over idle, per request.
    pub energy: Joules,
    /// Memory of its own: tensors, double buffers at cuts, runtime context.
    pub memory: Bytes,
    /// Memory traffic per request.
    pub traffic: Bytes,
    /// Precisions whose weights it needs.
    pub precisions: Precisions,
    /// Relative delay of the on-device latency per unit of co-runners' load, by unit, ascending.
    pub slopes: Vec<(UnitIx, f64)>,
}

/// One tenant on a device.
#[derive(Debug, Clone)]
pub struct Task {
    /// Model family.
    pub family: Arc<Family>,
    /// Tier, position in the family.
    pub tier: usize,
    /// Placement.
    pub segments: Vec<Segment>,
    /// Mean request rate.
    pub rate: Hertz,
}

/// All tenants of one device.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// Board type.
    pub profile: Arc<Profile>,
    /// Power mode, position in the profile.
    pub mode: ModeIx,
    /// Tenants.
    pub tasks: Vec<Task>,
}

/// What co-running does to one tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskPrediction {
    /// Latency over latency alone, at least 1.
    pub slowdown: Quantiled,
    /// Time on the device: isolated × slowdown.
    pub latency: Quantiles,
    /// The same alone.
    pub isolated: Quantiles,
    /// Where the median goes.
    pub parts: Parts,
}

/// A median latency on the device, taken apart; the parts add up to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// Busy time with nothing else running.
    pub service: Millis,
    /// Hand-overs between units.
    pub transfer: Millis,
    /// Stretch by shared memory and lowered clocks.
    pub contention: Millis,
    /// Waiting behind other requests, own ones included.
    pub queueing: Millis,
}

/// What made a joint prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Roofline, queueing formulas and linear interference.
    Analytic,
    /// The transformer.
    Transformer,
    /// The forests, where ONNX Runtime is missing.
    Forest,
}

impl Source {
    /// Name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Analytic => "roofline",
            Self::Transformer => "transformer",
            Self::Forest => "forest",
        }
    }
}

/// A dimensionless factor at three quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiled {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// What a device does under a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct DevicePrediction {
    /// Per task, in the plan's order; `None` for a placement that cannot run there.
    pub tasks: Vec<Option<TaskPrediction>>,
    /// Mean draw, idle included.
    pub power: Watts,
    /// Utilisation of each unit of the profile.
    pub load: Vec<f64>,
    /// What made it.
    pub source: Source,
    /// Whether a unit is busier than any that the predictor was fitted on.
    pub extrapolated: bool,
}

/// Predicts what placements cost.
pub trait Predictor: Send + Sync {
    /// Name, e.g. `roofline`.
    fn name(&self) -> &str;

    /// Version of code and parameters, for certificates.
    fn version(&self) -> String;

    /// What a reader of its answers should know, such as why a fallback serves.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Whether one more tenant on a board never lowers a latency of another or the board's power.
    fn monotone(&self) -> bool {
        false
    }

    /// Rate-free costs of a tier on a profile in a mode.
    fn table(&self, profile: &Arc<Profile>, mode: ModeIx, family: &Arc<Family>, tier: usize) -> CostTable;

    /// Each candidate alone on its device, in order; `None` where the placement cannot run.
    fn isolated(&self, batch: &[Candidate<'_>]) -> Vec<Option<Isolated>>;

    /// Each device with all its tenants, in order.
    ///
    /// # Errors
    /// [`EstimatorError`] when the model cannot run, or answers what is not a prediction.
    fn joint(&self, plans: &[DevicePlan]) -> Result<Vec<DevicePrediction>, EstimatorError>;
}
