//! A real server on a loopback port, and problems to send to it.
#![allow(dead_code, unreachable_pub, missing_docs)] // each test file uses a part
#![allow(clippy::expect_used)] // a broken fixture must stop the test

use ecomap_service::http::pool::Load;
use ecomap_service::http::state::{App, Readiness};
use ecomap_service::http::{Config, Server};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longest that a test waits for a condition.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Running {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Limits for tests: a free port, the default scenario.
pub fn config() -> Config {
    Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() }
}

/// Starts a server and waits until it is ready.
pub async fn start(config: Config) -> Running {
    let server = Server::bind(config).await.expect("binds");
    let (address, app) = (server.address(), server.app());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(async move {
        let _ = stopped.await;
    }));
    let mut readiness = app.watch_readiness();
    let ready = readiness.wait_for(|r| *r != Readiness::Starting);
    let state = tokio::time::timeout(PATIENCE, ready).await.expect("in time").expect("alive").clone();
    assert_eq!(state, Readiness::Ready);
    Running { address, app, client: client(), stop: Some(stop), task }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client")
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.expect("answers")
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        self.client.post(self.url(path)).body(body).send().await.expect("answers")
    }

    /// Asks the server to stop; [`Running::ended`] waits for it.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits until the server has ended.
    pub async fn ended(mut self) {
        self.stop();
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("ends in time").expect("does not panic");
    }

    /// Waits until the pool's load satisfies a condition.
    pub async fn load(&self, condition: impl Fn(Load) -> bool) {
        until(|| condition(self.app.solves.load())).await;
    }
}

/// Waits until a condition holds.
pub async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the condition holds in time");
}

/// An embedded scenario's document.
pub fn scenario(name: &str) -> Vec<u8> {
    ecomap_instances::scenarios::embedded(name).expect("embedded").to_vec()
}

/// A result's figures that matter everywhere.
pub fn assert_checked(result: &Value) {
    assert_eq!(result["format"], "ecomap.result/v1");
    assert_eq!(result["certificate"]["checker"]["verdict"], "pass", "{result:#}");
    let violated = result["certificate"]["checker"]["rows"].as_array().expect("rows").iter();
    assert_eq!(violated.filter_map(|r| r["violated"].as_u64()).sum::<u64>(), 0);
}

/// An instance that nobody solves to a gap of 0 in the time of a test: a strongly correlated
/// multiple-choice multidimensional knapsack.
pub fn hard_problem() -> Vec<u8> {
    let (classes, options, rows) = (200_u64, 30, 10);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % most
    };
    let tenants: Vec<Value> = (0..classes)
        .map(|i| {
            let list: Vec<Value> = (0..options)
                .map(|_| {
                    let uses: Vec<u64> = (0..rows).map(|_| 1 + draw(1000)).collect();
                    let value = uses.iter().sum::<u64>() / rows + draw(30);
                    json!({ "value": value, "uses": uses.iter().enumerate().collect::<Vec<_>>() })
                })
                .collect();
            json!({ "id": format!("class-{i}"), "options": list })
        })
        .collect();
    let capacities: Vec<Value> =
        (0..rows).map(|r| json!({ "id": format!("row-{r}"), "capacity": 550 * classes })).collect();
    json!({
        "format": "ecomap.instance/v1", "name": "hard", "sense": "maximize",
        "capacities": capacities, "tenants": tenants,
    })
    .to_string()
    .into_bytes()
}
