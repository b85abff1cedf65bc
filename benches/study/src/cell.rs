//! One method through the hours of one scene.

use crate::StudyError;
use crate::config::{Limits, Method, Problem};
use crate::scene::{Stage, uncapped};
use crate::table::Row;
use crate::truth::Truth;
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, relative_gap};
use ecomap_instances::units::GramsPerKwh;
use ecomap_joint::Boards;
use ecomap_solver::baselines::should_run_again;
use ecomap_solver::contention::{self, CutPool, Envelope, Settings};
use ecomap_solver::{CancelToken, Solution, SolveOptions, Solver, by_name, checker};
use std::sync::Arc;
use std::time::Duration;

/// What all cells of one scene share.
#[derive(Debug)]
pub struct Hour {
    /// Carbon intensity.
    pub carbon: GramsPerKwh,
    /// The problem.
    pub instance: Instance,
    /// Bound of the exact method; `None` when there is none.
    pub bound: Option<f64>,
}

/// What a solve may take.
#[must_use]
pub fn options(limits: &Limits, solver: &dyn Solver, seed: u64, cancel: &CancelToken) -> SolveOptions {
    let work = if solver.is_exact() { Some(limits.nodes) } else { Some(limits.work).filter(|w| *w > 0) };
    SolveOptions {
        time_limit: (limits.time_s > 0.0).then(|| Duration::from_secs_f64(limits.time_s)),
        work_limit: work,
        gap: limits.gap,
        seed,
        cancel: cancel.clone(),
        ..SolveOptions::default()
    }
}

/// Plays `method` through `hours`. `None` when `cancel` ended it before the last.
///
/// A plan is solved anew whenever carbon intensity has changed, or when the one that runs no longer
/// passes; `clover` only when intensity has moved by more than its threshold. An hour without a plan
/// sheds everybody.
///
/// # Errors
/// [`StudyError`] when a solver declines the scenario or a plan cannot be executed.
#[allow(clippy::too_many_arguments)] // a cell is the product of these
pub fn play(
    stage: &Stage,
    trace: &str,
    hours: &[Hour],
    method: &Method,
    seed: u64,
    limits: &Limits,
    truth: &Truth,
    cancel: &CancelToken,
    conditions: &str,
) -> Result<Option<Vec<Row>>, StudyError> {
    let solver = by_name(&method.solver)?;
    let mut cuts = CutPool::default();
    let mut rows = Vec::with_capacity(hours.len());
    let mut running: Option<(Assignment, f64)> = None;
    let mut proven = None;
    for (hour, told) in (0..).zip(hours) {
        let other = match method.problem {
            Problem::Planned => None,
            Problem::Uncapped => Some(uncapped(&told.instance)?),
            Problem::Contention => Some(stage.alone_at(told.carbon)?),
        };
        let instance = other.as_ref().unwrap_or(&told.instance);
        let verdict = |plan: &Assignment| checker::check(instance, plan, &instance.objective);
        let stays = running.as_ref().is_some_and(|(plan, then)| {
            let moved = if solver.name() == "clover" {
                should_run_again(*then, told.carbon.get())
            } else {
                *then != told.carbon.get()
            };
            !moved && verdict(plan).passes()
        });
        let before = running.as_ref().map(|(plan, _)| plan.clone());
        let (mut status, mut solve_ms, mut work) = ("kept".to_owned(), 0.0, 0);
        if !stays {
            let mut options = options(limits, solver, seed, cancel);
            options.warm_start = before.clone().filter(|plan| verdict(plan).passes());
            let begun = options.clock.now();
            let solution = if method.problem == Problem::Contention {
                jointly(stage, instance, &options, limits, &mut cuts)?
            } else {
                solver.solve(instance, &options, &mut ())?
            };
            solve_ms = options.clock.now().saturating_sub(begun).as_secs_f64() * 1e3;
            if cancel.is_cancelled() {
                return Ok(None);
            }
            status = solution.status.as_str().to_owned();
            work = solution.certificate.nodes;
            proven = solution.certificate.dual;
            running = solution.assignment.map(|plan| (plan, told.carbon.get()));
        }
        let nobody = Assignment {
            picks: vec![None; instance.tenants.len()],
            modes: vec![None; instance.devices.len()],
        };
        let plan = running.as_ref().map_or(&nobody, |(plan, _)| plan);
        let objective = running.as_ref().map(|(plan, _)| verdict(plan).evaluation.value);
        // Executed under the caps, whether the method knew them or not; choices count in their own problem.
        let under = if method.problem == Problem::Uncapped { &told.instance } else { instance };
        let got = truth.execute(&stage.scenario, under, plan, seed ^ (u64::from(hour) << 16))?;
        let bound = if method.problem == Problem::Contention { proven } else { told.bound };
        let caps: Option<f64> = told.instance.sites.iter().map(|s| s.cap.map(|c| c.get())).sum();
        rows.push(Row {
            method: method.name.clone(),
            scenario: stage.name.clone(),
            trace: trace.to_owned(),
            seed,
            hour,
            carbon: told.carbon.get(),
            cap_w: caps,
            status,
            objective,
            bound,
            gap: objective
                .zip(bound)
                .filter(|_| method.problem != Problem::Uncapped)
                .map(|(value, bound)| relative_gap(value, bound)),
            solve_ms,
            work,
            solved: !stays,
            moves: before.map_or(0, |b| b.picks.iter().zip(&plan.picks).filter(|(a, b)| a != b).count()),
            shed: plan.picks.iter().filter(|p| p.is_none()).count(),
            power_w: got.power_w,
            carbon_g: got.carbon_g_per_h,
            mean_ms: got.mean_ms,
            p95_ms: got.p95_ms,
            cdp: got.carbon_g_per_h * got.mean_ms,
            late: got.late,
            slo_broken: got.slo_broken,
            accuracy: got.accuracy,
            above_cap: got.above_cap,
            over_w: got.over_w,
            provenance: format!(
                "{conditions};instance={}",
                ecomap_solver::solution::instance_hash(&told.instance)
            ),
        });
    }
    Ok(Some(rows))
}

/// The exact method with the joint predictor in the loop.
fn jointly(
    stage: &Stage,
    instance: &Instance,
    options: &SolveOptions,
    limits: &Limits,
    cuts: &mut CutPool,
) -> Result<Solution, StudyError> {
    let boards = Boards::learned(&stage.scenario, instance, Arc::clone(stage.predictor()?));
    let settings = Settings { rounds: limits.rounds, search: limits.search, ..Settings::default() };
    let answer = contention::solve(instance, &Envelope::new(boards), options, settings, cuts, &mut ())?;
    Ok(answer.solution)
}
