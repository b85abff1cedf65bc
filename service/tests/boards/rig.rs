//! Agents over emulated boards, and a service that knows them.

use crate::common::{Running, config, scenario};
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

pub(crate) const PROFILE: &str = "jetson-agx-xavier";

pub(crate) fn key() -> Key {
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
pub(crate) struct Agent {
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
pub(crate) async fn agent(
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
pub(crate) async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) fn with_boards(boards: &[(&str, Option<SocketAddr>)]) -> Config {
    let boards: BTreeMap<String, Option<String>> =
        boards.iter().map(|(name, at)| ((*name).to_owned(), at.map(|at| format!("http://{at}")))).collect();
    let boards = BoardsConfig { check: Duration::from_millis(100), ..BoardsConfig::new(key(), boards) };
    Config { boards: Some(boards), ..config() }
}

/// Two boards and three tenants that may run on either.
pub(crate) fn fleet() -> Value {
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

pub(crate) async fn put(server: &Running, fleet: &Value) {
    let answer = server.client.put(server.url("/v1/fleets/f")).json(fleet).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

async fn state(server: &Running) -> Value {
    server.get("/v1/fleets/f/state").await.json().await.unwrap()
}

/// The state, once it is as wanted.
pub(crate) async fn until(server: &Running, what: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let state = state(server).await;
            if what(&state) {
                return state;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(crate::common::PATIENCE, wait).await {
        Ok(state) => state,
        Err(_) => panic!("it never came: {:#}", state(server).await),
    }
}

/// Whether these boards run the newest plan.
pub(crate) fn run_it(state: &Value, devices: &[&str]) -> bool {
    let plan = &state["plan"]["number"];
    plan.is_u64()
        && devices.iter().all(|device| {
            let boards = state["boards"].as_array().into_iter().flatten();
            boards.filter(|b| b["device"] == *device).any(|b| b["reachable"] == true && b["plan"] == *plan)
        })
}

pub(crate) async fn events(server: &Running, kind: &str) -> Vec<Value> {
    let all: Value = server.get("/v1/fleets/f/events?stream=false&limit=1000").await.json().await.unwrap();
    all["events"].as_array().unwrap().iter().filter(|e| e["kind"] == kind).cloned().collect()
}
