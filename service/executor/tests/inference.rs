//! The Open Inference Protocol over a real socket: a plain HTTP client, and Triton's own.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use common::*;
use ecomap_executor::http::body::Bounds;
use ecomap_executor::http::server::{self, Limits};
use ecomap_executor::http::v2::{self, Api};
use ecomap_executor::runtime::{PlanVersion, Runtime};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// A server on a port of its own, until it is dropped.
struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start(runtime: Arc<dyn Runtime>, bounds: Bounds) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            workers.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let limits = Limits {
                    connections: 32,
                    header: Duration::from_secs(10),
                    grace: Duration::from_secs(10),
                };
                let api = Api { runtime, bounds, patience: Duration::from_secs(60) };
                let stop = async { drop(stopped.await) };
                server::serve(listener, v2::routes(api), limits, stop).await;
            });
        });
        Self { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn wide() -> Bounds {
    Bounds::new(1 << 20, Duration::from_secs(30), 1 << 24)
}

fn get(client: &reqwest::blocking::Client, url: &str) -> (u16, Value) {
    let response = client.get(url).send().unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

fn post(client: &reqwest::blocking::Client, url: &str, body: &Value) -> (u16, Value) {
    let response = client.post(url).json(body).send().unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

#[test]
fn a_plain_client_sees_the_protocol() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let n = blocks(root.path(), "deep");
    let mut settings = settings(root.path());
    settings.under_way = 2;
    let runtime = Arc::new(runtime(settings));
    let served = Served::start(runtime.clone(), wide());
    let client = reqwest::blocking::Client::new();
    let url = |path: &str| served.url(path);

    assert_eq!(get(&client, &url("/v2/health/live")), (200, json!({ "live": true })));
    assert_eq!(get(&client, &url("/v2/health/ready")), (503, json!({ "ready": false })));
    assert_eq!(get(&client, &url("/v2")).1["extensions"], json!(["binary_tensor_data"]));
    assert_eq!(get(&client, &url("/v2/models/team%2Fcam")).0, 404);
    let plan = orders(vec![task("team/cam", "deep", &[("a", 0, 2), ("b", 2, n)])]);
    runtime.prepare(PlanVersion(7), &plan).unwrap().commit();
    assert_eq!(get(&client, &url("/v2/health/ready")), (200, json!({ "ready": true })));
    let (status, model) = get(&client, &url("/v2/models/team%2Fcam"));
    assert_eq!(status, 200);
    assert_eq!(model["name"], "team/cam");
    assert_eq!(
        model["inputs"],
        json!([{ "name": "input", "datatype": "FP32", "shape": [1, 3, SIZE, SIZE] }])
    );
    assert_eq!(model["parameters"]["units"], json!(["a", "b"]));
    assert_eq!(model["parameters"]["synthetic_weights"], true);
    assert_eq!(get(&client, &url("/v2/models/team%2Fcam/ready")).0, 200);

    let picture = picture(3);
    let infer = url("/v2/models/team%2Fcam/infer");
    let request = json!({
        "id": "42",
        "inputs": [{ "name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32", "data": picture }],
    });
    let (status, answer) = post(&client, &infer, &request);
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["id"], &answer["model_version"]), (&json!("42"), &json!("7")));
    assert_eq!(
        (&answer["parameters"]["tier"], &answer["parameters"]["plan_version"]),
        (&json!("deep"), &json!(7))
    );
    let found: Vec<f32> = serde_json::from_value(answer["outputs"][0]["data"].clone()).unwrap();
    assert!(difference(&reference(&small(true, 1).encode(), &picture), &found) <= 1e-5);

    let mut wrong = request.clone();
    wrong["inputs"][0]["shape"] = json!([1, 3, SIZE * SIZE]);
    let (status, error) = post(&client, &infer, &wrong);
    assert_eq!(status, 400);
    assert!(error["error"].as_str().unwrap().contains("the model takes"), "{error}");
    assert_eq!(post(&client, &url("/v2/models/nobody/infer"), &request).0, 404);
    assert_eq!(get(&client, &infer).0, 405);
    assert_eq!(get(&client, &url("/v2/elsewhere")).0, 404);
    let mut late = request.clone();
    late["parameters"] = json!({ "timeout": 1 });
    assert_eq!(post(&client, &infer, &late).0, 504);
    runtime.prepare(PlanVersion(8), &orders(Vec::new())).unwrap().commit();
    let response = client.post(&infer).json(&request).send().unwrap();
    assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (503, true));
}

