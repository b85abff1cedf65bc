//! One method through the hours of one scene.

use crate::StudyError;
use crate::config::{Limits, Method, Problem, Study};
use crate::scene::{Stage, uncapped};
use crate::stats::number;
use crate::table::{Conditions, Moment, Row, Share, short};
use crate::truth::{Truth, latencies};
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, relative_gap};
use ecomap_instances::units::GramsPerKwh;
use ecomap_joint::Boards;
use ecomap_solver::baselines::should_run_again;
use ecomap_solver::contention::{self, CutPool, Envelope, Settings};
use ecomap_solver::{CancelToken, Incumbent, Observer, Solution, SolveOptions, Solver, by_name, checker};
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

/// What a method came to in one cell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Played {
    /// Hour by hour.
    pub rows: Vec<Row>,
    /// The solves of the hours that are followed, moment by moment.
    pub moments: Vec<Moment>,
    /// The distribution of latency over all requests of all hours.
    pub shares: Vec<Share>,
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
    study: &Study,
    stage: &Stage,
    trace: &str,
    hours: &[Hour],
    method: &Method,
    seed: u64,
    truth: &Truth,
    cancel: &CancelToken,
    conditions: &Conditions,
) -> Result<Option<Played>, StudyError> {
    let solver = by_name(&method.solver)?;
    let mut cuts = CutPool::default();
    let mut played = Played::default();
    let mut within = vec![0.0; latencies().count()];
    let mut running: Option<(Assignment, f64)> = None;
    let mut proven = None;
    for (hour, now) in (0..).zip(hours) {
        let other = match method.problem {
            Problem::Planned => None,
            Problem::Uncapped => Some(uncapped(&now.instance)?),
            Problem::Contention => Some(stage.alone_at(now.carbon)?),
        };
        let instance = other.as_ref().unwrap_or(&now.instance);
        let verdict = |plan: &Assignment| checker::check(instance, plan, &instance.objective);
        let stays = running.as_ref().is_some_and(|(plan, then)| {
            let moved = if solver.name() == "clover" {
                should_run_again(*then, now.carbon.get())
            } else {
                *then != now.carbon.get()
            };
            !moved && verdict(plan).passes()
        });
        let before = running.as_ref().map(|(plan, _)| plan.clone());
        let (mut status, mut solve_ms, mut work) = ("kept".to_owned(), 0.0, 0);
        if !stays {
            let mut options = options(&study.limits, solver, seed, cancel);
            options.warm_start = before.clone().filter(|plan| verdict(plan).passes());
            // Without its caps a plan is of another problem than the bound.
            let followed = hour < study.followed && method.problem != Problem::Uncapped;
            let mut seen: Vec<Incumbent> = Vec::new();
            let mut watch = |incumbent: &Incumbent| {
                if followed {
                    seen.push(*incumbent);
                }
            };
            let begun = options.clock.now();
            let solution = if method.problem == Problem::Contention {
                jointly(stage, instance, &options, &study.limits, &mut cuts, &mut watch)?
            } else {
                solver.solve(instance, &options, &mut watch)?
            };
            let took = options.clock.now().saturating_sub(begun);
            solve_ms = ms(took);
            if followed {
                let certificate = &solution.certificate;
                seen.push(Incumbent {
                    primal: certificate.primal,
                    dual: certificate.dual,
                    nodes: certificate.nodes,
                    elapsed: took,
                });
                let bound = if method.problem == Problem::Contention { certificate.dual } else { now.bound };
                played.moments.extend(seen.iter().map(|at| Moment {
                    method: method.name.clone(),
                    scenario: stage.name.clone(),
                    trace: trace.to_owned(),
                    seed,
                    hour,
                    elapsed_ms: ms(at.elapsed),
                    work: at.nodes,
                    objective: at.primal,
                    dual: at.dual,
                    bound,
                }));
            }
            if cancel.is_cancelled() {
                return Ok(None);
            }
            status = solution.status.as_str().to_owned();
            work = solution.certificate.nodes;
            proven = solution.certificate.dual;
            running = solution.assignment.map(|plan| (plan, now.carbon.get()));
        }
        let nobody = Assignment {
            picks: vec![None; instance.tenants.len()],
            modes: vec![None; instance.devices.len()],
        };
        let plan = running.as_ref().map_or(&nobody, |(plan, _)| plan);
        let objective = running.as_ref().map(|(plan, _)| verdict(plan).evaluation.value);
        // Executed under the caps, whether the method knew them or not; choices count in their own problem.
        let under = if method.problem == Problem::Uncapped { &now.instance } else { instance };
        let got = truth.execute(&stage.scenario, under, plan, seed ^ (u64::from(hour) << 16))?;
        let bound = if method.problem == Problem::Contention { proven } else { now.bound };
        let caps: Option<f64> = now.instance.sites.iter().map(|s| s.cap.map(|c| c.get())).sum();
        within.iter_mut().zip(&got.within).for_each(|(sum, share)| *sum += share);
        played.rows.push(Row {
            method: method.name.clone(),
            scenario: stage.name.clone(),
            trace: trace.to_owned(),
            seed,
            hour,
            carbon: now.carbon.get(),
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
            power_w: told(got.power_w),
            carbon_g: told(got.carbon_g_per_h),
            mean_ms: told(got.mean_ms),
            p95_ms: told(got.p95_ms),
            cdp: told(got.carbon_g_per_h * got.mean_ms),
            late: told(got.late),
            slo_broken: got.slo_broken,
            accuracy: told(got.accuracy),
            above_cap: got.above_cap,
            over_w: told(got.over_w),
            conditions: conditions.conditions.clone(),
            instance: short(&ecomap_solver::solution::instance_hash(&now.instance)),
        });
    }
    let count = number(hours.len().max(1));
    let points: Vec<(f64, f64)> = latencies().zip(within.iter().map(|sum| sum / count)).collect();
    played.shares = telling(&points)
        .iter()
        .map(|(latency_ms, share)| Share {
            method: method.name.clone(),
            scenario: stage.name.clone(),
            trace: trace.to_owned(),
            seed,
            latency_ms: told(*latency_ms),
            share: told(*share),
        })
        .collect();
    Ok(Some(played))
}

