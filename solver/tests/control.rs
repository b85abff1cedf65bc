//! Stopping a solve, watching it, and repeating it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use ecomap_instances::Instance;
use ecomap_instances::format::mmkp;
use ecomap_instances::plan::{Status, Termination};
use ecomap_solver::exact::{Exact, Strategy};
use ecomap_solver::{CancelToken, Incumbent, SolveOptions, Solver};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fmt::Write as _;
use std::time::Duration;

/// A correlated knapsack problem, far too hard to finish: classes × options × rows.
fn hard(classes: usize, options: usize, rows: usize) -> Instance {
    let mut rng = ChaCha8Rng::seed_from_u64(42);
    let mut body = String::new();
    let mut capacity = vec![0_u64; rows];
    for _ in 0..classes {
        writeln!(body, "{options}").unwrap();
        for _ in 0..options {
            let uses: Vec<u64> = (0..rows).map(|_| rng.random_range(1..=100)).collect();
            let value = uses.iter().sum::<u64>() / rows as u64 + rng.random_range(0..10);
            capacity.iter_mut().zip(&uses).for_each(|(c, u)| *c += u);
            let uses: Vec<String> = uses.iter().map(u64::to_string).collect();
            writeln!(body, "{value} {}", uses.join(" ")).unwrap();
        }
    }
    let capacity: Vec<String> = capacity.iter().map(|c| (c / options as u64).to_string()).collect();
    let text = format!("{classes} {rows}\n{}\n{body}", capacity.join(" "));
    mmkp::read(text.as_bytes(), "hard").unwrap()
}

fn highs_only() -> Exact {
    Exact::with_strategy(Strategy { enumerate: false, prices: false, agents: false, ..Strategy::DEFAULT })
}

#[test]
fn cancelling_keeps_the_best_plan() {
    let instance = hard(60, 10, 8);
    for solver in [Exact::new(), highs_only()] {
        let cancel = CancelToken::default();
        let options =
            SolveOptions { cancel: cancel.clone(), gap: 0.0, time_limit: None, ..SolveOptions::default() };
        let mut seen = 0;
        let solution = solver
            .solve(&instance, &options, &mut |_: &Incumbent| {
                seen += 1;
                cancel.cancel();
            })
            .unwrap();
        assert!(seen > 0);
        assert_eq!(solution.status, Status::Feasible);
        assert_eq!(solution.certificate.termination, Termination::Cancelled);
        assert!(solution.verdict.unwrap().passes());
    }
}

#[test]
fn a_spent_time_limit_gives_what_is_at_hand() {
    let instance = hard(60, 10, 8);
    let options =
        SolveOptions { time_limit: Some(Duration::from_millis(1)), gap: 0.0, ..SolveOptions::default() };
    let solution = Exact::new().solve(&instance, &options, &mut ()).unwrap();
    assert_eq!(solution.certificate.termination, Termination::TimeLimit);
    assert_ne!(solution.status, Status::Optimal);
    assert_ne!(solution.status, Status::Infeasible);
}

#[test]
fn a_work_limit_makes_a_run_repeatable() {
    let instance = hard(40, 8, 6);
    for solver in [Exact::new(), highs_only()] {
        let options =
            SolveOptions { work_limit: Some(300), time_limit: None, gap: 0.0, ..SolveOptions::default() };
        let once = solver.solve(&instance, &options, &mut ()).unwrap();
        let twice = solver.solve(&instance, &options, &mut ()).unwrap();
        assert_eq!(once.certificate.termination, Termination::NodeLimit);
        assert_eq!(once.assignment, twice.assignment);
        assert_eq!(once.certificate, twice.certificate);
    }
}

#[test]
fn progress_only_improves() {
    let instance = hard(40, 8, 6);
    let options =
        SolveOptions { work_limit: Some(500), time_limit: None, gap: 0.0, ..SolveOptions::default() };
    let mut seen: Vec<Incumbent> = Vec::new();
    let solution = highs_only().solve(&instance, &options, &mut |i: &Incumbent| seen.push(*i)).unwrap();
    assert!(seen.len() > 1);
    let primal: Vec<f64> = seen.iter().filter_map(|i| i.primal).collect();
    assert!(primal.windows(2).all(|w| w[1] >= w[0] - 1e-9), "a maximum only grows: {primal:?}");
    assert_eq!(primal.last().copied(), solution.certificate.primal);
    for dual in seen.iter().filter_map(|i| i.dual) {
        assert!(dual >= solution.certificate.primal.unwrap() - 1e-6, "a bound below the plan: {dual}");
    }
}

