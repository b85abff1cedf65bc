//! Large problems made of many small independent ones, whose optima are found by trying everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)]

use ecomap_agents::{Answer, Builder, Limits, Problem, generate, solve};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const BLOCKS: usize = 120;
const JOBS: usize = 4;
const OPTIONS: usize = 5;

struct Drawn {
    problem: Problem,
    optimum: f64,
}

/// Each block has an agent and a row of its own; its jobs may also go nowhere, at a price.
fn drawn(seed: u64) -> Drawn {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (room, other) = (60.0, 30.0);
    let mut builder = Builder::new(vec![room; BLOCKS], vec![other; BLOCKS]);
    let mut optimum = 0.0;
    for block in 0..BLOCKS {
        let mut list: Vec<Vec<(f64, f64, f64)>> = Vec::new();
        for _ in 0..JOBS {
            builder.job();
            let mut options = Vec::new();
            for _ in 0..OPTIONS - 1 {
                let load = f64::from(rng.random_range(5..40));
                let use_of = f64::from(rng.random_range(0..15));
                let cost = 100.0 - load + f64::from(rng.random_range(0..20));
                options.push((cost, load, use_of));
                builder.option(cost, Some((block, load)), &[(block, use_of)]);
            }
            options.push((130.0, 0.0, 0.0));
            builder.option(130.0, None, &[]);
            list.push(options);
        }
        let mut best = f64::INFINITY;
        for code in 0..OPTIONS.pow(JOBS as u32) {
            let picks = (0..JOBS).map(|j| list[j][code / OPTIONS.pow(j as u32) % OPTIONS]);
            let sum = picks.fold((0.0, 0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1, s.2 + p.2));
            if sum.1 <= room && sum.2 <= other && sum.0 < best {
                best = sum.0;
            }
        }
        optimum += best;
    }
    Drawn { problem: builder.build().unwrap(), optimum }
}

fn run(problem: &Problem, nodes: u64, told: &mut Vec<Answer>) -> Answer {
    let mut report = |answer: &Answer| told.push(answer.clone());
    let mut limits = Limits { gap: 0.0, nodes, seed: 1, start: None, stop: &|| false, report: &mut report };
    solve(problem, &mut limits)
}

#[test]
fn bounds_hold_and_plans_are_near_the_optimum() {
    for seed in 0..6 {
        let Drawn { problem, optimum } = drawn(seed);
        let mut told = Vec::new();
        let answer = run(&problem, 12, &mut told);
        assert!(told.len() > 1, "seed {seed}: {told:?}");
        for step in &told {
            assert!(step.bound <= optimum + 1e-6, "seed {seed}: bound {} above {optimum}", step.bound);
            assert!(step.value >= optimum - 1e-6, "seed {seed}: value {} below {optimum}", step.value);
        }
        assert_eq!(problem.judge(answer.choice.as_deref().unwrap()), Some(answer.value));
        assert!(answer.value <= 1.03 * optimum, "seed {seed}: {} far from {optimum}", answer.value);
        assert!(answer.bound >= 0.9 * optimum, "seed {seed}: {} far from {optimum}", answer.bound);
        assert_eq!(answer, run(&problem, 12, &mut Vec::new()), "seed {seed}: not repeatable");
    }
}

#[test]
fn clusters_are_repeatable_and_their_lightest_options_fit() {
    let cluster = generate::cluster(480, 20, 4);
    assert_eq!(cluster, generate::cluster(480, 20, 4));
    assert_ne!(cluster, generate::cluster(480, 20, 5));
    assert_eq!(cluster.capacity.len(), 60 * 6 + 1);
    assert!(cluster.tenants.iter().all(|list| list.len() == 20));
    for list in &cluster.tenants {
        assert!(list.iter().any(|choice| choice.uses.iter().all(|(row, a)| *a <= cluster.capacity[*row])));
    }
}
