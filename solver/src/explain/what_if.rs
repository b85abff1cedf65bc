//! What one more watt, millisecond or device would buy: the problem with that one change, solved
//! again from the plan at hand. Both optima are known only up to their gaps, so the gain is an
//! interval.

use crate::error::SolverError;
use crate::pricing::Costs;
use crate::solution::Solution;
use crate::solve::{SolveOptions, Solver};
use ecomap_instances::ids::{ClassIx, DeviceIx, SiteIx, TenantIx};
use ecomap_instances::instance::{Instance, InstanceDevice, InstanceParts, Sense};
use ecomap_instances::issue::Issues;
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::units::{Millis, Watts};

/// A change to the problem.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// This much more on a site's cap.
    Power(SiteIx, Watts),
    /// This much more on a tenant's hard latency objective. Only options that the instance carries
    /// can become admissible, and the objective goes on pricing latency by the objective as it was.
    Delay(TenantIx, Millis),
    /// One more board of a class (its draw when off, and that it must stay on, included), open to every tenant that may use the class's other boards.
    Device(ClassIx),
}

/// What a change buys, in units of the objective. A new board that must stay on, or draws power when
/// off, may cost more than it brings: then the gain is negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// The objective improves by at least this; `None` when a bound is missing.
    pub at_least: Option<f64>,
    /// And by at most this; `None` when a bound is missing.
    pub at_most: Option<f64>,
    /// Value of the best plan with the change.
    pub value: f64,
}

impl Change {
    /// The instance with the change.
    ///
    /// # Errors
    /// When a name for a new board cannot be made.
    pub fn apply(self, instance: &Instance, objective: &Objective) -> Result<Instance, Issues> {
        let mut parts = fixed_prices(instance, objective);
        match self {
            Self::Power(site, extra) => {
                if let Some(site) = parts.sites.get_mut(site.at()) {
                    site.cap = site.cap.map(|cap| cap + extra);
                }
            }
            Self::Delay(tenant, extra) => {
                // Options beyond the objective but within the extra become admissible by pretending
                // that they just meet it; p50, which objectives count, stays.
                if let Some(tenant) = parts.tenants.get_mut(tenant.at())
                    && let Some(slo) = tenant.slo.filter(|s| s.soft_price.is_none())
                {
                    for host in tenant.options.iter_mut().filter_map(|o| o.host.as_mut()) {
                        let latency = host.latency.at(slo.quantile);
                        if latency > slo.latency && latency <= slo.latency + extra {
                            use ecomap_instances::scenario::Quantile;
                            match slo.quantile {
                                Quantile::P50 => host.latency.p50 = slo.latency,
                                Quantile::P95 => host.latency.p95 = slo.latency,
                                Quantile::P99 => host.latency.p99 = slo.latency,
                            }
                        }
                    }
                }
            }
            Self::Device(class) => {
                if let Some(kind) = parts.classes.get_mut(class.at()) {
                    let new = DeviceIx::new(parts.devices.len());
                    let old = kind.devices.clone();
                    kind.devices.push(new);
                    let id = (1..)
                        .map(|n| format!("new-{n}"))
                        .find(|id| parts.devices.iter().all(|d| d.id.as_str() != id));
                    let id = id.unwrap_or_default().as_str().into();
                    parts.devices.push(InstanceDevice { id, class });
                    for tenant in &mut parts.tenants {
                        if let Some(list) = &mut tenant.devices
                            && old.iter().any(|d| list.contains(d))
                        {
                            list.push(new);
                        }
                    }
                }
            }
        }
        Instance::try_new(parts)
    }
}

/// The content of `instance` with every open shed price (18) at what it is under `objective`: open
/// ones depend on options and boards, so that a change to these would change the objective too.
#[must_use]
pub fn fixed_prices(instance: &Instance, objective: &Objective) -> InstanceParts {
    let costs = Costs::new(instance, objective);
    let mut parts = instance.to_parts();
    for (i, tenant) in parts.tenants.iter_mut().enumerate() {
        if tenant.shedding.allowed {
            tenant.shedding.price = Some(costs.shed(i));
        }
    }
    parts
}

/// Solves with the change and compares with `base`, an answer to `instance`; `None` when either has
/// no plan.
///
/// # Errors
/// As [`Solver::solve`].
pub fn gain(
    instance: &Instance,
    base: &Solution,
    change: Change,
    solver: &dyn Solver,
    options: &SolveOptions,
) -> Result<Option<Gain>, SolverError> {
    let objective = &base.objective;
    let changed = change.apply(instance, objective).map_err(SolverError::Plan)?;
    let mut start = base.assignment.clone();
    if let Some(plan) = &mut start {
        plan.modes.resize(changed.devices.len(), None);
    }
    let options = SolveOptions { objective: Some(objective.clone()), warm_start: start, ..options.clone() };
    let solution = solver.solve(&changed, &options, &mut ())?;
    let maximised = instance.sense == Sense::Maximize && *objective == Objective::Single(Term::Value);
    let sign = if maximised { -1.0 } else { 1.0 };
    let (Some(before), Some(after)) = (base.certificate.primal, solution.certificate.primal) else {
        return Ok(None);
    };
    Ok(Some(Gain {
        at_least: base.certificate.dual.map(|dual| sign * (dual - after)),
        at_most: solution.certificate.dual.map(|dual| sign * (before - dual)),
        value: after,
    }))
}
