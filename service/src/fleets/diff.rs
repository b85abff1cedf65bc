//! Who runs otherwise than before, and why.

use super::records::{ChangeDto, DiffDto, PlaceDto, Why};
use ecomap_instances::format::result_v1::{PlanDto, ResultDto, RunDto, TenantPlanDto};
use std::collections::{BTreeMap, BTreeSet};

fn place(run: &RunDto) -> PlaceDto {
    PlaceDto {
        tier: run.tier.clone(),
        accuracy: run.accuracy,
        device: run.device.clone(),
        mode: run.mode.clone(),
        segments: run
            .segments
            .iter()
            .map(|s| format!("{}:{}-{}", s.unit, s.from_block, s.to_block))
            .collect(),
    }
}

fn run(tenant: Option<&TenantPlanDto>) -> Option<&RunDto> {
    tenant.filter(|t| t.served).and_then(|t| t.run.as_ref())
}

/// The tenants whose tier, device, mode or placement differ. `causes` are those of the plans after `a` up to `b`: a
/// move that nothing about the tenant itself explains is put down to a cap that fell on the way, else to a change of
/// the fleet, else to the gain.
#[must_use]
pub fn changes(a: &PlanDto, b: &PlanDto, causes: &[&str]) -> Vec<ChangeDto> {
    fn by_name(plan: &PlanDto) -> BTreeMap<&str, &TenantPlanDto> {
        plan.tenants.iter().map(|t| (t.tenant.as_str(), t)).collect()
    }
    let (before, after) = (by_name(a), by_name(b));
    let devices: BTreeSet<&str> = b.devices.iter().map(|d| d.device.as_str()).collect();
    let otherwise = if causes.contains(&"cap") {
        Why::Cap
    } else if causes.iter().any(|c| matches!(*c, "change" | "first")) {
        Why::Change
    } else {
        Why::Gain
    };
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut all = Vec::new();
    for name in names {
        let (was, is) = (before.get(name).copied(), after.get(name).copied());
        let (from, to) = (run(was), run(is));
        let (source, target) = (from.map(place), to.map(place));
        if source == target && was.is_some() == is.is_some() {
            continue;
        }
        let slo = |r: &RunDto| r.slo.as_ref().map(|s| (s.quantile, s.limit_ms.to_bits()));
        let differs = |of: fn(&RunDto) -> u64| matches!((from, to), (Some(f), Some(t)) if of(f) != of(t));
        let why = if was.is_none() {
            Why::Arrival
        } else if is.is_none() {
            Why::Departure
        } else if from.is_some_and(|f| !devices.contains(f.device.as_str())) {
            Why::Device
        } else if matches!((from, to), (Some(f), Some(t)) if slo(f) != slo(t)) {
            Why::Slo
        } else if differs(|r| r.rate_per_s.to_bits()) {
            Why::Rate
        } else {
            otherwise
        };
        all.push(ChangeDto { tenant: name.to_owned(), from: source, to: target, why });
    }
    all
}

/// Two plans compared; `None` where one of them is none.
#[must_use]
pub fn diff(a: (u64, &ResultDto), b: (u64, &ResultDto), causes: Vec<String>) -> Option<DiffDto> {
    let (before, after) = (a.1.plan.as_ref()?, b.1.plan.as_ref()?);
    let mut watts: BTreeMap<String, f64> = BTreeMap::new();
    for site in &after.sites {
        *watts.entry(site.site.clone()).or_default() += site.power_w;
    }
    for site in &before.sites {
        *watts.entry(site.site.clone()).or_default() -= site.power_w;
    }
    let value = |r: &ResultDto| r.objective.as_ref().map_or(0.0, |o| o.value);
    let named: Vec<&str> = causes.iter().map(String::as_str).collect();
    Some(DiffDto {
        from: a.0,
        to: b.0,
        changes: changes(before, after, &named),
        predicted_w: watts,
        value: value(b.1) - value(a.1),
        causes,
    })
}
