//! The Grafana dashboard in `docs/grafana` asks only for metrics that the service has.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{config, scenario, start};
use ecomap_service::access::keyfile::{KeyFile, KeyLimits};
use ecomap_service::access::{AccessConfig, Role};
use ecomap_service::http::Config;
use serde_json::Value;
use std::collections::BTreeSet;

/// Every `expr` of a dashboard.
fn expressions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("expr").and_then(Value::as_str));
            map.values().for_each(|v| expressions(v, found));
        }
        Value::Array(list) => list.iter().for_each(|v| expressions(v, found)),
        _ => {}
    }
}

/// The words of an expression that name metrics.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    expression.split(word).filter(|w| w.starts_with("ecomap_"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_dashboard_exists() {
    // Families show once they have a member: so a solve, a job, a refusal, each with a key.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let mut file = KeyFile::default();
    let limits = KeyLimits { requests_per_s: Some(0.001), burst: Some(3), max_body: None };
    let mut add = |name: &str, role, limits| {
        file.add(name, role, limits, None, jiff::Timestamp::UNIX_EPOCH).expect("added").reveal()
    };
    let (plan, look) = (add("plan", Role::Solve, limits), add("look", Role::Read, KeyLimits::default()));
    file.write(&path).expect("written");
    let access = AccessConfig { keys: Some(path), ..AccessConfig::default() };
    let server = start(Config { access, ..config() }).await;
    let post = |body: Vec<u8>| server.client.post(server.url("/v1/solve")).bearer_auth(&plan).body(body);
    let status =
        |request: reqwest::RequestBuilder| async move { request.send().await.expect("answers").status() };
    assert_eq!(status(post(scenario("tiny"))).await, 200);
    assert_eq!(status(post(scenario("tiny")).header("prefer", "respond-async, wait=60")).await, 200);
    assert_eq!(status(post(b"{}".to_vec())).await, 422);
    assert_eq!(status(post(b"{}".to_vec())).await, 429);
    let text = server.client.get(server.url("/metrics")).bearer_auth(&look).send().await.expect("answers");
    let text = text.text().await.expect("text");
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let known: BTreeSet<String> = text.lines().filter(|l| !l.starts_with('#')).map(name).collect();

    let dashboard = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana/ecomap.json");
    let dashboard: Value =
        serde_json::from_slice(&std::fs::read(dashboard).expect("there")).expect("valid JSON");
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    assert!(asked.len() > 20, "{} expressions", asked.len());
    for expression in asked {
        assert!(metrics(expression).next().is_some(), "no metric in: {expression}");
        for metric in metrics(expression) {
            assert!(known.contains(metric), "{metric} does not exist; in: {expression}");
        }
    }
    server.ended().await;
}
