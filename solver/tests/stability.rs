//! Rows (11a) and (11b) against brute force, and what stability costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{close, exact, hosted, options, oracle, slack, solve};
use ecomap_instances::ids::{DeviceIx, TenantIx};
use ecomap_instances::instance::{Instance, RunningChoice};
use ecomap_instances::plan::Status;
use ecomap_instances::scenario::Stability;
use ecomap_instances::{Objective, Term};
use ecomap_solver::SolveOptions;
use ecomap_solver::checker::check;
use ecomap_solver::exact::Exact;
use ecomap_solver::stability::{free, moves, weigh};

/// A generated instance in which everybody runs something; `limit` and `freeze` are the rules.
fn instance(seed: u64, limit: Option<usize>, freeze: usize) -> Option<Instance> {
    let mut parts = hosted::parts(seed);
    let classes = parts.classes.clone();
    for (t, tenant) in parts.tenants.iter_mut().enumerate() {
        let host = tenant.options.iter().rev().find_map(|o| o.host.as_ref())?;
        let boards = &classes[host.class.at()].devices;
        let device: DeviceIx = boards[(t + usize::try_from(seed).unwrap()) % boards.len()];
        tenant.running = Some(RunningChoice { device, tier: host.tier, segments: None });
    }
    let frozen = (0..freeze.min(parts.tenants.len())).map(TenantIx::new).collect();
    parts.stability = Stability { max_moves: limit, frozen };
    Some(Instance::try_new(parts).unwrap())
}

fn objectives() -> [Objective; 4] {
    [
        Objective::default(),
        Objective::Single(Term::Energy),
        Objective::Lexicographic(vec![Term::Accuracy, Term::Carbon]),
        Objective::Cdp,
    ]
}

fn asked(objective: &Objective) -> SolveOptions {
    SolveOptions { gap: if *objective == Objective::Cdp { 1e-6 } else { 1e-9 }, ..options(objective) }
}

#[test]
fn limits_on_moves_and_frozen_tenants_equal_brute_force() {
    let (mut feasible, mut infeasible, mut limited, mut froze) = (0, 0, 0, 0);
    for seed in 0..80 {
        for (limit, freeze) in [(Some(0), 0), (Some(1), 0), (None, 1), (Some(1), 1), (Some(2), 2)] {
            let Some(instance) = instance(seed, limit, freeze) else { continue };
            let objectives = objectives();
            let best = oracle::best(&instance, &objectives);
            for (n, objective) in objectives.iter().enumerate() {
                let solution = solve("exact", &instance, &asked(objective));
                let context = format!("seed {seed}, {limit:?} moves, {freeze} frozen, {objective:?}");
                let Some(best) = &best else {
                    assert_eq!(solution.status, Status::Infeasible, "{context}");
                    infeasible += 1;
                    continue;
                };
                assert_eq!(solution.status, Status::Optimal, "{context}: {:?}", solution.certificate);
                let (primal, target) = (solution.certificate.primal.unwrap(), best[n].levels[0]);
                assert!((primal - target).abs() <= 3.0 * slack(target), "{context}: {primal} {target}");
                let plan = solution.assignment.as_ref().unwrap();
                assert!(limit.is_none_or(|most| moves(&instance, plan) <= most), "{context}");
                feasible += 1;
            }
            if let Some(best) = &best {
                let binding = oracle::binding(&instance, &objectives[1], best[1].levels[0]);
                limited += usize::from(binding.contains("11a moves"));
                froze += usize::from(binding.contains("11b frozen"));
            }
        }
    }
    println!("{feasible} feasible, {infeasible} infeasible, 11a decides {limited}, 11b {froze}");
    assert!(feasible > 150 && infeasible > 50 && limited > 4 && froze > 4);
}

#[test]
fn what_stability_costs_is_bounded_on_both_sides() {
    let (mut weighed_count, mut costly) = (0, 0);
    for seed in 0..60 {
        let Some(instance) = instance(seed, Some(1), 0) else { continue };
        let all = objectives();
        let few = if seed % 4 == 0 { &all[..] } else { &all[..3] };
        for objective in few {
            let options = asked(objective);
            let solution = solve("exact", &instance, &options);
            let weighed = weigh(&instance, &solution, &Exact::new(), &options, &mut ()).unwrap();
            let Some(weighed) = weighed else {
                assert!(solution.assignment.is_none());
                continue;
            };
            let context = format!("seed {seed} {objective:?}: {weighed:?}");
            // The plan costs without the rules what it costs with them, but for switching.
            let unruled = free(&instance, objective).unwrap();
            let plan = solution.assignment.as_ref().unwrap();
            let verdict = check(&unruled, plan, objective);
            assert!(verdict.passes() && close(verdict.evaluation.value, weighed.value), "{context}");
            let best = oracle::best(&unruled, std::slice::from_ref(objective)).unwrap()[0].levels[0];
            let cost = weighed.value - best;
            assert!(weighed.at_least <= cost + 3.0 * slack(best), "{context}: {cost}");
            assert!(weighed.at_most.unwrap() >= cost - 3.0 * slack(best), "{context}: {cost}");
            assert!(weighed.at_least >= 0.0, "{context}");
            weighed_count += 1;
            costly += usize::from(weighed.at_least > 1e-3);
        }
    }
    println!("{weighed_count} weighed, {costly} cost something");
    assert!(weighed_count > 60 && costly > 5);
}

#[test]
fn heuristics_move_no_more_than_they_may() {
    let mut found = 0;
    for seed in 0..120 {
        let Some(instance) = instance(seed, Some(0), 0) else { continue };
        for name in ["greedy", "gpu-only"] {
            let solution = solve(name, &instance, &options(&Objective::default()));
            if let Some(plan) = &solution.assignment {
                assert_eq!(moves(&instance, plan), 0, "{name}, seed {seed}");
                found += 1;
            }
        }
    }
    assert!(found > 20, "{found}");
}

/// More moves never make the optimum worse.
#[test]
fn the_optimum_falls_with_the_number_of_moves() {
    let mut fell = 0;
    for seed in 0..200 {
        let values: Vec<Option<f64>> = (0..=3)
            .filter_map(|most| instance(seed, Some(most), 0))
            .map(|instance| exact(&instance, &Objective::default()).certificate.primal)
            .collect();
        for pair in values.windows(2) {
            match (pair[0], pair[1]) {
                (Some(a), Some(b)) => assert!(b <= a + slack(a), "seed {seed}: {values:?}"),
                (Some(_), None) => panic!("seed {seed}: {values:?}"),
                _ => {}
            }
        }
        fell += usize::from(values.first().zip(values.last()).is_some_and(|(a, b)| a > b));
    }
    assert!(fell >= 6, "{fell}");
}
