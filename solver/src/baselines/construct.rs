//! Greedy construction under a price on power: each tenant in turn takes the cheapest choice that
//! fits, where a watt costs λ on top of the objective. A ladder of λ covers loose and tight caps.

use super::common::Problem;
use crate::columns::Column;
use crate::solve::SolveOptions;
use crate::state::State;
use ecomap_instances::ids::{CapacityIx, TenantIx};
use std::time::Duration;

/// Steps of the ladder; each step multiplies λ by 4.
const STEPS: i32 = 14;

/// The best plan over the ladder of prices, by the objective.
pub(crate) fn best_of_ladder<'a>(
    problem: &Problem<'a>,
    options: &SolveOptions,
    deadline: Option<Duration>,
) -> State<'a> {
    let order = order(problem);
    let scale = watt_scale(problem);
    let mut best = construct(problem, &order, 0.0);
    let mut value = problem.value(&best);
    for step in 0..STEPS {
        if options.cancel.is_cancelled() || deadline.is_some_and(|d| options.clock.now() >= d) {
            break;
        }
        let state = construct(problem, &order, scale * 4.0_f64.powi(step - 6));
        let this = problem.value(&state);
        if this < value {
            (best, value) = (state, this);
        }
    }
    best
}

/// Tenants by priority, then by how few choices they have.
fn order(problem: &Problem<'_>) -> Vec<TenantIx> {
    let mut order: Vec<usize> = (0..problem.columns.len()).collect();
    order.sort_by(|a, b| {
        let tenants = &problem.instance.tenants;
        let must = tenants[*a].shedding.allowed.cmp(&tenants[*b].shedding.allowed);
        let priority = tenants[*b].priority.total_cmp(&tenants[*a].priority);
        must.then(priority).then(problem.columns[*a].len().cmp(&problem.columns[*b].len())).then(a.cmp(b))
    });
    order.into_iter().map(TenantIx::new).collect()
}

/// What a choice takes of what is scarce: watts on a board; without one, its shares of the global
/// capacities, a knapsack's resources.
fn pressure(problem: &Problem<'_>, column: &Column) -> f64 {
    match column.host(problem.instance) {
        Some((host, _)) => host.dynamic.get(),
        None => {
            let share = |(row, amount): &(CapacityIx, f64)| {
                amount / problem.instance.capacities[row.at()].capacity.abs().max(1e-9)
            };
            column.choice(problem.instance).uses.iter().map(share).sum()
        }
    }
}

/// Objective units that a watt is worth: mean spread of costs over mean spread of power.
fn watt_scale(problem: &Problem<'_>) -> f64 {
    let (mut cost, mut power) = (0.0, 0.0);
    for list in &problem.columns {
        let spread = |f: &dyn Fn(usize) -> f64| {
            let (low, high) = (0..list.len())
                .map(f)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            if high > low { high - low } else { 0.0 }
        };
        cost += spread(&|n| list[n].cost);
        power += spread(&|n| pressure(problem, &list[n]));
    }
    if power > 0.0 && cost > 0.0 { cost / power } else { 1.0 }
}

fn construct<'a>(problem: &Problem<'a>, order: &[TenantIx], watt: f64) -> State<'a> {
    let mut state = State::new(problem.instance);
    for tenant in order {
        let mut best: Option<(f64, usize)> = None;
        for (n, column) in problem.columns[tenant.at()].iter().enumerate() {
            let Some(cost) = problem.added(&state, column) else { continue };
            let power = pressure(problem, column);
            let idle = state.idle_change(column).unwrap_or(0.0);
            let priced = cost + watt * (power + idle);
            if best.is_none_or(|(b, _)| priced < b) && state.admits(column) {
                best = Some((priced, n));
            }
        }
        if let Some((_, n)) = best {
            state.place(problem.columns[tenant.at()][n]);
        }
    }
    state
}
