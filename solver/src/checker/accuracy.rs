//! Row (8): each tenant's accuracy floor (8a), and the fleet's (8b).

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::instance::{Choice, InstanceTenant};

/// Checks both. Options without a host have no tier, hence no accuracy, and stay out of both.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) {
    for (tenant, place) in plan.hosted() {
        if let Some(floor) = tenant.accuracy_floor {
            let accuracy = tenant.tiers[place.host.tier].accuracy;
            tally.at_least(Row::AccuracyFloor, accuracy, floor, || format!("tenant {}", tenant.id));
        }
    }
    if let Some(floor) = plan.instance.fleet_accuracy_floor {
        let surplus: f64 =
            plan.hosted().map(|(t, p)| t.priority * (t.tiers[p.host.tier].accuracy - floor)).sum();
        tally.at_least(Row::FleetAccuracy, surplus, 0.0, || {
            format!("priority-weighted surplus over {floor} points, of the tenants served")
        });
    }
}

/// lost[i,o]: accuracy of the tenant's best tier minus accuracy of the option's tier.
pub(super) fn lost(tenant: &InstanceTenant, option: &Choice) -> f64 {
    let Some(host) = &option.host else { return 0.0 };
    let best = tenant.tiers.iter().map(|t| t.accuracy).fold(f64::NEG_INFINITY, f64::max);
    best - tenant.tiers[host.tier].accuracy
}
