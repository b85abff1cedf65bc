//! Bounds and plans against complete enumeration, and pools against what they promise.
#![allow(clippy::unwrap_used)]

use ecomap_mmkp::pool::Pool;
use ecomap_mmkp::prices::prices;
use ecomap_mmkp::{Builder, Limits, Problem, solve};
use proptest::prelude::*;

type Options = Vec<(f64, Vec<f64>)>;

#[derive(Debug, Clone)]
struct Small {
    classes: Vec<Options>,
    capacity: Vec<f64>,
}

impl Small {
    fn problem(&self) -> Problem {
        self.built(&self.capacity)
    }

    fn built(&self, capacity: &[f64]) -> Problem {
        let mut builder = Builder::new(capacity.to_vec());
        for class in &self.classes {
            builder.class();
            for (value, weights) in class {
                let uses: Vec<(usize, f64)> = weights.iter().copied().enumerate().collect();
                builder.option(*value, &uses);
            }
        }
        builder.build().unwrap()
    }

    /// The best value, by trying everything.
    fn best(&self, capacity: &[f64]) -> Option<f64> {
        fn go(classes: &[Options], room: &[f64]) -> Option<f64> {
            let Some((first, rest)) = classes.split_first() else {
                return room.iter().all(|r| *r >= -1e-7).then_some(0.0);
            };
            let each = first.iter().filter_map(|(value, weights)| {
                let left: Vec<f64> = room.iter().zip(weights).map(|(r, w)| r - w).collect();
                go(rest, &left).map(|v| v + value)
            });
            each.max_by(f64::total_cmp)
        }
        go(&self.classes, capacity)
    }
}

fn small(whole: bool) -> impl Strategy<Value = Small> {
    let number = move |most: f64| (0.0..most).prop_map(move |x: f64| if whole { x.round() } else { x });
    (1_usize..4, 1_usize..7).prop_flat_map(move |(rows, classes)| {
        let option = (number(100.0), prop::collection::vec(number(30.0), rows));
        let class = prop::collection::vec(option, 1..5);
        (
            prop::collection::vec(class, classes),
            prop::collection::vec(number(30.0 * classes as f64 * 0.6), rows),
        )
            .prop_map(|(classes, capacity)| Small { classes, capacity })
    })
}

fn limits() -> Limits<'static> {
    Limits { gap: 1e-9, work: 60_000, seed: 3, stop: &|| false }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn plans_fit_and_bounds_hold(case in prop_oneof![small(true), small(false)]) {
        let problem = case.problem();
        let answer = solve(&problem, &limits());
        let best = case.best(&case.capacity);
        if let Some(choice) = &answer.choice {
            let (value, used) = problem.judge(choice);
            prop_assert!(problem.fits(&used));
            prop_assert!((value - answer.value).abs() <= 1e-9 * value.abs().max(1.0));
            prop_assert!(answer.value <= best.unwrap() + 1e-6, "{} > {best:?}", answer.value);
        }
        if let Some(best) = best {
            prop_assert!(answer.bound >= best - 1e-6, "{} < {best}", answer.bound);
        }
    }

    #[test]
    fn any_prices_bound(case in small(false), raw in prop::collection::vec(0.0..9.0_f64, 3)) {
        if let Some(best) = case.best(&case.capacity) {
            let problem = case.problem();
            let given: Vec<f64> = raw.iter().copied().take(problem.rows()).collect();
            let any = problem.certify(&given[..problem.rows().min(given.len())]);
            prop_assert!(any.bound >= best - 1e-6);
            let found = problem.certify(&prices(&problem, None));
            prop_assert!(found.bound >= best - 1e-6);
            prop_assert!(found.bound <= any.bound + 1e-4 * any.bound.abs().max(1.0));
        }
    }

    #[test]
    fn lookups_fit_and_bound(case in small(true), cuts in prop::collection::vec(0.3..1.1_f64, 8)) {
        let mut pool = Pool::new(case.problem());
        for (n, cut) in cuts.iter().enumerate() {
            let capacity: Vec<f64> = case.capacity.iter().map(|c| (c * cut).floor()).collect();
            if n % 2 == 0 {
                pool.resolve(&capacity, &limits()).unwrap();
            }
            let found = pool.lookup(&capacity);
            if let Some(best) = case.best(&capacity) {
                prop_assert!(found.bound >= best - 1e-6);
                prop_assert!(found.value <= best + 1e-6);
            }
            if let Some(plan) = found.plan.and_then(|at| pool.plan(at)) {
                prop_assert!(case.built(&capacity).fits(&plan.used));
                prop_assert_eq!(plan.used.clone(), pool.problem().judge(&plan.choice).1);
            }
        }
    }
}

