//! Plans brought to boards over HTTP: a real service, real agents over emulated boards.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Running, config, scenario, start};
use ecomap_dispatch::Key;
use ecomap_executor::agent::start::{Parts, start as start_agent};
use ecomap_executor::agent::{AgentSettings, http};
use ecomap_executor::clock::{SystemClock, WallClock};
use ecomap_executor::emulate::{Driver, EmulatedBoard, Setup};
use ecomap_executor::http::server::Limits;
use ecomap_executor::http::{body::Bounds, v2};
use ecomap_executor::orders::Orders;
use ecomap_executor::runtime::{
    Basis, Counters, InferError, InferRequest, ModelInfo, Pending, PlanVersion, Prepared, Reason, Refusal,
    Refused, Runtime,
};
use ecomap_instances::ids::TenantId;
use ecomap_instances::{Catalog, Seed};
use ecomap_service::fleets::boards::BoardsConfig;
use ecomap_service::http::Config;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PROFILE: &str = "jetson-agx-xavier";

fn key() -> Key {
    Key::new(&"0f".repeat(32)).unwrap()
}

/// A runtime whose repository lacks a tier.
#[derive(Debug)]
struct Lacking(Arc<dyn Runtime>, Option<String>);

impl Runtime for Lacking {
    fn basis(&self) -> Basis {
        self.0.basis()
    }

    fn prepare(&self, version: PlanVersion, orders: &Orders) -> Result<Prepared, Refused> {
        let lacking = orders.tasks.iter().filter(|t| Some(&t.tier) == self.1.as_ref());
        let refusals: Vec<Refusal> = lacking
            .map(|t| Refusal {
                reason: Reason::MissingModel,
                tenant: Some(t.tenant.as_str().into()),
                unit: None,
                message: t.tier.clone(),
            })
            .collect();
        if refusals.is_empty() { self.0.prepare(version, orders) } else { Err(Refused(refusals)) }
    }

    fn running(&self) -> Option<PlanVersion> {
        self.0.running()
    }

    fn draining(&self) -> usize {
        self.0.draining()
    }

    fn tenants(&self) -> Vec<TenantId> {
        self.0.tenants()
    }

    fn model(&self, tenant: &TenantId) -> Option<ModelInfo> {
        self.0.model(tenant)
    }

    fn infer(&self, t: &TenantId, r: InferRequest, w: Option<Duration>) -> Result<Pending, InferError> {
        self.0.infer(t, r, w)
    }

    fn counters(&self) -> Counters {
        self.0.counters()
    }
}

