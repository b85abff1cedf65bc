//! Jobs for accelerators: every policy by its name, on the command line and over HTTP.
#![allow(clippy::expect_used, clippy::panic)] // tests

mod common;

use common::{assert_checked, config, scenario, start};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// Documents, each with what its question's policies begin with.
const DOCUMENTS: [(&str, &str); 2] = [("dgx-v100", "mapa"), ("two-servers", "synergy")];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../instances/data/accelerators/{name}.json"))
}

fn document(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("a shipped document")
}

/// Every policy of a question, those that go on after a colon included.
fn policies(family: &str) -> Vec<&'static str> {
    let named = ecomap_accelerators::methods().iter().map(|(name, ..)| *name);
    named.filter(|name| name.split(':').next() == Some(family)).collect()
}

fn value(result: &Value) -> f64 {
    result["certificate"]["primal_bound"].as_f64().unwrap_or_else(|| panic!("no plan: {result:#}"))
}

#[test]
fn every_policy_solves_by_name_and_none_beats_the_exact_bound() {
    for (name, family) in DOCUMENTS {
        let solved = |solver: &str| -> Value {
            let output = Command::new(env!("CARGO_BIN_EXE_ecomap"))
                .args(["solve", "--solver", solver, "--json", "--quiet"])
                .arg(path(name))
                .output()
                .expect("runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{solver} on {name}: {said}");
            serde_json::from_slice(&output.stdout).expect("JSON")
        };
        let exact = solved("exact");
        assert_checked(&exact);
        let bound = exact["certificate"]["dual_bound"].as_f64().expect("a bound");
        assert!(policies(family).len() >= 4, "{family}: {:?}", policies(family));
        for policy in policies(family) {
            let result = solved(policy);
            assert_checked(&result);
            assert!(value(&result) <= bound + 1e-6, "{policy} on {name}: {} above {bound}", value(&result));
        }
    }
}

#[tokio::test]
async fn every_policy_is_listed_and_answers_over_http() {
    let server = start(config()).await;
    let list: Value = server.get("/v1/solvers").await.json().await.expect("JSON");
    let listed: Vec<&str> =
        list["solvers"].as_array().expect("a list").iter().filter_map(|s| s["name"].as_str()).collect();
    for (name, family) in DOCUMENTS {
        for policy in policies(family).into_iter().chain(["exact"]) {
            assert!(listed.contains(&policy), "{policy} is not listed: {listed:?}");
            let response = server.post(&format!("/v1/solve?solver={policy}"), document(name)).await;
            assert_eq!(response.status(), 200, "{policy} on {name}");
            let result: Value = response.json().await.expect("JSON");
            assert_checked(&result);
            assert!(value(&result) > 0.0, "{policy} on {name} places nobody");
        }
    }
    server.ended().await;
}

#[tokio::test]
async fn the_wrong_problem_is_refused_with_a_code() {
    let server = start(config()).await;
    let refused = async |solver: &str, body: Vec<u8>| -> (u16, Value) {
        let response = server.post(&format!("/v1/solve?solver={solver}"), body).await;
        (response.status().as_u16(), response.json().await.expect("JSON"))
    };
    // The other question's policy, a policy on tenants and boards, a heuristic for tenants on jobs.
    for (solver, body) in [
        ("synergy:tune", document("dgx-v100")),
        ("mapa:greedy", document("two-servers")),
        ("mapa:greedy", scenario("tiny")),
        ("synergy:tune", scenario("tiny")),
    ] {
        let (status, problem) = refused(solver, body).await;
        assert_eq!(status, 422, "{solver}: {problem:#}");
        assert!(problem["code"].as_str().is_some_and(|c| c.starts_with('E')), "{problem:#}");
    }
    let mut wrong: Value = serde_json::from_slice(&document("dgx-v100")).expect("JSON");
    wrong["jobs"][1]["accelerators"] = json!(9);
    let (status, problem) = refused("mapa:greedy", wrong.to_string().into_bytes()).await;
    assert_eq!((status, &problem["errors"][0]["code"]), (422, &json!("E1112")), "{problem:#}");
    assert_eq!(problem["errors"][0]["pointer"], "/jobs/1/accelerators", "{problem:#}");
    server.ended().await;
}
