//! What a hostile or broken client can do: nothing but be refused, within bounded memory.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{PATIENCE, config, start, until};
use ecomap_service::http::Config;
use futures_util::stream;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn told(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

/// Everything that comes back on a socket.
async fn rest(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut text)).await.expect("ends in time");
    let _ = read; // a reset after the answer is fine
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_long_body_without_a_length_is_refused_at_the_cap() {
    let server = start(Config { max_body: 1 << 20, ..config() }).await;
    let chunk = bytes::Bytes::from(vec![b' '; 64 << 10]);
    let endless = stream::iter((0..200 * 16).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let response = server.post("/v1/solve", reqwest::Body::wrap_stream(endless)).await;
    let (status, problem) = told(response).await;
    assert_eq!((status, problem["code"].as_str()), (413, Some("E4013")));
    until(|| server.app.budget.held() == 0).await;
    server.ended().await;
}

#[tokio::test]
async fn a_long_body_that_says_so_is_refused_before_it_is_sent() {
    let server = start(config()).await;
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    let head = "POST /v1/solve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 209715200\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.expect("writes");
    let answer = rest(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("E4013") && answer.to_lowercase().contains("connection: close"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let server = start(Config { body_timeout: Duration::from_millis(300), ..config() }).await;
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    let head =
        "POST /v1/solve HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n";
    socket.write_all(head.as_bytes()).await.expect("writes");
    let answer = rest(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("E4008"), "{answer}");
    server.ended().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let server = start(Config { header_timeout: Duration::from_millis(300), ..config() }).await;
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    socket.write_all(b"POST /v1/solve HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.expect("writes");
    let _ = rest(&mut socket).await;
    // So is a connection on which nothing comes.
    let mut idle = TcpStream::connect(server.address).await.expect("connects");
    assert_eq!(rest(&mut idle).await, "");
    server.ended().await;
}

#[tokio::test]
async fn bodies_together_are_bounded() {
    let server = start(Config { max_bodies: 1000, ..config() }).await;
    let (status, problem) = told(server.post("/v1/solve", vec![b' '; 2000]).await).await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("E4503")));
    assert!(problem["retry_after_s"].as_u64() >= Some(1));
    assert_eq!(server.app.budget.held(), 0);
    server.ended().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let server = start(Config { max_connections: 1, ..config() }).await;
    let mut first = TcpStream::connect(server.address).await.expect("connects");
    let ask = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    first.write_all(ask).await.expect("writes");
    let mut buffer = [0; 64];
    assert!(first.read(&mut buffer).await.expect("reads") > 0);
    // The second waits until the first is gone, then is served.
    let mut second = TcpStream::connect(server.address).await.expect("connects");
    second
        .write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .expect("writes");
    let nothing_yet = tokio::time::timeout(Duration::from_millis(200), second.read(&mut buffer)).await;
    assert!(nothing_yet.is_err(), "served beyond the bound");
    drop(first);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200"));
    server.ended().await;
}

/// A scenario document as JSON, to be broken.
fn tiny() -> Value {
    serde_json::from_slice(&common::scenario("tiny")).expect("JSON")
}

#[tokio::test]
async fn absurd_sizes_are_refused_with_a_code() {
    let server = start(config()).await;
    let mut many_boards = tiny();
    many_boards["devices"][0]["count"] = json!(1_000_000_000_u64);
    let mut huge_count = tiny();
    huge_count["devices"][0]["count"] = json!(1e300);
    let mut placements = tiny();
    placements["pricing"] = json!({ "max_placements": 1_000_000_000_u64 });
    let tenants: Vec<Value> = (0..40_000)
        .map(|n| {
            let mut tenant = tiny()["tenants"][0].clone();
            tenant["id"] = json!(format!("t{n}"));
            tenant.as_object_mut().expect("an object").remove("tiers");
            tenant
        })
        .collect();
    let mut crowd = tiny();
    crowd["tenants"] = json!(tenants);
    crowd["pricing"] = json!({ "max_placements": 1000 });
    let cases = [
        ("a billion boards", many_boards.to_string(), "E1113"),
        ("a count beyond any integer", huge_count.to_string(), "E1002"),
        ("a billion placements", placements.to_string(), "E1112"),
        ("too many candidates", crowd.to_string(), "E1113"),
        (
            "empty objects",
            format!(
                r#"{{"format":"ecomap.instance/v1","name":"x","tenants":[{}]}}"#,
                vec!["{}"; 1_000_000].join(",")
            ),
            "E1113",
        ),
        (
            "deep nesting",
            format!("{{\"format\":\"ecomap.scenario/v1\",\"x\":{}", "[".repeat(1_000_000)),
            "E1005",
        ),
        ("deep before the format", "[".repeat(1_000_000), "E1005"),
        ("not a number", r#"{"format":"ecomap.scenario/v1","name":NaN}"#.to_owned(), "E1001"),
        ("infinity", r#"{"format":"ecomap.scenario/v1","fleet_accuracy_floor":1e999}"#.to_owned(), "E1001"),
    ];
    for (what, document, code) in cases {
        let (status, problem) = told(server.post("/v1/solve", document).await).await;
        let errors = problem["errors"].to_string();
        assert_eq!(status, 422, "{what}: {problem:#}");
        assert!(errors.contains(code), "{what}: {errors}");
    }
    server.ended().await;
}

#[tokio::test]
async fn requests_that_are_not_http_do_no_harm() {
    let server = start(config()).await;
    for garbage in [&b"\0\0\0\0\r\n\r\n"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[0xff; 4096]] {
        let mut socket = TcpStream::connect(server.address).await.expect("connects");
        socket.write_all(garbage).await.expect("writes");
        let answer = rest(&mut socket).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
            "{answer}"
        );
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(200_000));
    let mut socket = TcpStream::connect(server.address).await.expect("connects");
    let _ = socket.write_all(long.as_bytes()).await;
    let answer = rest(&mut socket).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(server.get("/live").await.status(), 200);
    server.ended().await;
}
