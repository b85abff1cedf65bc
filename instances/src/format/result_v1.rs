//! Wire form of answers (`ecomap.result/v1`): plan, certificate, timings. Field names are stable.

use super::read_document;
use super::scenario_v1::SegmentDto;
use crate::ids::{DeviceIx, ModeIx, OptionIx};
use crate::instance::{Instance, Sense};
use crate::issue::{Code, Collector, Issues};
use crate::plan::{Assignment, Pick, Status, Termination};
use crate::scenario::{Quantile, Segment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format tag.
pub const FORMAT: &str = "ecomap.result/v1";

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultDto {
    /// `ecomap.result/v1`.
    pub format: String,
    /// Name of the scenario or instance.
    pub name: String,
    /// Solver that answered.
    pub solver: String,
    /// What is known about the answer.
    pub status: Status,
    /// Value of the objective and its parts; absent without a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveValueDto>,
    /// Who runs what where; absent without a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanDto>,
    /// How good it is, and how that is known.
    pub certificate: CertificateDto,
    /// The rules on stability that held, and what they cost; absent where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<StabilityResultDto>,
    /// Options before and after reduction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<ReductionDto>,
    /// How options were generated, for scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<PricingReportDto>,
    /// What the joint predictor says of the plan; absent unless it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contention: Option<ContentionDto>,
    /// Wall-clock time by step, ms: `parse`, `validate`, `price`, `reduce`, `formulate`, `solve`,
    /// `check`.
    #[serde(default)]
    pub timings_ms: BTreeMap<String, f64>,
    /// Remarks a person should read (what was shed and why, what was not proven).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The rules on stability, and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StabilityResultDto {
    /// Most tenants that might leave their running choice; absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_moves: Option<u64>,
    /// Tenants that had to keep it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
    /// Tenants that run something.
    pub running: u64,
    /// Of these, tenants that leave it in this plan, those shed included; null without a plan.
    pub moves: Option<u64>,
    /// What the rules and switching prices cost; absent where it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<StabilityCostDto>,
}

/// The objective with the rules on stability and without, in its own unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StabilityCostDto {
    /// Value of this plan without the switching prices that it pays.
    pub value: f64,
    /// Value of the best plan found without the rules and without switching prices.
    pub free_primal_bound: f64,
    /// No plan without them is better than this.
    pub free_dual_bound: Option<f64>,
    /// Tenants that leave their running choice in that best plan.
    pub free_moves: u64,
    /// The rules cost at least this.
    pub at_least: f64,
    /// And at most this; null when no bound is known.
    pub at_most: Option<f64>,
}

/// A solve with a joint predictor in the loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentionDto {
    /// What predicted: `transformer`, `forest` or `roofline`.
    pub predictor: String,
    /// Its version.
    pub version: String,
    /// Whether it accepts the plan: every hard SLO, mode budget and site cap, with all co-runners
    /// and while any of them is silent. `false` only without a plan.
    pub accepted: bool,
    /// Masters solved.
    pub rounds: u64,
    /// Cuts by kind.
    pub cuts: ContentionCutsDto,
    /// Boards predicted, repetitions left out.
    pub boards_judged: u64,
    /// Batches in which they were predicted.
    pub batches: u64,
    /// Plans of masters repaired into accepted ones.
    pub repaired: u64,
    /// Board states in the master of the columns per board; 0 where cuts alone were used.
    #[serde(default)]
    pub states: u64,
    /// What the best plan found without regard to contention breaks.
    pub without_contention: BrokenDto,
    /// Joint prediction of the plan, board by board.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<PredictedBoardDto>,
}

/// Contention cuts by kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentionCutsDto {
    /// Lifted; a predictor that is monotone in added tenants guarantees them.
    pub guaranteed: u64,
    /// Lifted; everything that they exclude was predicted and refused.
    pub exhaustive: u64,
    /// Plain no-goods on a whole state.
    pub no_goods: u64,
    /// Of all of these, those that stem from a site's cap.
    pub of_caps: u64,
    /// Of all of these, those of earlier solves.
    pub reused: u64,
}

