//! Synergy-OPT: the best demands by a MILP on one imagined server, then their placement by a linear
//! program on the real ones, then rounding.

use super::pack::{Left, Packing, widest_first};
use super::{Demand, Demands, Round, width};
use crate::error::AcceleratorError;
use crate::float;
use ecomap_instances::accelerators::Workload;
use ecomap_instances::ids::{CapacityIx, JobIx, TenantId};
use ecomap_instances::instance::{Capacity, Choice, InstanceParts, InstanceTenant, Sense};
use ecomap_instances::plan::Pick;
use ecomap_instances::scenario::{Shedding, Stability};
use ecomap_instances::units::Hertz;
use ecomap_instances::{Instance, Objective, Term};
use ecomap_solver::SolveOptions;
use good_lp::{Expression, ProblemVariables, Solution as _, SolverModel as _, Variable, highs, variable};
use std::time::Duration;

/// A fraction of a job from which on it counts as whole.
const WHOLE: f64 = 1.0 - 1e-6;
/// Limit of phase 1. It is a knapsack with two rows; seconds are rare.
const LIMIT: Duration = Duration::from_secs(30);
/// Relative gap of phase 1.
const GAP: f64 = 1e-6;

/// Shares the cluster out to `jobs`, all of which find accelerators.
pub(super) fn share_out(
    workload: &Workload,
    demands: &Demands,
    jobs: &[JobIx],
) -> Result<Round, AcceleratorError> {
    if jobs.is_empty() {
        return Ok(Round::default());
    }
    let (wanted, bound) = demands_of(workload, demands, jobs)?;
    let mut packing = Packing::new(workload, demands);
    let (wide, narrow): (Vec<_>, Vec<_>) =
        jobs.iter().zip(&wanted).partition(|(job, _)| width(workload, workload.job(**job)) > 1);
    for (job, demand) in wide {
        packing.tune(*job, *demand);
    }
    let fractions = spread(workload, &narrow, &packing.left)?;
    let mut fragments = Vec::new();
    for ((job, demand), over) in narrow.iter().zip(&fractions) {
        match over.iter().position(|x| *x >= WHOLE) {
            Some(server) => packing.put(**job, server, **demand),
            None => fragments.push((**job, **demand)),
        }
    }
    let order = widest_first(workload, &fragments.iter().map(|(job, _)| *job).collect::<Vec<_>>());
    for job in &order {
        if let Some((_, demand)) = fragments.iter().find(|(j, _)| j == job) {
            packing.tune(*job, *demand);
        }
    }
    if packing.grants.len() == jobs.len() {
        return Ok(Round { grants: packing.grants, bound: Some(bound), fragmented: fragments.len() });
    }
    // What the linear program left whole can leave no server with enough accelerators for a wide fragment. Then all are
    // placed as fragments are, widest first.
    let mut packing = Packing::new(workload, demands);
    for job in widest_first(workload, jobs) {
        if let Some((_, demand)) = jobs.iter().zip(&wanted).find(|(j, _)| **j == job) {
            packing.tune(job, *demand);
        }
    }
    Ok(Round { grants: packing.grants, bound: Some(bound), fragmented: jobs.len() })
}

/// Phase 1: one demand for each job, `max Σ W·y` with the CPUs and memory of all servers together.
///
/// # Errors
/// When the exact solver fails; fair shares always fit.
pub fn demands_of(
    workload: &Workload,
    demands: &Demands,
    jobs: &[JobIx],
) -> Result<(Vec<Demand>, f64), AcceleratorError> {
    let servers = workload.servers();
    let cpus = servers.iter().map(|s| f64::from(s.cpus)).sum();
    let memory = servers.iter().map(|s| s.memory.get()).sum();
    let row =
        |id: &str, unit: &str, capacity| Capacity { id: id.to_owned(), capacity, unit: unit.to_owned() };
    let tenants = jobs.iter().map(|job| {
        let choice = |d: &Demand| Choice {
            value: d.speed,
            host: None,
            uses: vec![(CapacityIx::new(0), d.cpus), (CapacityIx::new(1), d.memory)],
        };
        let options = demands.of(*job).iter().map(choice).collect();
        tenant(workload.job(*job).id.as_str(), options)
    });
    let instance = instance(
        workload.name(),
        vec![row("cpus", "cores", cpus), row("memory", "GB", memory)],
        tenants.collect(),
    )?;
    let options = SolveOptions { gap: GAP, time_limit: Some(LIMIT), ..SolveOptions::default() };
    let solution = ecomap_solver::by_name("exact")?.solve(&instance, &options, &mut ())?;
    let bound = solution.certificate.dual.or(solution.certificate.primal).unwrap_or(f64::INFINITY);
    let picks = solution.assignment.map(|plan| plan.picks).unwrap_or_default();
    let pick = |(n, job): (usize, &JobIx)| {
        let option = picks.get(n).copied().flatten().map(|p: Pick| p.option.at());
        option.and_then(|o| demands.of(*job).get(o)).copied().unwrap_or_else(|| demands.fair(*job))
    };
    Ok((jobs.iter().enumerate().map(pick).collect(), bound))
}

