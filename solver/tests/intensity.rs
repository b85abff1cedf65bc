//! Intensities that move, and caps that fall at once: what is stored stays true, what is answered passes the checker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{hosted, slack};
use ecomap_instances::Instance;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::plan::Status;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::checker::check;
use ecomap_solver::exact::Exact;
use ecomap_solver::{BudgetChange, Resolver, SolveOptions, Solver};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn options() -> SolveOptions {
    SolveOptions { gap: 1e-6, ..SolveOptions::default() }
}

fn grams(instance: &Instance, rng: &mut ChaCha8Rng) -> Vec<(SiteIx, GramsPerKwh)> {
    let all = 0..instance.sites.len();
    all.map(|s| (SiteIx::new(s), GramsPerKwh::new(rng.random_range(0.0..900.0)))).collect()
}

fn caps(instance: &Instance, share: f64) -> BudgetChange {
    let cap = |s: usize| instance.sites[s].cap.map(|c| Watts::new(c.get() * share));
    BudgetChange {
        caps: (0..instance.sites.len()).map(|s| (SiteIx::new(s), cap(s))).collect(),
        capacities: Vec::new(),
    }
}

#[test]
fn proofs_and_plans_stay_true_when_intensities_move() {
    let (mut carried, mut answered) = (0, 0);
    for seed in 0..40 {
        let instance = hosted::instance(seed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        resolver.resolve(&BudgetChange::default()).unwrap();
        for _ in 0..4 {
            resolver.set_intensities(&grams(&instance, &mut rng)).unwrap();
            resolver.set_budgets(&caps(&instance, rng.random_range(0.4..1.1))).unwrap();
            let fresh = Exact::new().solve(resolver.instance(), &options(), &mut ()).unwrap();
            let known = resolver.lookup(&BudgetChange::default());
            let maximises = resolver.instance().sense == ecomap_instances::instance::Sense::Maximize;
            let sign = if maximises { -1.0 } else { 1.0 };
            if let (Some(bound), Some(best)) = (known.bound, fresh.certificate.primal) {
                assert!(
                    (bound - best) * sign <= slack(best),
                    "seed {seed}: a carried proof says {bound}, the optimum is {best}"
                );
                carried += 1;
            }
            if let (Some(plan), Some(value)) = (&known.plan, known.value) {
                let verdict = check(resolver.instance(), plan, &resolver.instance().objective);
                assert!(verdict.passes(), "seed {seed}: {}", verdict.summary());
                assert!((verdict.evaluation.value - value).abs() <= slack(value), "seed {seed}");
            }
            let answer = resolver.resolve(&BudgetChange::default()).unwrap();
            assert_eq!(answer.status, fresh.status, "seed {seed}");
            if let (Some(a), Some(b)) = (answer.certificate.primal, fresh.certificate.primal) {
                assert!((a - b).abs() <= slack(b), "seed {seed}: {a} against {b}");
                answered += 1;
            }
        }
    }
    assert!(carried > 60 && answered > 60, "{carried} bounds, {answered} answers");
}

#[test]
fn an_intensity_that_is_none_changes_nothing() {
    let instance = hosted::instance(1);
    let mut resolver = Resolver::new(instance.clone(), options());
    for bad in [f64::NAN, -1.0, f64::INFINITY] {
        assert!(resolver.set_intensities(&[(SiteIx::new(0), GramsPerKwh::new(bad))]).is_err());
    }
    assert!(resolver.set_intensities(&[(SiteIx::new(999), GramsPerKwh::new(1.0))]).is_err());
    assert_eq!(resolver.instance().sites[0].carbon, instance.sites[0].carbon);
}

/// Nothing is stored but what runs: taking from it answers any drop that shedding everybody could answer, never with a
/// plan that breaks a row, never better than the optimum.
#[test]
fn a_drop_is_answered_by_taking_from_what_runs() {
    let (mut repaired, mut deep) = (0, 0);
    for seed in 0..60 {
        let instance = hosted::instance(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        let Some(running) = resolver.resolve(&BudgetChange::default()).unwrap().assignment else { continue };
        for share in [0.8, 0.5, 0.2, 0.0] {
            let mut bare = Resolver::new(instance.clone(), options());
            let answer = bare.at_once(&caps(&instance, share), &running).unwrap();
            let fresh = Exact::new().solve(bare.instance(), &options(), &mut ()).unwrap();
            let Some(answer) = answer else {
                let free = instance.classes.iter().all(|c| !c.always_on && c.off.get() == 0.0)
                    && instance.tenants.iter().all(|t| t.shedding.allowed)
                    && instance.affinities.is_empty()
                    && instance.fleet_accuracy_floor.is_none()
                    && instance.stability.max_moves.is_none()
                    && instance.stability.frozen.is_empty();
                assert!(!free || fresh.status == Status::Infeasible, "seed {seed}, {share}: no answer");
                continue;
            };
            let verdict = check(bare.instance(), &answer.plan, &bare.instance().objective);
            assert!(verdict.passes(), "seed {seed}, {share}: {}", verdict.summary());
            assert_eq!(verdict.evaluation.value, answer.verdict.evaluation.value);
            let best = fresh.certificate.primal.unwrap();
            assert!(
                answer.verdict.evaluation.value >= best - slack(best),
                "seed {seed}: better than the best"
            );
            repaired += usize::from(answer.repaired);
            deep += usize::from(share <= 0.2);
        }
    }
    assert!(repaired > 40 && deep > 20, "{repaired} taken from what ran, {deep} of deep drops");
}

#[test]
fn refining_never_loses_and_stays_within_the_caps() {
    let mut gained = 0;
    for seed in 0..100 {
        let instance = hosted::instance(seed);
        let mut resolver = Resolver::new(instance.clone(), options());
        resolver.resolve(&caps(&instance, 0.6)).unwrap();
        resolver.set_budgets(&caps(&instance, 1.0)).unwrap();
        let Some(before) = resolver.refine(0) else { continue };
        let after = resolver.refine(3).unwrap();
        let again = resolver.refine(3).unwrap();
        assert!(check(resolver.instance(), &after.plan, &instance.objective).passes());
        assert!(after.verdict.evaluation.value <= before.verdict.evaluation.value);
        assert!(again.verdict.evaluation.value <= after.verdict.evaluation.value);
        assert!(after.bound.is_none_or(|b| b <= after.verdict.evaluation.value + slack(b)));
        gained += usize::from(after.verdict.evaluation.value < before.verdict.evaluation.value);
    }
    assert!(gained >= 5, "room above a cap is used: {gained}");
}
