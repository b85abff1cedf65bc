//! Re-solving under moving budgets: every answer against the solver from nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{hosted, hostless, slack};
use ecomap_instances::ids::{CapacityIx, SiteIx};
use ecomap_instances::instance::Sense;
use ecomap_instances::units::Watts;
use ecomap_instances::{Instance, Objective};
use ecomap_solver::checker::check;
use ecomap_solver::exact::Exact;
use ecomap_solver::{BudgetChange, Resolver, SolveOptions, Solver};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

fn options() -> SolveOptions {
    SolveOptions { gap: 1e-6, ..SolveOptions::default() }
}

fn sign(instance: &Instance) -> f64 {
    if instance.sense == Sense::Maximize { -1.0 } else { 1.0 }
}

/// Every budget at its own random share of what it is.
fn drawn(instance: &Instance, rng: &mut ChaCha8Rng) -> BudgetChange {
    let mut share = || rng.random_range(0.3..1.2);
    BudgetChange {
        caps: (0..instance.sites.len())
            .map(|s| (SiteIx::new(s), instance.sites[s].cap.map(|cap| Watts::new(cap.get() * share()))))
            .collect(),
        capacities: (0..instance.capacities.len())
            .map(|r| (CapacityIx::new(r), instance.capacities[r].capacity * share()))
            .collect(),
    }
}

/// Every budget at the same share of what it is.
fn scaled(instance: &Instance, share: f64) -> BudgetChange {
    BudgetChange {
        caps: (0..instance.sites.len())
            .map(|s| (SiteIx::new(s), instance.sites[s].cap.map(|c| Watts::new(c.get() * share))))
            .collect(),
        capacities: (0..instance.capacities.len())
            .map(|r| (CapacityIx::new(r), instance.capacities[r].capacity * share))
            .collect(),
    }
}

fn instances() -> impl Iterator<Item = (u64, Instance)> {
    (0..60).flat_map(|seed| [(seed, hosted::instance(seed)), (seed, hostless::instance(seed))])
}

#[test]
fn every_answer_is_that_of_a_solve_from_nothing() {
    let (mut ways, mut infeasible): (BTreeMap<&'static str, usize>, usize) = Default::default();
    for (seed, instance) in instances() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        for round in 0..8 {
            let change = drawn(&instance, &mut rng);
            let known = resolver.lookup(&change);
            let found = resolver.resolve(&change).unwrap();
            let cold = Exact::new().solve(resolver.instance(), &options(), &mut ()).unwrap();
            let context = format!("seed {seed}, {}, round {round}", instance.name);
            assert_eq!(found.status, cold.status, "{context}");
            *ways.entry(found.certificate.method).or_default() += 1;
            let sign = sign(&instance);
            if let Some(plan) = &known.plan {
                let verdict = check(resolver.instance(), plan, &resolver.instance().objective);
                assert!(verdict.passes(), "{context}: {}", verdict.summary());
            }
            let Some(best) = cold.certificate.primal else {
                infeasible += 1;
                assert!(known.plan.is_none(), "{context}");
                continue;
            };
            assert!(!known.infeasible, "{context}");
            let (value, dual) = (found.certificate.primal.unwrap(), found.certificate.dual.unwrap());
            assert!((value - best).abs() <= 3.0 * slack(best), "{context}: {value}, {best}");
            assert!(sign * (dual - best) <= 3.0 * slack(best), "{context}: bound {dual}, {best}");
            // What was known beforehand was right.
            if let Some(bound) = known.bound {
                assert!(sign * (bound - best) <= 3.0 * slack(best), "{context}: bound {bound}, {best}");
            }
            if let Some(value) = known.value {
                assert!(sign * (value - best) >= -3.0 * slack(best), "{context}: {value}, {best}");
            }
        }
    }
    println!("{ways:?}, {infeasible} infeasible");
    assert!(ways.get("pool").is_some_and(|n| *n > 50), "{ways:?}");
    assert!(ways.get("pool search").is_some_and(|n| *n > 5), "{ways:?}");
    assert!(ways.values().sum::<usize>() > 900 && infeasible > 20, "{ways:?} {infeasible}");
}

#[test]
fn bounds_never_fall_as_budgets_do() {
    let mut compared = 0;
    for (seed, instance) in instances() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        for _ in 0..4 {
            resolver.resolve(&drawn(&instance, &mut rng)).unwrap();
        }
        let sign = sign(&instance);
        let scaled = |share| scaled(&instance, share);
        let mut last = f64::NEG_INFINITY;
        for n in (2..=12).rev() {
            let known = resolver.lookup(&scaled(f64::from(n) / 10.0));
            if let Some(bound) = known.bound.map(|b| b * sign) {
                assert!(bound >= last - slack(bound), "seed {seed} {}: {bound} after {last}", instance.name);
                compared += usize::from(last.is_finite());
                last = bound.max(last);
            }
        }
    }
    assert!(compared > 300, "only {compared} bounds compared");
}

