//! The road from a scenario file to a checked plan, step by step.
//!
//! `make bench BENCH=pipeline`; absolute times are those of the machine at hand.

#![allow(clippy::expect_used, missing_docs)] // a benchmark has nobody to hand an error to

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ecomap_benches::{priced, scenario};
use ecomap_estimator::{Roofline, price};
use ecomap_instances::Catalog;
use ecomap_instances::format::{instance_v1, scenario_v1};
use ecomap_solver::{SolveOptions, by_name, checker};
use std::hint::black_box;

fn read(c: &mut Criterion) {
    let catalog = Catalog::embedded().expect("the embedded catalogue reads");
    let mut group = c.benchmark_group("read");
    for name in ["tiny", "campus", "region"] {
        let text = ecomap_benches::text(name);
        group.bench_function(name, |b| b.iter(|| scenario_v1::read(black_box(&text), catalog)));
    }
    group.finish();
}

fn pricing(c: &mut Criterion) {
    let predictor = Roofline::embedded().expect("the embedded parameters read");
    let mut group = c.benchmark_group("price");
    group.sample_size(10);
    for name in ["tiny", "xavier-5", "campus", "region"] {
        let scenario = scenario(name);
        group.bench_function(name, |b| b.iter(|| price(black_box(&scenario), &predictor)));
    }
    group.finish();
}

fn hash(c: &mut Criterion) {
    let instance = priced("campus");
    c.bench_function("hash/campus", |b| b.iter(|| instance_v1::hash(black_box(&instance))));
}

fn solve(c: &mut Criterion) {
    let mut group = c.benchmark_group("solve");
    group.sample_size(10);
    for (name, solver) in [
        ("tiny", "exact"),
        ("xavier-3", "exact"),
        ("xavier-5", "exact"),
        ("campus", "greedy"),
        ("region", "greedy"),
    ] {
        let instance = priced(name);
        let solver = by_name(solver).expect("a registered solver");
        group.bench_function(format!("{name}/{}", solver.name()), |b| {
            b.iter_batched(
                SolveOptions::default,
                |o| solver.solve(&instance, &o, &mut ()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("check");
    for name in ["campus", "region"] {
        let instance = priced(name);
        let greedy = by_name("greedy").expect("a registered solver");
        let solution = greedy.solve(&instance, &SolveOptions::default(), &mut ()).expect("greedy runs");
        let plan = solution.assignment.expect("greedy finds a plan");
        group.bench_function(name, |b| {
            b.iter(|| checker::check(black_box(&instance), black_box(&plan), &instance.objective));
        });
    }
    group.finish();
}

criterion_group!(benches, read, pricing, hash, solve, check);
criterion_main!(benches);
