//! Keys, roles, rates, foreign pages and the audit log, through a real client.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{Running, config, scenario, start, until};
use ecomap_service::ServiceError;
use ecomap_service::access::guard::Trusted;
use ecomap_service::access::keyfile::{KeyFile, KeyLimits};
use ecomap_service::access::{AccessConfig, Role};
use ecomap_service::http::{Config, Server};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

struct Keys {
    folder: tempfile::TempDir,
    file: KeyFile,
}

impl Keys {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), file: KeyFile::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn audit(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn add(&mut self, name: &str, role: Role, limits: KeyLimits) -> String {
        let token = self.file.add(name, role, limits, None, Timestamp::UNIX_EPOCH).expect("added");
        self.file.write(&self.path()).expect("written");
        token.reveal()
    }

    fn config(&self) -> Config {
        let access =
            AccessConfig { keys: Some(self.path()), audit: Some(self.audit()), ..AccessConfig::default() };
        Config { access, ..config() }
    }
}

fn ask(server: &Running, method: Method, path: &str, key: Option<&str>) -> RequestBuilder {
    let request = server.client.request(method, server.url(path));
    match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    }
}

async fn refused(response: Response, status: u16, code: &str) -> Value {
    let seen = response.status().as_u16();
    assert!(
        response.headers().contains_key("x-request-id") && response.headers().contains_key("traceparent")
    );
    let problem: Value = response.json().await.expect("JSON");
    assert_eq!((seen, problem["code"].as_str()), (status, Some(code)), "{problem:#}");
    problem
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

#[tokio::test]
async fn every_route_but_health_and_pages_asks_for_its_role() {
    let mut keys = Keys::new();
    let read = keys.add("watch", Role::Read, KeyLimits::default());
    let solve = keys.add("plan", Role::Solve, KeyLimits::default());
    let server = start(keys.config()).await;
    for path in ["/live", "/ready", "/openapi.json", "/docs/", "/"] {
        let response = ask(&server, Method::GET, path, None).send().await.expect("answers");
        assert_eq!(response.status(), 200, "{path}");
    }
    for path in ["/metrics", "/v1/solvers", "/v1/scenarios/tiny", "/nowhere"] {
        let response = ask(&server, Method::GET, path, None).send().await.expect("answers");
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"ecomap\"");
        refused(response, 401, "E4150").await;
        let response = ask(&server, Method::GET, path, Some(&read)).send().await.expect("answers");
        assert_eq!(response.status(), if path == "/nowhere" { 404 } else { 200 }, "{path}");
    }
    let post = |key| ask(&server, Method::POST, "/v1/solve", key).body(scenario("tiny")).send();
    refused(post(None).await.expect("answers"), 401, "E4150").await;
    refused(post(Some("ecomap_0_0")).await.expect("answers"), 401, "E4150").await;
    let told = refused(post(Some(&read)).await.expect("answers"), 403, "E4151").await;
    assert!(told["detail"].as_str().expect("text").contains("`solve`"), "{told:#}");
    let response = post(Some(&solve)).await.expect("answers");
    assert_eq!(response.status(), 200);
    for header in ["ratelimit", "ratelimit-policy"] {
        assert!(response.headers().contains_key(header), "{header}");
    }
    server.ended().await;
}

#[tokio::test]
async fn a_large_body_without_a_key_is_refused_in_words() {
    let mut keys = Keys::new();
    keys.add("plan", Role::Solve, KeyLimits::default());
    let server = start(keys.config()).await;
    // More than socket buffers hold: the client must not see a broken connection.
    let response = ask(&server, Method::POST, "/v1/solve", None).body(vec![b' '; 8 << 20]).send().await;
    refused(response.expect("answers"), 401, "E4150").await;
    server.ended().await;
}

#[tokio::test]
async fn a_key_has_limits_of_its_own() {
    let mut keys = Keys::new();
    let limits = KeyLimits { requests_per_s: Some(0.001), burst: Some(3), max_body: Some(100) };
    let small = keys.add("small", Role::Solve, limits);
    let other = keys.add("other", Role::Solve, KeyLimits::default());
    let server = start(keys.config()).await;
    let post = |key| ask(&server, Method::POST, "/v1/validate", Some(key)).body(scenario("tiny")).send();
    let told = refused(post(&small).await.expect("answers"), 413, "E4013").await;
    assert!(told["detail"].as_str().expect("text").contains("100 bytes"), "{told:#}");
    for left in ["r=1;", "r=0;"] {
        let response = ask(&server, Method::GET, "/v1/solvers", Some(&small)).send().await.expect("answers");
        assert_eq!(response.status(), 200);
        let limit = response.headers()["ratelimit"].to_str().expect("text").to_owned();
        assert!(limit.starts_with("\"key\";") && limit.contains(left), "{limit}");
    }
    let response = ask(&server, Method::GET, "/v1/solvers", Some(&small)).send().await.expect("answers");
    let after: u64 = response.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((900..=1000).contains(&after), "{after}");
    refused(response, 429, "E4153").await;
    assert_eq!(post(&other).await.expect("answers").status(), 200);
    assert_eq!(ask(&server, Method::GET, "/live", Some(&small)).send().await.expect("answers").status(), 200);
    server.ended().await;
}

