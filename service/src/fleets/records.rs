//! What a fleet publishes: plans, turns, events. Stored as written here, and served as stored.

use ecomap_instances::format::result_v1::ResultDto;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format tag of plans.
pub const PLAN_FORMAT: &str = "ecomap.fleet-plan/v1";

/// A published plan without its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FleetPlanSummary")]
pub struct PlanSummaryDto {
    /// `ecomap.fleet-plan/v1`.
    pub format: String,
    /// Fleet.
    pub fleet: String,
    /// Counts from 1 within the fleet.
    pub number: u64,
    /// When it was published, on the fleet's clock.
    pub at: String,
    /// Why: `first`, `cap` (the one before drew more than a new cap), `gain`, `change` (the fleet changed),
    /// `boards` (a board refused, was lost or came back), `drift` (boards no longer behave as predicted).
    pub cause: String,
    /// Version of the fleet's document that it was made for.
    pub fleet_version: u64,
    /// Intensity by zone that it was made for.
    pub intensity_g_per_kwh: BTreeMap<String, f64>,
    /// Cap by site; null where there is none.
    pub cap_w: BTreeMap<String, Option<f64>>,
    /// What the model says it draws, by site. Predicted, not measured.
    pub predicted_w: BTreeMap<String, f64>,
    /// Its worth in the objective's unit.
    pub value: f64,
    /// No plan is better; null where nothing is proven yet.
    pub bound: Option<f64>,
    /// Relative gap between the two.
    pub gap: Option<f64>,
    /// Whether the independent checker passed it.
    pub checked: bool,
    /// Tenants moved against the plan before.
    pub moves: u64,
    /// Tenants that it does not serve.
    pub shed: u64,
    /// Who moved, at most 200.
    pub changes: Vec<ChangeDto>,
}

/// A published plan.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetPlan")]
pub struct PlanRecordDto {
    /// What lists show.
    #[serde(flatten)]
    pub summary: PlanSummaryDto,
    /// The plan with its certificate.
    pub result: ResultDto,
}

/// Published plans, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetPlans")]
pub struct PlanListDto {
    /// The plans.
    pub plans: Vec<PlanSummaryDto>,
    /// Value of `before` for the plans before these; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// A tenant that runs otherwise than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FleetChange")]
pub struct ChangeDto {
    /// Tenant.
    pub tenant: String,
    /// What it ran; absent where it was not served or not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PlaceDto>,
    /// What it runs now; absent where it is not served or not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<PlaceDto>,
    /// Why.
    pub why: Why,
}

/// What a tenant runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FleetPlace")]
pub struct PlaceDto {
    /// Quality tier.
    pub tier: String,
    /// Its accuracy, percent in the family's metric.
    pub accuracy: f64,
    /// Device.
    pub device: String,
    /// Power mode of the device.
    pub mode: String,
    /// Segments as `unit:from-to`, in order.
    pub segments: Vec<String>,
}

/// Why a tenant runs otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FleetWhy")]
pub enum Why {
    /// It came.
    Arrival,
    /// It left.
    Departure,
    /// Its device was lost.
    Device,
    /// Its latency objective changed.
    Slo,
    /// Its rate changed.
    Rate,
    /// A cap fell.
    Cap,
    /// The new plan is better.
    Gain,
    /// Others changed, and the fleet was solved anew.
    Change,
}

/// Two plans compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetDiff")]
pub struct DiffDto {
    /// The earlier plan.
    pub from: u64,
    /// The later plan.
    pub to: u64,
    /// Causes of the plans after the first, in order.
    pub causes: Vec<String>,
    /// Who runs otherwise.
    pub changes: Vec<ChangeDto>,
    /// Later less earlier, W, by site. Predicted.
    pub predicted_w: BTreeMap<String, f64>,
    /// Later less earlier value, in the objective's unit.
    pub value: f64,
}

/// A turn: caps worked out, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FleetTurn")]
pub struct TurnDto {
    /// When, on the fleet's clock.
    pub at: String,
    /// Version of the fleet's document.
    pub fleet_version: u64,
    /// Intensity by zone.
    pub intensity_g_per_kwh: BTreeMap<String, f64>,
    /// Cap by site; null where there is none.
    pub cap_w: BTreeMap<String, Option<f64>>,
    /// Predicted draw by site under the plan that runs from now on.
    pub predicted_w: BTreeMap<String, f64>,
    /// What the boards of a site reported last, W, where every board of the plan that is on did.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reported_w: BTreeMap<String, f64>,
    /// What that is, by site: `measured`, `modelled` or `emulated`, several joined by `+`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reported_basis: BTreeMap<String, String>,
    /// Number of that plan.
    pub plan: u64,
    /// Why it was published, when it was in this turn; several joined by `+`.
    pub cause: String,
    /// Tenants moved in this turn.
    pub moves: u64,
    /// Tenants that the plan does not serve.
    pub shed: u64,
    /// The plan's worth, in the objective's unit.
    pub value: Option<f64>,
    /// No plan is better, where that is known.
    pub bound: Option<f64>,
    /// What the objective loses beside carbon and energy, in its unit.
    pub loss: Option<f64>,
    /// Mean accuracy points below the best tiers, over tenants served.
    pub accuracy_lost: Option<f64>,
    /// Predicted emissions of the fleet up to this turn, g.
    pub predicted_carbon_g: f64,
    /// Solves in this turn that were more than a lookup.
    pub solves: u64,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FleetEvent")]
pub struct EventDto {
    /// Rises with every event of the service.
    pub id: u64,
    /// Fleet; absent for the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// When, on the fleet's clock.
    pub at: String,
    /// What kind: `created`, `changed`, `deleted`, `resumed`, `tenant_arrived`, `tenant_left`, `rate_changed`,
    /// `slo_changed`, `priority_changed`, `device_lost`, `device_back`, `plan`, `caps`, `boards_off`, `carbon_source`,
    /// `carbon_pushed`, `fault`, `recovered`, `dispatched`, `dispatch_failed`, `refused`, `board_lost`, `board_back`,
    /// `board_safe`, `drift`.
    pub kind: String,
    /// Why, for people.
    pub reason: String,
    /// What else is known.
    pub data: serde_json::Value,
}

impl From<ecomap_store::Event> for EventDto {
    fn from(event: ecomap_store::Event) -> Self {
        Self {
            id: event.id,
            fleet: event.fleet,
            at: event.at.to_string(),
            kind: event.kind,
            reason: event.reason,
            data: serde_json::from_str(&event.body).unwrap_or_default(),
        }
    }
}
