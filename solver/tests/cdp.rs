//! The carbon-delay product: proven optima against brute force, and honest bounds under limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{by_hand, hosted, options, oracle, slack, solve};
use ecomap_instances::plan::Status;
use ecomap_instances::{Instance, Objective};
use ecomap_solver::checker::check;
use ecomap_solver::exact::{Exact, Strategy};
use ecomap_solver::{SolveOptions, Solver};

fn asked() -> SolveOptions {
    SolveOptions { gap: 1e-6, ..options(&Objective::Cdp) }
}

/// A generated instance in its usual form, or with every price fixed so that only the product
/// decides.
fn instance(seed: u64) -> Instance {
    let mut parts = hosted::parts(seed);
    if seed.is_multiple_of(2) {
        for tenant in &mut parts.tenants {
            tenant.shedding.price = None;
            tenant.switch_price = 0.0;
            if let Some(slo) = &mut tenant.slo {
                slo.soft_price = None;
            }
        }
    }
    Instance::try_new(parts).unwrap()
}

#[test]
fn the_product_is_proven_optimal() {
    let (mut solved, mut infeasible, mut positive, mut priced) = (0, 0, 0, 0);
    for seed in 0..250 {
        let instance = instance(seed);
        let best = oracle::best(&instance, &[Objective::Cdp]);
        let solution = solve("exact", &instance, &asked());
        let Some(best) = best else {
            assert_eq!(solution.status, Status::Infeasible, "seed {seed}");
            infeasible += 1;
            continue;
        };
        let target = best[0].levels[0];
        let context =
            format!("seed {seed}: brute force {target}, {:?} {:?}", solution.certificate, solution.notes);
        assert_eq!(solution.status, Status::Optimal, "{context}");
        let (primal, dual) = (solution.certificate.primal.unwrap(), solution.certificate.dual.unwrap());
        assert!((primal - target).abs() <= 2.0 * slack(target), "{context}");
        assert!(dual <= target + slack(target), "{context}");
        assert!(target - dual <= 2.0 * slack(target), "{context}");
        let evaluation = &solution.verdict.as_ref().unwrap().evaluation;
        let of = |name: &str| evaluation.term(name).unwrap();
        assert!((of("carbon") * of("latency") - of("cdp")).abs() <= slack(of("cdp")), "{context}");
        solved += 1;
        positive += usize::from(of("cdp") > 0.0);
        let paid = of("switching") + of("slo") + of("shed");
        priced += usize::from(paid > 0.0 && of("cdp") > 0.0);
    }
    println!("{solved} solved, {infeasible} infeasible, {positive} positive, {priced} beside prices");
    assert!(solved > 100 && infeasible > 5 && positive > 60 && priced > 20);
}

/// The two ends of the frontier and their even mixture all lose to the product's optimum somewhere:
/// the search is no guess of a weight.
#[test]
fn no_single_weight_does() {
    let mut beaten = 0;
    for seed in 0..200 {
        let instance = instance(2 * seed);
        let Some(best) = oracle::best(&instance, &[Objective::Cdp]) else { continue };
        let target = best[0].levels[0];
        let singles = ["carbon", "latency", "weighted:carbon=1,latency=1"];
        let reached = singles.map(|name| {
            let objective = Objective::parse(name).unwrap();
            let plan = &oracle::best(&instance, &[objective]).unwrap()[0].assignment;
            check(&instance, plan, &Objective::Cdp).evaluation.value
        });
        assert!(reached.iter().all(|v| *v >= target - slack(target)), "seed {seed}: {reached:?} {target}");
        beaten += usize::from(reached.iter().all(|v| *v > target + 10.0 * slack(target)));
    }
    println!("beaten on {beaten}");
    assert!(beaten >= 1);
}

#[test]
fn limits_leave_a_valid_bound() {
    let mut open = 0;
    for seed in 0..60 {
        let instance = instance(seed);
        let Some(best) = oracle::best(&instance, &[Objective::Cdp]) else { continue };
        let target = best[0].levels[0];
        let cut = SolveOptions { work_limit: Some(3), ..asked() };
        let solution = solve("exact", &instance, &cut);
        if let Some(dual) = solution.certificate.dual {
            assert!(dual <= target + slack(target), "seed {seed}: {dual} beyond {target}");
        }
        if let Some(primal) = solution.certificate.primal {
            assert!(primal >= target - slack(target), "seed {seed}: {primal} below {target}");
        }
        open += usize::from(solution.status == Status::Feasible);
    }
    assert!(open > 0, "three nodes were enough for everything");
}

/// The relaxation and reduced-cost fixing give the same products as whole models.
#[test]
fn large_models_are_solved_alike() {
    let core = Exact::with_strategy(Strategy {
        direct: 0,
        core: usize::MAX,
        enumerate: false,
        prices: false,
        agents: false,
    });
    let mut compared = 0;
    for seed in 0..40 {
        let instance = instance(seed);
        let whole = solve("exact", &instance, &asked());
        let other = core.solve(&instance, &asked(), &mut ()).unwrap();
        assert_eq!(
            whole.status, other.status,
            "seed {seed}: {:?} {:?}",
            whole.certificate, other.certificate
        );
        if let (Some(a), Some(b)) = (whole.certificate.primal, other.certificate.primal) {
            assert!((a - b).abs() <= 3.0 * slack(a), "seed {seed}: {a} {b}");
            compared += 1;
        }
    }
    assert!(compared > 15);
}

#[test]
fn the_checker_multiplies_what_it_measured() {
    let instance = Instance::try_new(by_hand::parts()).unwrap();
    let evaluation = check(&instance, &by_hand::plan(), &Objective::Cdp).evaluation;
    let of = |name: &str| evaluation.terms.iter().find(|t| t.name == name).unwrap();
    let product = of("carbon").value * of("latency").value;
    assert!(product > 0.0);
    assert_eq!((of("cdp").value, of("cdp").contribution), (product, product));
    assert_eq!((of("carbon").contribution, of("latency").contribution), (0.0, 0.0));
    let prices = of("switching").value + of("slo").value + of("shed").value;
    assert!((evaluation.value - product - prices).abs() < 1e-9);
}

/// Heuristics descend on a plane, and are judged by the product.
#[test]
fn heuristics_are_never_better() {
    let mut compared = 0;
    for seed in 0..60 {
        let instance = instance(seed);
        let exact = solve("exact", &instance, &asked());
        for name in ["greedy", "gpu-only"] {
            let solution = solve(name, &instance, &options(&Objective::Cdp));
            if let (Some(plan), Some(dual)) = (solution.certificate.primal, exact.certificate.dual) {
                assert!(plan >= dual - slack(dual), "{name}, seed {seed}: {plan} below {dual}");
                compared += 1;
            }
        }
    }
    assert!(compared > 30);
}
