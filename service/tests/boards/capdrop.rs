//! From a cap that fell to the first answer under the plan that keeps it.

use crate::common::start;
use crate::rig::{agent, events, fleet, free, put, run_it, until, with_boards};
use serde_json::{Value, json};
use std::time::Duration;

/// The time from a budget event to the first answer under the plan that keeps it, by stage. A measurement, not a test
/// of speed: `cargo test --release -p ecomap-service --test boards -- --ignored cap_drop --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout)]
async fn cap_drop_by_stage() {
    const DROPS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let (at_a, at_b) = (free().await, free().await);
    let server = start(with_boards(&[("a", Some(at_a)), ("b", Some(at_b))])).await;
    let a = agent("a", at_a, &folder, None, None).await;
    let b = agent("b", at_b, &folder, None, None).await;
    let mut document = fleet();
    for site in document["scenario"]["sites"].as_array_mut().unwrap() {
        site["budget"] = json!({
            "policy": "linear", "clean_g_per_kwh": 100, "dirty_g_per_kwh": 600, "max_w": 40, "min_w": 14
        });
    }
    let zone = document["scenario"]["zones"][0]["id"].as_str().unwrap().to_owned();
    document["scenario"]["zones"][0]["carbon_g_per_kwh"] = json!(100);
    put(&server, &document).await;
    until(&server, |s| run_it(s, &["a", "b"])).await;
    let clock = std::sync::Arc::clone(&server.app.clock);
    let ms = |from: Duration, to: Duration| 1e3 * to.saturating_sub(from).as_secs_f64();
    let push = |grams: f64| {
        let body = json!({ "samples": [{ "zone": zone, "g_per_kwh": grams, "duration_s": 1 }] });
        server.client.post(server.url("/v1/fleets/f/carbon")).json(&body).send()
    };
    let mut stages: [Vec<f64>; 6] = Default::default();
    for drop in 0..DROPS {
        let settled = |s: &Value| run_it(s, &["a", "b"]) && s["sites"][0]["cap_w"].as_f64() > Some(39.0);
        assert!(push(100.0).await.unwrap().status().is_success());
        let state = until(&server, settled).await;
        let before = state["plan"]["number"].as_u64().unwrap();
        let versions = state["boards"].as_array().unwrap().iter().filter_map(|b| b["version"].as_u64());
        let version = versions.max().unwrap();
        let mut snapshot = server.app.fleets.snapshot("f").unwrap();
        let begun = clock.now();
        let pushed = push(600.0 - drop as f64);
        let (pushed, published) = tokio::join!(
            async {
                let answer = pushed.await.unwrap();
                assert!(answer.status().is_success());
                clock.now()
            },
            async {
                let published = snapshot.wait_for(|s| s.number() > before);
                tokio::time::timeout(crate::common::PATIENCE, published).await.expect("a plan").unwrap();
                clock.now()
            }
        );
        // The first answer that a client gets under the new plan.
        let plan: Value = server.get("/v1/fleets/f/plan").await.json().await.unwrap();
        let tenants = plan["result"]["plan"]["tenants"].as_array().unwrap().clone();
        let moved = tenants.iter().find(|t| t["run"]["device"].is_string()).unwrap();
        let at = if moved["run"]["device"] == "a" { at_a } else { at_b };
        let tenant = moved["tenant"].as_str().unwrap();
        let url = format!("http://{at}/v2/models/{tenant}/infer");
        let body = json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP32", "data": [0.0] }] });
        let first = async {
            loop {
                let answer = server.client.post(&url).json(&body).send().await.unwrap();
                let answer: Value = answer.json().await.unwrap_or_default();
                if answer["parameters"]["plan_version"].as_u64() > Some(version) {
                    return clock.now();
                }
            }
        };
        let answered = tokio::time::timeout(crate::common::PATIENCE, first).await.expect("an answer");
        until(&server, |s| run_it(s, &["a", "b"])).await;
        let told = events(&server, "dispatched").await;
        let told = told.iter().rev().find(|e| e["data"]["plan"].as_u64() > Some(before)).unwrap();
        let stage = |name: &str| told["data"][name].as_f64().unwrap();
        let all = [
            ms(begun, pushed.min(published)),
            ms(pushed.min(published), published),
            stage("waited_ms"),
            stage("prepare_ms"),
            stage("commit_ms"),
            ms(begun, answered),
        ];
        for (list, value) in stages.iter_mut().zip(all) {
            list.push(value);
        }
    }
    let names = [
        "the push is stored and acknowledged",
        "caps, plan, on the disk and published",
        "boards are looked at",
        "prepared on both boards",
        "committed on both boards",
        "from the push to the first answer",
    ];
    println!("{DROPS} drops; stage | median ms | largest ms");
    for (name, mut list) in names.into_iter().zip(stages) {
        list.sort_by(f64::total_cmp);
        println!("{name} | {:.1} | {:.1}", list[list.len() / 2], list[list.len() - 1]);
    }
    drop((a, b));
    server.ended().await;
}
