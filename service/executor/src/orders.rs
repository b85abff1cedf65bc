//! What each board is to run, taken from a result that may be acted upon.

use crate::ExecutorError;
use ecomap_instances::format::result_v1::{DevicePlanDto, ResultDto, RunDto, TenantPlanDto};
use ecomap_instances::format::scenario_v1::SegmentDto;
use serde::Serialize;
use std::collections::BTreeMap;

/// Relative tolerance when sums are compared with the plan's own figures.
const TOLERANCE: f64 = 1e-6;

/// What one board is to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Orders {
    /// Board.
    pub device: String,
    /// Its site.
    pub site: String,
    /// Hardware profile that it must have.
    pub profile: String,
    /// Power mode to set; absent when it is to be off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Power that the plan predicts.
    pub power_w: f64,
    /// Budget of the mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_w: Option<f64>,
    /// Models to run, in the order of the plan.
    pub tasks: Vec<Task>,
}

/// One tenant's model on a board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Task {
    /// Tenant.
    pub tenant: String,
    /// Model family.
    pub family: String,
    /// Quality tier.
    pub tier: String,
    /// Runs of blocks, each on one compute unit; together they are the whole model.
    pub segments: Vec<Segment>,
    /// Requests per second to expect.
    pub rate_per_s: f64,
    /// Latency objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
    /// Latency that the plan predicts at p50 and p95, network included.
    pub predicted_ms: [f64; 2],
    /// Dynamic power that the plan predicts.
    pub power_w: f64,
}

/// Blocks `from_block` to one before `to_block` on one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Compute unit.
    pub unit: String,
    /// First block.
    pub from_block: u64,
    /// One past the last block.
    pub to_block: u64,
}

/// A latency objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slo {
    /// `p50`, `p95` or `p99`.
    pub quantile: String,
    /// End to end.
    pub latency_ms: f64,
}

/// Takes the orders of every board from a result, in the order of the plan.
///
/// # Errors
/// [`ExecutorError::NoPlan`], [`ExecutorError::NotChecked`] unless the checker's verdict is `pass`,
/// or [`ExecutorError::Inconsistent`] where the plan contradicts itself: the verdict is part of the
/// file, so what can be seen without the instance is looked at again.
pub fn from_result(result: &ResultDto) -> Result<Vec<Orders>, ExecutorError> {
    let plan = result.plan.as_ref().ok_or(ExecutorError::NoPlan(result.status))?;
    let checker = &result.certificate.checker;
    let broken = checker.rows.iter().any(|r| r.violated > 0) || !checker.violations.is_empty();
    if checker.verdict != "pass" || broken || checker.rows.is_empty() {
        let first = checker.violations.first().map(|v| format!("row {}: {}", v.row, v.subject));
        return Err(ExecutorError::NotChecked { verdict: checker.verdict.clone(), first });
    }
    let mut by_device: BTreeMap<&str, Orders> = BTreeMap::new();
    for device in &plan.devices {
        if by_device.insert(&device.device, board(device)?).is_some() {
            return Err(ExecutorError::Inconsistent(format!("device `{}` is listed twice", device.device)));
        }
    }
    for tenant in &plan.tenants {
        let Some(run) = &tenant.run else { continue };
        let orders = by_device.get_mut(run.device.as_str()).ok_or_else(|| {
            ExecutorError::Inconsistent(format!("tenant `{}` runs on no device of the plan", tenant.tenant))
        })?;
        orders.tasks.push(task(tenant, run, orders.mode.as_deref())?);
    }
    plan.devices.iter().filter_map(|d| by_device.remove(d.device.as_str())).map(within_budget).collect()
}

/// The orders of the board named `device`.
///
/// # Errors
/// [`ExecutorError::UnknownDevice`].
pub fn for_device(orders: Vec<Orders>, device: &str) -> Result<Orders, ExecutorError> {
    let known = orders.iter().map(|o| o.device.clone()).collect::<Vec<_>>().join(", ");
    orders
        .into_iter()
        .find(|o| o.device == device)
        .ok_or_else(|| ExecutorError::UnknownDevice { device: device.to_owned(), known })
}

fn board(device: &DevicePlanDto) -> Result<Orders, ExecutorError> {
    if device.mode.is_none() && device.load.values().any(|load| *load > 0.0) {
        return Err(ExecutorError::Inconsistent(format!("device `{}` is off but loaded", device.device)));
    }
    Ok(Orders {
        device: device.device.clone(),
        site: device.site.clone(),
        profile: device.profile.clone(),
        mode: device.mode.clone(),
        power_w: device.power_w,
        budget_w: device.budget_w,
        tasks: Vec::new(),
    })
}

fn task(tenant: &TenantPlanDto, run: &RunDto, mode: Option<&str>) -> Result<Task, ExecutorError> {
    let contradiction =
        |what: &str| ExecutorError::Inconsistent(format!("tenant `{}` {what}", tenant.tenant));
    if !tenant.served {
        return Err(contradiction("is shed and yet runs"));
    }
    if mode != Some(run.mode.as_str()) {
        return Err(contradiction("needs another power mode than its device gets"));
    }
    Ok(Task {
        tenant: tenant.tenant.clone(),
        family: run.family.clone(),
        tier: run.tier.clone(),
        segments: chain(&run.segments).map_err(contradiction)?,
        rate_per_s: run.rate_per_s,
        slo: run
            .slo
            .as_ref()
            .map(|s| Slo { quantile: s.quantile.as_str().to_owned(), latency_ms: s.limit_ms }),
        predicted_ms: [run.predicted_ms.p50, run.predicted_ms.p95],
        power_w: run.power_w,
    })
}

/// Segments that are one chain of blocks from the first on.
pub(crate) fn chain(segments: &[SegmentDto]) -> Result<Vec<Segment>, &'static str> {
    let mut next = 0;
    for segment in segments {
        if segment.from_block != next || segment.to_block <= segment.from_block {
            return Err("has segments that are not one chain of blocks");
        }
        next = segment.to_block;
    }
    if segments.is_empty() {
        return Err("runs no block");
    }
    let copy =
        |s: &SegmentDto| Segment { unit: s.unit.clone(), from_block: s.from_block, to_block: s.to_block };
    Ok(segments.iter().map(copy).collect())
}

pub(crate) fn within_budget(orders: Orders) -> Result<Orders, ExecutorError> {
    let dynamic: f64 = orders.tasks.iter().map(|t| t.power_w).sum();
    let over = |value: f64, limit: f64| value > limit + TOLERANCE * limit.abs().max(1.0);
    if over(dynamic, orders.power_w) || orders.budget_w.is_some_and(|budget| over(orders.power_w, budget)) {
        return Err(ExecutorError::Inconsistent(format!(
            "device `{}` would draw more than its figures or its mode allow",
            orders.device
        )));
    }
    Ok(orders)
}
