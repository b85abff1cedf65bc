//! Trace context and spans: what a client and a collector see.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{PATIENCE, config, scenario, start, until};
use ecomap_service::http::Config;
use ecomap_service::telemetry::OtlpConfig;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What a collector was sent.
#[derive(Default)]
struct Received {
    heads: Vec<String>,
    bodies: Vec<Value>,
}

/// A collector: refuses the first export for the moment, takes the others.
async fn collector() -> (SocketAddr, Arc<Mutex<Received>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let received = Arc::new(Mutex::new(Received::default()));
    let shared = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let _ = serve(socket, &shared).await;
            });
        }
    });
    (address, received)
}

async fn serve(mut socket: TcpStream, shared: &Mutex<Received>) -> Option<()> {
    let mut text = Vec::new();
    loop {
        let end = text.windows(4).position(|w| w == b"\r\n\r\n");
        let Some(end) = end else {
            if socket.read_buf(&mut text).await.ok()? == 0 {
                return None;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "))?;
        let length: usize = length.parse().ok()?;
        while text.len() < end + 4 + length {
            if socket.read_buf(&mut text).await.ok()? == 0 {
                return None;
            }
        }
        let body = serde_json::from_slice(&text[end + 4..end + 4 + length]).ok()?;
        text.drain(..end + 4 + length);
        let first = {
            let mut received = shared.lock().expect("not poisoned");
            received.heads.push(head);
            let first = received.heads.len() == 1;
            if !first {
                received.bodies.push(body);
            }
            first
        };
        let answer: &[u8] = if first {
            b"HTTP/1.1 503 x\r\ncontent-length: 0\r\nretry-after: 0\r\n\r\n"
        } else {
            b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n{}"
        };
        socket.write_all(answer).await.ok()?;
    }
}

fn spans(received: &Mutex<Received>) -> Vec<Value> {
    let received = received.lock().expect("not poisoned");
    let of = |body: &Value| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().cloned();
    received.bodies.iter().filter_map(of).flatten().collect()
}

fn named(spans: &[Value], name: &str) -> Option<Value> {
    spans.iter().find(|s| s["name"] == name && s["traceId"] == TRACE).cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_and_its_job_are_spans_of_the_callers_trace() {
    let (address, received) = collector().await;
    let otlp = OtlpConfig::new(&format!("http://{address}"), "x-tenant=edge", "ecomap-test").expect("fine");
    let server = start(Config { otlp: Some(otlp), ..config() }).await;
    let request = server.client.post(server.url("/v1/solve")).body(scenario("tiny"));
    let request = request.header("prefer", "respond-async, wait=60").header("traceparent", PARENT);
    let response = request.header("tracestate", "vendor=1").send().await.expect("answers");
    assert_eq!(response.status(), 200);
    let parent = response.headers()["traceparent"].to_str().expect("text").to_owned();
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01"), "{parent}");
    assert_eq!(response.headers()["tracestate"], "vendor=1");
    until(|| {
        let spans = spans(&received);
        named(&spans, "POST /v1/solve").is_some() && named(&spans, "job").is_some()
    })
    .await;
    let all = spans(&received);
    let (request, job) = (named(&all, "POST /v1/solve").expect("sent"), named(&all, "job").expect("sent"));
    assert_eq!(request["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(parent.split('-').nth(2), request["spanId"].as_str());
    assert_eq!(job["parentSpanId"], request["spanId"]);
    let heads = received.lock().expect("not poisoned").heads.clone();
    assert!(
        heads.iter().all(|h| h.starts_with("post /v1/traces ") && h.contains("x-tenant: edge")),
        "{heads:?}"
    );
    let metrics = server.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("ecomap_spans_lost_total 0"), "{metrics}");
    // What has not been sent yet goes out at the end.
    let last = server.client.get(server.url("/live")).header("traceparent", PARENT);
    last.send().await.expect("answers");
    tokio::time::timeout(PATIENCE, server.ended()).await.expect("ends");
    assert!(named(&spans(&received), "GET /live").is_some());
}

#[tokio::test]
async fn traces_that_are_not_sampled_are_not_sent_but_go_on() {
    let (address, received) = collector().await;
    let otlp = OtlpConfig::new(&format!("http://{address}"), "", "ecomap-test").expect("fine");
    let server = start(Config { otlp: Some(otlp), ..config() }).await;
    let silent = PARENT.replace("-01", "-00");
    let response = server.client.get(server.url("/live")).header("traceparent", silent).send().await;
    let parent = response.expect("answers").headers()["traceparent"].to_str().expect("text").to_owned();
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-00"), "{parent}");
    server.get("/live").await; // one of its own, which is sent
    server.ended().await;
    let sent = spans(&received);
    assert!(!sent.is_empty() && named(&sent, "GET /live").is_none(), "{sent:?}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_holds_nothing_up() {
    let otlp = OtlpConfig::new("http://127.0.0.1:9", "", "ecomap-test").expect("fine");
    let server = start(Config { otlp: Some(otlp), ..config() }).await;
    assert_eq!(server.post("/v1/solve", scenario("tiny")).await.status(), 200);
    server.ended().await;
}
