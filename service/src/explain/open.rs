//! A priced problem in which one tenant also has the options that its latency objective and its
//! accuracy floor leave out, so that an answer can say that it is these that are in the way.

use crate::ServiceError;
use crate::pipeline::{self, Priced};
use ecomap_instances::ids::{TenantIx, WeightIx};
use ecomap_instances::instance::{Choice, Instance, InstanceParts, InstanceTenant};
use ecomap_instances::objective::Objective;
use ecomap_solver::explain::what_if::fixed_prices;

/// The instance of `priced` with these options added for `tenant`. No plan can take them as long as
/// the limits stand, and shed prices are fixed, so every plan is worth what it was. An instance that
/// came priced has all the options that it will ever have.
///
/// # Errors
/// Those of pricing.
pub(super) fn opened(
    priced: &Priced,
    instance: &Instance,
    tenant: TenantIx,
    objective: &Objective,
) -> Result<Instance, ServiceError> {
    let mut parts = fixed_prices(instance, objective);
    if let Some(scenario) = &priced.scenario {
        let (open, _) = ecomap_estimator::price(&scenario.without_limits(), &pipeline::predictor()?)?;
        if let Some(from) = open.tenants.get(tenant.at()) {
            add(&mut parts, tenant, from, &open);
        }
    }
    Ok(Instance::try_new(parts)?)
}

fn add(parts: &mut InstanceParts, tenant: TenantIx, from: &InstanceTenant, open: &Instance) {
    let Some(subject) = parts.tenants.get_mut(tenant.at()) else { return };
    let left_out = |choice: &&Choice| {
        choice.host.as_ref().is_some_and(|host| {
            let hard = subject.slo.filter(|slo| slo.soft_price.is_none());
            let late = hard.is_some_and(|slo| host.latency.at(slo.quantile) > slo.latency);
            let accuracy = subject.tiers.get(host.tier).map_or(0.0, |t| t.accuracy);
            late || subject.accuracy_floor.is_some_and(|floor| accuracy < floor)
        })
    };
    let mut more: Vec<Choice> = from.options.iter().filter(left_out).cloned().collect();
    // Weight sets are numbered in the order in which pricing meets them.
    for host in more.iter_mut().filter_map(|choice| choice.host.as_mut()) {
        for weight in &mut host.weights {
            let Some(set) = open.weights.get(weight.at()) else { continue };
            let known = parts.weights.iter().position(|w| w.id == set.id);
            *weight = WeightIx::new(known.unwrap_or(parts.weights.len()));
            if known.is_none() {
                parts.weights.push(set.clone());
            }
        }
    }
    subject.options.append(&mut more);
}