#[test]
fn too_much_at_once_is_turned_away() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let n = blocks(root.path(), "deep");
    let mut settings = settings(root.path());
    settings.under_way = 1;
    let runtime = Arc::new(runtime(settings));
    runtime.prepare(PlanVersion(1), &orders(vec![task("cam", "deep", &[("a", 0, n)])])).unwrap().commit();
    let served = Served::start(runtime, Bounds::new(100_000, Duration::from_secs(30), 1 << 24));
    let infer = served.url("/v2/models/cam/infer");
    let request = json!({
        "inputs": [{ "name": "input", "shape": [1, 3, SIZE, SIZE], "datatype": "FP32", "data": picture(3) }],
    });
    // Everybody goes on until somebody was turned away: 200 and 429, nothing else.
    let turned_away = AtomicBool::new(false);
    let statuses: Vec<u16> = std::thread::scope(|s| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                s.spawn(|| {
                    let client = reqwest::blocking::Client::new();
                    let mut seen = Vec::new();
                    while !turned_away.load(Ordering::Relaxed) && seen.len() < 1000 {
                        let status = post(&client, &infer, &request).0;
                        if status == 429 {
                            turned_away.store(true, Ordering::Relaxed);
                        }
                        seen.push(status);
                    }
                    seen
                })
            })
            .collect();
        clients.into_iter().flat_map(|c| c.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|s| [200, 429].contains(s)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&429));
    let client = reqwest::blocking::Client::new();
    let long = client.post(&infer).body(vec![b' '; 100_001]).send().unwrap();
    assert_eq!(long.status().as_u16(), 413);
}

/// A Python that has Triton's client: the project's own environment, or one named.
fn triton() -> Option<PathBuf> {
    let named = std::env::var_os("ECOMAP_TRITON_PYTHON").map(PathBuf::from);
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.tools/tritonclient/bin/python3");
    let python = named.unwrap_or(own);
    let works = Command::new(&python).args(["-c", "import tritonclient.http"]).output();
    let there = works.is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("skipped: {} has no tritonclient; `make tritonclient` fetches it", python.display());
    }
    there.then_some(python)
}

#[test]
fn tritons_client_infers_through_a_hundred_plan_changes() {
    if !onnxruntime() {
        return;
    }
    let Some(python) = triton() else { return };
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let [deep, shallow] = ["deep", "shallow"].map(|tier| blocks(root.path(), tier));
    let runtime = Arc::new(runtime(settings(root.path())));
    let plans = [
        orders(vec![task("cam", "deep", &[("a", 0, 2), ("b", 2, deep)])]),
        orders(vec![task("cam", "shallow", &[("a", 0, shallow)])]),
        orders(vec![task("cam", "shallow", &[("b", 0, 1), ("a", 1, shallow)])]),
    ];
    runtime.prepare(PlanVersion(1), &plans[0]).unwrap().commit();
    let served = Served::start(runtime.clone(), wide());
    // Expected answers by tier, so that the client can tell a wrong one.
    let expected = json!({
        "picture": picture(9),
        "deep": reference(&small(true, 1).encode(), &picture(9)),
        "shallow": reference(&small(false, 2).encode(), &picture(9)),
        "size": SIZE,
    });
    let file = root.path().join("expected.json");
    std::fs::write(&file, expected.to_string()).unwrap();
    let stop = root.path().join("stop");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/triton.py");
    let mut client = Command::new(python)
        .arg(script)
        .args([&served.address.to_string(), "cam"])
        .args([&file, &stop])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(client.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    for n in 2..=101_u64 {
        let plan = &plans[usize::try_from(n).unwrap() % plans.len()];
        runtime.prepare(PlanVersion(n), plan).unwrap().commit();
    }
    std::fs::write(&stop, b"").unwrap();
    let report: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert!(client.wait().unwrap().success());
    println!("{report}");
    assert_eq!(report["failed"], json!([]), "{report}");
    assert!(report["answered"].as_u64().unwrap() > 0);
    assert_eq!(report["tiers"], json!(["deep", "shallow"]), "{report}");
}