/// A file that maximises, with an open shed price: shedding the lesser of two is never called best
/// because solver and checker price it differently.
#[test]
fn an_open_shed_price_means_the_same_to_solver_and_checker() {
    let text = r#"{"format": "ecomap.instance/v1", "name": "two", "sense": "maximize",
        "capacities": [{"id": "room", "capacity": 1}],
        "tenants": [
            {"id": "a", "priority": 1, "shed": {"allowed": true}, "options": [{"value": 10, "uses": [[0, 1]]}]},
            {"id": "b", "priority": 0.1, "shed": {"allowed": true}, "options": [{"value": 100, "uses": [[0, 1]]}]}
        ]}"#;
    let instance = ecomap_instances::format::instance_v1::read(text.as_bytes()).unwrap();
    for solver in [Exact::new(), highs_only()] {
        let solution = solver.solve(&instance, &SolveOptions::default(), &mut ()).unwrap();
        assert_eq!(solution.status, Status::Optimal, "{solution:?}");
        // (18): U = 1 + 10 + 100; serving a costs 111·1.1 for b, serving b costs 111·2 for a.
        let primal = solution.certificate.primal.unwrap();
        assert!((primal - (10.0 - 111.0 * 1.1)).abs() < 1e-6, "{primal}");
    }
}

/// Capacities that are exact sums of decimals leave no room but rounding.
#[test]
fn tight_decimal_rows_are_not_infeasible() {
    for seed in 0..25 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut body = String::new();
        let mut capacity = [0.0_f64; 2];
        for _ in 0..12 {
            let uses: Vec<f64> =
                (0..2).map(|_| 123_456_789.3 + f64::from(rng.random_range(0..1000)) / 10.0).collect();
            capacity[0] += uses[0];
            capacity[1] += uses[1];
            let more: Vec<f64> = uses.iter().map(|u| u + 0.7).collect();
            writeln!(body, "2\n1 {} {}\n2 {} {}", uses[0], uses[1], more[0], more[1]).unwrap();
        }
        let text = format!("12 2\n{} {}\n{body}", capacity[0], capacity[1]);
        let instance = mmkp::read(text.as_bytes(), "tight").unwrap();
        let options = SolveOptions { gap: 1e-9, ..SolveOptions::default() };
        let solution = Exact::new().solve(&instance, &options, &mut ()).unwrap();
        assert_eq!(solution.status, Status::Optimal, "seed {seed}");
    }
}

/// A rule over many tenants is written in rows that grow with the tenants, not with their square.
#[test]
fn a_rule_over_many_tenants_stays_small() {
    let tenants: Vec<String> = (0..2000)
        .map(|i| {
            format!(
                r#"{{"id": "t{i}", "shed": {{"allowed": true}}, "tiers": [{{"id": "k", "accuracy": 50}}],
                "options": [{{"host": {{"class": 0, "mode": 0, "tier": 0, "segments": [[0, 1, 0]],
                "latency_ms": [1, 1, 1], "dynamic_w": 0.001, "load": [[0, 0.01]]}}}}]}}"#
            )
        })
        .collect();
    let members: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
    let text = format!(
        r#"{{"format": "ecomap.instance/v1", "name": "crowd", "sites": [{{"id": "s", "carbon_g_per_kwh": 100}}],
        "device_classes": [{{"id": "q", "site": 0, "profile": "p", "units": ["gpu"], "memory_bytes": 1,
        "devices": [0, 1], "modes": [{{"id": "m", "idle_w": 1, "budget_w": 9, "load_cap": [0.8],
        "bandwidth_bytes_per_s": 1}}]}}], "devices": ["d0", "d1"], "tenants": [{}],
        "affinities": [{{"kind": "together", "scope": "device", "tenants": [{}]}}]}}"#,
        tenants.join(","),
        members.join(",")
    );
    let instance = ecomap_instances::format::instance_v1::read(text.as_bytes()).unwrap();
    let options = SolveOptions { time_limit: Some(Duration::from_secs(20)), ..SolveOptions::default() };
    let solution = Exact::new().solve(&instance, &options, &mut ()).unwrap();
    let served = solution.assignment.unwrap().picks.iter().flatten().count();
    assert_eq!(served, 80, "one board holds 0.8 / 0.01");
}
