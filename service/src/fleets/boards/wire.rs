//! What is shown of a fleet's boards.

use ecomap_instances::format::telemetry_v1::OriginDto;
use schemars::JsonSchema;
use serde::Serialize;

/// A board that runs a fleet's plans.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetBoard")]
pub struct BoardStateDto {
    /// Device.
    pub device: String,
    /// Whether models run there or are simulated: `measured` or `emulated`; absent until it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<OriginDto>,
    /// Whether it answers.
    pub reachable: bool,
    /// Number of the plan that it runs; absent: none of this fleet, or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<u64>,
    /// Version under which the board knows that plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Power mode in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether it lowered itself because its budget had expired.
    pub safe: bool,
    /// Seconds until its budget expires, when it answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_left_s: Option<u64>,
    /// When it answered last, by the wall's clock; absent: never since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_contact: Option<String>,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Watts that its site keeps for it while it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_w: Option<f64>,
    /// What it refused, newest last, at most 8.
    pub refusals: Vec<RefusedDto>,
    /// What it reported last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportedDto>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetBoardRefusal")]
pub struct RefusedDto {
    /// When, by the wall's clock.
    pub at: String,
    /// Number of the plan.
    pub plan: u64,
    /// Code of the refusal.
    pub code: String,
    /// In the board's words.
    pub reason: String,
}

/// What a board reported of its last interval.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetBoardReport")]
pub struct ReportedDto {
    /// End of the interval, ms since the epoch by the board's clock.
    pub to_ms: u64,
    /// Its length.
    pub ms: u64,
    /// Number of the plan that ran at its end; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<u64>,
    /// What latencies are: `measured` or `emulated`.
    pub basis: OriginDto,
    /// Mean draw; absent where nothing was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// What the draw is: `measured`, `modelled` or `emulated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_basis: Option<OriginDto>,
    /// What the draw covers: `module`, `board` or `packages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_scope: Option<String>,
    /// Tenants.
    pub tenants: Vec<ServedDto>,
}

/// What a tenant's requests met, beside what was predicted for them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetBoardTenant")]
pub struct ServedDto {
    /// Tenant.
    pub tenant: String,
    /// Tier that answered most; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Requests that came.
    pub arrivals: u64,
    /// Requests answered.
    pub completions: u64,
    /// Answered too late, or not in time at all.
    pub deadline_misses: u64,
    /// Median on the board, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 95th percentile on the board, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// The plan's median without the network, ms; absent where the report is of another plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_p50_ms: Option<f64>,
    /// The same at p95.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_p95_ms: Option<f64>,
}
