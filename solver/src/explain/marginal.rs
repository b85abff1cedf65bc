//! What a watt of each cap is worth by the duals.
//!
//! The multipliers μ of the pool relaxation (19) price every row at once. For any caps P′ in the
//! place of P, no plan is better than L(μ) − Σ_s μ_s·(P′_s − P_s): a bound, not a promise, since the
//! next watt may buy nothing until there are enough of them for another tier. What a watt really
//! buys is asked by solving again ([`super::what_if`]).

use crate::columns;
use crate::error::SolverError;
use crate::highs::Settings;
use crate::pricing::Costs;
use crate::reduce;
use crate::relax::Relaxation;
use crate::solve::SolveOptions;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::instance::{Instance, Sense};
use ecomap_instances::objective::{Objective, Term};

/// Marginal values of caps.
#[derive(Debug, Clone, PartialEq)]
pub struct Marginals {
    /// L(μ): no plan within the caps as they are is better.
    pub bound: f64,
    /// μ of each site that has a cap, in units of the objective for a watt; not negative.
    pub sites: Vec<(SiteIx, f64)>,
    /// Whether the relaxation was solved to the end; else μ is a valid but poor price.
    pub converged: bool,
}

/// Prices the caps of `instance` under `objective` (its first level, when lexicographic). `None` for
/// the carbon-delay product, which has no linear relaxation, and for values that are maximised.
///
/// # Errors
/// As the exact solver.
pub fn caps(
    instance: &Instance,
    objective: &Objective,
    options: &SolveOptions,
) -> Result<Option<Marginals>, SolverError> {
    let maximised = instance.sense == Sense::Maximize && *objective == Objective::Single(Term::Value);
    if *objective == Objective::Cdp || maximised {
        return Ok(None);
    }
    let costs = Costs::new(instance, objective);
    // Reduced without caps: what only a cap keeps out may come in with the next watt.
    let mut uncapped = instance.to_parts();
    uncapped.sites.iter_mut().for_each(|s| s.cap = None);
    let uncapped = Instance::try_new(uncapped).map_err(SolverError::Plan)?;
    let reduced = reduce::reduce(&uncapped, std::slice::from_ref(&costs), None);
    columns::check_count(instance, &reduced.kept, "relaxation")?;
    let columns = columns::expand(instance, &costs, &reduced.kept);
    let settings = Settings {
        gap: options.gap,
        time_limit: options.time_limit,
        node_limit: None,
        seed: options.seed,
        threads: options.threads,
        cancel: options.cancel.clone(),
        clock: options.clock.clone(),
    };
    let bound = Relaxation::new(instance, &costs, &columns, &[]).solve(&[], &settings)?;
    if !bound.value.is_finite() {
        return Ok(None);
    }
    let priced = bound.site_prices.iter().enumerate();
    let sites = priced.filter_map(|(s, price)| Some((SiteIx::new(s), (*price)?))).collect();
    Ok(Some(Marginals { bound: bound.value, sites, converged: bound.converged }))
}
