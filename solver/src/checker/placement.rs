//! Row (10): pinning (10a), together (10b), apart (10c).

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::ids::{DeviceIx, TenantIx};
use ecomap_instances::scenario::{Affinity, AffinityKind, Scope};
use std::collections::{BTreeMap, BTreeSet};

/// Checks the rows.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) {
    for (tenant, place) in plan.hosted() {
        if let Some(list) = &tenant.devices {
            tally.holds(Row::Pinning, list.contains(&place.device), || {
                let device = &plan.instance.devices[place.device.at()];
                format!("tenant {} is not pinned to device {}", tenant.id, device.id)
            });
        }
    }
    for (n, rule) in plan.instance.affinities.iter().enumerate() {
        match rule.kind {
            AffinityKind::Together => together(plan, n, rule, tally),
            AffinityKind::Apart => apart(plan, n, rule, tally),
        }
    }
}

/// Position of the device or site that a device belongs to.
fn spot(plan: &Plan<'_>, scope: Scope, device: DeviceIx) -> usize {
    match scope {
        Scope::Device => device.at(),
        Scope::Site => plan.instance.class_of(device).site.at(),
    }
}

/// Where each served member is: `None` for one served without a device. A member named twice is
/// one member: the rows sum over the group as a set.
fn members(plan: &Plan<'_>, rule: &Affinity) -> Vec<(TenantIx, Option<usize>)> {
    let group: BTreeSet<TenantIx> = rule.tenants.iter().copied().collect();
    let served = |t: &TenantIx| plan.picks.get(t.at()).copied().flatten();
    group
        .iter()
        .filter_map(|t| Some((*t, served(t)?.place.map(|p| spot(plan, rule.scope, p.device)))))
        .collect()
}

/// (10b): any two served members share the scope, so each shares it with the first.
fn together(plan: &Plan<'_>, n: usize, rule: &Affinity, tally: &mut Tally) {
    let served = members(plan, rule);
    let Some(((first, shared), rest)) = served.split_first() else { return };
    for (tenant, place) in rest {
        tally.holds(Row::Together, place == shared, || {
            let name = |t: &TenantIx| plan.instance.tenants[t.at()].id.clone();
            format!("affinity {n}: tenants {} and {}", name(first), name(tenant))
        });
    }
}

/// (10c): at most one member in each scope.
fn apart(plan: &Plan<'_>, n: usize, rule: &Affinity, tally: &mut Tally) {
    let mut crowd: BTreeMap<usize, u32> = BTreeMap::new();
    for (_, place) in members(plan, rule) {
        if let Some(place) = place {
            *crowd.entry(place).or_default() += 1;
        }
    }
    for (place, count) in crowd {
        tally.at_most(Row::Apart, f64::from(count), 1.0, || {
            let name = match rule.scope {
                Scope::Device => plan.instance.devices[place].id.to_string(),
                Scope::Site => plan.instance.sites[place].id.to_string(),
            };
            format!("affinity {n}: members on {name}")
        });
    }
}
