//! Load on a running service: solves of one scenario one after another, then many at once, with
//! the server's resident memory (from its `/metrics`) along the way.
//!
//! ```sh
//! cargo run --release -p ecomap-service -- serve &
//! cargo run --release -p ecomap-service --example load -- --sequential 10000 --concurrent 64
//! ```
#![allow(clippy::print_stdout, missing_docs)] // a report for people

use anyhow::{Context, bail, ensure};
use clap::Parser;
use ecomap_solver::clock::{Clock, SystemClock};
use std::time::Duration;

#[derive(Debug, Parser)]
struct Args {
    /// Where the service listens
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Scenario that the service holds
    #[arg(long, default_value = "tiny")]
    scenario: String,
    /// Solves one after another
    #[arg(long, default_value_t = 10_000)]
    sequential: u32,
    /// Solves at once
    #[arg(long, default_value_t = 64)]
    concurrent: u32,
    /// Rounds of the latter
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Most growth of resident memory after the first tenth, in MiB; more is an error
    #[arg(long, default_value_t = 32)]
    growth_mib: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let document = client.get(format!("{}/v1/scenarios/{}", args.url, args.scenario)).send().await?;
    let document = document.error_for_status()?.bytes().await?;
    let clock = SystemClock::new();
    let solve = || client.post(format!("{}/v1/solve", args.url)).body(document.clone()).send();

    let mut times = Vec::new();
    let mut settled = None;
    let begun = clock.now();
    for n in 1..=args.sequential {
        let sent = clock.now();
        let response = solve().await?;
        ensure!(response.status() == 200, "solve {n}: {}", response.status());
        let result: serde_json::Value = response.json().await?;
        ensure!(result["certificate"]["checker"]["verdict"] == "pass", "solve {n} did not pass");
        times.push(clock.now() - sent);
        if n % (args.sequential / 10).max(1) == 0 {
            let memory = resident(&client, &args.url).await?;
            settled.get_or_insert(memory);
            println!("{n:>6} solves, resident {:.1} MiB", mib(memory));
        }
    }
    report("one after another", &mut times, clock.now() - begun);

    let (mut served, mut refused, mut times) = (0_u32, 0_u32, Vec::new());
    let begun = clock.now();
    for _ in 0..args.rounds {
        let round: Vec<_> = (0..args.concurrent).map(|_| tokio::spawn(solve())).collect();
        let sent = clock.now();
        for answer in round {
            let response = answer.await??;
            match response.status().as_u16() {
                200 => served += 1,
                503 => {
                    ensure!(response.headers().contains_key("retry-after"), "503 without Retry-After");
                    refused += 1;
                }
                other => bail!("status {other}"),
            }
            response.bytes().await?;
            times.push(clock.now() - sent);
        }
    }
    report("at once", &mut times, clock.now() - begun);
    println!("{served} served, {refused} refused with 503 and Retry-After");

    let last = resident(&client, &args.url).await?;
    let first = settled.unwrap_or(last);
    println!("resident memory: {:.1} MiB after the first tenth, {:.1} MiB at the end", mib(first), mib(last));
    ensure!(
        last <= first + (args.growth_mib << 20),
        "resident memory grew by more than {} MiB",
        args.growth_mib
    );
    Ok(())
}

async fn resident(client: &reqwest::Client, url: &str) -> anyhow::Result<u64> {
    let text = client.get(format!("{url}/metrics")).send().await?.text().await?;
    let line = text.lines().find_map(|l| l.strip_prefix("ecomap_process_resident_bytes "));
    line.context("no resident memory in /metrics")?.parse().context("not a number")
}

#[allow(clippy::cast_precision_loss)] // memory of a process
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn report(what: &str, times: &mut [Duration], total: Duration) {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    #[allow(clippy::cast_precision_loss)]
    let rate = times.len() as f64 / total.as_secs_f64().max(1e-9);
    println!(
        "{what}: {} solves in {:.1} s, {rate:.0}/s, median {:.2} ms, p99 {:.2} ms",
        times.len(),
        total.as_secs_f64(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3
    );
}
