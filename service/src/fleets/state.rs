//! A fleet at a glance: what a dashboard shows.

use super::boards::wire::BoardStateDto;
use super::records::{PlanSummaryDto, TurnDto};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Format tag.
pub const FORMAT: &str = "ecomap.fleet-state/v1";

/// A fleet at a glance. Powers, latencies and emissions are the model's predictions, not measurements.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetState")]
pub struct StateDto {
    /// `ecomap.fleet-state/v1`.
    pub format: String,
    /// Fleet.
    pub fleet: String,
    /// Version of its document that this is about.
    pub version: u64,
    /// Whether the fleet is kept solved.
    pub status: Status,
    /// What keeps it from being solved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The fleet's clock at its last turn.
    pub at: Option<String>,
    /// Seconds of the fleet's clock in a second.
    pub speed: f64,
    /// Whether that is not 1.
    pub accelerated: bool,
    /// Whether some zone's intensity is made up.
    pub synthetic: bool,
    /// Id of the last event that this knows of.
    pub last_event: u64,
    /// Zones.
    pub zones: Vec<ZoneDto>,
    /// Sites.
    pub sites: Vec<SiteDto>,
    /// Devices, lost ones too.
    pub devices: Vec<DeviceDto>,
    /// Tenants.
    pub tenants: Vec<TenantDto>,
    /// Boards that run the plans; what they report is measured, modelled or emulated, as they say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<BoardStateDto>,
    /// The plan that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummaryDto>,
    /// What that plan is worth now, and how close to the best that is known to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worth: Option<WorthDto>,
    /// The last turns, oldest first.
    pub series: Vec<TurnDto>,
}

/// Whether a fleet is kept solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FleetStatus")]
pub enum Status {
    /// Not yet: it is being priced, or has not had its first turn.
    Starting,
    /// It is.
    Running,
    /// The last turn failed; the plan before stands, and the next turn tries again.
    Faulty,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetStateZone")]
pub struct ZoneDto {
    /// Zone.
    pub zone: String,
    /// What holds now.
    pub intensity_g_per_kwh: f64,
    /// `average` or `marginal`.
    pub signal: String,
    /// On whose word: `source`, `forecast`, `yesterday` or `pessimistic`.
    pub provenance: String,
    /// How far down the order of fallbacks that is: 0 the preferred source, 4 nothing known.
    pub level: u8,
    /// The source; absent where nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How long ago the value's interval ended; 0 while it lasts.
    pub age_s: f64,
    /// Whether the value is an estimate.
    pub estimated: bool,
    /// Whether it is made up.
    pub synthetic: bool,
    /// Why a source has nothing to say, by source, while it lasts.
    pub failing: BTreeMap<String, String>,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetStateSite")]
pub struct SiteDto {
    /// Site.
    pub site: String,
    /// Its zone.
    pub zone: String,
    /// Cap; null where there is none.
    pub cap_w: Option<f64>,
    /// Draw, predicted.
    pub predicted_w: f64,
    /// What its devices draw idle, all on, each in its most frugal mode.
    pub idle_w: f64,
    /// Emissions, predicted.
    pub predicted_carbon_g_per_h: f64,
    /// Why the policy's cap is not what its rule alone gives: `least` or `most`, its limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<String>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetStateDevice")]
pub struct DeviceDto {
    /// Device.
    pub device: String,
    /// Site.
    pub site: String,
    /// Hardware profile.
    pub profile: String,
    /// Whether it is lost.
    pub lost: bool,
    /// Whether caps turned it off.
    pub forced_off: bool,
    /// Power mode; absent when off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Draw, predicted.
    pub predicted_w: f64,
    /// Budget of the mode; absent when off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_w: Option<f64>,
    /// Utilisation by compute unit.
    pub load: BTreeMap<String, f64>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetStateTenant")]
pub struct TenantDto {
    /// Tenant.
    pub tenant: String,
    /// Whether it is served.
    pub served: bool,
    /// Whether only lost devices might serve it.
    pub stranded: bool,
    /// Weight in the objective.
    pub priority: f64,
    /// Requests per second.
    pub rate_per_s: f64,
    /// Model family.
    pub family: String,
    /// Quality tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Its accuracy, percent in the family's metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Points below the best tier that the tenant allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_lost: Option<f64>,
    /// Device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Compute units, in order.
    pub units: Vec<String>,
    /// Latency at the objective's quantile that the plan was checked with, predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_ms: Option<f64>,
    /// Quantile of the objective.
    pub quantile: String,
    /// The latency objective.
    pub slo_ms: f64,
    /// What is left of it; negative only for soft objectives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom_ms: Option<f64>,
}

/// What the running plan is worth at the present intensities.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetWorth")]
pub struct WorthDto {
    /// Name of the objective.
    pub objective: String,
    /// Unit of the value.
    pub unit: String,
    /// The plan's value.
    pub value: f64,
    /// No plan is better; null where nothing is proven.
    pub bound: Option<f64>,
    /// Relative gap between the two.
    pub gap: Option<f64>,
    /// Whether the checker passes the plan under the present caps.
    pub checked: bool,
}
