//! Every registered solver by its name: on the command line, and over HTTP.
#![allow(clippy::expect_used, clippy::panic)] // tests

mod common;

use common::{assert_checked, config, scenario, start};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// What researchers would name; the registry may have more.
const NAMED: [&str; 18] = [
    "exact",
    "greedy",
    "gpu-only",
    "round-robin",
    "local-search",
    "annealing",
    "ecomap",
    "omniboost",
    "rankmap",
    "mosaic",
    "odmdef",
    "haxconn",
    "herald",
    "h2h",
    "band",
    "magma",
    "clover",
    "proteus",
];

fn solved(problem: &str, solver: &str) -> Value {
    let args = ["solve", problem, "--solver", solver, "--work-limit", "2000", "--json", "--quiet"];
    let output = Command::new(env!("CARGO_BIN_EXE_ecomap")).args(args).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{solver} on {problem}: {said}");
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

#[test]
fn each_solves_by_name_and_none_beats_the_exact_bound() {
    for problem in ["tiny", "xavier-3"] {
        let exact = solved(problem, "exact");
        let bound = exact["certificate"]["dual_bound"].as_f64().expect("a bound");
        for solver in ecomap_solver::solvers() {
            let result = solved(problem, solver.name());
            assert_checked(&result);
            assert_eq!(result["certificate"]["seed"], 0, "{}", solver.name());
            let value = result["certificate"]["primal_bound"].as_f64().expect("a plan");
            let context = format!("{} on {problem}: {value}, bound {bound}", solver.name());
            assert!(value >= bound - 1e-6 * bound.abs().max(1.0), "{context}");
            assert_eq!(
                result["plan"]["tenants"].as_array().map(Vec::len),
                Some(exact_tenants(&exact)),
                "{context}"
            );
        }
    }
}

fn exact_tenants(result: &Value) -> usize {
    result["plan"]["tenants"].as_array().expect("tenants").len()
}

#[tokio::test]
async fn each_is_listed_and_answers_over_http() {
    let server = start(config()).await;
    let list: Value = server.get("/v1/solvers").await.json().await.expect("JSON");
    let listed: BTreeSet<&str> =
        list["solvers"].as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
    for name in NAMED {
        assert!(listed.contains(name), "{name} is not listed: {listed:?}");
        let path = format!("/v1/solve?solver={name}&work_limit=200");
        let response = server.post(&path, scenario("tiny")).await;
        assert_eq!(response.status(), 200, "{name}");
        let result: Value = response.json().await.expect("JSON");
        assert_checked(&result);
    }
    server.ended().await;
}
