//! `ecomap-executor plan` on a small result, as it is and with each thing wrong that must stop it.
#![allow(clippy::expect_used)] // tests

use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn result() -> Value {
    let latency = json!({ "p50": 4.0, "p95": 6.0, "p99": 8.0 });
    json!({
        "format": "ecomap.result/v1", "name": "t", "solver": "exact", "status": "optimal",
        "plan": {
            "tenants": [
                { "tenant": "cam", "served": true, "option": 3, "run": {
                    "family": "resnet", "tier": "resnet-50", "accuracy": 80.0, "accuracy_lost": 0.0,
                    "device": "xavier-1", "site": "lab", "mode": "15w",
                    "segments": [
                        { "from_block": 0, "to_block": 4, "unit": "dla0" },
                        { "from_block": 4, "to_block": 9, "unit": "gpu" },
                    ],
                    "latency_ms": latency, "isolated_ms": latency, "predicted_ms": latency,
                    "network_ms": 0.0, "slo": { "quantile": "p95", "limit_ms": 20.0, "headroom_ms": 14.0 },
                    "rate_per_s": 30.0, "energy_j": 0.1, "power_w": 3.0,
                } },
                { "tenant": "mic", "served": false },
            ],
            "devices": [
                { "device": "xavier-1", "site": "lab", "profile": "jetson-agx-xavier", "mode": "15w",
                  "power_w": 8.0, "budget_w": 15.0, "load": { "dla0": 0.2, "gpu": 0.3 },
                  "memory_bytes": 1e8, "memory_capacity_bytes": 1e10, "bandwidth_bytes_per_s": 1e9 },
                { "device": "xavier-2", "site": "lab", "profile": "jetson-agx-xavier",
                  "power_w": 0.5, "load": {}, "memory_bytes": 0.0, "memory_capacity_bytes": 1e10,
                  "bandwidth_bytes_per_s": 0.0 },
            ],
            "sites": [{ "site": "lab", "power_w": 8.5, "cap_w": 20.0, "carbon_g_per_kwh": 100.0,
                        "carbon_g_per_h": 0.85 }],
        },
        "certificate": {
            "primal_bound": 1.0, "dual_bound": 1.0, "gap": 0.0, "termination": "gap_reached", "nodes": 1,
            "cuts": 0, "seed": 0, "versions": {}, "instance_hash": "00", "method": "direct",
            "checker": { "verdict": "pass", "rows": [{ "row": "1 choice", "checked": 2, "violated": 0 }] },
        },
    })
}

fn plan(result: &Value, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ecomap-executor"))
        .args(["plan", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(result.to_string().as_bytes()).expect("writes");
    child.wait_with_output().expect("ends")
}

#[test]
fn says_what_each_board_is_to_run() {
    let output = plan(&result(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(
        text,
        "xavier-1 (jetson-agx-xavier, site lab): mode 15w, 8.00 W of 15.00 W\n  \
         cam: resnet/resnet-50 on dla0 blocks 0..4 then gpu blocks 4..9, 30.00 requests/s, p95 within \
         20.00 ms, p95 predicted 6.00 ms, 3.000 W\n\
         xavier-2 (jetson-agx-xavier, site lab): off, 0.50 W\n"
    );
}

#[test]
fn json_for_one_board() {
    let output = plan(&result(), &["--device", "xavier-1", "--json"]);
    let orders: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(orders[0]["mode"], "15w");
    assert_eq!(
        orders[0]["tasks"][0]["segments"][1],
        json!({ "unit": "gpu", "from_block": 4, "to_block": 9 })
    );
    assert_eq!(orders.as_array().map(Vec::len), Some(1));
    assert_eq!(plan(&result(), &["--device", "nano-1"]).status.code(), Some(2));
}

#[test]
fn plans_that_must_not_run_are_refused() {
    let cases: [(&str, Value); 8] = [
        ("/certificate/checker/verdict", json!("fail")),
        ("/certificate/checker/rows", json!([])),
        ("/certificate/checker/rows/0/violated", json!(1)),
        ("/plan", Value::Null),
        ("/plan/tenants/0/run/mode", json!("30w")),
        ("/plan/tenants/0/run/device", json!("elsewhere")),
        ("/plan/tenants/0/run/segments/1/from_block", json!(5)),
        ("/plan/devices/0/power_w", json!(16.0)),
    ];
    for (pointer, value) in cases {
        let mut bad = result();
        *bad.pointer_mut(pointer).expect("exists") = value;
        let output = plan(&bad, &[]);
        assert_eq!(output.status.code(), Some(6), "{pointer}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty(), "{pointer}");
    }
    let mut other = result();
    other["format"] = json!("ecomap.scenario/v1");
    assert_eq!(plan(&other, &[]).status.code(), Some(3));
}