/// Limits broken under joint prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokenDto {
    /// Hard SLOs.
    pub slos: u64,
    /// Power budgets of modes.
    pub budgets: u64,
    /// Caps of sites.
    pub caps: u64,
}

/// A board as the joint predictor sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictedBoardDto {
    /// Device.
    pub device: String,
    /// Mean draw, idle included.
    pub power_w: f64,
    /// Its tenants.
    pub tenants: Vec<PredictedTenantDto>,
}

/// A tenant as the joint predictor sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictedTenantDto {
    /// Tenant.
    pub tenant: String,
    /// End-to-end latency beside its co-runners.
    pub latency_ms: LatencyDto,
}

/// Value of the objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveValueDto {
    /// Name of the objective.
    pub name: String,
    /// Unit of the value.
    pub unit: String,
    /// Whether less or more is better.
    pub sense: Sense,
    /// The scalar that was optimised (of the first level, when lexicographic).
    pub value: f64,
    /// Parts: measured terms, and prices paid.
    pub terms: Vec<TermDto>,
}

/// A part of the objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TermDto {
    /// `accuracy`, `carbon`, `energy`, `latency`, `value`, `switching`, `slo`, `shed`.
    pub name: String,
    /// Unit of `value`.
    pub unit: String,
    /// Measured value in its own unit.
    pub value: f64,
    /// What it adds to the objective.
    pub contribution: f64,
}

/// Who runs what where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanDto {
    /// Per tenant, in the order of the input.
    pub tenants: Vec<TenantPlanDto>,
    /// Per device.
    pub devices: Vec<DevicePlanDto>,
    /// Per site.
    pub sites: Vec<SitePlanDto>,
    /// Per global capacity row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacities: Vec<CapacityPlanDto>,
}

/// What one tenant gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TenantPlanDto")]
pub struct TenantPlanDto {
    /// Tenant.
    pub tenant: String,
    /// `false`: shed.
    pub served: bool,
    /// Position of the option taken, in the priced instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<u32>,
    /// Placement, for options on a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunDto>,
}

/// Where and how a tenant runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunDto {
    /// Model family.
    pub family: String,
    /// Quality tier.
    pub tier: String,
    /// Accuracy of the tier, percent in the family's metric.
    pub accuracy: f64,
    /// Points below the best tier that the tenant allows.
    pub accuracy_lost: f64,
    /// Device.
    pub device: String,
    /// Site of the device.
    pub site: String,
    /// Power mode of the device.
    pub mode: String,
    /// Segments in order.
    pub segments: Vec<SegmentDto>,
    /// End-to-end latency that the SLO row was checked with.
    pub latency_ms: LatencyDto,
    /// End-to-end latency without co-runners.
    pub isolated_ms: LatencyDto,
    /// End-to-end latency predicted with the plan's own co-runners (linear interference).
    pub predicted_ms: LatencyDto,
    /// Network share of each of the above.
    pub network_ms: f64,
    /// The latency objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<SloPlanDto>,
    /// Requests per second.
    pub rate_per_s: f64,
    /// Dynamic energy of one request.
    pub energy_j: f64,
    /// Dynamic power.
    pub power_w: f64,
}

/// Latency at three quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LatencyDto {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

impl LatencyDto {
    /// At a quantile, ms.
    #[must_use]
    pub const fn at(&self, quantile: Quantile) -> f64 {
        match quantile {
            Quantile::P50 => self.p50,
            Quantile::P95 => self.p95,
            Quantile::P99 => self.p99,
        }
    }
}

