//! What every registered solver promises, checked on all of them: a solver that is added is tested
//! here without another line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{close, exact, hosted, hostless, options, slack};
use ecomap_instances::ids::TenantIx;
use ecomap_instances::plan::{Assignment, Status, Termination};
use ecomap_instances::scenario::{Segment, Shedding};
use ecomap_instances::units::Watts;
use ecomap_instances::{Instance, Objective, Term};
use ecomap_solver::checker::check;
use ecomap_solver::clock::Clock;
use ecomap_solver::{
    CancelToken, Incumbent, Observer, Solution, SolveOptions, Solver, SolverError, by_name, solvers,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Iterations that a heuristic gets where its own budget would be too long for a test.
const WORK: u64 = 300;

/// Solvers that follow the objective asked for; the others follow a measure of their own.
const FOLLOW_THE_OBJECTIVE: [&str; 5] = ["exact", "greedy", "gpu-only", "local-search", "annealing"];

/// The instance of `seed`; with odd seeds, options that load two units are cut between them.
fn instance(seed: u64) -> Instance {
    let mut parts = hosted::parts(seed);
    if seed % 2 == 1 {
        let hosts = parts.tenants.iter_mut().flat_map(|t| &mut t.options).filter_map(|o| o.host.as_mut());
        for (n, host) in hosts.enumerate() {
            let units: Vec<usize> = host.load.iter().map(|(unit, _)| unit.at()).collect();
            host.segments = match units[..] {
                [a, b] => [(0, 1 + n % 3, a), (1 + n % 3, 4, b)].map(segment).to_vec(),
                _ => vec![segment((0, 4, units[0]))],
            };
        }
        // What runs now is known by its tier, not by segments that are no longer on offer.
        parts.tenants.iter_mut().filter_map(|t| t.running.as_mut()).for_each(|r| r.segments = None);
    }
    Instance::try_new(parts).unwrap_or_else(|issues| panic!("seed {seed}: {issues}"))
}

fn segment((from, to, unit): (usize, usize, usize)) -> Segment {
    Segment { from, to, unit }
}

fn heuristics() -> impl Iterator<Item = &'static dyn Solver> {
    solvers().iter().copied().filter(|s| !s.is_exact())
}

fn limited(objective: &Objective) -> SolveOptions {
    SolveOptions { work_limit: Some(WORK), ..options(objective) }
}

fn answer(solver: &dyn Solver, instance: &Instance, options: &SolveOptions) -> Solution {
    solver
        .solve(instance, options, &mut ())
        .unwrap_or_else(|error| panic!("{} on {}: {error}", solver.name(), instance.name))
}

/// Whether a plan was found; if so, it must pass the checker and be worth what the certificate says.
fn valid(solution: &Solution, instance: &Instance, objective: &Objective, context: &str) -> bool {
    let Some(plan) = &solution.assignment else {
        assert!(matches!(solution.status, Status::Infeasible | Status::TimeoutNoSolution), "{context}");
        assert_eq!(solution.certificate.primal, None, "{context}");
        return false;
    };
    let verdict = check(instance, plan, objective);
    assert!(verdict.passes(), "{context}: {}", verdict.summary());
    assert!(close(verdict.evaluation.value, solution.certificate.primal.unwrap()), "{context}");
    true
}

/// Everything that a solver reported on the way.
#[derive(Default)]
struct Trace {
    primals: Vec<f64>,
    nodes: Vec<u64>,
    plans: Vec<Assignment>,
}

impl Observer for Trace {
    fn progress(&mut self, incumbent: &Incumbent) {
        self.primals.extend(incumbent.primal);
        self.nodes.push(incumbent.nodes);
    }

    fn plan(&mut self, plan: &Assignment) {
        self.plans.push(plan.clone());
    }
}

