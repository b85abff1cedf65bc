//! Wire form of a fleet (`ecomap.fleet/v1`): a scenario, where its carbon intensities come from, what turns them into
//! caps, and how the controller works.

use ecomap_instances::format::scenario_v1::ScenarioDto;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format tag.
pub const FORMAT: &str = "ecomap.fleet/v1";

/// A fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Fleet")]
pub struct FleetDto {
    /// `ecomap.fleet/v1`.
    pub format: String,
    /// Sites, devices, tenants, objective. `running` is the service's business and stays empty.
    pub scenario: ScenarioDto,
    /// Devices that are lost for the time being, by name; a device with `count` n is `id-1` … `id-n`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Groups of sites that share a policy. Sites in none follow their own budgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<GroupDto>,
    /// Where intensities come from, by zone. A zone without an entry takes what is pushed, and until then the
    /// scenario's own intensity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carbon: BTreeMap<String, ZoneCarbonDto>,
    /// How the controller works.
    #[serde(default)]
    pub control: ControlDto,
    /// Boards that run the plans. Without this section plans are published, and nobody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executors: Option<ExecutorsDto>,
}

/// Boards that run a fleet's plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetExecutors")]
pub struct ExecutorsDto {
    /// Devices whose agents are told. The operator has configured each of them (`--boards`), with its address or with
    /// the leave to announce itself.
    pub devices: Vec<String>,
    /// Seconds after which a board that hears nothing lowers itself to its safe mode.
    #[serde(default = "lease")]
    pub lease_s: u32,
}

/// Sites that share a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetGroup")]
pub struct GroupDto {
    /// The sites, all of one zone.
    pub sites: Vec<ShareDto>,
    /// What turns intensity into the cap of the group.
    pub policy: PolicyDto,
}

/// A site of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetShare")]
pub struct ShareDto {
    /// Site.
    pub site: String,
    /// The group's cap is split in proportion to the shares.
    #[serde(default = "one")]
    pub share: f64,
}

/// What turns intensity into a cap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "FleetPolicy")]
pub enum PolicyDto {
    /// `max_w` at `clean_g_per_kwh` and below, `min_w` at `dirty_g_per_kwh` and above, a line between.
    Linear {
        /// Clean end.
        clean_g_per_kwh: f64,
        /// Dirty end.
        dirty_g_per_kwh: f64,
        /// Cap at the clean end.
        max_w: f64,
        /// Cap at the dirty end.
        min_w: f64,
    },
    /// The cap of the last step that the intensity reaches.
    Steps {
        /// Steps, intensities rising from 0, caps falling.
        steps: Vec<StepDto>,
    },
    /// So many watts that the group emits at most so many grams an hour.
    EmissionRate {
        /// Grams an hour.
        g_per_h: f64,
        /// Least cap.
        min_w: f64,
        /// Most.
        max_w: f64,
    },
    /// So many grams a day, spent where they buy most.
    DailyAllowance {
        /// Grams a day.
        g_per_day: f64,
        /// Least cap.
        min_w: f64,
        /// Most.
        max_w: f64,
    },
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetStep")]
pub struct StepDto {
    /// From this intensity on.
    pub from_g_per_kwh: f64,
    /// This cap.
    pub cap_w: f64,
}

/// Where a zone's intensity comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetZoneCarbon")]
pub struct ZoneCarbonDto {
    /// Sources, the preferred one first. Pushed samples come after them, unless `manual` is listed.
    pub sources: Vec<SourceDto>,
    /// Minutes for which a sample counts after its interval ended.
    #[serde(default = "sixty")]
    pub fresh_minutes: u32,
    /// What holds when nothing else is known. High, so that caps are low.
    #[serde(default = "pessimistic")]
    pub pessimistic_g_per_kwh: f64,
    /// Whether average and marginal signals may follow each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mix_signals: bool,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "FleetSource")]
pub enum SourceDto {
    /// What is pushed to `/v1/fleets/{id}/carbon`.
    Manual {
        /// Average or marginal.
        #[serde(default)]
        signal: SignalDto,
    },
    /// A made-up trace, for demonstrations; everything that comes of it is labelled synthetic.
    Synthetic {
        /// Seed.
        #[serde(default)]
        seed: u64,
    },
    /// A recorded trace, played from `control.start` on and over again.
    Trace {
        /// CSV with `timestamp` and `gco2_per_kwh`, at least two rows.
        csv: String,
        /// Average or marginal.
        #[serde(default)]
        signal: SignalDto,
    },
    /// A service that the operator has configured (`--sources`).
    Service {
        /// Its name there.
        name: String,
        /// The zone as that service names it; the same name when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
}

/// Which question an intensity answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FleetSignal")]
pub enum SignalDto {
    /// What the grid emits for each kilowatt-hour.
    #[default]
    Average,
    /// What one more kilowatt-hour would emit.
    Marginal,
}

/// How the controller works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "FleetControl")]
pub struct ControlDto {
    /// Seconds of the fleet's clock between two turns when nothing else happens.
    pub every_s: u32,
    /// Seconds of the fleet's clock in a second; other than 1 only without services as sources.
    pub speed: f64,
    /// Where the fleet's clock begins when `speed` is not 1; 2026-01-01T00:00:00Z when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Offset from UTC, in minutes, of the days that allowances are for.
    pub utc_offset_minutes: i32,
    /// Watts by which a cap must rise to be taken over.
    pub threshold_w: f64,
    /// Minutes that a cap holds before it may rise.
    pub dwell_minutes: u32,
    /// What a plan must gain to replace one that still fits, in the objective's unit.
    pub gain: f64,
    /// Relative gap at which a solve may stop.
    pub gap: f64,
    /// Most seconds of one solve.
    pub time_limit_s: f64,
    /// Most branch-and-bound nodes of one solve.
    pub work_limit: u64,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Default for ControlDto {
    fn default() -> Self {
        Self {
            every_s: 300,
            speed: 1.0,
            start: None,
            utc_offset_minutes: 0,
            threshold_w: 0.0,
            dwell_minutes: 0,
            gain: 0.01,
            gap: 1e-3,
            time_limit_s: 10.0,
            work_limit: 2_000,
            seed: 0,
        }
    }
}

fn one() -> f64 {
    1.0
}

fn sixty() -> u32 {
    60
}

fn lease() -> u32 {
    900
}

fn pessimistic() -> f64 {
    900.0
}
