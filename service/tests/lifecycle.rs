//! Overload, clients that go away, and the end of the service.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{PATIENCE, Running, assert_checked, config, hard_problem, scenario, start, until};
use ecomap_service::http::Config;
use serde_json::Value;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const LONG: &str = "/v1/solve?gap=0&time_limit_s=60";

/// Sends a solve that keeps a worker busy; dropping the socket ends it.
async fn occupy(server: &Running) -> TcpStream {
    server.load(|load| load.running + load.queued == 0).await;
    let body = hard_problem();
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    let head = format!("POST {LONG} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.expect("writes");
    socket.write_all(&body).await.expect("writes");
    server.load(|load| load.running == 1).await;
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_cancels_its_solve() {
    let server = start(Config { workers: 1, ..config() }).await;
    let socket = occupy(&server).await;
    drop(socket);
    // Far less than the 60 s that the solve was given.
    server.load(|load| load.running == 0).await;
    let metrics = server.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("ecomap_solve_cancelled_total 1"), "{metrics}");
    // The worker is free for others.
    let result: Value = server.post("/v1/solve", scenario("tiny")).await.json().await.expect("JSON");
    assert_checked(&result);
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_is_said_and_the_accepted_are_served() {
    let server = start(Config { workers: 1, queue: 2, ..config() }).await;
    let busy = occupy(&server).await;
    let send = || server.client.post(server.url("/v1/solve")).body(scenario("tiny")).send();
    let waiting = [tokio::spawn(send()), tokio::spawn(send())];
    server.load(|load| load.queued == 2).await;

    let refused = send().await.expect("answers");
    assert_eq!(refused.status(), 503);
    let after: u64 = refused.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&after));
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!((problem["code"].as_str(), problem["retry_after_s"].as_u64()), (Some("E4503"), Some(after)));
    // Short work does not wait behind solves.
    assert_eq!(server.post("/v1/validate", scenario("tiny")).await.status(), 200);
    assert_eq!(server.get("/ready").await.status(), 200);

    drop(busy);
    for answer in waiting {
        let response = answer.await.expect("no panic").expect("answers");
        assert_eq!(response.status(), 200);
        assert_checked(&response.json().await.expect("JSON"));
    }
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_longer_than_allowed_is_said() {
    let server = start(Config { workers: 1, ..config() }).await;
    let busy = occupy(&server).await;
    let request = server.client.post(server.url("/v1/solve?time_limit_s=0.001")).body(scenario("tiny"));
    let waiting = tokio::spawn(request.send());
    server.load(|load| load.queued == 1).await;
    drop(busy);
    let response = waiting.await.expect("no panic").expect("answers");
    assert_eq!(response.status(), 503);
    let problem: Value = response.json().await.expect("JSON");
    assert_eq!(problem["code"], "E4505");
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefer_wait_bounds_the_answer() {
    let server = start(config()).await;
    let request = server.client.post(server.url("/v1/solve?gap=0")).header("prefer", "wait=6");
    // Proving `region` to a gap of 0 takes minutes at least.
    let sent = request.body(scenario("region")).send();
    let response =
        tokio::time::timeout(Duration::from_secs(20), sent).await.expect("in time").expect("answers");
    let result: Value = response.json().await.expect("JSON");
    assert_eq!(result["certificate"]["termination"], "time_limit", "{result:.2000}");
    assert_eq!(result["status"], "feasible");
    assert_checked(&result);
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_then_cancels_and_every_request_is_answered() {
    let mut server = start(Config { workers: 1, grace: Duration::from_secs(1), ..config() }).await;
    let send = |body: Vec<u8>| server.client.post(server.url(LONG)).body(body).send();
    let long = tokio::spawn(send(hard_problem()));
    server.load(|load| load.running == 1).await;
    server.stop();
    let response =
        tokio::time::timeout(PATIENCE, long).await.expect("in time").expect("no panic").expect("answers");
    assert_eq!(response.status(), 200);
    let result: Value = response.json().await.expect("JSON");
    assert_eq!(result["certificate"]["termination"], "cancelled", "{}", result["certificate"]);
    assert_checked(&result);
    let address = server.address;
    server.ended().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_requests_end_within_the_grace_period() {
    let mut server = start(Config { workers: 1, ..config() }).await;
    let idle = TcpStream::connect(server.address).await.expect("connects");
    let request = server.client.post(server.url("/v1/solve")).body(scenario("xavier-3"));
    let running = tokio::spawn(request.send());
    server.load(|load| load.running + load.queued == 1).await;
    server.stop();
    let response = running.await.expect("no panic").expect("answers");
    assert_eq!(response.status(), 200);
    let result: Value = response.json().await.expect("JSON");
    assert_eq!(result["status"], "optimal");
    // An idle connection does not hold the end back.
    let app = server.app.clone();
    server.ended().await;
    until(|| app.solves.load().running == 0).await;
    drop(idle);
}
