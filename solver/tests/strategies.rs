//! Every way that the exact solver works gives the same optimum, or an honest bound on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{close, hosted, hostless, objectives, slack};
use ecomap_instances::instance::Sense;
use ecomap_instances::plan::Status;
use ecomap_solver::exact::{Exact, Strategy};
use ecomap_solver::{Solution, SolveOptions, Solver};
use std::collections::BTreeMap;
use std::time::Duration;

fn run(strategy: Strategy, instance: &ecomap_instances::Instance, options: &SolveOptions) -> Solution {
    Exact::with_strategy(strategy).solve(instance, options, &mut ()).unwrap()
}

const WHOLE: Strategy =
    Strategy { direct: usize::MAX, core: usize::MAX, enumerate: false, prices: false, agents: false };
/// Relaxation and reduced-cost fixing on everything, however small.
const CORE: Strategy =
    Strategy { direct: 0, core: usize::MAX, enumerate: false, prices: false, agents: false };
/// A core too small to hold what matters, so that neighbourhoods and the truncated core run.
const CUT: Strategy = Strategy { direct: 0, core: 3, enumerate: false, prices: false, agents: false };

#[test]
fn the_core_and_the_whole_model_agree() {
    let mut ways: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..120 {
        let instance = hosted::instance(seed);
        for objective in objectives() {
            let options = SolveOptions { objective: Some(objective), gap: 1e-9, ..SolveOptions::default() };
            let whole = run(WHOLE, &instance, &options);
            let core = run(CORE, &instance, &options);
            *ways.entry(core.certificate.method).or_default() += 1;
            let context = format!("seed {seed} {:?}: {whole:?} {core:?}", options.objective);
            assert_eq!(whole.status, core.status, "{context}");
            if let (Some(a), Some(b)) = (whole.certificate.primal, core.certificate.primal) {
                assert!(close(b, a), "{context}");
                assert!(close(core.certificate.dual.unwrap(), a), "{context}");
            }
        }
    }
    println!("{ways:?}");
    assert!(ways.get("reduced-cost fixing").is_some_and(|n| *n > 50), "{ways:?}");
    assert!(ways.get("relaxation").is_some_and(|n| *n > 20), "{ways:?}");
}

#[test]
fn a_truncated_core_still_bounds_the_optimum() {
    let mut truncated = 0;
    for seed in 0..60 {
        let instance = hosted::instance(seed);
        for objective in objectives().into_iter().take(6) {
            let options = SolveOptions {
                objective: Some(objective),
                gap: 1e-9,
                time_limit: Some(Duration::from_secs(5)),
                ..SolveOptions::default()
            };
            let whole = run(WHOLE, &instance, &options);
            let cut = run(CUT, &instance, &options);
            let (Some(best), Some(primal)) = (whole.certificate.primal, cut.certificate.primal) else {
                continue;
            };
            let dual = cut.certificate.dual.unwrap();
            assert!(dual <= best + slack(best), "seed {seed}: bound {dual} beyond the optimum {best}");
            assert!(
                primal >= best - slack(best),
                "seed {seed}: plan {primal} better than the optimum {best}"
            );
            assert!(cut.verdict.unwrap().passes());
            truncated += usize::from(cut.certificate.method == "neighbourhoods and restricted core");
            if cut.status == Status::Optimal {
                assert!(close(primal, best), "seed {seed}");
            }
        }
    }
    assert!(truncated > 20, "only {truncated} truncated cores");
}

#[test]
fn enumeration_and_highs_agree() {
    let mut enumerated = 0;
    for seed in 0..150 {
        let instance = hostless::instance(seed);
        let options = SolveOptions { gap: 1e-9, ..SolveOptions::default() };
        let highs = run(WHOLE, &instance, &options);
        let own = run(Strategy { agents: false, ..Strategy::DEFAULT }, &instance, &options);
        assert_eq!(highs.status, own.status, "seed {seed}");
        enumerated += usize::from(own.certificate.method == "enumeration");
        if let (Some(a), Some(b)) = (highs.certificate.primal, own.certificate.primal) {
            assert!(close(b, a), "seed {seed} {:?}: {a} {b}", instance.sense);
            let dual = own.certificate.dual.unwrap();
            let beyond = if instance.sense == Sense::Maximize { a - dual } else { dual - a };
            assert!(beyond <= slack(a), "seed {seed}: bound {dual}, optimum {a}");
        }
    }
    assert!(enumerated > 50, "only {enumerated} enumerated");
}

/// Prices first, then HiGHS on the columns that regrets leave.
const PRICED: Strategy =
    Strategy { direct: 0, core: usize::MAX, enumerate: false, prices: true, agents: false };

#[test]
fn prices_and_highs_agree() {
    let mut ways: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..150 {
        let instance = hostless::instance(seed);
        for gap in [1e-9, 0.02] {
            let options = SolveOptions { gap, ..SolveOptions::default() };
            let highs = run(WHOLE, &instance, &options);
            let own = run(PRICED, &instance, &options);
            assert_eq!(highs.status, own.status, "seed {seed}");
            *ways.entry(own.certificate.method).or_default() += 1;
            if let (Some(a), Some(b)) = (highs.certificate.dual, own.certificate.primal) {
                let dual = own.certificate.dual.unwrap();
                let sign = if instance.sense == Sense::Maximize { -1.0 } else { 1.0 };
                assert!(sign * (b - a) >= -slack(a), "seed {seed}: {b} beats the bound {a}");
                assert!(sign * (b - dual) <= gap * b.abs() + slack(b), "seed {seed}: {b} and {dual}");
                let exact = highs.certificate.primal.unwrap();
                assert!(sign * (exact - dual) >= -slack(exact), "seed {seed}: {dual} cuts off {exact}");
            }
        }
    }
    println!("{ways:?}");
    assert!(ways.get("price decomposition").is_some_and(|n| *n > 100), "{ways:?}");
    assert!(ways.get("reduced-cost fixing").is_some_and(|n| *n > 10), "{ways:?}");
}

/// Knapsacks of agents wherever rows split.
#[test]
fn agents_and_highs_agree() {
    let mut ways: BTreeMap<(&'static str, &'static str), usize> = BTreeMap::new();
    for seed in 0..300 {
        let instance = if seed % 3 == 0 { hostless::instance(2 * seed + 1) } else { hostless::agents(seed) };
        for gap in [1e-9, 0.03] {
            let options = SolveOptions { gap, ..SolveOptions::default() };
            let highs = run(WHOLE, &instance, &SolveOptions { gap: 1e-9, ..options.clone() });
            let own = run(Strategy::DEFAULT, &instance, &options);
            assert_eq!(highs.status, own.status, "seed {seed}: {highs:?} {own:?}");
            *ways.entry((own.certificate.method, own.status.as_str())).or_default() += 1;
            if let (Some(a), Some(b)) = (highs.certificate.primal, own.certificate.primal) {
                let dual = own.certificate.dual.unwrap();
                let sign = if instance.sense == Sense::Maximize { -1.0 } else { 1.0 };
                assert!(sign * (a - dual) >= -slack(a), "seed {seed}: bound {dual} beyond the optimum {a}");
                assert!(sign * (b - a) >= -slack(a), "seed {seed}: plan {b} better than the optimum {a}");
                assert!(sign * (b - dual) <= gap * b.abs() + slack(b), "seed {seed}: {b} and {dual}");
            }
        }
    }
    println!("{ways:?}");
    let count = |status| ways.get(&("knapsacks per agent", status)).copied().unwrap_or(0);
    assert!(count("optimal") > 300 && count("infeasible") > 20, "{ways:?}");
}