#[test]
fn names_are_unique_and_can_be_typed() {
    let names: BTreeSet<&str> = solvers().iter().map(|s| s.name()).collect();
    assert_eq!(names.len(), solvers().len());
    for solver in solvers() {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(solver.name().chars().all(legal), "{}", solver.name());
        assert!(solver.summary().len() > 20 && !solver.summary().contains('\n'), "{}", solver.name());
        assert_eq!(by_name(solver.name()).unwrap().name(), solver.name());
    }
}

#[test]
fn plans_pass_the_checker_and_never_beat_the_exact_bound() {
    let objectives = [Objective::default(), Objective::Single(Term::Carbon), Objective::Cdp];
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..24 {
        let instance = instance(seed);
        let objective = &objectives[usize::try_from(seed % 3).unwrap()];
        let reference = exact(&instance, objective);
        for solver in heuristics() {
            let context = format!("{} on seed {seed} under {objective:?}", solver.name());
            let solution = answer(solver, &instance, &limited(objective));
            if !valid(&solution, &instance, objective, &context) {
                continue;
            }
            *found.entry(solver.name()).or_default() += 1;
            assert_ne!(reference.status, Status::Infeasible, "{context} found a plan where there is none");
            let (value, bound) = (solution.certificate.primal.unwrap(), reference.certificate.dual.unwrap());
            assert!(value >= bound - slack(bound), "{context}: {value} beats the bound {bound}");
            assert_eq!(solution.certificate.dual, None, "{context} claims a bound");
        }
    }
    println!("plans found: {found:?}");
    for solver in heuristics() {
        let count = found.get(solver.name()).copied().unwrap_or(0);
        assert!(count >= 8, "{} found a plan in {count} of 24 instances only", solver.name());
    }
}

#[test]
fn the_seed_decides() {
    for seed in 0..4 {
        let instance = instance(seed);
        for solver in heuristics() {
            for start in [1, 2] {
                let options = SolveOptions { seed: start, ..limited(&instance.objective) };
                let (mut first, mut second) = (Trace::default(), Trace::default());
                let once = solver.solve(&instance, &options, &mut first).unwrap();
                let twice = solver.solve(&instance, &options, &mut second).unwrap();
                let context = format!("{} on seed {seed}", solver.name());
                assert_eq!(once.assignment, twice.assignment, "{context}");
                assert_eq!(once.certificate, twice.certificate, "{context}");
                assert_eq!(once.notes, twice.notes, "{context}");
                assert_eq!(once.certificate.seed, start, "{context}");
                assert_eq!((first.primals, first.plans), (second.primals, second.plans), "{context}");
            }
        }
    }
}

#[test]
fn the_work_limit_holds() {
    let mut stopped = BTreeSet::new();
    for seed in 0..6 {
        let instance = instance(seed);
        for solver in heuristics() {
            for work in [0, 1, 5, 40] {
                let options = SolveOptions { work_limit: Some(work), ..options(&instance.objective) };
                let solution = answer(solver, &instance, &options);
                let context = format!("{} on seed {seed}, {work} iterations", solver.name());
                valid(&solution, &instance, &instance.objective, &context);
                assert!(solution.certificate.nodes <= work, "{context}: {}", solution.certificate.nodes);
                if solution.certificate.termination == Termination::NodeLimit {
                    stopped.insert(solver.name());
                }
            }
        }
    }
    let expected: BTreeSet<&str> =
        heuristics().map(Solver::name).filter(|n| !["greedy", "gpu-only"].contains(n)).collect();
    assert_eq!(stopped, expected, "these say that the limit ended them");
}

#[test]
fn a_cancelled_solve_ends_with_what_it_has() {
    for seed in [0, 3] {
        let instance = instance(seed);
        for solver in heuristics() {
            let context = format!("{} on seed {seed}", solver.name());
            let cancel = CancelToken::default();
            cancel.cancel();
            let options = SolveOptions { cancel, ..options(&instance.objective) };
            let solution = answer(solver, &instance, &options);
            valid(&solution, &instance, &instance.objective, &context);
            assert_eq!(solution.certificate.termination, Termination::Cancelled, "{context}");

            let options = SolveOptions { cancel: CancelToken::default(), ..options };
            let token = options.cancel.clone();
            let solution = solver.solve(&instance, &options, &mut |_: &Incumbent| token.cancel()).unwrap();
            if valid(&solution, &instance, &instance.objective, &context) {
                assert_eq!(solution.certificate.termination, Termination::Cancelled, "{context}");
            }
        }
    }
}

