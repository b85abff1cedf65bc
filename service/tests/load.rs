//! A moderate load: many solves one after another and many at once. `examples/load.rs` does the
//! same at full size against a running service.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{assert_checked, config, scenario, start};
use serde_json::Value;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_solves_one_after_another() {
    let server = start(config()).await;
    let body = scenario("tiny");
    let mut value = None;
    for n in 0..300 {
        let response = server.post("/v1/solve", body.clone()).await;
        assert_eq!(response.status(), 200, "solve {n}");
        let result: Value = response.json().await.expect("JSON");
        assert_eq!(result["status"], "optimal", "solve {n}");
        let this = result["objective"]["value"].as_f64().expect("a value");
        assert!((this - *value.get_or_insert(this)).abs() < 1e-9, "solve {n}");
    }
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_solves_at_once() {
    let server = start(config()).await;
    let solves: Vec<_> = (0..64)
        .map(|_| tokio::spawn(server.client.post(server.url("/v1/solve")).body(scenario("tiny")).send()))
        .collect();
    for solve in solves {
        let response = solve.await.expect("no panic").expect("answers");
        assert_eq!(response.status(), 200, "64 fit the default queue");
        assert_checked(&response.json().await.expect("JSON"));
    }
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_queue_refuses_and_retries_get_through() {
    let server = start(ecomap_service::http::Config { workers: 1, queue: 4, ..config() }).await;
    let solves: Vec<_> = (0..64)
        .map(|_| {
            let request = server.client.post(server.url("/v1/solve")).body(scenario("tiny"));
            tokio::spawn(async move {
                let mut refused = 0_u32;
                loop {
                    let response = request.try_clone().expect("a plain body").send().await.expect("answers");
                    if response.status() == 200 {
                        assert_checked(&response.json().await.expect("JSON"));
                        return refused;
                    }
                    assert_eq!(response.status(), 503);
                    let after: u64 =
                        response.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
                    refused += 1;
                    // What a client should do, at a hundredth of the pace.
                    tokio::time::sleep(Duration::from_millis(10 * after)).await;
                }
            })
        })
        .collect();
    let mut refused = 0;
    for solve in solves {
        refused += solve.await.expect("no panic");
    }
    assert!(refused > 0, "64 at once do not fit a queue of 4");
    server.ended().await;
}
