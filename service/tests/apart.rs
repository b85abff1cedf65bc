//! Exact solves of a resolver in a process of their own.
#![allow(clippy::expect_used, clippy::unwrap_used)] // helpers of tests
#![cfg(unix)]

mod common;

use common::scenario;
use ecomap_service::pipeline::{self, Sizes};
use ecomap_service::worker::{Apart, Isolated, Isolation, SILENCE};
use ecomap_solver::clock::SystemClock;
use ecomap_solver::{BudgetChange, Resolver, SolveOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn isolated() -> Isolated {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ecomap"));
    Isolated { isolation: Isolation::Always, program, silence: SILENCE }
}

fn priced(bytes: &[u8]) -> pipeline::Priced {
    let clock = SystemClock::new();
    let loaded = pipeline::load("test", bytes, None, Sizes::UNBOUNDED, &clock).unwrap();
    pipeline::price(loaded, Sizes::UNBOUNDED, &clock).unwrap()
}

/// HiGHS stuck where none of its limits reach, as seen from outside.
#[test]
fn a_worker_that_goes_silent_is_killed_even_without_a_time_limit() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("mute");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 3600\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let priced = priced(&scenario("tiny"));
    let apart = Apart(Isolated { program, silence: Duration::from_millis(200), ..isolated() });
    let options = SolveOptions { time_limit: None, work_limit: Some(50), ..SolveOptions::default() };
    let mut resolver = Resolver::new(priced.instance, options).with_prover(Arc::new(apart));
    let solution = resolver.resolve(&BudgetChange::default()).unwrap();
    assert!(solution.verdict.unwrap().passes());
    assert!(solution.notes.iter().any(|n| n.contains("gone silent")), "{:?}", solution.notes);
}

#[test]
fn a_resolver_gets_the_same_plan_from_a_worker_as_in_its_own_process() {
    let priced = priced(&scenario("campus"));
    let options = SolveOptions { time_limit: None, work_limit: Some(1), gap: 0.2, ..SolveOptions::default() };
    let solve = |resolver: Resolver| {
        let mut resolver = resolver;
        resolver.resolve(&BudgetChange::default()).unwrap()
    };
    let own = solve(Resolver::new(priced.instance.clone(), options.clone()));
    let apart = Apart(isolated());
    let far = solve(Resolver::new(priced.instance, options).with_prover(Arc::new(apart)));
    assert_eq!(own.assignment, far.assignment);
    assert_eq!(own.certificate, far.certificate);
}
