//! What keeping the running plan costs: the objective with the rules on stability (rows 11, 11a,
//! 11b) and without, both with bounds.
//!
//! The *free* instance is the same but for those rules: no switching price, no limit on moves,
//! nobody frozen. Shed prices that the user left open (18) grow with the switching prices, so they
//! are fixed at what they are with the rules; else the two objectives would differ in more than
//! the rules. Every plan of the ruled instance is a plan of the free one, and costs there what it
//! costs with the rules but for the switching prices it pays.

use crate::error::SolverError;
use crate::pricing::Costs;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::instance::{Instance, InstanceParts};
use ecomap_instances::issue::Issues;
use ecomap_instances::plan::Assignment;
use ecomap_instances::scenario::Stability;
use ecomap_instances::{Objective, Term};

/// What stability costs, in units of the objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed {
    /// Tenants that leave their running choice in the plan with the rules.
    pub moves: usize,
    /// Value of that plan without the switching prices that it pays.
    pub value: f64,
    /// Tenants that leave it in the best plan found without the rules.
    pub free_moves: usize,
    /// Value of the best plan found without the rules.
    pub free_primal: f64,
    /// No plan without the rules is better than this.
    pub free_dual: Option<f64>,
    /// The rules cost the plan at least this: against the best plan found without them.
    pub at_least: f64,
    /// And at most this: against the bound.
    pub at_most: Option<f64>,
}

/// Tenants of `plan` that run something and leave it, those shed included.
#[must_use]
pub fn moves(instance: &Instance, plan: &Assignment) -> usize {
    let leaves = |t: usize| {
        let Some(tenant) = instance.tenants.get(t) else { return false };
        let stays = plan.picks.get(t).copied().flatten().is_some_and(|pick| {
            let choice = tenant.options.get(pick.option.at());
            choice.zip(pick.device).is_some_and(|(c, d)| instance.is_running(tenant, c, d))
        });
        tenant.running.is_some() && !stays
    };
    (0..instance.tenants.len()).filter(|t| leaves(*t)).count()
}

/// The instance without the rules on stability.
///
/// # Errors
/// None for a validated instance.
pub fn free(instance: &Instance, objective: &Objective) -> Result<Instance, Issues> {
    let costs = Costs::new(instance, objective);
    let mut parts: InstanceParts = instance.to_parts();
    parts.stability = Stability::default();
    for (i, tenant) in parts.tenants.iter_mut().enumerate() {
        tenant.switch_price = 0.0;
        if tenant.shedding.allowed {
            tenant.shedding.price = Some(costs.shed(i));
        }
    }
    Instance::try_new(parts)
}

/// Solves `instance` without the rules and compares; `None` where `solution` has no plan.
///
/// `options` are those of the second solve; its start is the plan of the first.
///
/// # Errors
/// As [`Solver::solve`].
pub fn weigh(
    instance: &Instance,
    solution: &Solution,
    solver: &dyn Solver,
    options: &SolveOptions,
    observer: &mut dyn Observer,
) -> Result<Option<Weighed>, SolverError> {
    let (Some(plan), Some(verdict)) = (&solution.assignment, &solution.verdict) else { return Ok(None) };
    let sign = if solution.objective == Objective::Single(Term::Value)
        && instance.sense == ecomap_instances::instance::Sense::Maximize
    {
        -1.0
    } else {
        1.0
    };
    let paid = verdict.evaluation.term("switching").unwrap_or(0.0);
    let value = verdict.evaluation.value - sign * paid;
    let free = free(instance, &solution.objective).map_err(SolverError::Plan)?;
    let options = SolveOptions {
        objective: Some(solution.objective.clone()),
        warm_start: Some(plan.clone()),
        ..options.clone()
    };
    let other = solver.solve(&free, &options, observer)?;
    let found = other.assignment.as_ref().zip(other.certificate.primal);
    let better = found.filter(|(_, primal)| sign * primal <= sign * value);
    let (free_moves, free_primal) =
        better.map_or((moves(instance, plan), value), |(plan, primal)| (moves(instance, plan), primal));
    let free_dual = other.certificate.dual;
    Ok(Some(Weighed {
        moves: moves(instance, plan),
        value,
        free_moves,
        free_primal,
        free_dual,
        at_least: sign * (value - free_primal),
        at_most: free_dual.map(|dual| sign * (value - dual)),
    }))
}
