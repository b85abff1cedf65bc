//! Pricing: a [`Scenario`] becomes an [`Instance`].
//!
//! Boards are grouped into device classes (`classes`), links become capacity rows (`routes`),
//! placements are enumerated and filtered once for each (tier, profile, mode) (`menus`), and each
//! tenant's options are priced at its rate by the predictor (`options`). What is left out is
//! counted in the [`PricingReport`].

pub(crate) mod classes;
pub(crate) mod menus;
pub(crate) mod options;
mod report;
pub(crate) mod routes;
pub(crate) mod weights;

pub use report::{LeftOut, PricingReport};

use crate::error::EstimatorError;
use crate::predictor::Predictor;
use ecomap_instances::ids::{SiteIx, TenantIx};
use ecomap_instances::instance::{InstanceParts, InstanceSite, InstanceTenant, InstanceTier, Sense};
use ecomap_instances::scenario::Tenant;
use ecomap_instances::units::Millis;
use ecomap_instances::{Instance, Scenario};
use menus::{Key, Menus};
use options::Desk;
use routes::{Route, Routes};
use weights::Weights;

/// Prices every candidate of a scenario.
///
/// Deterministic: the same scenario and predictor give the same instance, byte for byte.
///
/// # Errors
/// [`EstimatorError::Instance`] when a tenant that may not be shed has no option, or the scenario
/// is larger than an instance may be; [`EstimatorError::ShortAnswer`] from a broken predictor.
pub fn price(
    scenario: &Scenario,
    predictor: &dyn Predictor,
) -> Result<(Instance, PricingReport), EstimatorError> {
    let groups = classes::groups(scenario);
    let classes = classes::classes(&groups, scenario.pricing.load_cap);
    let menus = all_menus(scenario, &groups, predictor);
    let mut report = PricingReport::new(predictor, scenario.pricing.slo_basis);
    report.placements = menus.iter().map(|e| e.menu.evaluated).sum();
    report.count(LeftOut::Dominated, menus.iter().map(|e| e.menu.dominated).sum());
    report.count(LeftOut::Trimmed, menus.iter().map(|e| e.menu.trimmed).sum());

    let desk = Desk { scenario, groups: &groups, classes: &classes, menus: &menus, predictor };
    let mut routes = Routes::new(scenario);
    let mut weights = Weights::default();
    let mut tenants = Vec::with_capacity(scenario.tenants.len());
    for (n, tenant) in scenario.tenants.iter().enumerate() {
        let ways: Vec<Option<Route>> = groups.iter().map(|g| routes.between(tenant.origin, g.site)).collect();
        let running = options::running(scenario, TenantIx::new(n), tenant);
        let options = desk.options(tenant, &ways, running.as_ref(), &mut weights, &mut report)?;
        report.options += u64::try_from(options.len()).unwrap_or(u64::MAX);
        tenants.push(InstanceTenant {
            id: tenant.id.clone(),
            priority: tenant.priority,
            rate: tenant.rate,
            slo: Some(tenant.slo),
            family: tenant.family.id.to_string(),
            tiers: tenant
                .tiers
                .iter()
                .filter_map(|t| tenant.family.tiers.get(*t))
                .map(|t| InstanceTier { id: t.id.clone(), accuracy: t.accuracy })
                .collect(),
            accuracy_floor: tenant.accuracy_floor,
            devices: tenant.devices.clone(),
            switch_price: tenant.switch_price,
            running,
            shedding: tenant.shedding,
            options,
        });
    }
    let instance = Instance::try_new(InstanceParts {
        name: scenario.name.clone(),
        sense: Sense::Minimize,
        objective: scenario.objective.clone(),
        sites: sites(scenario),
        devices: classes::devices(scenario, &groups),
        classes,
        weights: weights.into_sets(),
        capacities: routes::capacities(scenario),
        tenants,
        affinities: scenario.affinities.clone(),
        fleet_accuracy_floor: scenario.fleet_accuracy_floor,
        stability: scenario.stability.clone(),
    })?;
    Ok((instance, report))
}

/// What the network adds to a request of `tenant` for tier `tier`, there and back, when it is
/// served at `site`; `None` when no link leads there or the tier does not exist.
#[must_use]
pub fn network(scenario: &Scenario, tenant: &Tenant, tier: usize, site: SiteIx) -> Option<Millis> {
    let model = tenant.family.tiers.get(tier)?;
    let route = Routes::new(scenario).between(tenant.origin, site)?;
    Some(route.latency(model.request, model.response))
}

/// Menus for every (tier, class, mode) that some tenant may use.
pub(crate) fn all_menus(scenario: &Scenario, groups: &[classes::Group], predictor: &dyn Predictor) -> Menus {
    let mut menus = Menus::default();
    for tenant in &scenario.tenants {
        for (_, tier) in options::tiers(tenant) {
            for group in groups.iter().filter(|g| options::admits(tenant, g)) {
                for mode in &group.modes {
                    let key = Key::new(tenant, tier, &group.profile, *mode);
                    menus.want(key, &tenant.family, &group.profile);
                }
            }
        }
    }
    menus.fill(predictor, &scenario.pricing);
    menus
}

fn sites(scenario: &Scenario) -> Vec<InstanceSite> {
    scenario
        .sites
        .iter()
        .filter_map(|site| {
            let carbon = scenario.zones.get(site.zone.at())?.carbon;
            Some(InstanceSite { id: site.id.clone(), carbon, cap: site.budget.cap(carbon) })
        })
        .collect()
}
