//! What heuristics share: the columns by tenant, the value of a state, and the way out.

use super::watch::Watch;
use crate::checker;
use crate::columns::{self, Column};
use crate::error::SolverError;
use crate::pricing::Costs;
use crate::reduce::{self, Reduced};
use crate::solution::{Certificate, Solution, instance_hash};
use crate::solve::{Observer, SolveOptions, Solver};
use crate::state::State;

use ecomap_instances::ids::{DeviceIx, TenantIx};
use ecomap_instances::plan::{Assignment, Status, Termination};
use ecomap_instances::{Instance, Objective};
use std::collections::BTreeMap;
use std::time::Duration;

/// Multiplies the shed price of tenants that must not be shed, so that a search serves them first.
const MUST_SERVE: f64 = 1e3;

/// An instance with the columns and costs of one objective.
pub(crate) struct Problem<'a> {
    pub instance: &'a Instance,
    pub costs: &'a Costs,
    /// Columns by tenant, cheapest first.
    pub columns: Vec<Vec<Column>>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(instance: &'a Instance, costs: &'a Costs, mut columns: Vec<Vec<Column>>) -> Self {
        for list in &mut columns {
            list.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.pick.cmp(&b.pick)));
        }
        Self { instance, costs, columns }
    }

    /// Price of leaving tenant `i` out, as a search sees it.
    pub(crate) fn shed_cost(&self, i: usize) -> f64 {
        let price = self.costs.shed(i);
        if self.instance.tenants[i].shedding.allowed { price } else { (price + 1.0) * MUST_SERVE }
    }

    /// Value of a state: columns, shed prices and idle power.
    pub(crate) fn value(&self, state: &State<'_>) -> f64 {
        let tenants: f64 = (0..self.instance.tenants.len())
            .map(|i| state.pick(TenantIx::new(i)).map_or_else(|| self.shed_cost(i), |c| c.cost))
            .sum();
        let devices: f64 = (0..self.instance.devices.len())
            .map(|d| {
                let d = DeviceIx::new(d);
                let class = self.instance.class_of(d);
                let draw = state.mode(d).map_or(class.off, |m| class.modes[m.at()].idle);
                self.costs.power(self.instance, class.site, draw)
            })
            .sum();
        tenants + devices
    }

    /// Cost of adding `column` to `state`, idle power that it switches on included.
    pub(crate) fn added(&self, state: &State<'_>, column: &Column) -> Option<f64> {
        let idle = state.idle_change(column)?;
        let site = column.host(self.instance).map(|(h, _)| self.instance.classes[h.class.at()].site);
        let idle = site
            .map_or(0.0, |s| self.costs.power(self.instance, s, ecomap_instances::units::Watts::new(idle)));
        Some(column.cost + idle)
    }
}

/// The columns whose tier is at or above a fleet floor.
pub(crate) fn above_floor(instance: &Instance, columns: &[Vec<Column>], floor: f64) -> Vec<Vec<Column>> {
    let accurate = |c: &&Column| {
        c.host(instance).is_none_or(|(h, _)| instance.tenants[c.tenant.at()].tiers[h.tier].accuracy >= floor)
    };
    columns.iter().map(|list| list.iter().filter(accurate).copied().collect()).collect()
}

/// The columns that move nobody: of a tenant that runs something, what it runs. One whose running
/// choice is not on offer keeps its columns, and moves.
pub(crate) fn staying(instance: &Instance, columns: &[Vec<Column>]) -> Vec<Vec<Column>> {
    let stays = |c: &&Column| {
        let tenant = &instance.tenants[c.tenant.at()];
        let choice = c.choice(instance);
        c.pick.device.is_some_and(|d| instance.is_running(tenant, choice, d))
    };
    columns
        .iter()
        .map(|list| {
            let kept: Vec<Column> = list.iter().filter(stays).copied().collect();
            if kept.is_empty() { list.clone() } else { kept }
        })
        .collect()
}

/// Which columns a heuristic works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Those that a best plan under the objective may need; for methods that follow it.
    Undominated,
    /// All that some plan may take; for methods with a measure of their own.
    Admissible,
}

