//! Small seeded problems against trying everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

use ecomap_agents::{Answer, Builder, Limits, Problem, solve};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Agents, at times options without one, several options of a job on an agent, shared rows, costs
/// with and without a common divisor, loads that are whole, decimal or neither.
fn problem(seed: u64) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let jobs = rng.random_range(1..=6);
    let agents = rng.random_range(1..=4);
    let shared = rng.random_range(0..=2);
    let tight = rng.random_range(3.0..14.0);
    let cost_step = [1.0, 0.1, 0.01, std::f64::consts::E][rng.random_range(0..4)];
    let load_step = [1.0, 2.5, 0.01, std::f64::consts::PI][rng.random_range(0..4)];
    let room = (tight * jobs as f64 / agents as f64).ceil() * load_step;
    let common = rng.random_range(2.0..9.0) * jobs as f64;
    let mut builder = Builder::new(vec![room; agents], vec![common; shared]);
    for _ in 0..jobs {
        builder.job();
        for _ in 0..rng.random_range(1..=5) {
            let cost = cost_step * f64::from(rng.random_range(-20..60));
            let load = load_step * f64::from(rng.random_range(0..20));
            let on = (!rng.random_ratio(1, 8)).then(|| (rng.random_range(0..agents), load));
            let uses: Vec<(usize, f64)> =
                (0..shared).map(|row| (row, 0.5 * f64::from(rng.random_range(0..24)))).collect();
            builder.option(cost, on, &uses);
        }
    }
    builder.build().unwrap()
}

fn least(problem: &Problem) -> Option<f64> {
    let mut choice = vec![0; problem.jobs()];
    let mut best: Option<f64> = None;
    loop {
        if let Some(cost) = problem.judge(&choice) {
            best = Some(best.map_or(cost, |b| b.min(cost)));
        }
        let mut job = 0;
        loop {
            if job == choice.len() {
                return best;
            }
            choice[job] += 1;
            if (choice[job] as usize) < problem.options(job) {
                break;
            }
            choice[job] = 0;
            job += 1;
        }
    }
}

fn run(problem: &Problem, gap: f64, nodes: u64, told: &mut Vec<Answer>) -> Answer {
    let mut report = |answer: &Answer| told.push(answer.clone());
    let mut limits = Limits { gap, nodes, seed: 3, start: None, stop: &|| false, report: &mut report };
    solve(problem, &mut limits)
}

#[test]
fn plans_are_optimal_and_bounds_never_above_the_optimum() {
    let (mut optimal, mut infeasible) = (0, 0);
    for seed in 0..600 {
        let problem = problem(seed);
        let mut told = Vec::new();
        let answer = run(&problem, 0.0, u64::MAX, &mut told);
        let Some(best) = least(&problem) else {
            assert!(answer.infeasible(), "seed {seed}: {answer:?}");
            infeasible += 1;
            continue;
        };
        optimal += 1;
        let slack = 1e-9 * best.abs().max(1.0);
        assert!((answer.value - best).abs() <= slack, "seed {seed}: {answer:?}, least {best}");
        assert!(answer.bound >= best - slack, "seed {seed}: not proved, {answer:?}, least {best}");
        let choice = answer.choice.as_deref().unwrap();
        assert!((problem.judge(choice).unwrap() - best).abs() <= slack);
        for step in &told {
            assert!(step.bound <= best + slack, "seed {seed}: bound {} above {best}", step.bound);
            assert!(step.value >= best - slack, "seed {seed}: value {} below {best}", step.value);
        }
    }
    assert!(optimal > 250 && infeasible > 60, "{optimal} optimal, {infeasible} infeasible");
}

#[test]
fn a_limit_on_nodes_leaves_valid_bounds_and_repeatable_plans() {
    let mut open = 0;
    for seed in 0..200 {
        let problem = problem(seed);
        let nodes = 1 + seed % 4;
        let answer = run(&problem, 0.0, nodes, &mut Vec::new());
        assert_eq!(answer, run(&problem, 0.0, nodes, &mut Vec::new()), "seed {seed}");
        assert!(answer.nodes <= nodes);
        if let Some(best) = least(&problem) {
            let slack = 1e-9 * best.abs().max(1.0);
            assert!(answer.bound <= best + slack, "seed {seed}: {answer:?}, least {best}");
            open += usize::from(answer.bound < best - slack || answer.choice.is_none());
        }
    }
    assert!(open > 5, "only {open} were cut short");
}

#[test]
fn a_start_is_kept_unless_something_is_better() {
    let (problem, best) = (0..).map(problem).find_map(|p| least(&p).map(|best| (p, best))).unwrap();
    let answer = run(&problem, 0.0, u64::MAX, &mut Vec::new());
    let choice = answer.choice.unwrap();
    let mut limits =
        Limits { gap: 0.0, nodes: 0, seed: 0, start: Some(&choice), stop: &|| false, report: &mut |_| () };
    let kept = solve(&problem, &mut limits);
    assert_eq!(kept.choice.as_deref(), Some(choice.as_slice()));
    assert!((kept.value - best).abs() < 1e-9);
}

#[test]
fn mistakes_are_refused() {
    let one = |cost, on, shared: &[(usize, f64)]| {
        let mut builder = Builder::new(vec![1.0], vec![1.0]);
        builder.job();
        builder.option(cost, on, shared);
        builder.build().is_err()
    };
    assert!(!one(1.0, Some((0, 1.0)), &[(0, 1.0)]));
    assert!(one(f64::NAN, None, &[]));
    assert!(one(f64::INFINITY, None, &[]));
    assert!(one(1.0, Some((0, -1.0)), &[]));
    assert!(one(1.0, Some((1, 1.0)), &[]));
    assert!(one(1.0, None, &[(0, f64::NAN)]));
    assert!(one(1.0, None, &[(1, 1.0)]));
    assert!(Builder::new(vec![f64::NAN], vec![]).build().is_err());
}
