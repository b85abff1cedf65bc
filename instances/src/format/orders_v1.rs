//! Wire form of what one board is to run (`ecomap.orders/v1`): the board's part of a plan, as the service sends it to
//! the board's agent.

use super::read_document;
use super::result_v1::{LatencyDto, ResultDto};
use super::scenario_v1::SegmentDto;
use crate::ids::is_legal_id;
use crate::issue::{Code, Collector, Issues};
use crate::scenario::Quantile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Format tag.
pub const FORMAT: &str = "ecomap.orders/v1";
/// Highest version: what JSON numbers hold exactly, 2^53 − 1.
pub const MAX_VERSION: u64 = (1 << 53) - 1;
/// Longest lease: ten years.
pub const MAX_LEASE_S: u64 = 315_576_000;
/// Most tenants of a board.
pub const MAX_TASKS: usize = 1024;
/// Most segments of a tenant.
const MAX_SEGMENTS: usize = 64;
/// Largest power, latency or rate.
const MAX_NUMBER: f64 = 1e9;

/// What one board is to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrdersDto {
    /// `ecomap.orders/v1`.
    pub format: String,
    /// Number of the plan, higher than that of every plan before it.
    pub version: u64,
    /// Board.
    pub device: String,
    /// Its site.
    pub site: String,
    /// Hardware profile that it must have.
    pub profile: String,
    /// Power mode to set; absent when nothing is to run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Power that the plan predicts.
    pub power_w: f64,
    /// Budget of the mode; absent when nothing is to run there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_w: Option<f64>,
    /// Seconds for which the board may draw this power, from the commit or the last renewal on; then it lowers itself
    /// to its safe mode. Absent: without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_s: Option<u64>,
    /// Models to run, in the order of the plan.
    pub tasks: Vec<TaskDto>,
}

/// One tenant's model on a board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDto {
    /// Tenant.
    pub tenant: String,
    /// Model family.
    pub family: String,
    /// Quality tier.
    pub tier: String,
    /// Runs of blocks, each on one compute unit; together they are the whole model.
    pub segments: Vec<SegmentDto>,
    /// Requests per second to expect.
    pub rate_per_s: f64,
    /// Latency objective, end to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<ObjectiveDto>,
    /// Share of the network in each of the latencies.
    pub network_ms: f64,
    /// End-to-end latency that the plan predicts beside the co-runners.
    pub predicted_ms: LatencyDto,
    /// End-to-end latency without co-runners.
    pub isolated_ms: LatencyDto,
    /// Dynamic power that the plan predicts.
    pub power_w: f64,
}

/// A latency objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveDto {
    /// Quantile.
    pub quantile: Quantile,
    /// Limit, end to end.
    pub limit_ms: f64,
}

/// Reads a board's orders.
///
/// # Errors
/// Shape and format issues, illegal names and numbers out of range, all that are found.
pub fn read(bytes: &[u8]) -> Result<OrdersDto, Issues> {
    let dto: OrdersDto = read_document(bytes)?;
    let mut bad = Collector::default();
    if dto.format != FORMAT {
        bad.push(Code::Format, "/format", format!("`{}` is not {FORMAT}", dto.format.escape_debug()));
    }
    if dto.version == 0 || dto.version > MAX_VERSION {
        bad.push(Code::OutOfRange, "/version", format!("{} is not from 1 to {MAX_VERSION}", dto.version));
    }
    if dto.lease_s.is_some_and(|s| s > MAX_LEASE_S) {
        bad.push(Code::OutOfRange, "/lease_s", format!("more than {MAX_LEASE_S}"));
    }
    if dto.tasks.len() > MAX_TASKS {
        bad.push(Code::TooMany, "/tasks", format!("{} tasks, at most {MAX_TASKS}", dto.tasks.len()));
    }
    let names = [("device", &dto.device), ("site", &dto.site), ("profile", &dto.profile)];
    for (field, name) in names.into_iter().chain(dto.mode.as_ref().map(|mode| ("mode", mode))) {
        legal(&mut bad, &format!("/{field}"), name);
    }
    bad.range("/power_w", dto.power_w, 0.0, MAX_NUMBER);
    if let Some(budget) = dto.budget_w {
        bad.range("/budget_w", budget, 0.0, MAX_NUMBER);
    }
    for (n, task) in dto.tasks.iter().take(MAX_TASKS).enumerate() {
        check_task(&mut bad, &format!("/tasks/{n}"), task);
    }
    bad.finish()?;
    Ok(dto)
}