/// The points of a distribution from the last at its least to the first at its greatest; the last one of a level
/// distribution, so that a cell without an answer is told too.
fn telling(points: &[(f64, f64)]) -> &[(f64, f64)] {
    let least = points.first().map_or(0.0, |p| p.1);
    let greatest = points.last().map_or(0.0, |p| p.1);
    let from = points.iter().rposition(|p| p.1 <= least).unwrap_or(0);
    let to = points.iter().position(|p| p.1 >= greatest).unwrap_or(0);
    let kept = if from < to { points.get(from..=to) } else { points.get(points.len().saturating_sub(1)..) };
    kept.unwrap_or_default()
}

/// A simulated figure, to seven significant digits: tables need not carry more than a simulation tells.
fn told(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// Milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The exact method with the joint predictor in the loop.
fn jointly(
    stage: &Stage,
    instance: &Instance,
    options: &SolveOptions,
    limits: &Limits,
    cuts: &mut CutPool,
    observer: &mut dyn Observer,
) -> Result<Solution, StudyError> {
    let boards = Boards::learned(&stage.scenario, instance, Arc::clone(stage.predictor()?));
    let settings = Settings { rounds: limits.rounds, search: limits.search, ..Settings::default() };
    let answer = contention::solve(instance, &Envelope::new(boards), options, settings, cuts, observer)?;
    Ok(answer.solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_keeps_the_points_that_tell_something() {
        let points = |shares: &[f64]| -> Vec<(f64, f64)> {
            shares.iter().enumerate().map(|(at, share)| (number(at), *share)).collect()
        };
        assert_eq!(
            telling(&points(&[0.0, 0.0, 0.2, 0.9, 0.9, 0.9])),
            [(1.0, 0.0), (2.0, 0.2), (3.0, 0.9)].as_slice()
        );
        assert_eq!(telling(&points(&[0.0; 4])), [(3.0, 0.0)].as_slice());
        assert_eq!(telling(&points(&[0.1, 1.0])), [(0.0, 0.1), (1.0, 1.0)].as_slice());
    }
}
