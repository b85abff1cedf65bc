//! What must hold for every policy: the checker passes, none beats the exact bound, and nobody falls
//! below its fair share.
#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests

use ecomap_accelerators::bandwidth::Links;
use ecomap_accelerators::check::check;
use ecomap_accelerators::solver::Scheduler;
use ecomap_accelerators::synergy::{Demand, Demands, Mechanism, opt, runnable, share_out};
use ecomap_accelerators::{Problem, methods};
use ecomap_instances::Seed;
use ecomap_instances::accelerators::{Named, Question, Workload};
use ecomap_instances::generate::WorkloadSpec;
use ecomap_instances::ids::JobIx;
use ecomap_solver::{SolveOptions, Solver, by_name};
use std::sync::Arc;

fn workload(question: Question, topology: Named, servers: usize, jobs: usize, seed: u64) -> Workload {
    let seed = Seed(seed);
    let spec = WorkloadSpec { question, topology, servers, jobs, seed, ..WorkloadSpec::default() };
    spec.generate().and_then(|dto| dto.lower()).unwrap_or_else(|e| panic!("{e}"))
}

/// Best sum of values by trying everything.
fn enumerate(problem: &Problem) -> f64 {
    fn best(problem: &Problem, job: usize, left: &mut Vec<f64>) -> f64 {
        let instance = problem.instance();
        let Some(tenant) = instance.tenants.get(job) else { return 0.0 };
        let mut top = f64::NEG_INFINITY;
        for option in &tenant.options {
            if option.uses.iter().all(|(row, amount)| left[row.at()] + 1e-9 >= *amount) {
                option.uses.iter().for_each(|(row, amount)| left[row.at()] -= amount);
                top = top.max(option.value + best(problem, job + 1, left));
                option.uses.iter().for_each(|(row, amount)| left[row.at()] += amount);
            }
        }
        top
    }
    let mut left = problem.instance().capacities.iter().map(|c| c.capacity).collect();
    best(problem, 0, &mut left)
}

#[test]
fn effective_bandwidth_has_the_published_values() {
    for ((double, single, pcie), value) in [
        ((2, 0, 0), 58.925),
        ((0, 2, 0), 27.720),
        ((0, 0, 2), 10.371),
        ((1, 1, 1), 24.107),
        ((2, 2, 0), 49.148),
    ] {
        let links = Links { double, single, pcie };
        assert!((links.effective().get() - value).abs() < 5e-4, "{links:?}");
    }
}

#[test]
fn no_policy_beats_the_exact_bound_and_the_bound_is_the_best_of_all() {
    for (question, topology, jobs) in [
        (Question::Topology, Named::Summit, 3),
        (Question::Topology, Named::Dgx1V100, 3),
        (Question::Resources, Named::Summit, 3),
    ] {
        for seed in 1..=4 {
            let problem =
                Arc::new(Problem::new(workload(question, topology, 1, jobs, seed), 100_000).unwrap());
            let options = SolveOptions { gap: 1e-9, ..SolveOptions::default() };
            let exact = by_name("exact").unwrap().solve(problem.instance(), &options, &mut ()).unwrap();
            let bound = exact.certificate.dual.unwrap();
            let best = enumerate(&problem);
            assert!((exact.certificate.primal.unwrap() - best).abs() < 1e-6, "{question:?} {seed}");
            assert!(bound + 1e-6 >= best);
            let placed = problem.placements(exact.assignment.as_ref().unwrap());
            assert_eq!(check(problem.workload(), &placed), Vec::<String>::new());
            for (name, _, method) in methods().iter().filter(|(.., m)| m.question() == question) {
                let scheduler = Scheduler::new(Arc::clone(&problem), *method).unwrap();
                let solution = scheduler.solve(problem.instance(), &options, &mut ()).unwrap();
                let value =
                    solution.certificate.primal.unwrap_or_else(|| panic!("{name}: {:?}", solution.notes));
                assert!(value <= bound + 1e-6, "{name}, seed {seed}: {value} above {bound}");
                assert!(
                    scheduler.solve(problem.instance(), &options, &mut ()).unwrap().assignment
                        == solution.assignment
                );
            }
        }
    }
}

