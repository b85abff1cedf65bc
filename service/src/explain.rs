//! Explains a problem: who is shed and why, what would serve everyone, what one change would buy;
//! and, in [`plan`], one tenant of a plan.

mod open;
pub mod plan;

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
use schemars::JsonSchema;
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
    /// When the whole must end, on the same clock; `None`: only each solve is limited.
    pub deadline: Option<Duration>,
}

/// Time for the questions of one explanation.
#[derive(Debug, Clone)]
struct Budget {
    options: SolveOptions,
    deadline: Option<Duration>,
}

impl Budget {
    /// Options for the next of `questions` that are still to come: an even share of the time left.
    /// `None` when there is none left, or nobody waits for the answer any more.
    fn next(&self, questions: usize) -> Option<SolveOptions> {
        if self.options.cancel.is_cancelled() {
            return None;
        }
        let Some(deadline) = self.deadline else { return Some(self.options.clone()) };
        let left = deadline.saturating_sub(self.options.clock.now());
        if left.is_zero() {
            return None;
        }
        let share = left / u32::try_from(questions.max(1)).unwrap_or(u32::MAX);
        let time_limit = Some(self.options.time_limit.map_or(share, |each| each.min(share)));
        Some(SolveOptions { time_limit, ..self.options.clone() })
    }
}

/// An explanation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    /// Questions that the time did not allow.
    pub skipped: Vec<String>,
}

/// A relaxation under which everyone is served.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    if priced.accelerators.is_some() {
        let what = "jobs for accelerators are not explained; the notes of a solve say who runs and who waits";
        return Err(ServiceError::Usage(what.to_owned()));
    }
    for name in &question.tenants {
        tenant_of(instance, name)?;
    }
    let solver = ecomap_solver::by_name("exact")?;
    let objective = question.objective.clone().unwrap_or_else(|| instance.objective.clone());
    let options = SolveOptions {
        objective: Some(objective.clone()),
        gap: question.options.gap.max(default_gap(instance)),
        ..question.options.clone()
    };
    let changes = if question.what_if { changes(instance, &question.tenants)? } else { Vec::new() };
    let budget = Budget { options, deadline: question.deadline };
    // The plan, the conflict, the relaxation, the changes.
    let Some(options) = budget.next(3 + changes.len()) else { return Err(ServiceError::NoTimeLeft) };
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
        dual_bound: base.certificate.dual.filter(|d| d.is_finite()),
        shed,
        reason: "none",
        conflict: Vec::new(),
        irreducible: false,
        relaxation: None,
        changes: Vec::new(),
        skipped: Vec::new(),
    };
    if !explanation.shed.is_empty() {
        why(instance, question, &budget, changes.len(), &mut explanation)?;
    }
    let mut ahead = changes.len();
    for (name, change) in changes {
        match budget.next(ahead) {
            Some(options) if base.assignment.is_some() => {
                explanation.changes.extend(gain_of(instance, &base, change, solver, &options, name)?);
            }
            Some(_) => {}
            None => explanation.skipped.push(name),
        }
        ahead -= 1;
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
    let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
    Ok(found.map(|g| Bought {
        change: name,
        at_least: finite(g.at_least),
        at_most: finite(g.at_most),
        value: g.value,
    }))
}

fn why(
    instance: &Instance,
    question: &Question,
    budget: &Budget,
    ahead: usize,
    explanation: &mut Explanation,
) -> Result<(), ServiceError> {
    explanation.reason = "unknown";
    match budget.next(2 + ahead) {
        None => explanation.skipped.push("the conflict".to_owned()),
        Some(options) => match conflict::find(instance, true, &options)? {
            Found::None => explanation.reason = "none",
            Found::Hardware => explanation.reason = "hardware",
            Found::Unknown => {}
            Found::Conflict(found) => {
                explanation.reason = "conflict";
                explanation.conflict = found.demands.iter().map(|d| d.describe(instance)).collect();
                explanation.irreducible = found.irreducible;
            }
        },
    }
    let Some(options) = budget.next(1 + ahead) else {
        explanation.skipped.push("the cheapest relaxation".to_owned());
        return Ok(());
    };
    let Some(found) = relaxation::cheapest(instance, question.prices, &options)? else { return Ok(()) };
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
        let change = Change::Delay(tenant_of(instance, name)?, Millis::new(1.0));
        list.push((format!("1 ms more for tenant {name}"), change));
    }
    Ok(list)
}

/// The tenant of that name.
fn tenant_of(instance: &Instance, name: &str) -> Result<TenantIx, ServiceError> {
    let at = instance.tenants.iter().position(|t| t.id.as_str() == name);
    at.map(TenantIx::new).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        ServiceError::Usage(format!("`{}` is not a tenant of this problem", shown.escape_debug()))
    })
}

/// Options for each solve of an explanation.
#[must_use]
pub fn options(time_limit: Duration, seed: u64) -> SolveOptions {
    SolveOptions { time_limit: Some(time_limit), seed, ..SolveOptions::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_solver::clock::Clock;
    use std::sync::Arc;

    #[derive(Debug)]
    struct Stopped(Duration);

    impl Clock for Stopped {
        fn now(&self) -> Duration {
            self.0
        }
    }

    fn budget(now: u64, deadline: Option<u64>) -> Budget {
        let clock = Arc::new(Stopped(Duration::from_secs(now)));
        let options = SolveOptions { clock, ..options(Duration::from_secs(30), 0) };
        Budget { options, deadline: deadline.map(Duration::from_secs) }
    }

    #[test]
    fn questions_share_the_time_left_and_none_is_asked_after_it() {
        let limit =
            |budget: Budget, questions| budget.next(questions).map(|o| o.time_limit.map(|t| t.as_secs()));
        assert_eq!(limit(budget(10, None), 7), Some(Some(30)), "each as long as it may");
        assert_eq!(limit(budget(10, Some(50)), 4), Some(Some(10)));
        assert_eq!(limit(budget(10, Some(500)), 4), Some(Some(30)));
        assert_eq!(limit(budget(10, Some(10)), 4), None);
        let cancelled = budget(10, None);
        cancelled.options.cancel.cancel();
        assert_eq!(limit(cancelled, 1), None);
    }

    /// With a clock that stands at the deadline nothing is answered; just before it, all is.
    #[test]
    fn a_deadline_that_has_passed_is_no_explanation() {
        let text = ecomap_instances::scenarios::embedded("tiny").unwrap();
        let clock = Stopped(Duration::from_secs(5));
        let loaded =
            crate::pipeline::load("tiny", text, None, crate::pipeline::Sizes::UNBOUNDED, &clock).unwrap();
        let priced = crate::pipeline::price_open(loaded, crate::pipeline::Sizes::UNBOUNDED, &clock).unwrap();
        let ask = |deadline| {
            let Budget { options, .. } = budget(5, None);
            let prices = Prices::default();
            let deadline = Some(Duration::from_secs(deadline));
            explain(
                &priced,
                &Question { objective: None, prices, what_if: true, tenants: Vec::new(), options, deadline },
            )
        };
        assert!(matches!(ask(5), Err(ServiceError::NoTimeLeft)));
        let told = ask(1_000).unwrap();
        assert!(told.skipped.is_empty() && !told.changes.is_empty(), "{told:?}");
    }
}
