//! Row (7): hard SLOs are kept, soft ones cost; and the latency predicted with co-runners.

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::instance::{Choice, InstanceTenant, MAX_MAGNITUDE, Quantiles};

/// Checks hard SLOs.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) {
    for (tenant, place) in plan.hosted() {
        let Some(slo) = tenant.slo.filter(|slo| slo.soft_price.is_none()) else { continue };
        let latency = place.host.latency.at(slo.quantile);
        tally.at_most(Row::Latency, latency.get(), slo.latency.get(), || {
            format!("tenant {}, {} latency in ms", tenant.id, slo.quantile.as_str())
        });
    }
}

/// π·max(0, L − SLO): the price of breaking a soft SLO by `option`; 0 for a hard one.
pub(super) fn soft_price(tenant: &InstanceTenant, option: &Choice) -> f64 {
    let (Some(slo), Some(host)) = (tenant.slo, &option.host) else { return 0.0 };
    slo.soft_price
        .map_or(0.0, |price| price * (host.latency.at(slo.quantile).get() - slo.latency.get()).max(0.0))
}

/// Latency of each tenant with the plan's own co-runners; `loads` is the load per device and unit.
pub(super) fn predicted(plan: &Plan<'_>, loads: &[Vec<f64>]) -> Vec<Option<Quantiles>> {
    let one = |host: &ecomap_instances::instance::Host, device: usize| {
        let others = |unit: usize| {
            let own: f64 = host.load.iter().filter(|(u, _)| u.at() == unit).map(|(_, load)| load).sum();
            (loads[device][unit] - own).max(0.0)
        };
        let slowdown: f64 = host.slopes.iter().map(|(unit, slope)| slope * others(unit.at())).sum();
        // A slope may be any finite number; the product must stay one.
        let factor = 1.0 + slowdown.min(MAX_MAGNITUDE);
        host.isolated.delayed(host.network * -1.0).scaled(factor).delayed(host.network)
    };
    plan.picks.iter().map(|pick| pick.as_ref()?.place.map(|p| one(p.host, p.device.at()))).collect()
}