/// An agent with its server; what is on its disk outlives it.
struct Agent {
    task: JoinHandle<()>,
    _driver: Driver,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listener(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Starts an agent for the board `device`, which reports to `service`.
async fn agent(
    device: &str,
    at: SocketAddr,
    folder: &TempDir,
    service: Option<String>,
    lacks: Option<&str>,
) -> Agent {
    let listener = listener(at).await;
    let local = listener.local_addr().unwrap();
    let public = folder.path().join("service.pub");
    std::fs::write(&public, key().public()).unwrap();
    let profile = Arc::clone(Catalog::embedded().unwrap().profile(PROFILE).unwrap());
    let clock: Arc<dyn WallClock> = Arc::new(SystemClock::new());
    let setup = Setup { speed: 10.0, seed: Seed(5) };
    let emulated = EmulatedBoard::new(Arc::clone(&profile), setup, Arc::clone(&clock)).unwrap();
    let driver = emulated.drive(Arc::clone(&clock)).unwrap();
    let runtime: Arc<dyn Runtime> = Arc::new(Lacking(emulated.runtime(), lacks.map(str::to_owned)));
    let settings = AgentSettings {
        address: Some(format!("http://{local}")),
        service,
        report_every_s: 1,
        ..AgentSettings::new(device.to_owned(), PROFILE.to_owned(), public, folder.path().join(device))
    };
    let parts =
        Parts { profile, runtime: Arc::clone(&runtime), modes: emulated.modes(), source: emulated.power() };
    let running = start_agent(&settings, parts, clock).unwrap();
    let second = Duration::from_secs(1);
    let api = v2::Api { runtime, bounds: Bounds::new(1 << 20, second, 4 << 20), patience: second };
    let limits = Limits { connections: 64, header: second, grace: second };
    let task = tokio::spawn(async move {
        http::serve(listener, v2::routes(api), limits, Some(&running), std::future::pending()).await;
    });
    Agent { task, _driver: driver }
}

/// A port that is free now.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn with_boards(boards: &[(&str, Option<SocketAddr>)]) -> Config {
    let boards: BTreeMap<String, Option<String>> =
        boards.iter().map(|(name, at)| ((*name).to_owned(), at.map(|at| format!("http://{at}")))).collect();
    let boards = BoardsConfig { check: Duration::from_millis(100), ..BoardsConfig::new(key(), boards) };
    Config { boards: Some(boards), ..config() }
}

/// Two boards and three tenants that may run on either.
fn fleet() -> Value {
    let mut scenario: Value = serde_json::from_slice(&scenario("xavier-3")).unwrap();
    let mut device = scenario["devices"][0].clone();
    device["id"] = json!("a");
    let mut other = device.clone();
    other["id"] = json!("b");
    scenario["devices"] = json!([device, other]);
    for tenant in scenario["tenants"].as_array_mut().unwrap() {
        tenant.as_object_mut().unwrap().remove("pin");
    }
    for site in scenario["sites"].as_array_mut().unwrap() {
        site["budget"] = json!({ "policy": "fixed", "cap_w": 40 });
    }
    json!({
        "format": "ecomap.fleet/v1", "scenario": scenario, "control": { "every_s": 86_400 },
        "executors": { "devices": ["a", "b"], "lease_s": 600 },
    })
}

async fn put(server: &Running, fleet: &Value) {
    let answer = server.client.put(server.url("/v1/fleets/f")).json(fleet).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

async fn state(server: &Running) -> Value {
    server.get("/v1/fleets/f/state").await.json().await.unwrap()
}

/// The state, once it is as wanted.
async fn until(server: &Running, what: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let state = state(server).await;
            if what(&state) {
                return state;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(common::PATIENCE, wait).await {
        Ok(state) => state,
        Err(_) => panic!("it never came: {:#}", state(server).await),
    }
}

/// Whether these boards run the newest plan.
fn run_it(state: &Value, devices: &[&str]) -> bool {
    let plan = &state["plan"]["number"];
    plan.is_u64()
        && devices.iter().all(|device| {
            let boards = state["boards"].as_array().into_iter().flatten();
            boards.filter(|b| b["device"] == *device).any(|b| b["reachable"] == true && b["plan"] == *plan)
        })
}

async fn events(server: &Running, kind: &str) -> Vec<Value> {
    let all: Value = server.get("/v1/fleets/f/events?stream=false&limit=1000").await.json().await.unwrap();
    all["events"].as_array().unwrap().iter().filter(|e| e["kind"] == kind).cloned().collect()
}

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
    let server = start(with_boards(&[("a", Some(at)), ("b", None)])).await;
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
    let estimator = repriced["result"]["versions"]["estimator"].as_str().unwrap_or_default().to_owned();
    assert!(estimator.contains("corrected by"), "{estimator}");
    drop(a);
    server.ended().await;
}

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
        let before = until(&server, settled).await["plan"]["number"].as_u64().unwrap();
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
                snapshot.wait_for(|s| s.number() > before).await.unwrap();
                clock.now()
            }
        );
        // The first answer that a client gets under the new plan.
        let plan: Value = server.get("/v1/fleets/f/plan").await.json().await.unwrap();
        let tenants = plan["result"]["plan"]["tenants"].as_array().unwrap().clone();
        let moved = tenants.iter().find(|t| t["run"]["device"].is_string()).unwrap();
        let at = if moved["run"]["device"] == "a" { at_a } else { at_b };
        let (tenant, tier) = (moved["tenant"].as_str().unwrap(), moved["run"]["tier"].as_str().unwrap());
        let url = format!("http://{at}/v2/models/{tenant}/infer");
        let body = json!({ "inputs": [{ "name": "x", "shape": [1], "datatype": "FP32", "data": [0.0] }] });
        let known = before;
        let answered = loop {
            let answer = server.client.post(&url).json(&body).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap_or_default();
            let state = server.app.fleets.snapshot("f").unwrap().borrow().clone();
            let runs = state.boards.iter().any(|b| b.plan > Some(known));
            if runs && answer["parameters"]["tier"] == tier {
                break clock.now();
            }
        };
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