/// Phase 2: fractions of every job on every server, so that no server gives more than it has. Among
/// all such placements one that fills servers in their order is taken; being a vertex, it splits few
/// jobs (at most three for each server).
fn spread(
    workload: &Workload,
    jobs: &[(&JobIx, &Demand)],
    left: &[Left],
) -> Result<Vec<Vec<f64>>, AcceleratorError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let mut variables = ProblemVariables::new();
    let x: Vec<Vec<Variable>> = jobs
        .iter()
        .map(|_| left.iter().map(|_| variables.add(variable().min(0.0).max(1.0))).collect())
        .collect();
    // Jobs that phase 1's sums leave no room for beside wide ones may stay out, at a price.
    let missing: Vec<Variable> = jobs.iter().map(|_| variables.add(variable().min(0.0).max(1.0))).collect();
    let mut objective: Expression = missing.iter().map(|m| *m * (10.0 * float(left.len()))).sum();
    for row in &x {
        for (server, fraction) in row.iter().enumerate() {
            objective += *fraction * float(server);
        }
    }
    let mut model = variables.minimise(objective).using(highs);
    model.set_verbose(false);
    let mut model = model.set_threads(1);
    for (row, missing) in x.iter().zip(&missing) {
        model = model.with((row.iter().copied().sum::<Expression>() + *missing).eq(1.0));
    }
    for (server, left) in left.iter().enumerate() {
        let used = |amount: &dyn Fn(usize) -> f64| -> Expression {
            x.iter().enumerate().map(|(n, row)| row[server] * amount(n)).sum()
        };
        let accelerators = used(&|n| float(workload.job(*jobs[n].0).accelerators));
        model = model.with(accelerators.leq(float(left.accelerators)));
        model = model.with(used(&|n| jobs[n].1.cpus).leq(left.cpus.max(0.0)));
        model = model.with(used(&|n| jobs[n].1.memory).leq(left.memory.max(0.0)));
    }
    let solution = model.solve().map_err(|error| AcceleratorError::Linear(error.to_string()))?;
    Ok(x.iter().map(|row| row.iter().map(|v| solution.value(*v)).collect()).collect())
}

/// A tenant of pure numbers that takes exactly one of its options.
pub(crate) fn tenant(id: &str, options: Vec<Choice>) -> InstanceTenant {
    InstanceTenant {
        id: TenantId::new(id),
        priority: 1.0,
        rate: Hertz::ZERO,
        slo: None,
        family: String::new(),
        tiers: Vec::new(),
        accuracy_floor: None,
        devices: None,
        switch_price: 0.0,
        running: None,
        shedding: Shedding { allowed: false, price: None },
        options,
    }
}

/// An instance without boards, whose values are maximised.
pub(crate) fn instance(
    name: &str,
    capacities: Vec<Capacity>,
    tenants: Vec<InstanceTenant>,
) -> Result<Instance, AcceleratorError> {
    Ok(Instance::try_new(InstanceParts {
        name: name.to_owned(),
        sense: Sense::Maximize,
        objective: Objective::Single(Term::Value),
        sites: Vec::new(),
        classes: Vec::new(),
        devices: Vec::new(),
        weights: Vec::new(),
        capacities,
        tenants,
        affinities: Vec::new(),
        fleet_accuracy_floor: None,
        stability: Stability::default(),
    })?)
}