#[test]
fn a_prepared_pool_answers_between_its_ends() {
    let mut answered = 0;
    for (seed, instance) in instances().take(60) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        let budgets = |share| scaled(&instance, share);
        let mut preparation = resolver.preparation(&budgets(0.6), &budgets(1.0), 0.02);
        let mut progress = preparation.step().unwrap();
        for _ in 0..60 {
            if progress.done {
                break;
            }
            progress = preparation.step().unwrap();
        }
        assert!(resolver.absorb(&preparation));
        let Some(worst) = progress.worst else {
            let lexicographic = matches!(instance.objective, Objective::Lexicographic(_));
            assert!(lexicographic, "seed {seed} {}: {progress:?}", instance.name);
            continue;
        };
        for _ in 0..20 {
            let change = budgets(rng.random_range(0.6..1.0));
            let known = resolver.lookup(&change);
            if known.infeasible {
                continue;
            }
            let gap = known.gap().expect("prepared");
            assert!(gap <= worst + 1e-6, "seed {seed} {}: {gap}, {worst}", instance.name);
            if let Some(solution) = resolver.resolve_at_once(&change).unwrap() {
                assert!(solution.verdict.unwrap().passes());
                answered += 1;
            }
        }
    }
    assert!(answered > 500, "{answered}");
}

#[test]
fn tenants_that_come_and_go_keep_what_is_known() {
    let (mut kept, mut proven) = (0, 0);
    for (seed, instance) in instances() {
        if instance.tenants.len() < 2 || !instance.affinities.is_empty() {
            continue;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let without = |gone: usize| {
            let mut parts = instance.to_parts();
            parts.tenants.remove(gone);
            parts.stability = Default::default();
            Instance::try_new(parts).unwrap()
        };
        let (first, second) = (without(0), without(1));
        let mut resolver = Resolver::new(first, options());
        for _ in 0..4 {
            resolver.resolve(&drawn(&instance, &mut rng)).unwrap();
        }
        kept += resolver.rebase(second.clone());
        for _ in 0..4 {
            let change = drawn(&instance, &mut rng);
            let known = resolver.lookup(&change);
            let found = resolver.resolve(&change).unwrap();
            let cold = Exact::new().solve(resolver.instance(), &options(), &mut ()).unwrap();
            assert_eq!(found.status, cold.status, "seed {seed} {}", instance.name);
            let Some(best) = cold.certificate.primal else { continue };
            let sign = sign(&instance);
            for bound in known.bound.into_iter().chain(found.certificate.dual) {
                assert!(sign * (bound - best) <= 3.0 * slack(best), "seed {seed}: bound {bound}, {best}");
                proven += 1;
            }
            let value = found.certificate.primal.unwrap();
            assert!((value - best).abs() <= 3.0 * slack(best), "seed {seed}: {value}, {best}");
        }
    }
    assert!(kept > 50 && proven > 200, "{kept} {proven}");
}

#[test]
fn what_runs_changes_what_moving_costs() {
    let mut seen = 0;
    for seed in 0..40 {
        let instance = hosted::instance(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        for _ in 0..4 {
            let found = resolver.resolve(&drawn(&instance, &mut rng)).unwrap();
            let cold = Exact::new().solve(resolver.instance(), &options(), &mut ()).unwrap();
            assert_eq!(found.status, cold.status, "seed {seed}");
            if let (Some(plan), Some(best)) = (&found.assignment, cold.certificate.primal) {
                let value = found.certificate.primal.unwrap();
                assert!((value - best).abs() <= 3.0 * slack(best), "seed {seed}: {value}, {best}");
                resolver.set_running(plan).unwrap();
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn a_wrong_budget_changes_nothing() {
    let instance = hostless::instance(0);
    let mut resolver = Resolver::new(instance.clone(), options());
    for capacities in [
        vec![(CapacityIx::new(99), 1.0)],
        vec![(CapacityIx::new(0), 1.0), (CapacityIx::new(0), -1.0)],
        vec![(CapacityIx::new(0), f64::NAN)],
    ] {
        let change = BudgetChange { capacities, ..BudgetChange::default() };
        assert!(resolver.resolve(&change).is_err());
        assert_eq!(resolver.instance(), &instance);
    }
}