fn legal(bad: &mut Collector, pointer: &str, name: &str) {
    if !is_legal_id(name) {
        bad.push(Code::IllegalId, pointer, format!("`{}`", name.escape_debug()));
    }
}

fn check_task(bad: &mut Collector, at: &str, task: &TaskDto) {
    for (field, name) in [("tenant", &task.tenant), ("family", &task.family), ("tier", &task.tier)] {
        legal(bad, &format!("{at}/{field}"), name);
    }
    if task.segments.is_empty() {
        bad.push(Code::Empty, format!("{at}/segments"), "no segment");
    }
    if task.segments.len() > MAX_SEGMENTS {
        let message = format!("{} segments, at most {MAX_SEGMENTS}", task.segments.len());
        bad.push(Code::TooMany, format!("{at}/segments"), message);
    }
    for (n, segment) in task.segments.iter().take(MAX_SEGMENTS).enumerate() {
        legal(bad, &format!("{at}/segments/{n}/unit"), &segment.unit);
    }
    let latencies = [("predicted_ms", &task.predicted_ms), ("isolated_ms", &task.isolated_ms)];
    for (field, latency) in latencies {
        for value in [latency.p50, latency.p95, latency.p99] {
            bad.range(&format!("{at}/{field}"), value, 0.0, MAX_NUMBER);
        }
    }
    if let Some(slo) = &task.slo {
        bad.range(&format!("{at}/slo/limit_ms"), slo.limit_ms, 0.0, MAX_NUMBER);
    }
    let numbers =
        [("rate_per_s", task.rate_per_s), ("network_ms", task.network_ms), ("power_w", task.power_w)];
    for (field, value) in numbers {
        bad.range(&format!("{at}/{field}"), value, 0.0, MAX_NUMBER);
    }
}

/// The orders of every board of a result's plan, in the order of the plan; none without a plan. Tenants on a board that
/// the plan does not list are left out; whether the result may be acted upon is for the caller to check.
#[must_use]
pub fn split(result: &ResultDto, version: u64, lease_s: Option<u64>) -> Vec<OrdersDto> {
    let Some(plan) = &result.plan else { return Vec::new() };
    let tasks = |device: &str| {
        plan.tenants
            .iter()
            .filter_map(|t| t.run.as_ref().filter(|r| t.served && r.device == device).map(|r| (t, r)))
            .map(|(tenant, run)| TaskDto {
                tenant: tenant.tenant.clone(),
                family: run.family.clone(),
                tier: run.tier.clone(),
                segments: run.segments.clone(),
                rate_per_s: run.rate_per_s,
                slo: run.slo.as_ref().map(|s| ObjectiveDto { quantile: s.quantile, limit_ms: s.limit_ms }),
                network_ms: run.network_ms,
                predicted_ms: run.predicted_ms,
                isolated_ms: run.isolated_ms,
                power_w: run.power_w,
            })
            .collect()
    };
    plan.devices
        .iter()
        .map(|device| OrdersDto {
            format: FORMAT.to_owned(),
            version,
            device: device.device.clone(),
            site: device.site.clone(),
            profile: device.profile.clone(),
            mode: device.mode.clone(),
            power_w: device.power_w,
            budget_w: device.budget_w,
            lease_s,
            tasks: tasks(&device.device),
        })
        .collect()
}
