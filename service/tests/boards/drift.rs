//! A board that changes is noticed.

use crate::common::start;
use crate::rig::{PROFILE, agent, events, fleet, free, put, run_it, until, with_boards};
use ecomap_service::http::Config;
use ecomap_store::{Settings, Store};
use serde_json::{Value, json};

/// A report of a board that runs the newest plan, all its tenants `times` as slow as predicted.
fn slow_report(state: &Value, orders: &Value, sequence: u64, times: f64) -> Value {
    let board = state["boards"].as_array().unwrap().iter().find(|b| b["device"] == "a").unwrap();
    let tenants = orders["result"]["plan"]["tenants"].as_array().unwrap().iter();
    let tenants = tenants.filter(|t| t["run"]["device"] == "a").map(|t| {
        let ms = |q: &str| {
            let predicted = &t["run"]["predicted_ms"][q];
            times * (predicted.as_f64().unwrap() - t["run"]["network_ms"].as_f64().unwrap())
        };
        // Reports differ a little, as those of a board do.
        let sample: Vec<f64> =
            (0..16).map(|k| ms("p50") * (0.9 + 0.0125 * f64::from(k) + 0.004 * (sequence % 5) as f64)).collect();
        json!({
            "tenant": t["tenant"], "tier": t["run"]["tier"], "arrivals": 16, "completions": 16, "unanswered": 0,
            "deadline_misses": 0, "tiers": [{
                "tier": t["run"]["tier"], "completions": 16, "late": 0, "mean_ms": ms("p50"), "sample_ms": sample,
                "latency_ms": { "p50": ms("p50"), "p95": ms("p95").max(ms("p50")), "p99": ms("p99").max(ms("p95")) },
            }],
        })
    });
    json!({
        "format": "ecomap.telemetry/v1", "device": "a", "profile": PROFILE, "basis": "emulated", "started_ms": 1,
        "sequence": sequence, "from_ms": 10_000 * sequence, "to_ms": 10_000 * (sequence + 1),
        "version": board["version"], "mode": board["mode"], "safe": false, "tenants": tenants.collect::<Vec<_>>(),
        "units": [],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_becomes_slower_is_priced_anew() {
    let folder = tempfile::tempdir().unwrap();
    let at = free().await;
    let store = folder.path().join("ecomap.db");
    let config = || Config { store: Some(store.clone()), ..with_boards(&[("a", Some(at)), ("b", None)]) };
    let server = start(config()).await;
    let a = agent("a", at, &folder, None, None).await;
    let mut document = fleet();
    document["executors"]["devices"] = json!(["a"]);
    let devices = document["scenario"]["devices"].as_array_mut().unwrap();
    devices.truncate(1);
    put(&server, &document).await;
    let before = until(&server, |s| run_it(s, &["a"])).await;
    let plan: Value = server.get("/v1/fleets/f/plan").await.json().await.unwrap();
    let predicted = |plan: &Value| {
        let tenants = plan["result"]["plan"]["tenants"].as_array().unwrap().clone();
        tenants.iter().filter_map(|t| t["run"]["predicted_ms"]["p50"].as_f64()).sum::<f64>()
    };
    let mut drifted = false;
    for sequence in 1..=400 {
        let times = if sequence <= 60 { 1.0 } else { 1.3 };
        let report = slow_report(&before, &plan, sequence, times);
        let answer =
            server.client.post(server.url("/v1/agents/a/telemetry")).json(&report).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        drifted = !events(&server, "drift").await.is_empty();
        if drifted {
            assert!(sequence > 60, "nothing had changed yet");
            break;
        }
    }
    assert!(drifted, "nobody noticed");
    let after = until(&server, |s| s["plan"]["cause"] == "drift" && run_it(s, &["a"])).await;
    assert!(after["plan"]["number"].as_u64() > before["plan"]["number"].as_u64());
    let repriced: Value = server.get("/v1/fleets/f/plan").await.json().await.unwrap();
    assert_ne!(predicted(&plan), predicted(&repriced));
    let estimator =
        repriced["result"]["certificate"]["versions"]["estimator"].as_str().unwrap_or_default().to_owned();
    assert!(estimator.contains("corrected by"), "{estimator}");
    server.ended().await;
    // After a restart, what is solved anew is still priced with what the board taught. Tasks of the old service may hold
    // the store for a moment.
    while Store::open(&store, &Settings::default()).is_err() {
        tokio::task::yield_now().await;
    }
    let server = start(config()).await;
    until(&server, |s| run_it(s, &["a"])).await;
    document["scenario"]["tenants"][0]["rate_per_s"] = json!(11.0);
    put(&server, &document).await;
    let last = after["plan"]["number"].as_u64();
    until(&server, |s| s["plan"]["number"].as_u64() > last && run_it(s, &["a"])).await;
    let kept: Value = server.get("/v1/fleets/f/plan").await.json().await.unwrap();
    let version = kept["result"]["certificate"]["versions"]["estimator"].as_str().unwrap_or_default();
    assert_eq!(version, estimator, "corrected as before the restart");
    drop(a);
    server.ended().await;
}
