//! Explains a problem: who is shed and why, what would serve everyone, what one change would buy.

use crate::ServiceError;
use crate::pipeline::Priced;
use ecomap_instances::Objective;
use ecomap_instances::ids::{ClassIx, SiteIx, TenantIx};
use ecomap_instances::instance::Instance;
use ecomap_instances::plan::Status;
use ecomap_instances::units::{Millis, Watts};
use ecomap_solver::explain::what_if::{Change, gain};
use ecomap_solver::explain::{Found, Prices, conflict, relaxation};
use ecomap_solver::solution::Solution;
use ecomap_solver::{SolveOptions, Solver, default_gap};
use serde::Serialize;
use std::time::Duration;

/// What to explain.
#[derive(Debug, Clone)]
pub struct Question {
    /// Objective; the problem's own when `None`.
    pub objective: Option<Objective>,
    /// Prices of the relaxation.
    pub prices: Prices,
    /// Whether to solve again for one more watt, board and millisecond.
    pub what_if: bool,
    /// Tenants whose latency objective gets one more millisecond, by name.
    pub tenants: Vec<String>,
    /// Limits, seed and clock of each solve.
    pub options: SolveOptions,
}

/// An explanation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Name of the problem.
    pub name: String,
    /// Status of the plan that is explained.
    pub status: Status,
    /// Objective.
    pub objective: String,
    /// Unit of values and gains.
    pub unit: String,
    /// Value of the plan; null without one.
    pub primal_bound: Option<f64>,
    /// No plan is better.
    pub dual_bound: Option<f64>,
    /// Tenants that it does not serve.
    pub shed: Vec<String>,
    /// Why not everyone is served: `none`, `conflict`, `hardware` or `unknown`.
    pub reason: &'static str,
    /// Demands that cannot all hold.
    pub conflict: Vec<String>,
    /// Whether it is proven that any fewer of them can.
    pub irreducible: bool,
    /// The cheapest way to serve everyone; null when everyone is, or no relaxation does.
    pub relaxation: Option<Relaxed>,
    /// What one change would buy.
    pub changes: Vec<Bought>,
}

/// A relaxation under which everyone is served.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relaxed {
    /// What it costs at the prices asked.
    pub price: f64,
    /// No relaxation costs less.
    pub bound: Option<f64>,
    /// Prices of a watt, a millisecond, a point.
    pub prices: [f64; 3],
    /// Extra watts by site.
    pub watts: Vec<(String, f64)>,
    /// Extra milliseconds by tenant.
    pub milliseconds: Vec<(String, f64)>,
    /// Points below the floor by tenant.
    pub points: Vec<(String, f64)>,
}

/// What a change buys, by solving again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bought {
    /// The change.
    pub change: String,
    /// The objective improves by at least this; null without a bound.
    pub at_least: Option<f64>,
    /// And by at most this; null without a bound.
    pub at_most: Option<f64>,
    /// Value with the change.
    pub value: f64,
}

/// Explains `priced`.
///
/// # Errors
/// What the solver refuses, or a tenant that the problem does not have.
pub fn explain(priced: &Priced, question: &Question) -> Result<Explanation, ServiceError> {
    let instance = &priced.instance;
    let solver = ecomap_solver::by_name("exact")?;
    let objective = question.objective.clone().unwrap_or_else(|| instance.objective.clone());
    let options = SolveOptions {
        objective: Some(objective.clone()),
        gap: question.options.gap.max(default_gap(instance)),
        ..question.options.clone()
    };
    let base = solver.solve(instance, &options, &mut ())?;
    let served =
        |t: usize| base.assignment.as_ref().is_some_and(|p| p.picks.get(t).is_some_and(Option::is_some));
    let shed: Vec<String> = (0..instance.tenants.len())
        .filter(|t| !served(*t))
        .map(|t| instance.tenants[t].id.to_string())
        .collect();
    let mut explanation = Explanation {
        name: priced.name.clone(),
        status: base.status,
        objective: objective.name().to_owned(),
        unit: objective.unit().to_owned(),
        primal_bound: base.certificate.primal,
        dual_bound: base.certificate.dual,
        shed,
        reason: "none",
        conflict: Vec::new(),
        irreducible: false,
        relaxation: None,
        changes: Vec::new(),
    };
    if !explanation.shed.is_empty() {
        why(instance, question, &options, &mut explanation)?;
    }
    if question.what_if && base.assignment.is_some() {
        for (name, change) in changes(instance, &question.tenants)? {
            if let Some(bought) = gain_of(instance, &base, change, solver, &options, name)? {
                explanation.changes.push(bought);
            }
        }
    }
    Ok(explanation)
}

fn gain_of(
    instance: &Instance,
    base: &Solution,
    change: Change,
    solver: &dyn Solver,
    options: &SolveOptions,
    name: String,
) -> Result<Option<Bought>, ServiceError> {
    let found = gain(instance, base, change, solver, options)?;
    Ok(found.map(|g| Bought { change: name, at_least: g.at_least, at_most: g.at_most, value: g.value }))
}

fn why(
    instance: &Instance,
    question: &Question,
    options: &SolveOptions,
    explanation: &mut Explanation,
) -> Result<(), ServiceError> {
    match conflict::find(instance, true, options)? {
        Found::None => {}
        Found::Hardware => explanation.reason = "hardware",
        Found::Unknown => explanation.reason = "unknown",
        Found::Conflict(found) => {
            explanation.reason = "conflict";
            explanation.conflict = found.demands.iter().map(|d| d.describe(instance)).collect();
            explanation.irreducible = found.irreducible;
        }
    }
    let Some(found) = relaxation::cheapest(instance, question.prices, options)? else { return Ok(()) };
    let tenant = |t: &TenantIx| instance.tenants[t.at()].id.to_string();
    explanation.relaxation = Some(Relaxed {
        price: found.price,
        bound: found.bound,
        prices: [question.prices.watt, question.prices.ms, question.prices.point],
        watts: found.watts.iter().map(|(s, w)| (instance.sites[s.at()].id.to_string(), w.get())).collect(),
        milliseconds: found.delays.iter().map(|(t, d)| (tenant(t), d.get())).collect(),
        points: found.points.iter().map(|(t, p)| (tenant(t), *p)).collect(),
    });
    Ok(())
}

/// One watt for each cap, one board of each class, one millisecond for each tenant named.
fn changes(instance: &Instance, tenants: &[String]) -> Result<Vec<(String, Change)>, ServiceError> {
    let mut list = Vec::new();
    for (s, site) in instance.sites.iter().enumerate().filter(|(_, s)| s.cap.is_some()) {
        list.push((format!("1 W more at site {}", site.id), Change::Power(SiteIx::new(s), Watts::new(1.0))));
    }
    for (c, class) in instance.classes.iter().enumerate() {
        let site = &instance.sites[class.site.at()].id;
        let name = format!("one more {} at site {site}", class.profile);
        list.push((name, Change::Device(ClassIx::new(c))));
    }
    for name in tenants {
        let Some(t) = instance.tenants.iter().position(|t| t.id.as_str() == name) else {
            return Err(ServiceError::Usage(format!(
                "`{}` is not a tenant of this problem",
                name.escape_debug()
            )));
        };
        let change = Change::Delay(TenantIx::new(t), Millis::new(1.0));
        list.push((format!("1 ms more for tenant {name}"), change));
    }
    Ok(list)
}

/// Options for each solve of an explanation.
#[must_use]
pub fn options(time_limit: Duration, seed: u64) -> SolveOptions {
    SolveOptions { time_limit: Some(time_limit), seed, ..SolveOptions::default() }
}
