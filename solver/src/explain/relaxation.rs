//! The cheapest relaxation that serves everyone: one mixed-integer program in which caps, hard
//! latency objectives and accuracy floors may be given up, each at a stated price.
//!
//! min Σ_s π_W·e_s + Σ x·(π_ms·max(0, L_q − SLO) + π_pt·max(0, floor − acc)), with e_s ≥ 0 watts on
//! the right of row (6b), z = 0, and every other row as it is.

use crate::checker;
use crate::columns;
use crate::error::SolverError;
use crate::formulation::{Formulation, Shape};
use crate::highs::{self, Settings};
use crate::pricing::Costs;
use crate::reduce;
use crate::solve::SolveOptions;
use ecomap_instances::ids::{SiteIx, TenantIx};
use ecomap_instances::instance::Instance;
use ecomap_instances::issue::Issues;
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::{Assignment, Termination};
use ecomap_instances::units::{Millis, Watts};

/// What giving in costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// For a watt above a site's cap.
    pub watt: f64,
    /// For a millisecond above a tenant's latency objective, at its own quantile.
    pub ms: f64,
    /// For a point of accuracy below a tenant's floor.
    pub point: f64,
}

impl Default for Prices {
    /// A watt costs as much as 10 ms, and as a point of accuracy.
    fn default() -> Self {
        Self { watt: 1.0, ms: 0.1, point: 1.0 }
    }
}

/// How much to give in, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Relaxation {
    /// Extra watts by site, where above 0.
    pub watts: Vec<(SiteIx, Watts)>,
    /// Extra milliseconds by tenant, where above 0.
    pub delays: Vec<(TenantIx, Millis)>,
    /// Points below the floor by tenant, where above 0.
    pub points: Vec<(TenantIx, f64)>,
    /// What it costs under the prices asked.
    pub price: f64,
    /// No relaxation costs less.
    pub bound: Option<f64>,
    /// A plan that serves everyone under it.
    pub plan: Assignment,
}

/// Relative room added to what is given, so that rounding takes nothing back.
const ROOM: f64 = 1e-6;

impl Relaxation {
    /// The instance with this much given in.
    ///
    /// # Errors
    /// None for a relaxation of `instance`.
    pub fn apply(&self, instance: &Instance) -> Result<Instance, Issues> {
        let mut parts = instance.to_parts();
        for (s, extra) in &self.watts {
            if let Some(site) = parts.sites.get_mut(s.at()) {
                site.cap = site.cap.map(|cap| Watts::new((cap + *extra).get() * (1.0 + ROOM)));
            }
        }
        for (t, extra) in &self.delays {
            if let Some(slo) = parts.tenants.get_mut(t.at()).and_then(|t| t.slo.as_mut()) {
                slo.latency = Millis::new((slo.latency + *extra).get() * (1.0 + ROOM));
            }
        }
        for (t, points) in &self.points {
            if let Some(floor) = parts.tenants.get_mut(t.at()).and_then(|t| t.accuracy_floor.as_mut()) {
                *floor = ((*floor - points) * (1.0 - ROOM)).max(0.0);
            }
        }
        Instance::try_new(parts)
    }
}

/// The cheapest relaxation of `instance` that serves everyone; `None` when there is none (boards,
/// links, pins, rules and frozen tenants stay as they are), or a limit came first.
///
/// # Errors
/// As the exact solver.
pub fn cheapest(
    instance: &Instance,
    prices: Prices,
    options: &SolveOptions,
) -> Result<Option<Relaxation>, SolverError> {
    if instance.tenants.iter().any(|t| t.options.is_empty()) {
        return Ok(None);
    }
    let soft = softened(instance, prices).map_err(SolverError::Plan)?;
    let nothing = Objective::Weighted(vec![(Term::Energy, 0.0)]);
    let costs = Costs::new(&soft, &nothing);
    // Reduced without caps, which give in. Floors are priced below, so accuracy counts as well.
    let mut uncapped = soft.to_parts();
    uncapped.sites.iter_mut().for_each(|s| s.cap = None);
    let uncapped = Instance::try_new(uncapped).map_err(SolverError::Plan)?;
    let reduced = reduce::reduce(&uncapped, &[costs.clone(), Costs::term(&soft, Term::Accuracy)], None);
    columns::check_count(&soft, &reduced.kept, "relaxation")?;
    let mut list: Vec<_> = columns::expand(&soft, &costs, &reduced.kept).into_iter().flatten().collect();
    for column in &mut list {
        if let Some((host, _)) = column.host(&soft) {
            column.cost += prices.point * shortfall(instance, column.tenant, host.tier);
        }
    }
    let program =
        Formulation::elastic(&soft, &costs, &list, Shape { disaggregated_modes: true }, prices.watt);
    let (reader, offset) = (program.reader(), program.offset);
    let (mut model, _, _) = program.into_highs()?;
    highs::set_offset(&mut model, offset)?;
    let settings = Settings {
        gap: options.gap,
        time_limit: options.time_limit,
        node_limit: options.work_limit,
        seed: options.seed,
        threads: options.threads,
        cancel: options.cancel.clone(),
        clock: options.clock.clone(),
    };
    let outcome = highs::solve_mip(model, None, &settings, &mut |_| {}, &mut |_| {})?;
    if outcome.termination == Termination::Infeasible {
        return Ok(None);
    }
    let Some(values) = outcome.columns else { return Ok(None) };
    read(instance, prices, reader.plan(&values), outcome.dual)
}

