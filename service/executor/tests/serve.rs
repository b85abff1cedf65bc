//! `ecomap-executor serve`: the program as a user starts it, a plan from a file, a request, an end.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use common::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A result in which `cam` runs `deep` over both units of board `here`.
fn result(blocks: u64) -> Value {
    let latency = json!({ "p50": 4.0, "p95": 6.0, "p99": 8.0 });
    json!({
        "format": "ecomap.result/v1", "name": "t", "solver": "exact", "status": "optimal",
        "plan": {
            "tenants": [{ "tenant": "cam", "served": true, "option": 0, "run": {
                "family": "small", "tier": "deep", "accuracy": 80.0, "accuracy_lost": 0.0,
                "device": "here", "site": "lab", "mode": "default",
                "segments": [
                    { "from_block": 0, "to_block": 2, "unit": "cpu0" },
                    { "from_block": 2, "to_block": blocks, "unit": "cpu1" },
                ],
                "latency_ms": latency, "isolated_ms": latency, "predicted_ms": latency,
                "network_ms": 0.0, "rate_per_s": 10.0, "energy_j": 0.1, "power_w": 1.0,
            } }],
            "devices": [{ "device": "here", "site": "lab", "profile": "host-cpu", "mode": "default",
                "power_w": 11.0, "budget_w": 35.0, "load": { "cpu0": 0.1, "cpu1": 0.1 },
                "memory_bytes": 1e6, "memory_capacity_bytes": 1e9, "bandwidth_bytes_per_s": 1e6 }],
            "sites": [{ "site": "lab", "power_w": 11.0, "cap_w": 20.0, "carbon_g_per_kwh": 100.0,
                "carbon_g_per_h": 1.1 }],
        },
        "certificate": {
            "primal_bound": 1.0, "dual_bound": 1.0, "gap": 0.0, "termination": "gap_reached", "nodes": 1,
            "cuts": 0, "seed": 0, "versions": {}, "instance_hash": "00", "method": "direct",
            "checker": { "verdict": "pass", "rows": [{ "row": "1 choice", "checked": 1, "violated": 0 }] },
        },
    })
}

fn configure(root: &Path, unit: &str) -> std::path::PathBuf {
    let cores = ecomap_onnxruntime::cores::allowed().unwrap();
    let (first, second) = (cores[0], cores.get(1).copied().unwrap_or(cores[0]));
    let text = format!(
        r#"
listen = "127.0.0.1:0"
device = "here"
profile = "host-cpu"
repository = "models"
plan = "result.json"
[[unit]]
id = "cpu0"
provider = "cpu"
cores = [{first}]
[[unit]]
id = "{unit}"
provider = "cpu"
cores = [{second}]
[[load]]
tenant = "cam"
kind = "periodic"
rate_per_s = 20
"#
    );
    let file = root.join("executor.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn start(config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ecomap-executor"))
        .args(["serve", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn serves_a_plan_until_it_is_told_to_end() {
    if !onnxruntime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    repository(&models);
    std::fs::write(folder.path().join("result.json"), result(blocks(&models, "deep")).to_string()).unwrap();
    let mut child = start(&configure(folder.path(), "cpu1"));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let base = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
    let client = reqwest::blocking::Client::new();
    let picture = picture(4);
    let request = json!({
        "inputs": [{ "name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32", "data": picture }],
    });
    let answer: Value =
        client.post(format!("{base}/v2/models/cam/infer")).json(&request).send().unwrap().json().unwrap();
    assert_eq!(answer["parameters"]["tier"], "deep", "{answer}");
    let found: Vec<f32> = serde_json::from_value(answer["outputs"][0]["data"].clone()).unwrap();
    assert!(difference(&reference(&small(true, 1).encode(), &picture), &found) <= 1e-5);
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    let lines: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |message: &str| lines.iter().find(|l| l["fields"]["message"] == message).cloned();
    assert_eq!(of("the plan runs").unwrap()["fields"]["sessions"], 2);
    // The built-in load had no failure either.
    let load = of("load ended").unwrap();
    assert_eq!(load["fields"]["sent"], load["fields"]["answered"]);
}

#[test]
fn a_plan_that_cannot_run_here_is_refused() {
    if !onnxruntime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    repository(&models);
    std::fs::write(folder.path().join("result.json"), result(blocks(&models, "deep")).to_string()).unwrap();
    let output = start(&configure(folder.path(), "cpu7")).wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{message}");
    assert!(message.contains("E1710") && message.contains("unit `cpu1`"), "{message}");
    std::fs::write(folder.path().join("executor.toml"), "listen = 5").unwrap();
    let output = start(&folder.path().join("executor.toml")).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}
