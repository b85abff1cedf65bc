//! The service killed at random points while an accelerated fleet runs on a live store: no acknowledged write is
//! lost, no published plan is above its cap, plans keep their numbers. How long a restart takes is measured and
//! printed, not asserted: run with `--nocapture`, and `ECOMAP_KILLS=200` for the long run.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_store::{Settings, Store};
use reqwest::StatusCode;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Kills of one run.
fn kills() -> usize {
    std::env::var("ECOMAP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// A running service, killed when dropped.
struct Service {
    child: Child,
    base: String,
}

impl Service {
    fn start(store: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ecomap"))
            .args(["serve", "--listen", "127.0.0.1:0", "--no-demo", "--workers", "1", "--fleet-workers", "1"])
            .arg("--store")
            .arg(store)
            .env("ECOMAP_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a banner");
        let base = line.split_whitespace().find(|w| w.starts_with("http://")).expect("an address");
        let base = base.trim_end_matches(',').to_owned();
        Self { child, base }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another number every time, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn document() -> Value {
    let mut scenario: Value = serde_json::from_slice(&common::scenario("xavier-3")).unwrap();
    for site in scenario["sites"].as_array_mut().unwrap() {
        site["budget"] = json!({
            "policy": "linear", "clean_g_per_kwh": 100, "dirty_g_per_kwh": 600, "max_w": 20, "min_w": 11
        });
    }
    let zone = scenario["zones"][0]["id"].as_str().unwrap().to_owned();
    // An hour in 20 ms: caps move with nearly every turn.
    json!({
        "format": "ecomap.fleet/v1", "scenario": scenario,
        "carbon": { zone: { "sources": [{ "source": "synthetic" }] } },
        "control": { "every_s": 3_600, "speed": 180_000 },
    })
}

/// What the service has said and must not forget.
#[derive(Default)]
struct Told {
    plans: BTreeMap<u64, Value>,
    version: u64,
    rate: f64,
    events: u64,
}

#[test]
fn nothing_that_was_said_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("ecomap.db");
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
    let clock = SystemClock::new();
    let (mut dice, mut told, mut restarts) = (Dice(0x9e37_79b9_7f4a_7c15), Told::default(), Vec::new());
    {
        let service = Service::start(&store);
        let put = client.put(service.url("/v1/fleets/a")).json(&document()).send().unwrap();
        assert_eq!(put.status(), StatusCode::CREATED);
        told.version = 1;
        told.rate = document()["scenario"]["tenants"][0]["rate_per_s"].as_f64().unwrap();
    }
    for round in 0..kills() {
        let begun = clock.now();
        let service = Service::start(&store);
        let mut tag: Option<String> = None;
        // The last plan is there at once, if there was one.
        let response = client.get(service.url("/v1/fleets/a/plan")).send().unwrap();
        if !told.plans.is_empty() {
            assert_eq!(response.status(), StatusCode::OK, "round {round}");
            restarts.push(clock.now().saturating_sub(begun));
        }
        check(&client, &service, &told);
        // So many plans and changes, then the end, whatever is under way.
        for _ in 0..1 + dice.roll(4) {
            if dice.roll(3) == 0 {
                change(&client, &service, &mut told, &mut dice);
            }
            let (next, plan) = next_plan(&client, &service, tag.as_deref());
            let number = plan["number"].as_u64().unwrap();
            if let Some(known) = told.plans.insert(number, plan.clone()) {
                assert_eq!(known, plan, "plan {number} is another one than before");
            }
            tag = Some(next);
        }
        let burn = dice.roll(2_000);
        let mut sum = 0_u64;
        for n in 0..burn * 1_000 {
            sum = std::hint::black_box(sum.wrapping_add(n));
        }
    }
    let service = Service::start(&store);
    check(&client, &service, &told);
    drop(service);
    let published = under_their_caps(&store);
    restarts.sort();
    let ms = |d: &Duration| d.as_millis();
    println!(
        "{} kills, {published} plans published, {} seen; from start to the last plan answered: median {} ms, worst {} ms",
        kills(),
        told.plans.len(),
        restarts.get(restarts.len() / 2).map_or(0, ms),
        restarts.last().map_or(0, ms),
    );
}

/// Everything that was said is still so.
fn check(client: &Client, service: &Service, told: &Told) {
    let view: Value = client.get(service.url("/v1/fleets/a")).send().unwrap().json().unwrap();
    assert_eq!(view["version"].as_u64(), Some(told.version));
    assert_eq!(view["document"]["scenario"]["tenants"][0]["rate_per_s"].as_f64(), Some(told.rate));
    for (number, plan) in told.plans.iter().rev().take(20) {
        let kept: Value =
            client.get(service.url(&format!("/v1/fleets/a/plans/{number}"))).send().unwrap().json().unwrap();
        assert_eq!(kept, *plan, "plan {number}");
    }
    let path = "/v1/fleets/a/events?stream=false&limit=1000&after=";
    let events: Value = client
        .get(service.url(&format!("{path}{}", told.events.saturating_sub(1))))
        .send()
        .unwrap()
        .json()
        .unwrap();
    let ids: Vec<u64> =
        events["events"].as_array().unwrap().iter().map(|e| e["id"].as_u64().unwrap()).collect();
    assert!(told.events == 0 || ids.first() == Some(&told.events), "event {} is gone: {ids:?}", told.events);
}

/// A tenant asks for another rate; the answer makes it a promise.
fn change(client: &Client, service: &Service, told: &mut Told, dice: &mut Dice) {
    #[allow(clippy::cast_precision_loss)] // a small number
    let rate = 1.0 + dice.roll(8) as f64 / 4.0;
    let tenant = document()["scenario"]["tenants"][0]["id"].clone();
    let body = json!({ "operations": [{ "op": "set_rate", "tenant": tenant, "rate_per_s": rate }] });
    let response = client.patch(service.url("/v1/fleets/a")).json(&body).send().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let view: Value = response.json().unwrap();
    assert_eq!(view["version"].as_u64(), Some(told.version + 1));
    (told.version, told.rate) = (told.version + 1, rate);
    let events: Value =
        client.get(service.url("/v1/fleets/a/events?stream=false&limit=1")).send().unwrap().json().unwrap();
    told.events = events["events"][0]["id"].as_u64().unwrap();
}

fn next_plan(client: &Client, service: &Service, known: Option<&str>) -> (String, Value) {
    for _ in 0..30 {
        let mut request = client.get(service.url("/v1/fleets/a/plan")).header("prefer", "wait=10");
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        let response = request.send().unwrap();
        if response.status() == StatusCode::OK {
            let tag = response.headers()["etag"].to_str().unwrap().to_owned();
            return (tag, response.json().unwrap());
        }
    }
    panic!("no plan came");
}

/// Reads every plan that was ever published from the store itself.
fn under_their_caps(path: &Path) -> usize {
    let store = Store::open(path, &Settings::default()).expect("a sound store");
    let fleet = store.read(|v| v.fleet("a")).wait().unwrap().expect("the fleet");
    let plans = store.read(move |v| v.plans(fleet.uid, None, 100_000)).wait().unwrap();
    for (plan, number) in plans.iter().rev().zip(plans.last().map_or(1, |p| p.number)..) {
        assert_eq!(plan.number, number, "numbers have no hole");
        let summary: Value = serde_json::from_str(&plan.summary).unwrap();
        assert_eq!(summary["checked"], true, "plan {number}");
        for (site, cap) in summary["cap_w"].as_object().unwrap() {
            let (cap, draw) = (cap.as_f64().unwrap(), summary["predicted_w"][site].as_f64().unwrap());
            assert!(draw <= cap * (1.0 + 1e-9), "plan {number}: {draw} W at {site}, capped at {cap} W");
        }
    }
    plans.len()
}
