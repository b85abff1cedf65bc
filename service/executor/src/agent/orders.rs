//! Orders as they were sent become orders that can be carried out.

use crate::agent::Problem;
use crate::orders::{Orders, Slo, Task, chain, within_budget};
use ecomap_instances::Code;
use ecomap_instances::format::orders_v1::{self, OrdersDto};
use ecomap_instances::profile::Profile;
use std::collections::BTreeSet;

/// Reads orders for the board `device` of `profile`.
///
/// # Errors
/// [`Code::AgentOrders`] for what cannot be read or contradicts itself, [`Code::AgentBoard`] for another board's,
/// [`Code::AgentMode`] for a mode that the profile lacks.
pub fn read(bytes: &[u8], device: &str, profile: &Profile) -> Result<(OrdersDto, Orders), Problem> {
    let dto = orders_v1::read(bytes)?;
    if dto.device != device || dto.profile != profile.id.as_str() {
        let found = format!("orders are for `{}`, a {}", dto.device, dto.profile);
        let this = format!("this is `{device}`, a {}", profile.id);
        return Err(Problem::new(Code::AgentBoard, format!("{found}; {this}")));
    }
    if let Some(mode) = &dto.mode
        && profile.mode_position(mode).is_none()
    {
        return Err(Problem::new(Code::AgentMode, format!("the profile has no mode `{mode}`")));
    }
    let orders = lower(&dto)?;
    Ok((dto, orders))
}

fn lower(dto: &OrdersDto) -> Result<Orders, Problem> {
    let bad = |what: String| Problem::new(Code::AgentOrders, what);
    if dto.mode.is_none() && !dto.tasks.is_empty() {
        return Err(bad("the board is to be off and yet to run models".to_owned()));
    }
    let mut tenants = BTreeSet::new();
    let mut tasks = Vec::with_capacity(dto.tasks.len());
    for task in &dto.tasks {
        if !tenants.insert(&task.tenant) {
            return Err(bad(format!("tenant `{}` is listed twice", task.tenant)));
        }
        tasks.push(Task {
            tenant: task.tenant.clone(),
            family: task.family.clone(),
            tier: task.tier.clone(),
            segments: chain(&task.segments)
                .map_err(|what| bad(format!("tenant `{}` {what}", task.tenant)))?,
            rate_per_s: task.rate_per_s,
            slo: task.slo.as_ref().map(|s| Slo {
                quantile: s.quantile.as_str().to_owned(),
                // The board answers for what happens on it; the rest is the network's share.
                latency_ms: (s.limit_ms - task.network_ms).max(0.0),
            }),
            predicted_ms: [task.predicted_ms.p50, task.predicted_ms.p95],
            power_w: task.power_w,
        });
    }
    let orders = Orders {
        device: dto.device.clone(),
        site: dto.site.clone(),
        profile: dto.profile.clone(),
        mode: dto.mode.clone(),
        power_w: dto.power_w,
        budget_w: dto.budget_w,
        tasks,
    };
    within_budget(orders).map_err(|e| bad(e.to_string()))
}
