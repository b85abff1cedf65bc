//! Demands: what may be given up, one at a time. What boards can physically do is none.

use ecomap_instances::ids::{CapacityIx, SiteIx, TenantIx};
use ecomap_instances::instance::{Instance, InstanceParts, MAX_MAGNITUDE};
use ecomap_instances::issue::Issues;
use std::collections::BTreeSet;

/// One thing that is asked of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// The tenant is served, row (1).
    Serve(TenantIx),
    /// The hard latency objective, row (7).
    Slo(TenantIx),
    /// The accuracy floor, row (8a).
    Floor(TenantIx),
    /// The list of devices, row (10a).
    Pin(TenantIx),
    /// Keeping the running choice, row (11b).
    Frozen(TenantIx),
    /// The most moves, row (11a).
    Moves,
    /// The power cap, row (6b).
    Cap(SiteIx),
    /// A link or other global capacity, row (9).
    Capacity(CapacityIx),
    /// The fleet's accuracy floor, row (8b).
    FleetFloor,
    /// An affinity rule by position, rows (10b) and (10c).
    Rule(usize),
}

impl Demand {
    /// Every demand of an instance. `everyone`: that each tenant is served; else only those that
    /// must be.
    #[must_use]
    pub fn all(instance: &Instance, everyone: bool) -> Vec<Self> {
        let mut list = Vec::new();
        for (t, tenant) in instance.tenants.iter().enumerate() {
            let ix = TenantIx::new(t);
            if everyone || !tenant.shedding.allowed {
                list.push(Self::Serve(ix));
            }
            if tenant.slo.is_some_and(|s| s.soft_price.is_none()) {
                list.push(Self::Slo(ix));
            }
            if tenant.accuracy_floor.is_some() {
                list.push(Self::Floor(ix));
            }
            if tenant.devices.is_some() {
                list.push(Self::Pin(ix));
            }
        }
        list.extend(instance.stability.frozen.iter().map(|t| Self::Frozen(*t)));
        list.extend(instance.stability.max_moves.map(|_| Self::Moves));
        let capped = instance.sites.iter().enumerate().filter(|(_, s)| s.cap.is_some());
        list.extend(capped.map(|(s, _)| Self::Cap(SiteIx::new(s))));
        list.extend((0..instance.capacities.len()).map(|r| Self::Capacity(CapacityIx::new(r))));
        list.extend(instance.fleet_accuracy_floor.map(|_| Self::FleetFloor));
        list.extend((0..instance.affinities.len()).map(Self::Rule));
        list
    }

    /// One line for people, with the figure that is asked for.
    #[must_use]
    pub fn describe(self, instance: &Instance) -> String {
        let name = |t: TenantIx| instance.tenants.get(t.at()).map_or_else(String::new, |t| t.id.to_string());
        match self {
            Self::Serve(t) => format!("tenant {} is served (1)", name(t)),
            Self::Slo(t) => {
                let slo = instance.tenants.get(t.at()).and_then(|t| t.slo);
                let limit = slo.map_or(0.0, |s| s.latency.get());
                format!("latency objective {limit} ms of tenant {} (7)", name(t))
            }
            Self::Floor(t) => {
                let floor = instance.tenants.get(t.at()).and_then(|t| t.accuracy_floor).unwrap_or_default();
                format!("accuracy floor {floor} of tenant {} (8a)", name(t))
            }
            Self::Pin(t) => format!("list of devices of tenant {} (10a)", name(t)),
            Self::Frozen(t) => format!("tenant {} keeps its running choice (11b)", name(t)),
            Self::Moves => {
                format!("at most {} tenants move (11a)", instance.stability.max_moves.unwrap_or_default())
            }
            Self::Cap(s) => instance.sites.get(s.at()).map_or_else(String::new, |site| {
                format!("power cap {} of site {} (6b)", site.cap.unwrap_or_default(), site.id)
            }),
            Self::Capacity(r) => instance.capacities.get(r.at()).map_or_else(String::new, |row| {
                format!("capacity {} {} of {} (9)", row.capacity, row.unit, row.id)
            }),
            Self::FleetFloor => {
                format!("fleet accuracy floor {} (8b)", instance.fleet_accuracy_floor.unwrap_or_default())
            }
            Self::Rule(a) => format!("affinity rule {a} (10b, 10c)"),
        }
    }
}

/// The instance with the demands in `kept` and no other.
///
/// # Errors
/// None for a validated instance.
pub fn only(instance: &Instance, kept: &BTreeSet<Demand>) -> Result<Instance, Issues> {
    let mut parts: InstanceParts = instance.to_parts();
    for (t, tenant) in parts.tenants.iter_mut().enumerate() {
        let ix = TenantIx::new(t);
        tenant.shedding.allowed = !kept.contains(&Demand::Serve(ix));
        tenant.shedding.price = Some(0.0);
        tenant.switch_price = 0.0;
        if let Some(slo) = &mut tenant.slo
            && !kept.contains(&Demand::Slo(ix))
        {
            slo.soft_price = Some(0.0);
        }
        if !kept.contains(&Demand::Floor(ix)) {
            tenant.accuracy_floor = None;
        }
        if !kept.contains(&Demand::Pin(ix)) {
            tenant.devices = None;
        }
    }
    parts.stability.frozen.retain(|t| kept.contains(&Demand::Frozen(*t)));
    if !kept.contains(&Demand::Moves) {
        parts.stability.max_moves = None;
    }
    for (s, site) in parts.sites.iter_mut().enumerate() {
        if !kept.contains(&Demand::Cap(SiteIx::new(s))) {
            site.cap = None;
        }
    }
    for (r, row) in parts.capacities.iter_mut().enumerate() {
        if !kept.contains(&Demand::Capacity(CapacityIx::new(r))) {
            row.capacity = MAX_MAGNITUDE;
        }
    }
    if !kept.contains(&Demand::FleetFloor) {
        parts.fleet_accuracy_floor = None;
    }
    let rules = std::mem::take(&mut parts.affinities).into_iter().enumerate();
    parts.affinities =
        rules.filter(|(a, _)| kept.contains(&Demand::Rule(*a))).map(|(_, rule)| rule).collect();
    Instance::try_new(parts)
}