/// A clock on which every look takes `tick` microseconds.
#[derive(Debug, Default)]
struct Ticking {
    tick: u64,
    looks: AtomicU64,
}

impl Clock for Ticking {
    fn now(&self) -> Duration {
        Duration::from_micros(self.looks.fetch_add(1, Ordering::Relaxed) * self.tick)
    }
}

#[test]
fn time_is_the_clocks() {
    let mut stopped = BTreeSet::new();
    for seed in [0, 1, 3] {
        let instance = instance(seed);
        for solver in heuristics() {
            let context = format!("{} on seed {seed}", solver.name());
            for limit in [1, 10, 30] {
                let clock = Arc::new(Ticking { tick: 1000, ..Ticking::default() });
                let time_limit = Some(Duration::from_millis(limit));
                let options =
                    SolveOptions { time_limit, clock: clock.clone(), ..limited(&instance.objective) };
                let solution = answer(solver, &instance, &options);
                valid(&solution, &instance, &instance.objective, &context);
                let looks = clock.looks.load(Ordering::Relaxed);
                assert!(looks < limit + 250, "{context}: {looks} looks at the clock, {limit} were granted");
                if solution.certificate.termination == Termination::TimeLimit {
                    stopped.insert(solver.name());
                }
            }
            // On a clock that stands still no time limit is ever reached.
            let clock = Arc::new(Ticking::default());
            let time_limit = Some(Duration::from_nanos(1));
            let options = SolveOptions { time_limit, clock, ..limited(&instance.objective) };
            let solution = answer(solver, &instance, &options);
            assert_ne!(solution.certificate.termination, Termination::TimeLimit, "{context}");
        }
    }
    for solver in ["annealing", "local-search", "omniboost", "rankmap", "magma", "ecomap", "mosaic", "band"] {
        assert!(stopped.contains(solver), "{solver} never says that time ended it: {stopped:?}");
    }
}

#[test]
fn another_order_of_tenants_gives_a_valid_plan_too() {
    for seed in 0..8 {
        let instance = instance(seed);
        let mut parts = instance.to_parts();
        parts.tenants.reverse();
        let last = parts.tenants.len() - 1;
        for rule in &mut parts.affinities {
            rule.tenants.iter_mut().for_each(|t| *t = TenantIx::new(last - t.at()));
        }
        let reversed = Instance::try_new(parts).unwrap();
        let reference = exact(&reversed, &reversed.objective);
        for solver in heuristics() {
            let context = format!("{} on seed {seed} reversed", solver.name());
            let solution = answer(solver, &reversed, &limited(&reversed.objective));
            if valid(&solution, &reversed, &reversed.objective, &context) {
                let (value, bound) =
                    (solution.certificate.primal.unwrap(), reference.certificate.dual.unwrap());
                assert!(value >= bound - slack(bound), "{context}");
            }
        }
    }
}

#[test]
fn a_problem_without_a_plan_is_an_answer() {
    for seed in [0, 1, 2] {
        let mut parts = hosted::parts(seed);
        parts.affinities.clear();
        parts.sites.iter_mut().for_each(|s| s.cap = Some(Watts::ZERO));
        for tenant in &mut parts.tenants {
            tenant.shedding = Shedding { allowed: false, price: None };
            tenant.options.retain(|o| o.host.is_some());
        }
        if parts.tenants.iter().all(|t| t.options.is_empty()) {
            continue;
        }
        let instance = Instance::try_new(parts).unwrap();
        for solver in solvers() {
            let solution = answer(*solver, &instance, &limited(&instance.objective));
            let context = format!("{} on seed {seed}", solver.name());
            assert!(!valid(&solution, &instance, &instance.objective, &context), "{context} found a plan");
        }
    }
}

