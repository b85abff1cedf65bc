//! Plans reach boards, what boards refuse is left out, and what they report is kept.

use crate::common::{config, start};
use crate::rig::{agent, events, fleet, free, put, run_it, until, with_boards};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_reaches_its_boards_and_survives_the_loss_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let (at_a, at_b) = (free().await, free().await);
    let server = start(with_boards(&[("a", Some(at_a)), ("b", Some(at_b))])).await;
    let a = agent("a", at_a, &folder, None, None).await;
    let b = agent("b", at_b, &folder, None, None).await;
    put(&server, &fleet()).await;
    let first = until(&server, |s| run_it(s, &["a", "b"])).await;
    assert!(first["boards"].as_array().unwrap().iter().all(|b| b["basis"] == "emulated"));
    assert!(!events(&server, "dispatched").await.is_empty());

    // One board is gone: what it may draw stays reserved, the others get a plan without it.
    drop(b);
    let without = until(&server, |s| {
        s["devices"].as_array().unwrap().iter().any(|d| d["device"] == "b" && d["lost"] == true)
            && run_it(s, &["a"])
    })
    .await;
    assert_eq!(without["plan"]["cause"], "boards");
    assert!(without["tenants"].as_array().unwrap().iter().all(|t| t["device"] != "b"));
    let lost = without["boards"].as_array().unwrap().iter().find(|b| b["device"] == "b").unwrap().clone();
    assert_eq!(lost["reachable"], false);
    let reserved = lost["reserved_w"].as_f64().unwrap();
    let cap = without["sites"][0]["cap_w"].as_f64().unwrap();
    assert!((cap + reserved - 40.0).abs() < 1e-6, "{cap} W and {reserved} W reserved");
    assert_eq!(events(&server, "board_lost").await.len(), 1);

    // It comes back with what is on its disk, and gets the next plan.
    let b = agent("b", at_b, &folder, None, None).await;
    let both = until(&server, |s| {
        s["devices"].as_array().unwrap().iter().all(|d| d["lost"] == false) && run_it(s, &["a", "b"])
    })
    .await;
    assert!(both["plan"]["number"].as_u64() > without["plan"]["number"].as_u64());
    assert!((both["sites"][0]["cap_w"].as_f64().unwrap() - 40.0).abs() < 1e-9);
    drop((a, b));
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_board_is_planned_for_while_it_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let at = free().await;
    let server = start(with_boards(&[("a", Some(at))])).await;
    let a = agent("a", at, &folder, None, None).await;
    let mut document = fleet();
    document["executors"]["devices"] = json!(["a"]);
    document["scenario"]["devices"].as_array_mut().unwrap().truncate(1);
    put(&server, &document).await;
    let before = until(&server, |s| run_it(s, &["a"])).await;
    let served = |s: &Value| s["tenants"].as_array().unwrap().iter().filter(|t| t["served"] == true).count();
    assert!(served(&before) > 0, "{before:#}");
    drop(a);
    let away = until(&server, |s| s["boards"][0]["reachable"] == false).await;
    assert!(away["boards"][0]["reserved_w"].as_f64().unwrap() > 0.0, "it keeps its plan");
    // A change is planned with all of the site's cap, not with what the board's own draw leaves of it.
    document["scenario"]["tenants"][0]["rate_per_s"] = json!(11.0);
    put(&server, &document).await;
    let last = before["plan"]["number"].as_u64();
    let planned = until(&server, |s| s["plan"]["number"].as_u64() > last).await;
    assert!((planned["sites"][0]["cap_w"].as_f64().unwrap() - 40.0).abs() < 1e-9, "{planned:#}");
    assert_eq!(served(&planned), served(&before));
    let a = agent("a", at, &folder, None, None).await;
    let back = until(&server, |s| s["plan"]["number"].as_u64() > last && run_it(s, &["a"])).await;
    assert_eq!(served(&back), served(&before));
    drop(a);
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_another_fleet_gives_up_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let at = free().await;
    let server = start(with_boards(&[("a", Some(at)), ("b", None)])).await;
    let a = agent("a", at, &folder, None, None).await;
    let mut document = fleet();
    document["executors"]["devices"] = json!(["a"]);
    document["scenario"]["devices"].as_array_mut().unwrap().truncate(1);
    put(&server, &document).await;
    until(&server, |s| run_it(s, &["a"])).await;
    let other = || server.client.put(server.url("/v1/fleets/g")).json(&document).send();
    assert!(other().await.unwrap().status().is_success());
    let state = |s: Value| s["boards"][0]["problem"].as_str().unwrap_or_default().contains("fleet `f`");
    while !state(server.get("/v1/fleets/g/state").await.json().await.unwrap()) {
        tokio::task::yield_now().await;
    }
    server.client.delete(server.url("/v1/fleets/f")).send().await.unwrap();
    loop {
        let now: Value = server.get("/v1/fleets/g/state").await.json().await.unwrap();
        if run_it(&now, &["a"]) {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(a);
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_board_refuses_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (at_a, at_b) = (free().await, free().await);
    let server = start(with_boards(&[("a", Some(at_a)), ("b", Some(at_b))])).await;
    // What the first plan gives to the tenant is what the boards lack.
    let mut alone = fleet();
    alone.as_object_mut().unwrap().remove("executors");
    put(&server, &alone).await;
    let planned = until(&server, |s| s["tenants"].as_array().is_some_and(|t| !t.is_empty())).await;
    let tenant =
        planned["tenants"].as_array().unwrap().iter().find(|t| t["family"] == "resnet").unwrap().clone();
    let tier = tenant["tier"].as_str().unwrap().to_owned();
    let a = agent("a", at_a, &folder, None, Some(&tier)).await;
    let b = agent("b", at_b, &folder, None, Some(&tier)).await;
    put(&server, &fleet()).await;
    let found = until(&server, |s| run_it(s, &["a", "b"])).await;
    let now = found["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["tenant"] == tenant["tenant"])
        .unwrap()
        .clone();
    assert_ne!(now["tier"].as_str(), Some(tier.as_str()), "{now:#}");
    let refused = events(&server, "refused").await;
    assert!(refused.iter().any(|e| e["data"]["code"].as_str().is_some()), "{refused:#?}");
    assert!(
        found["boards"].as_array().unwrap().iter().any(|b| !b["refusals"].as_array().unwrap().is_empty())
    );
    drop((a, b));
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_announces_itself_is_told_and_its_reports_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = free().await;
    let server = start(with_boards(&[("a", None), ("b", None)])).await;
    put(&server, &fleet()).await;
    let a = agent("a", at, &folder, Some(server.url("")), None).await;
    until(&server, |s| run_it(s, &["a"])).await;
    let state = until(&server, |s| {
        let boards = s["boards"].as_array().into_iter().flatten();
        boards.filter(|b| b["device"] == "a").any(|b| {
            let tenants = b["report"]["tenants"].as_array().into_iter().flatten();
            b["report"]["power_w"].is_number()
                && tenants.into_iter().any(|t| t["p50_ms"].is_number() && t["predicted_p50_ms"].is_number())
        })
    })
    .await;
    let board = state["boards"].as_array().unwrap().iter().find(|b| b["device"] == "a").unwrap().clone();
    assert_eq!(
        (&board["report"]["basis"], &board["report"]["power_basis"]),
        (&json!("emulated"), &json!("emulated"))
    );
    let kept: Value = server.get("/v1/fleets/f/telemetry?device=a").await.json().await.unwrap();
    assert!(!kept["reports"].as_array().unwrap().is_empty());
    let agents: Value = server.get("/v1/agents").await.json().await.unwrap();
    assert_eq!(agents["agents"][0]["status"]["device"], "a");
    // Nobody else is taken in.
    let stranger = server.client.put(server.url("/v1/agents/c"));
    let news = json!({ "address": "http://127.0.0.1:1", "status": agents["agents"][0]["status"] });
    assert_eq!(stranger.json(&news).send().await.unwrap().status(), 404);
    drop(a);
    server.ended().await;
}

#[tokio::test]
async fn a_document_names_configured_boards_only() {
    let server = start(config()).await;
    let answer = server.client.put(server.url("/v1/fleets/f")).json(&fleet()).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["errors"][0]["pointer"], "/executors/devices/0", "{problem:#}");
    server.ended().await;
}
