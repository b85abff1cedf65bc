//! Many clients for some time on a running service, solves and jobs mixed: is anything lost, does
//! memory stay bounded?
//!
//! ```sh
//! cargo run --release -p ecomap-service -- serve --store load.db --jobs-per-key 2000 &
//! cargo run --release -p ecomap-service --example load_jobs -- --clients 500 --seconds 300
//! ```
//!
//! Every client solves, or takes a job with an `Idempotency-Key` and sometimes sends it twice. At
//! the end every job that was acknowledged must be there, done and checked. A key for a service
//! that asks for one is read from `ECOMAP_KEY`.
#![allow(clippy::print_stdout, missing_docs)] // a report for people

use anyhow::{Context, bail, ensure};
use clap::Parser;
use ecomap_solver::clock::{Clock, SystemClock};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Clone, Parser)]
struct Args {
    /// Where the service listens
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Scenario that the service holds
    #[arg(long, default_value = "tiny")]
    scenario: String,
    /// Clients at once
    #[arg(long, default_value_t = 500)]
    clients: u32,
    /// How long they go on
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Every so many requests of a client, a job
    #[arg(long, default_value_t = 4)]
    job_every: u64,
    /// Most resident memory of the service at any time, in MiB; more is an error
    #[arg(long, default_value_t = 512)]
    most_mib: u64,
}

#[derive(Debug, Default)]
struct Counts {
    solved: AtomicU64,
    jobs: AtomicU64,
    repeated: AtomicU64,
    told_to_wait: AtomicU64,
}

struct Load {
    args: Args,
    client: Client,
    document: bytes::Bytes,
    clock: SystemClock,
    counts: Counts,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut headers = HeaderMap::new();
    if let Ok(key) = std::env::var("ECOMAP_KEY") {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).context("ECOMAP_KEY is no key")?;
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    let client =
        Client::builder().no_proxy().timeout(Duration::from_secs(120)).default_headers(headers).build()?;
    let document = client.get(format!("{}/v1/scenarios/{}", args.url, args.scenario)).send().await?;
    let document = document.error_for_status()?.bytes().await?;
    let load =
        Arc::new(Load { args, client, document, clock: SystemClock::new(), counts: Counts::default() });

    let end = load.clock.now() + Duration::from_secs(load.args.seconds);
    let clients: Vec<_> =
        (0..load.args.clients).map(|n| tokio::spawn(client_loop(Arc::clone(&load), n, end))).collect();
    let first = resident(&load).await?;
    let mut most = first;
    while load.clock.now() < end {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = resident(&load).await?;
        most = most.max(now);
        println!("{:>4} s: resident {} MiB", load.clock.now().as_secs(), now >> 20);
    }
    let mut jobs = Vec::new();
    for client in clients {
        jobs.extend(client.await??);
    }
    println!(
        "{} clients, {} s: {} solves, {} jobs, {} of them sent twice, {} times told to wait",
        load.args.clients,
        load.args.seconds,
        load.counts.solved.load(Ordering::Relaxed),
        jobs.len(),
        load.counts.repeated.load(Ordering::Relaxed),
        load.counts.told_to_wait.load(Ordering::Relaxed),
    );
    for location in &jobs {
        ended(&load, location).await?;
    }
    let last = resident(&load).await?;
    println!("every job is done and checked; {}", jobs.len());
    println!(
        "resident: {} MiB at first, {} MiB at most, {} MiB at the end",
        first >> 20,
        most >> 20,
        last >> 20
    );
    ensure!(most <= load.args.most_mib << 20, "resident memory rose above {} MiB", load.args.most_mib);
    Ok(())
}

/// One client; returns where its jobs are.
async fn client_loop(load: Arc<Load>, client: u32, end: Duration) -> anyhow::Result<Vec<String>> {
    let mut jobs = Vec::new();
    let mut n = 0_u64;
    while load.clock.now() < end {
        n += 1;
        if !n.is_multiple_of(load.args.job_every) {
            if let Some(response) = send(&load, None, end).await? {
                let result: Value = response.json().await?;
                ensure!(result["certificate"]["checker"]["verdict"] == "pass", "a plan did not pass");
                load.counts.solved.fetch_add(1, Ordering::Relaxed);
            }
            continue;
        }
        let key = format!("{client}-{n}-{}", load.clock.now().as_nanos());
        let Some(location) = take(&load, &key, end).await? else { continue };
        if n.is_multiple_of(load.args.job_every * 3)
            && let Some(again) = take(&load, &key, end).await?
        {
            ensure!(again == location, "one key, two jobs: {location} and {again}");
            load.counts.repeated.fetch_add(1, Ordering::Relaxed);
        }
        load.counts.jobs.fetch_add(1, Ordering::Relaxed);
        jobs.push(location);
    }
    Ok(jobs)
}

async fn take(load: &Load, key: &str, end: Duration) -> anyhow::Result<Option<String>> {
    let Some(response) = send(load, Some(key), end).await? else { return Ok(None) };
    let location = response.headers().get("location").context("a job without Location")?;
    let location = location.to_str()?.to_owned();
    response.bytes().await?;
    Ok(Some(location))
}

/// A solve, or a job under `key`; waits as long as the service says when it is busy. `None` when the
/// time is over meanwhile.
async fn send(load: &Load, key: Option<&str>, end: Duration) -> anyhow::Result<Option<Response>> {
    loop {
        let mut request = load.client.post(format!("{}/v1/solve", load.args.url)).body(load.document.clone());
        if let Some(key) = key {
            request = request.header("prefer", "respond-async").header("idempotency-key", key);
        }
        let response = request.send().await?;
        match response.status().as_u16() {
            200 | 202 => return Ok(Some(response)),
            429 | 503 => {
                let after = response.headers().get(RETRY_AFTER).context("busy without Retry-After")?;
                let after: u64 = after.to_str()?.parse()?;
                load.counts.told_to_wait.fetch_add(1, Ordering::Relaxed);
                if load.clock.now() + Duration::from_secs(after) >= end {
                    return Ok(None);
                }
                tokio::time::sleep(Duration::from_secs(after)).await;
            }
            other => bail!("status {other}: {}", response.text().await?),
        }
    }
}

/// Waits until a job has ended, and looks at its result.
async fn ended(load: &Load, location: &str) -> anyhow::Result<()> {
    for _ in 0..20 {
        let request = load.client.get(format!("{}{location}", load.args.url)).header("prefer", "wait=30");
        let response = request.send().await?;
        if response.status() == 429 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        ensure!(response.status() == 200, "{location} is lost: {}", response.status());
        let job: Value = response.json().await?;
        if job["state"] == "done" {
            ensure!(job["result"]["certificate"]["checker"]["verdict"] == "pass", "{location} did not pass");
            return Ok(());
        }
        ensure!(job["state"] == "queued" || job["state"] == "running", "{location}: {job:#}");
    }
    bail!("{location} does not end")
}

async fn resident(load: &Load) -> anyhow::Result<u64> {
    let text = load.client.get(format!("{}/metrics", load.args.url)).send().await?.text().await?;
    let line = text.lines().find_map(|l| l.strip_prefix("ecomap_process_resident_bytes "));
    line.context("no resident memory in /metrics")?.parse().context("not a number")
}