/// A latency objective and how much of it is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloPlanDto {
    /// Quantile.
    pub quantile: Quantile,
    /// Limit.
    pub limit_ms: f64,
    /// Limit minus `latency_ms` at the quantile; negative only for soft SLOs.
    pub headroom_ms: f64,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DevicePlanDto {
    /// Device.
    pub device: String,
    /// Site.
    pub site: String,
    /// Hardware profile.
    pub profile: String,
    /// Power mode; absent when off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Predicted power.
    pub power_w: f64,
    /// Budget of the mode; absent when off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_w: Option<f64>,
    /// Utilisation per compute unit.
    pub load: BTreeMap<String, f64>,
    /// Memory used, shared weights once.
    pub memory_bytes: f64,
    /// Memory that models may use.
    pub memory_capacity_bytes: f64,
    /// Memory traffic.
    pub bandwidth_bytes_per_s: f64,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SitePlanDto {
    /// Site.
    pub site: String,
    /// Predicted power.
    pub power_w: f64,
    /// Cap; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_w: Option<f64>,
    /// Carbon intensity.
    pub carbon_g_per_kwh: f64,
    /// Emission rate.
    pub carbon_g_per_h: f64,
}

/// One global capacity row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityPlanDto {
    /// Row.
    pub id: String,
    /// Used.
    pub used: f64,
    /// Right-hand side.
    pub capacity: f64,
}

/// How good the answer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateDto {
    /// Value of the plan, in the objective's sense; null without a plan.
    pub primal_bound: Option<f64>,
    /// No plan can be better than this; null when nothing is known.
    pub dual_bound: Option<f64>,
    /// `|primal − dual| / |primal|`; null when either is.
    pub gap: Option<f64>,
    /// Why the search ended.
    pub termination: Termination,
    /// Branch-and-bound nodes.
    pub nodes: u64,
    /// Cuts added by Ecomap itself (not the MILP solver's own).
    pub cuts: u64,
    /// Seed.
    pub seed: u64,
    /// What produced it: `ecomap`, `highs`, `estimator`.
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of the priced instance.
    pub instance_hash: String,
    /// How the strategy got there, for people: `direct`, `column-generation`, `enumeration`, …
    pub method: String,
    /// One entry for each level of a lexicographic objective.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelDto>,
    /// Verdict of the independent checker.
    pub checker: CheckerDto,
}

/// A level of a lexicographic objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelDto {
    /// Term minimised at this level.
    pub term: String,
    /// Unit.
    pub unit: String,
    /// Value reached.
    pub primal_bound: f64,
    /// Bound proven, given the levels above.
    pub dual_bound: Option<f64>,
    /// Relative gap.
    pub gap: Option<f64>,
}

/// Verdict of the checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckerDto {
    /// `pass`, `fail`, or `no_plan`.
    pub verdict: String,
    /// Row by row.
    pub rows: Vec<CheckedRowDto>,
    /// What is broken, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<ViolationDto>,
}

/// One kind of row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckedRowDto {
    /// Number and name, as in the formulation.
    pub row: String,
    /// Rows of this kind checked.
    pub checked: u64,
    /// Rows of this kind broken.
    pub violated: u64,
}

/// A broken row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViolationDto {
    /// Number and name of the row.
    pub row: String,
    /// Whom or what it is about.
    pub subject: String,
    /// Left-hand side.
    pub value: f64,
    /// Right-hand side.
    pub limit: f64,
}

/// What reduction dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReductionDto {
    /// Options given.
    pub options: u64,
    /// Options kept.
    pub kept: u64,
    /// Dropped, by reason: `slo`, `floor`, `capacity`, `pinning`, `dominated`.
    pub dropped: BTreeMap<String, u64>,
}

/// How options were generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PricingReportDto {
    /// Predictor.
    pub predictor: String,
    /// Placements evaluated.
    pub placements: u64,
    /// Options priced.
    pub options: u64,
    /// Placements left out, by reason.
    pub left_out: BTreeMap<String, u64>,
    /// Which latency row 7 uses: `load_cap` or `isolated`.
    pub slo_basis: String,
}

/// Reads an answer.
///
/// # Errors
/// Shape or format issues.
pub fn read(bytes: &[u8]) -> Result<ResultDto, Issues> {
    let dto: ResultDto = read_document(bytes)?;
    if dto.format != FORMAT {
        let mut bad = Collector::default();
        bad.push(Code::Format, "/format", format!("`{}` is not {FORMAT}", dto.format.escape_debug()));
        bad.finish()?;
    }
    Ok(dto)
}

