//! Jobs through a real client: taken, followed, ended, found again after a restart.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{PATIENCE, Running, assert_checked, config, hard_problem, scenario, start, until};
use ecomap_service::http::Config;
use ecomap_service::jobs::JobsConfig;
use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const LONG: &str = "/v1/solve?gap=0&time_limit_s=60";

fn stored(path: &Path) -> Config {
    Config { workers: 1, store: Some(path.to_owned()), ..config() }
}

async fn post(server: &Running, path: &str, body: Vec<u8>, headers: &[(&'static str, &str)]) -> Response {
    let mut request = server.client.post(server.url(path)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("answers")
}

/// Takes a job; returns where it is.
async fn take(server: &Running, path: &str, body: Vec<u8>) -> String {
    let response = post(server, path, body, &[("prefer", "respond-async")]).await;
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["preference-applied"], "respond-async");
    let location = response.headers()["location"].to_str().expect("text").to_owned();
    let job: Value = response.json().await.expect("JSON");
    assert_eq!(location, format!("/v1/jobs/{}", job["id"].as_str().expect("an id")));
    assert!(["queued", "running", "done"].contains(&job["state"].as_str().expect("a state")), "{job:#}");
    location
}

async fn job(server: &Running, location: &str) -> Value {
    server.get(location).await.json().await.expect("JSON")
}

/// The job when it has ended.
async fn ended(server: &Running, location: &str) -> Value {
    let request = server.client.get(server.url(location)).header("prefer", "wait=60");
    let job: Value = request.send().await.expect("answers").json().await.expect("JSON");
    assert!(["done", "failed", "cancelled"].contains(&job["state"].as_str().expect("a state")), "{job:#}");
    job
}

/// Waits until a job runs and has a plan.
async fn with_a_plan(server: &Running, location: &str) -> Value {
    let wait = async {
        loop {
            let job = job(server, location).await;
            if job["state"] == "running" && job["best"]["primal_bound"].is_number() {
                return job;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time")
}

/// An event as it came.
#[derive(Debug)]
struct Event {
    id: String,
    kind: String,
    data: Value,
}

/// Reads events until `enough` says so or the stream ends.
async fn events(response: Response, enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.bytes_stream();
    let (mut text, mut found) = (String::new(), Vec::new());
    let read = async {
        while let Some(chunk) = stream.next().await {
            text.push_str(std::str::from_utf8(&chunk.expect("unbroken")).expect("text"));
            while let Some((block, rest)) = text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
                    line.unwrap_or_default().trim().to_owned()
                };
                if !field("data").is_empty() {
                    let data = serde_json::from_str(&field("data")).expect("JSON");
                    found.push(Event { id: field("id"), kind: field("event"), data });
                }
                text = rest.to_owned();
            }
            if enough(&found) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("in time");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_taken_solved_and_kept() {
    let server = start(config()).await;
    let location = take(&server, "/v1/solve?objective=carbon", scenario("tiny")).await;
    let job = ended(&server, &location).await;
    assert_eq!((job["state"].as_str(), job["priority"].as_str()), (Some("done"), Some("normal")), "{job:#}");
    assert_checked(&job["result"]);
    assert_eq!(job["best"]["primal_bound"], job["result"]["certificate"]["primal_bound"]);
    assert!(job["expires"].is_string());
    let list: Value = server.get("/v1/jobs?limit=1").await.json().await.expect("JSON");
    assert_eq!(list["jobs"][0]["id"], job["id"]);
    assert!(list["jobs"][0]["result"].is_null() && list["next"].is_null(), "{list:#}");

    // The same, waited for: RFC 7240 lets a quick one be answered at once.
    let headers = [("prefer", "respond-async, wait=60")];
    let response = post(&server, "/v1/solve", scenario("tiny"), &headers).await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["preference-applied"].as_bytes()),
        (200, &b"respond-async, wait=60"[..])
    );
    assert_checked(&response.json().await.expect("JSON"));

    // What cannot be solved is said before anything is promised, or kept as the job's problem.
    let refused = post(&server, "/v1/solve", b"{}".to_vec(), &[("prefer", "respond-async")]).await;
    assert_eq!(refused.status(), 422);
    let location = take(&server, LONG, hard_problem()).await;
    server.client.delete(server.url(&location)).send().await.expect("answers");
    let list: Value = server.get("/v1/jobs?limit=1").await.json().await.expect("JSON");
    let page: Value = server
        .get(&format!("/v1/jobs?limit=1&cursor={}", list["next"].as_str().expect("more")))
        .await
        .json()
        .await
        .expect("JSON");
    assert_ne!(page["jobs"][0]["id"], list["jobs"][0]["id"]);
    for nothing in ["/v1/jobs/0123456789abcdef0123456789abcdef", "/v1/jobs/x", "/v1/jobs/x/events"] {
        assert_eq!(server.get(nothing).await.status(), 404, "{nothing}");
    }
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_shows_its_best_and_keeps_it_when_ended_early() {
    let server = start(Config { workers: 1, ..config() }).await;
    let location = take(&server, LONG, hard_problem()).await;
    let waiting = take(&server, "/v1/solve", scenario("tiny")).await;
    let running = with_a_plan(&server, &location).await;
    assert!(running["best"]["dual_bound"].is_number(), "{running:#}");
    assert!(running["result"].is_null());
    assert_eq!(job(&server, &waiting).await["state"], "queued");

    // One that waits ends at once, without a result.
    let response = server.client.delete(server.url(&waiting)).send().await.expect("answers");
    assert_eq!(response.status(), 200);
    let cancelled: Value = response.json().await.expect("JSON");
    assert_eq!(cancelled["state"], "cancelled", "{cancelled:#}");

    // One that runs keeps the best.
    let response = server.client.delete(server.url(&location)).send().await.expect("answers");
    assert!([200, 202].contains(&response.status().as_u16()));
    let job = ended(&server, &location).await;
    assert_eq!(job["result"]["certificate"]["termination"], "cancelled", "{}", job["result"]["certificate"]);
    assert_checked(&job["result"]);
    // Again: nothing changes.
    let again = server.client.delete(server.url(&location)).send().await.expect("answers");
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.expect("JSON")["result"], job["result"]);
    server.load(|load| load.running + load.queued == 0).await;
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_incumbents_and_go_on_where_one_left() {
    let server = start(Config { workers: 1, ..config() }).await;
    let location = take(&server, LONG, hard_problem()).await;
    let path = format!("{location}/events");
    let is_incumbent = |e: &Event| e.kind == "incumbent" && e.data["best"]["primal_bound"].is_number();
    let first = events(server.get(&path).await, |e| e.iter().any(is_incumbent)).await;
    assert_eq!(first[0].kind, "state");
    let ids: Vec<u64> = first
        .iter()
        .map(|e| e.id.split_once('-').expect("run-number").1.parse().expect("a number"))
        .collect();
    assert!(ids.windows(2).all(|w| w[0] < w[1]), "{ids:?}");

    // Ended early, the stream ends with it; who left before misses nothing.
    server.client.delete(server.url(&location)).send().await.expect("answers");
    let seen = &first.last().expect("some").id;
    let resumed = server.client.get(server.url(&path)).header("last-event-id", seen).send();
    let rest = events(resumed.await.expect("answers"), |_| false).await;
    let next: u64 = rest[0].id.split_once('-').expect("run-number").1.parse().expect("a number");
    assert!(next > *ids.last().expect("some"));
    let end = rest.last().expect("the end");
    assert_eq!((end.kind.as_str(), end.data["state"].as_str()), ("state", Some("done")), "{rest:?}");
    assert!(end.data["best"]["gap"].is_number());
    let metrics = server.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("ecomap_jobs_ended_total{state=\"done\"} 1"), "{metrics}");
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_gets_the_same_answer() {
    let server = start(config()).await;
    let key = [("idempotency-key", "\"k-1\"")];
    let first = post(&server, "/v1/solve", scenario("tiny"), &key).await;
    assert_eq!(first.status(), 200);
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let location = first.headers()["location"].clone();
    let first = first.bytes().await.expect("bytes");
    let second = post(&server, "/v1/solve", scenario("tiny"), &key).await;
    assert_eq!(
        (second.headers()["idempotency-replayed"].as_bytes(), &second.headers()["location"]),
        (&b"true"[..], &location)
    );
    assert_eq!(second.bytes().await.expect("bytes"), first, "the answer is the stored one, to the byte");
    // As a job it is the same one.
    let job = post(&server, "/v1/solve", scenario("tiny"), &[key[0], ("prefer", "respond-async")]).await;
    assert_eq!((job.status().as_u16(), &job.headers()["location"]), (202, &location));
    for (path, body) in [("/v1/solve", scenario("xavier-3")), ("/v1/solve?seed=1", scenario("tiny"))] {
        let other = post(&server, path, body, &key).await;
        assert_eq!(other.status(), 422);
        assert_eq!(other.json::<Value>().await.expect("JSON")["code"], "E4155");
    }
    let bad = post(&server, "/v1/solve", scenario("tiny"), &[("idempotency-key", "a b")]).await;
    assert_eq!(
        (bad.status().as_u16(), bad.json::<Value>().await.expect("JSON")["code"].as_str()),
        (400, Some("E4158"))
    );
    // Many at once: one job.
    let many: Vec<_> = (0..16)
        .map(|_| {
            let request = server.client.post(server.url("/v1/solve")).body(scenario("tiny"));
            tokio::spawn(request.header("idempotency-key", "k-2").send())
        })
        .collect();
    let mut answers = Vec::new();
    for one in many {
        let response = one.await.expect("no panic").expect("answers");
        answers.push((response.status().as_u16(), response.headers()["location"].clone()));
    }
    assert!(answers.iter().all(|a| *a == answers[0] && a.0 == 200), "{answers:?}");
    // A problem is an answer too.
    let failing = "/v1/solve?contention=roofline&solver=greedy";
    let key = [("idempotency-key", "k-3")];
    let first = post(&server, failing, scenario("tiny"), &key).await;
    let second = post(&server, failing, scenario("tiny"), &key).await;
    assert_eq!((first.status(), second.status()), (second.status(), first.status()));
    assert!(first.status().is_client_error());
    assert_eq!(first.bytes().await.expect("bytes"), second.bytes().await.expect("bytes"));
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_have_not_ended_are_ended_by_the_next_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.db");
    let mut server = start(stored(&path)).await;
    let done = take(&server, "/v1/solve", scenario("tiny")).await;
    let result = ended(&server, &done).await["result"].clone();
    let running = take(&server, "/v1/solve?gap=0&time_limit_s=4", hard_problem()).await;
    with_a_plan(&server, &running).await;
    let queued = take(&server, "/v1/solve", scenario("tiny")).await;
    let path_of_events = format!("{queued}/events");
    let stream = server.get(&path_of_events).await;
    server.stop();
    // Streams end with the service instead of holding it back.
    let seen = events(stream, |_| false).await;
    assert_eq!(seen.last().expect("some").data["state"], "queued");
    server.ended().await;

    let server = start(stored(&path)).await;
    assert_eq!(job(&server, &done).await["result"], result, "what had ended is as it was");
    for location in [&running, &queued] {
        let job = ended(&server, location).await;
        assert_eq!(job["state"], "done", "{job:#}");
        assert_checked(&job["result"]);
    }
    assert_eq!(job(&server, &running).await["attempts"], 2);
    let metrics = server.get("/metrics").await.text().await.expect("text");
    assert!(metrics.contains("ecomap_jobs_recovered_total 2"), "{metrics}");
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_bounded_and_expire() {
    let jobs = JobsConfig { most_own: 2, ttl: Duration::ZERO, streams: 1, ..JobsConfig::default() };
    let server = start(Config { workers: 1, jobs, ..config() }).await;
    let running = take(&server, LONG, hard_problem()).await;
    take(&server, "/v1/solve", scenario("tiny")).await;
    let refused = post(&server, "/v1/solve", scenario("tiny"), &[("prefer", "respond-async")]).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.expect("JSON")["code"], "E4156");
    let stream = server.get(&format!("{running}/events")).await;
    assert_eq!(server.get(&format!("{running}/events")).await.status(), 503, "one stream at a time");
    drop(stream);
    server.client.delete(server.url(&running)).send().await.expect("answers");
    server.load(|load| load.running + load.queued == 0).await;
    // Ended jobs are forgotten when the next one is taken.
    let last = take(&server, "/v1/solve", scenario("tiny")).await;
    assert_eq!(server.get(&running).await.status(), 404);
    server.client.request(Method::DELETE, server.url(&last)).send().await.expect("answers");
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_take_turns_with_other_requests() {
    let server = start(Config { workers: 1, queue: 1, ..config() }).await;
    let long = take(&server, LONG, hard_problem()).await;
    server.load(|load| load.running == 1).await;
    // Jobs take no places in the queue of those who wait on a connection.
    for _ in 0..5 {
        take(&server, "/v1/solve", scenario("tiny")).await;
    }
    let send = server.client.post(server.url("/v1/solve")).body(scenario("tiny")).send();
    let waiting = tokio::spawn(send);
    server.load(|load| load.queued == 6).await;
    server.client.delete(server.url(&long)).send().await.expect("answers");
    let response = waiting.await.expect("no panic").expect("answers");
    assert_eq!(response.status(), 200);
    let app = server.app.clone();
    until(|| app.solves.load().running + app.solves.load().queued == 0).await;
    server.ended().await;
}
