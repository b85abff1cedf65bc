//! Row (11) is a price: κ_i is paid unless the tenant keeps its running choice. (11a) and (11b) are
//! limits: on the number of tenants that leave theirs, and for those that are frozen.

use super::plan::{Plan, Served};
use super::tally::{Row, Tally};
use ecomap_instances::instance::InstanceTenant;

/// Checks rows (11a) and (11b).
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) {
    let stability = &plan.instance.stability;
    let mut moves: u32 = 0;
    for (t, (tenant, pick)) in plan.instance.tenants.iter().zip(&plan.picks).enumerate() {
        let stays = keeps(tenant, pick.as_ref());
        moves += u32::from(tenant.running.is_some() && !stays);
        if stability.frozen.iter().any(|f| f.at() == t) {
            tally.holds(Row::Frozen, stays, || format!("tenant {} leaves its running choice", tenant.id));
        }
    }
    if let Some(most) = stability.max_moves {
        let most = u32::try_from(most).map_or(f64::INFINITY, f64::from);
        tally.at_most(Row::Moves, f64::from(moves), most, || "tenants that move".to_owned());
    }
}

/// Σ κ_i over the tenants that leave their running choice; one that is shed leaves it.
pub(super) fn price(plan: &Plan<'_>) -> f64 {
    plan.instance.tenants.iter().zip(&plan.picks).map(|(t, pick)| kappa(t, !keeps(t, pick.as_ref()))).sum()
}

/// Σ_j κ_j of (18): what leaving every running choice costs.
pub(super) fn most(plan: &Plan<'_>) -> f64 {
    plan.instance.tenants.iter().map(|t| kappa(t, true)).sum()
}

fn kappa(tenant: &InstanceTenant, leaves: bool) -> f64 {
    if leaves && tenant.running.is_some() { tenant.switch_price } else { 0.0 }
}

/// Same device, tier and placement, in any power mode; a running choice that names no placement
/// leaves it free.
fn keeps(tenant: &InstanceTenant, pick: Option<&Served<'_>>) -> bool {
    let (Some(running), Some(place)) = (&tenant.running, pick.and_then(|p| p.place)) else { return false };
    let same_placement = running.segments.as_ref().is_none_or(|s| *s == place.host.segments);
    running.device == place.device && running.tier == place.host.tier && same_placement
}