impl PlanDto {
    /// Finds the plan's names in `instance`: tenants by name, options by position where given and
    /// consistent, else by (tier, device, mode, segments).
    ///
    /// # Errors
    /// [`Code::PlanMismatch`] for everything that the instance does not know. Whether the plan
    /// keeps the rows is the checker's question, not this one's.
    pub fn resolve(&self, instance: &Instance) -> Result<Assignment, Issues> {
        let mut bad = Collector::default();
        let devices: BTreeMap<&str, usize> =
            instance.devices.iter().enumerate().map(|(n, d)| (d.id.as_str(), n)).collect();
        let tenants: BTreeMap<&str, usize> =
            instance.tenants.iter().enumerate().map(|(n, t)| (t.id.as_str(), n)).collect();
        let mut modes = vec![None; instance.devices.len()];
        for (n, dto) in self.devices.iter().enumerate() {
            let Some(d) = devices.get(dto.device.as_str()).copied() else {
                bad.push(Code::PlanMismatch, format!("/plan/devices/{n}/device"), "no such device");
                continue;
            };
            if let Some(mode) = &dto.mode {
                let class = instance.class_of(DeviceIx::new(d));
                match class.modes.iter().position(|m| m.id.as_str() == mode) {
                    Some(m) => modes[d] = Some(ModeIx::new(m)),
                    None => bad.push(Code::PlanMismatch, format!("/plan/devices/{n}/mode"), "no such mode"),
                }
            }
        }
        let mut picks = vec![None; instance.tenants.len()];
        let mut named = vec![false; instance.tenants.len()];
        for (n, dto) in self.tenants.iter().enumerate() {
            let at = format!("/plan/tenants/{n}");
            let Some(t) = tenants.get(dto.tenant.as_str()).copied() else {
                bad.push(Code::PlanMismatch, format!("{at}/tenant"), "no such tenant");
                continue;
            };
            if std::mem::replace(&mut named[t], true) {
                bad.push(Code::PlanMismatch, format!("{at}/tenant"), "named twice");
            }
            if !dto.served {
                continue;
            }
            match resolve_pick(instance, t, dto, &devices) {
                Some(pick) => picks[t] = Some(pick),
                None => bad.push(Code::PlanMismatch, at, "the instance has no such option"),
            }
        }
        bad.finish()?;
        Ok(Assignment { picks, modes })
    }
}

fn resolve_pick(
    instance: &Instance,
    tenant: usize,
    dto: &TenantPlanDto,
    devices: &BTreeMap<&str, usize>,
) -> Option<Pick> {
    let tenant = &instance.tenants[tenant];
    let Some(run) = &dto.run else {
        let option = dto.option? as usize;
        let fits = tenant.options.get(option).is_some_and(|o| o.host.is_none());
        return fits.then(|| Pick { option: OptionIx::new(option), device: None });
    };
    let device = DeviceIx::new(devices.get(run.device.as_str()).copied()?);
    let class = instance.devices[device.at()].class;
    let shape = &instance.classes[class.at()];
    let mode = ModeIx::new(shape.modes.iter().position(|m| m.id.as_str() == run.mode)?);
    let segments: Option<Vec<Segment>> = run
        .segments
        .iter()
        .map(|s| {
            Some(Segment {
                from: usize::try_from(s.from_block).ok()?,
                to: usize::try_from(s.to_block).ok()?,
                unit: shape.units.iter().position(|u| u.as_str() == s.unit)?,
            })
        })
        .collect();
    let segments = segments?;
    let matches = |o: &crate::instance::Choice| {
        o.host.as_ref().is_some_and(|h| {
            h.class == class
                && h.mode == mode
                && tenant.tiers[h.tier].id.as_str() == run.tier
                && h.segments == segments
        })
    };
    let named = dto.option.map(|o| o as usize).filter(|o| tenant.options.get(*o).is_some_and(matches));
    let option = named.or_else(|| tenant.options.iter().position(matches))?;
    Some(Pick { option: OptionIx::new(option), device: Some(device) })
}