/// Refuses instances without devices, for methods that need boards.
pub(crate) fn needs_devices(solver: &'static str, instance: &Instance) -> Result<(), SolverError> {
    if instance.classes.is_empty() {
        return Err(SolverError::Unsupported { solver, what: "instances without devices".to_owned() });
    }
    Ok(())
}

/// Runs a heuristic: reduce, search, check, wrap up.
pub(crate) fn finish(
    solver: &dyn Solver,
    instance: &Instance,
    options: &SolveOptions,
    observer: &mut dyn Observer,
    offer: Offer,
    keep: impl Fn(&Column) -> bool,
    mut search: impl FnMut(&Problem<'_>, &mut Watch<'_, '_>) -> Result<Assignment, SolverError>,
) -> Result<Solution, SolverError> {
    let clock = &options.clock;
    let begun = clock.now();
    let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
    let costs = Costs::new(instance, &objective);
    let reduced = match offer {
        Offer::Undominated => reduce::reduce(instance, std::slice::from_ref(&costs), None),
        Offer::Admissible => reduce::admissible(instance),
    };
    columns::check_count(instance, &reduced.kept, solver.name())?;
    let reduced_at = clock.now();
    let all = columns::expand(instance, &costs, &reduced.kept);
    let chosen: Vec<Vec<Column>> =
        all.iter().map(|l| l.iter().copied().filter(|c| keep(c)).collect()).collect();
    let wanted = options.objective.as_ref().unwrap_or(&instance.objective);
    let mut watch = Watch::new(instance, options, wanted, observer);
    let mut attempt = |columns: Vec<Vec<Column>>, watch: &mut Watch<'_, '_>| {
        watch.notes.clear();
        let assignment = search(&Problem::new(instance, &costs, columns), watch)?;
        let verdict = checker::check(instance, &assignment, &objective);
        Ok::<_, SolverError>((assignment, verdict))
    };
    let (mut assignment, mut verdict) = attempt(chosen.clone(), &mut watch)?;
    if let (Some(floor), false) = (instance.fleet_accuracy_floor, verdict.passes()) {
        // Row 8b couples everybody; keeping each tenant above the floor keeps the mean above it.
        (assignment, verdict) = attempt(above_floor(instance, &chosen, floor), &mut watch)?;
    }
    if instance.stability.max_moves.is_some() && !verdict.passes() {
        // Row 11a couples everybody too; moving nobody is within any number of moves.
        (assignment, verdict) = attempt(staying(instance, &chosen), &mut watch)?;
    }
    watch.close(verdict.passes().then_some(verdict.evaluation.value));
    let timings = BTreeMap::from([
        ("reduce", reduced_at.saturating_sub(begun)),
        ("solve", clock.now().saturating_sub(reduced_at)),
    ]);
    Ok(wrap(solver, instance, &watch, objective.clone(), &reduced, assignment, verdict, timings))
}

#[allow(clippy::too_many_arguments)] // one private call site
fn wrap(
    solver: &dyn Solver,
    instance: &Instance,
    watch: &Watch<'_, '_>,
    objective: Objective,
    reduced: &Reduced,
    assignment: Assignment,
    verdict: checker::Verdict,
    timings: BTreeMap<&'static str, Duration>,
) -> Solution {
    let found = verdict.passes();
    let mut notes = watch.notes.clone();
    if !found {
        notes.push(format!("{} found no plan that keeps every row: {}", solver.name(), verdict.summary()));
    }
    Solution {
        solver: solver.name(),
        status: if found { Status::Feasible } else { Status::TimeoutNoSolution },
        objective,
        certificate: Certificate {
            primal: found.then_some(verdict.evaluation.value),
            dual: None,
            termination: watch.ended().unwrap_or(Termination::HeuristicEnd),
            nodes: watch.work(),
            cuts: 0,
            seed: watch.options().seed,
            instance_hash: instance_hash(instance),
            method: "heuristic",
            levels: Vec::new(),
        },
        assignment: found.then_some(assignment),
        verdict: found.then_some(verdict),
        reduction: Some(reduced.report.clone()),
        timings,
        notes,
    }
}