#[test]
fn one_tenant_and_no_options_are_problems_too() {
    for seed in 0..6 {
        let mut parts = hosted::parts(seed);
        parts.tenants.truncate(1);
        parts.affinities.clear();
        parts.stability.frozen.clear();
        let alone = Instance::try_new(parts.clone()).unwrap();
        parts.tenants[0].options.clear();
        parts.tenants[0].running = None;
        parts.tenants[0].shedding.allowed = true;
        parts.fleet_accuracy_floor = None;
        // A board that must stay on may draw more than the cap.
        parts.classes.iter_mut().for_each(|c| (c.always_on, c.off) = (false, Watts::ZERO));
        let empty = Instance::try_new(parts).unwrap();
        for solver in solvers() {
            let context = format!("{} on seed {seed}", solver.name());
            let solution = answer(*solver, &alone, &limited(&alone.objective));
            valid(&solution, &alone, &alone.objective, &context);
            let solution = answer(*solver, &empty, &limited(&empty.objective));
            assert!(valid(&solution, &empty, &empty.objective, &context), "{context} sheds nobody");
            assert_eq!(solution.assignment.unwrap().picks, [None], "{context}");
        }
    }
}

#[test]
fn what_a_solver_cannot_handle_it_says() {
    let instance = hostless::instance(0);
    let mut declined = BTreeSet::new();
    for solver in solvers() {
        match solver.solve(&instance, &limited(&instance.objective), &mut ()) {
            Ok(solution) => {
                valid(&solution, &instance, &instance.objective, solver.name());
            }
            Err(SolverError::Unsupported { solver: name, what }) => {
                assert_eq!(name, solver.name());
                assert!(what.contains("without devices"), "{what}");
                declined.insert(name);
            }
            Err(error) => panic!("{}: {error}", solver.name()),
        }
    }
    assert!(["exact", "greedy", "local-search", "annealing"].iter().all(|n| !declined.contains(n)));
    assert!(["gpu-only", "omniboost", "clover", "proteus"].iter().all(|n| declined.contains(n)));
}

#[test]
fn the_trace_leads_to_the_plan() {
    let mut reports: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..8 {
        let instance = instance(seed);
        for solver in heuristics() {
            let context = format!("{} on seed {seed}", solver.name());
            let mut trace = Trace::default();
            let solution = solver.solve(&instance, &limited(&instance.objective), &mut trace).unwrap();
            assert_eq!(trace.primals.last().copied(), solution.certificate.primal, "{context}");
            assert!(trace.nodes.is_sorted(), "{context}: {:?}", trace.nodes);
            for plan in &trace.plans {
                assert!(check(&instance, plan, &instance.objective).passes(), "{context}");
            }
            if FOLLOW_THE_OBJECTIVE.contains(&solver.name()) {
                let falls = trace.primals.windows(2).all(|w| w[1] <= w[0] + slack(w[0]));
                assert!(falls, "{context}: {:?}", trace.primals);
            }
            *reports.entry(solver.name()).or_default() += trace.primals.len();
        }
    }
    println!("entries of traces: {reports:?}");
    assert!(heuristics().all(|s| reports[s.name()] >= 4));
}

#[test]
fn what_repairs_did_is_said() {
    let instance = instance(3);
    let blind = [
        "round-robin",
        "omniboost",
        "rankmap",
        "mosaic",
        "odmdef",
        "haxconn",
        "herald",
        "h2h",
        "band",
        "magma",
        "proteus",
    ];
    for name in blind {
        let solution = answer(by_name(name).unwrap(), &instance, &limited(&instance.objective));
        let note = solution.notes.iter().find(|n| n.contains("then repaired"));
        assert!(note.is_some(), "{name}: {:?}", solution.notes);
    }
}