/// What a plan gives in, and that it serves everyone then.
fn read(
    instance: &Instance,
    prices: Prices,
    plan: Assignment,
    bound: Option<f64>,
) -> Result<Option<Relaxation>, SolverError> {
    let use_ = checker::check(instance, &plan, &instance.objective).evaluation;
    let above =
        |(s, (site, used)): (usize, (&ecomap_instances::instance::InstanceSite, &checker::SiteUse))| {
            let extra = used.power - site.cap?;
            (extra.get() > checker::TOLERANCE).then_some((SiteIx::new(s), extra))
        };
    let watts: Vec<_> = instance.sites.iter().zip(&use_.sites).enumerate().filter_map(above).collect();
    let (mut delays, mut points) = (Vec::new(), Vec::new());
    for (t, (tenant, pick)) in instance.tenants.iter().zip(&plan.picks).enumerate() {
        let ix = TenantIx::new(t);
        let host = pick.and_then(|p| tenant.options.get(p.option.at())).and_then(|o| o.host.as_ref());
        let Some(host) = host else { continue };
        if let Some(slo) = tenant.slo.filter(|s| s.soft_price.is_none()) {
            let extra = host.latency.at(slo.quantile) - slo.latency;
            if extra.get() > 0.0 {
                delays.push((ix, extra));
            }
        }
        let short = shortfall(instance, ix, host.tier);
        if short > 0.0 {
            points.push((ix, short));
        }
    }
    let price = prices.watt * watts.iter().map(|(_, w)| w.get()).sum::<f64>()
        + prices.ms * delays.iter().map(|(_, d)| d.get()).sum::<f64>()
        + prices.point * points.iter().map(|(_, p)| p).sum::<f64>();
    let bound = bound.filter(|b| b.is_finite()).map(|b| b.min(price));
    let relaxation = Relaxation { watts, delays, points, price, bound, plan };
    let relaxed = relaxation.apply(instance).map_err(SolverError::Plan)?;
    let verdict = checker::check(&relaxed, &relaxation.plan, &relaxed.objective);
    let serves = relaxation.plan.picks.iter().all(Option::is_some);
    if !verdict.passes() || !serves {
        return Err(SolverError::Rejected(verdict.summary()));
    }
    Ok(Some(relaxation))
}

/// Points that tier `tier` lies below the tenant's floor.
fn shortfall(instance: &Instance, tenant: TenantIx, tier: usize) -> f64 {
    let Some(tenant) = instance.tenants.get(tenant.at()) else { return 0.0 };
    match (tenant.accuracy_floor, tenant.tiers.get(tier)) {
        (Some(floor), Some(tier)) => (floor - tier.accuracy).max(0.0),
        _ => 0.0,
    }
}

/// Everyone must be served; hard latency objectives have the price of a millisecond, soft ones and
/// switching none, and there are no floors.
fn softened(instance: &Instance, prices: Prices) -> Result<Instance, Issues> {
    let mut parts = instance.to_parts();
    for tenant in &mut parts.tenants {
        tenant.shedding.allowed = false;
        tenant.switch_price = 0.0;
        tenant.accuracy_floor = None;
        if let Some(slo) = &mut tenant.slo {
            slo.soft_price = Some(if slo.soft_price.is_none() { prices.ms } else { 0.0 });
        }
    }
    Instance::try_new(parts)
}