#[tokio::test]
async fn revoked_and_new_keys_are_known_without_a_restart() {
    let mut keys = Keys::new();
    let old = keys.add("old", Role::Read, KeyLimits::default());
    let server = start(keys.config()).await;
    let status = |key: String| {
        let request = ask(&server, Method::GET, "/v1/solvers", Some(&key));
        async move { request.send().await.expect("answers").status().as_u16() }
    };
    assert_eq!(status(old.clone()).await, 200);
    keys.file.revoke("old", Timestamp::UNIX_EPOCH).expect("there");
    let new = keys.add("new", Role::Read, KeyLimits::default());
    let gate = server.app.gate.clone();
    until(|| gate.knows_named("new")).await;
    assert_eq!((status(old).await, status(new.clone()).await), (401, 200));
    // A broken file changes nothing.
    std::fs::write(keys.path(), "{").expect("written");
    assert_eq!(status(new).await, 200);
    server.ended().await;
}

#[tokio::test]
async fn off_the_loopback_the_service_starts_only_with_keys() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = Server::bind(Config { listen: everywhere, ..config() }).await.expect_err("refused");
    assert!(matches!(error, ServiceError::KeysNeeded { .. }));
    assert!(error.to_string().starts_with("E4190"), "{error}");
    let mut keys = Keys::new();
    keys.add("plan", Role::Solve, KeyLimits::default());
    assert!(Server::bind(Config { listen: everywhere, ..keys.config() }).await.is_ok());
}

#[tokio::test]
async fn foreign_pages_reach_nothing_without_keys() {
    let trusted = Trusted { hosts: vec![], origins: vec!["https://ui.example".to_owned()] };
    let access = AccessConfig { trusted, ..AccessConfig::default() };
    let server = start(Config { access, ..config() }).await;
    let with = |method: Method, headers: &[(&'static str, &str)]| {
        let mut request = ask(&server, method, "/v1/validate", None);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(scenario("tiny")).send()
    };
    let post = Method::POST;
    // DNS rebinding: the page's own name came to point here.
    refused(with(post.clone(), &[("host", "evil.example")]).await.expect("answers"), 403, "E4152").await;
    // A form or a plain fetch of another site.
    refused(with(post.clone(), &[("origin", "http://evil.example")]).await.expect("answers"), 403, "E4152")
        .await;
    refused(with(post.clone(), &[("origin", "null")]).await.expect("answers"), 403, "E4152").await;
    let own = format!("http://{}", server.address);
    let response = with(post.clone(), &[("origin", &own)]).await.expect("answers");
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    // The one origin that the operator named, which asks first.
    let ui = [("origin", "https://ui.example"), ("access-control-request-method", "POST")];
    let asked = with(Method::OPTIONS, &ui).await.expect("answers");
    assert_eq!(asked.status(), 204);
    assert_eq!(asked.headers()["access-control-allow-origin"], "https://ui.example");
    let response = with(post.clone(), &ui[..1]).await.expect("answers");
    assert_eq!((response.status().as_u16(), response.headers()["vary"].as_bytes()), (200, &b"origin"[..]));
    let evil = [("origin", "http://evil.example"), ("access-control-request-method", "POST")];
    refused(with(Method::OPTIONS, &evil).await.expect("answers"), 403, "E4152").await;
    server.ended().await;
}

#[tokio::test]
async fn changes_and_refusals_are_audited_without_secrets_or_bodies() {
    let mut keys = Keys::new();
    let solve = keys.add("plan", Role::Solve, KeyLimits::default());
    let read = keys.add("watch", Role::Read, KeyLimits::default());
    let server = start(keys.config()).await;
    let post = |key, body: Vec<u8>| ask(&server, Method::POST, "/v1/validate?x=hush", key).body(body);
    let told =
        |request: RequestBuilder| async move { request.send().await.expect("answers").status().as_u16() };
    assert_eq!(told(post(Some(&solve), scenario("tiny")).header("x-request-id", "r-1")).await, 400);
    assert_eq!(told(post(Some(&read), scenario("tiny")).header("x-request-id", "r-2")).await, 403);
    assert_eq!(told(post(None, scenario("tiny")).header("x-request-id", "r-3")).await, 401);
    assert_eq!(told(ask(&server, Method::GET, "/v1/solvers", Some(&read))).await, 200);
    let validate = ask(&server, Method::POST, "/v1/validate", Some(&solve)).body(scenario("tiny"));
    assert_eq!(told(validate.header("x-request-id", "r-4")).await, 200);
    let path = keys.audit();
    until(|| lines(&path).len() == 4).await;
    let seen: Vec<_> = lines(&path)
        .iter()
        .map(|l| {
            let text = |name: &str| l[name].as_str().unwrap_or("-").to_owned();
            (text("request"), text("name"), text("role"), l["status"].as_u64(), text("outcome"))
        })
        .collect();
    let line = |id: &str, name: &str, role: &str, status, outcome: &str| {
        (id.to_owned(), name.to_owned(), role.to_owned(), Some(status), outcome.to_owned())
    };
    assert_eq!(
        seen,
        [
            line("r-1", "plan", "solve", 400, "failed"),
            line("r-2", "watch", "read", 403, "refused"),
            line("r-3", "-", "-", 401, "refused"),
            line("r-4", "plan", "solve", 200, "ok"),
        ]
    );
    let text = std::fs::read_to_string(&path).expect("text");
    for secret in [&solve, &read] {
        assert!(!text.contains(secret.split('_').nth(2).expect("a secret")));
    }
    assert!(!text.contains("hush") && !text.contains("tenants"), "{text}");
    server.ended().await;
}