#[test]
fn a_larger_capacity_never_lowers_the_bound() {
    for seed in 0..5 {
        let mut problem = ecomap_mmkp::generate::pool(60, 8, 10, seed).unwrap();
        let full = problem.capacity().to_vec();
        let mut last = f64::NEG_INFINITY;
        for step in 0..=8 {
            let capacity: Vec<f64> = full.iter().map(|c| c * (0.7 + 0.05 * f64::from(step))).collect();
            problem.set_capacity(&capacity).unwrap();
            let bound = problem.certify(&prices(&problem, None)).bound;
            assert!(bound >= last * (1.0 - 1e-5), "seed {seed}: {bound} < {last}");
            last = bound;
        }
    }
}

#[test]
fn equal_inputs_give_equal_plans_on_any_number_of_threads() {
    let problem = ecomap_mmkp::generate::pool(5_000, 10, 10, 4).unwrap();
    let limits = Limits { gap: 1e-6, work: 3_000_000, seed: 7, stop: &|| false };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| solve(&problem, &limits))
    };
    let one = on(1);
    assert!(one.choice.is_some());
    assert_eq!(one, on(2));
    assert_eq!(one, on(5));
}

#[test]
fn a_prepared_pool_answers_every_cap() {
    let problem = ecomap_mmkp::generate::pool(400, 10, 10, 2).unwrap();
    let high = problem.capacity().to_vec();
    let power = problem.rows() - 2;
    let mut low = high.clone();
    low[power] *= 0.8;
    let mut pool = Pool::new(problem);
    let limits = Limits { gap: 1e-3, work: 2_000_000, seed: 1, stop: &|| false };
    let left = pool.prepare(&low, &high, 4e-3, &limits).unwrap();
    assert!(left <= 4e-3, "{left}");
    for step in 0..=100 {
        let mut capacity = high.clone();
        capacity[power] = low[power] + (high[power] - low[power]) * f64::from(step) / 100.0;
        let found = pool.lookup(&capacity);
        assert!(found.gap() <= 4e-3 + 1e-9, "step {step}: {}", found.gap());
        let plan = pool.plan(found.plan.unwrap()).unwrap();
        assert!(plan.used.iter().zip(&capacity).all(|(u, c)| *u <= c + 1e-6));
    }
}

#[test]
fn a_pool_survives_tenants_that_leave_and_arrive() {
    let whole = ecomap_mmkp::generate::pool(120, 8, 10, 9).unwrap();
    let part = |range: std::ops::Range<usize>| {
        let mut builder = Builder::new(whole.capacity().to_vec());
        for class in range {
            builder.class();
            for option in 0..whole.options(class) {
                let uses: Vec<(usize, f64)> =
                    (0..whole.rows()).map(|k| (k, whole.weight(class, option, k))).collect();
                builder.option(whole.value(class, option), &uses);
            }
        }
        builder.build().unwrap()
    };
    let limits = Limits { gap: 1e-3, work: 1_000_000, seed: 1, stop: &|| false };
    let mut pool = Pool::new(part(0..100));
    pool.resolve(whole.capacity(), &limits).unwrap();
    let kept: Vec<Option<usize>> = (10..110).map(|i| (i < 100).then_some(i)).collect();
    let next = part(10..110);
    let true_bound = next.certify(&prices(&next, None)).bound;
    pool.rebase(next, &kept).unwrap();
    let before = pool.lookup(whole.capacity());
    assert!(before.bound >= true_bound * (1.0 - 1e-6));
    assert!(before.bound <= true_bound * 1.05, "re-priced bounds stay near");
    let after = pool.resolve(whole.capacity(), &limits).unwrap();
    assert!(after.gap() <= 5e-3, "{}", after.gap());
    assert!(pool.rebase(part(0..3), &[Some(0)]).is_err());
}

#[test]
fn bad_numbers_are_refused() {
    let mut builder = Builder::new(vec![1.0]);
    builder.class();
    builder.option(f64::NAN, &[]);
    assert!(builder.build().unwrap_err().to_string().contains("class 0, option 0"));
    let mut builder = Builder::new(vec![1.0]);
    builder.class();
    builder.option(1.0, &[(1, 2.0)]);
    assert!(builder.build().unwrap_err().to_string().contains("no row 1"));
    assert!(Builder::new(vec![1.0; 65]).build().is_err());
    let mut builder = Builder::new(vec![1.0]);
    builder.class();
    builder.class();
    builder.option(1.0, &[]);
    assert!(builder.build().is_err(), "a class without options");
}