#[test]
fn nobody_falls_below_its_fair_share_and_phase_one_bounds_all() {
    for seed in 1..=20 {
        let workload = workload(Question::Resources, Named::Dgx1V100, 3, 30, seed);
        let demands = Demands::new(&workload);
        let queue: Vec<JobIx> = (0..30).map(JobIx::new).collect();
        let chosen = runnable(&workload, &queue);
        let (_, bound) = opt::demands_of(&workload, &demands, &chosen).unwrap();
        for mechanism in Mechanism::ALL {
            let round = share_out(mechanism, &workload, &demands, &queue).unwrap();
            assert!(round.grants.iter().all(|g| g.demand.speed >= 1.0 - 1e-9), "{mechanism:?} {seed}");
            assert_eq!(
                check(&workload, &round.placements(&workload)),
                Vec::<String>::new(),
                "{mechanism:?} {seed}"
            );
            if !matches!(mechanism, Mechanism::Drf | Mechanism::Tetris) {
                // Sizes are powers of two: whoever finds accelerators is placed.
                assert_eq!(round.grants.len(), chosen.len(), "{mechanism:?} {seed}");
                assert!(round.speed() <= bound + 1e-6, "{mechanism:?} {seed}");
            }
        }
    }
}

/// Greatest sum of speeds with the cluster's CPUs and memory together, by trying everything.
fn fastest(demands: &Demands, jobs: &[JobIx], cpus: f64, memory: f64) -> f64 {
    let Some((job, others)) = jobs.split_first() else { return 0.0 };
    let fits = |d: &&Demand| d.cpus <= cpus + 1e-9 && d.memory <= memory + 1e-9;
    let with = |d: &Demand| d.speed + fastest(demands, others, cpus - d.cpus, memory - d.memory);
    demands.of(*job).iter().filter(fits).map(with).fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn phase_one_is_the_optimum_of_enumeration() {
    let mut above_fair = 0;
    for seed in 1..=20 {
        let workload = workload(Question::Resources, Named::Dgx1V100, 1, 6, seed);
        let demands = Demands::new(&workload);
        let queue: Vec<JobIx> = (0..6).map(JobIx::new).collect();
        let chosen = runnable(&workload, &queue);
        let cpus = workload.servers().iter().map(|s| f64::from(s.cpus)).sum();
        let memory = workload.servers().iter().map(|s| s.memory.get()).sum();
        let best = fastest(&demands, &chosen, cpus, memory);
        let (wanted, bound) = opt::demands_of(&workload, &demands, &chosen).unwrap();
        let value: f64 = wanted.iter().map(|d| d.speed).sum();
        assert!((value - best).abs() < 1e-4, "seed {seed}: {value}, not {best}");
        assert!(bound >= best - 1e-6, "seed {seed}: bound {bound} below {best}");
        above_fair += usize::from(wanted.iter().any(|d| d.speed > 1.0 + 1e-9));
    }
    assert!(above_fair >= 10, "some jobs get more than their fair share: {above_fair}");
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let workload = workload(Question::Topology, Named::Dgx1V100, 1, 5, 1);
    let problem = Problem::new(workload, 100_000).unwrap();
    let exact = by_name("exact").unwrap();
    let solution = exact.solve(problem.instance(), &SolveOptions::default(), &mut ()).unwrap();
    let placed = problem.placements(solution.assignment.as_ref().unwrap());
    assert!(placed.len() >= 2);
    let mut twice = placed.clone();
    twice[1].1.parts = twice[0].1.parts.clone();
    assert!(!check(problem.workload(), &twice).is_empty());
    let mut claimed = placed.clone();
    claimed[0].1.effective = Some(1e4);
    assert!(!check(problem.workload(), &claimed).is_empty());
    let mut greedy = placed;
    greedy[0].1.cpus = 1e4;
    assert!(!check(problem.workload(), &greedy).is_empty());
}
