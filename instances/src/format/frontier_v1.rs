//! Wire form of frontiers (`ecomap.frontier/v1`): points with their plans, and the line that no plan
//! lies below. Field names are stable.

use super::result_v1::PlanDto;
use crate::plan::{Status, Termination};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format tag.
pub const FORMAT: &str = "ecomap.frontier/v1";

/// The Pareto frontier of two terms, computed by the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontierDto {
    /// `ecomap.frontier/v1`.
    pub format: String,
    /// Name of the scenario or instance.
    pub name: String,
    /// `accuracy-carbon` or `carbon-delay`.
    pub axes: String,
    /// First term, ascending along the points.
    pub x: AxisDto,
    /// Second term, descending along the points.
    pub y: AxisDto,
    /// `optimal`: every supported point is found, within the gap asked for.
    pub status: Status,
    /// Why the search ended.
    pub termination: Termination,
    /// Whether every supported point is there, within the gap.
    pub supported_complete: bool,
    /// Whether it is proven that no point is missing at all.
    pub complete: bool,
    /// How far the outer line lies below the hull of the points, as a share of the axes' spans; null
    /// without points.
    pub gap: Option<f64>,
    /// Whether it is proven that no plan sheds less than these, by the weights of (18).
    pub shed_proven: bool,
    /// Plans; none dominates another.
    pub points: Vec<FrontierPointDto>,
    /// Corners of the line that no plan lies below.
    pub outer: Vec<CornerDto>,
    /// The half-planes that make it: `x`·X + `y`·Y ≥ `at_least` for every plan.
    pub half_planes: Vec<HalfPlaneDto>,
    /// Weighted sums solved.
    pub solves: u64,
    /// Branch-and-bound nodes of all of them.
    pub nodes: u64,
    /// Seed.
    pub seed: u64,
    /// What produced it.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of the priced instance.
    pub instance_hash: String,
    /// Remarks a person should read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// An axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AxisDto {
    /// Term: `accuracy`, `carbon` or `latency`.
    pub term: String,
    /// Its unit.
    pub unit: String,
}

/// A plan on the frontier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontierPointDto {
    /// Value of the first term.
    pub x: f64,
    /// Value of the second term.
    pub y: f64,
    /// Whether it is proven to minimise a weighted sum over all plans, within the gap.
    pub supported: bool,
    /// Weights of a sum that it minimises, or (where it is not supported) that it was found with, for
    /// the terms in their own units.
    pub weights: CornerDto,
    /// Its value under these weights.
    pub value: f64,
    /// No plan has a lower one; for a point that is not supported, no plan that beats each of the two
    /// points between which it was found in one term. Null when nothing is known.
    pub bound: Option<f64>,
    /// Tenants that it does not serve.
    pub shed: Vec<String>,
    /// The plan; it has passed the checker.
    pub plan: PlanDto,
}

/// A pair of numbers, one for each axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CornerDto {
    pub x: f64,
    pub y: f64,
}

/// A proven inequality.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HalfPlaneDto {
    /// Weight of the first term.
    pub x: f64,
    /// Weight of the second term.
    pub y: f64,
    /// Bound.
    pub at_least: f64,
}
