//! Carbon sources over real connections: a local server stands in for the public services, answering in their
//! recorded shapes with times moved to now, and failing in every way that they fail.
//!
//! Shapes are those of `../shared/data/carbon/api_fixtures` (or `ECOMAP_DATA`) where it is at hand, else the same
//! written here. No public service is asked.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{Running, config, scenario, start};
use ecomap_service::http::Config;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the stand-in answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Well(f64),
    Status(u16),
    Limited,
    Null,
    OtherZone,
    Ahead,
    Slow,
    Cut,
    Garbage,
    Redirect,
}

struct Stand {
    mode: Mutex<Mode>,
    /// Request heads, in order.
    heads: Mutex<Vec<String>>,
}

fn shape(file: &str, otherwise: &str) -> Value {
    let folder = std::env::var_os("ECOMAP_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = folder.join("carbon/api_fixtures").join(file);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).expect("a recorded answer"),
        Err(_) => {
            println!("{}: not at hand, the shape written here is used", path.display());
            serde_json::from_str(otherwise).unwrap()
        }
    }
}

fn hour(now: Timestamp, offset: i64) -> String {
    let zoned = (now + SignedDuration::from_hours(offset)).to_zoned(TimeZone::UTC);
    zoned.strftime("%Y-%m-%dT%H:00:00.000Z").to_string()
}

/// Electricity Maps' latest value, moved to this hour.
fn latest(now: Timestamp, grams: Option<f64>, zone: Option<&str>, offset: i64) -> Value {
    let mut value = shape(
        "electricitymaps_v3/latest_carbon_intensity.json",
        r#"{"zone":"DE","carbonIntensity":302,"datetime":"","updatedAt":"","createdAt":"",
            "emissionFactorType":"lifecycle","isEstimated":true,"estimationMethod":"TIME_SLICER_AVERAGE"}"#,
    );
    value["zone"] = json!(zone.unwrap_or("DE"));
    value["carbonIntensity"] = json!(grams);
    for name in ["datetime", "updatedAt", "createdAt"] {
        value[name] = json!(hour(now, offset));
    }
    value
}

fn forecast(now: Timestamp) -> Value {
    let mut value = shape(
        "electricitymaps_v3/forecast.json",
        r#"{"zone":"DE","forecast":[{"carbonIntensity":326,"datetime":""}],"updatedAt":""}"#,
    );
    value["zone"] = json!("DE");
    value["updatedAt"] = json!(hour(now, 0));
    for (n, point) in value["forecast"].as_array_mut().unwrap().iter_mut().enumerate() {
        point["datetime"] = json!(hour(now, i64::try_from(n).unwrap() + 1));
    }
    value
}

/// The half hours of Great Britain from half an hour ago on.
fn uk(now: Timestamp, grams: f64) -> Value {
    let step = SignedDuration::from_mins(30);
    let first = Timestamp::from_second(now.as_second().div_euclid(1_800) * 1_800).unwrap() - step;
    let text = |at: Timestamp| at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%MZ").to_string();
    let half = |n: i32| {
        let from = first + step * n;
        let actual = (n == 0).then_some(grams);
        json!({ "from": text(from), "to": text(from + step),
                "intensity": { "forecast": grams, "actual": actual, "index": "moderate" } })
    };
    json!({ "data": (0..6).map(half).collect::<Vec<_>>() })
}

impl Stand {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stand = Arc::new(Self { mode: Mutex::new(Mode::Well(100.0)), heads: Mutex::default() });
        let own = Arc::clone(&stand);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&own).answer(socket));
            }
        });
        (stand, address)
    }

    async fn answer(self: Arc<Self>, mut socket: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if socket.read_exact(&mut byte).await.is_err() {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mode = *self.mode.lock().unwrap();
        let path = head.split_whitespace().nth(1).unwrap().to_owned();
        let known = head.to_ascii_lowercase().contains("if-none-match");
        self.heads.lock().unwrap().push(head);
        let now = Timestamp::now();
        let ok = |body: &Value, tag: &str| {
            let body = body.to_string();
            format!(
                "HTTP/1.1 200 OK\r\nETag: \"{tag}\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
        };
        let bare = |status: &str, more: &str| {
            format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n")
        };
        let text = match mode {
            Mode::Well(grams) if path.contains("/intensity/") => ok(&uk(now, grams), "uk"),
            Mode::Well(_) if path.contains("forecast") && known => bare("304 Not Modified", ""),
            Mode::Well(_) if path.contains("forecast") => ok(&forecast(now), "forecast"),
            Mode::Well(grams) => ok(
                &latest(now, Some(grams), None, 0),
                &format!("latest-{}", self.heads.lock().unwrap().len()),
            ),
            Mode::Status(status) => bare(&format!("{status} No"), ""),
            Mode::Limited => bare("429 Too Many Requests", "Retry-After: 1\r\n"),
            Mode::Null => ok(&latest(now, None, None, 0), "null"),
            Mode::OtherZone => ok(&latest(now, Some(100.0), Some("FR"), 0), "fr"),
            Mode::Ahead => ok(&latest(now, Some(100.0), None, 3), "ahead"),
            Mode::Garbage => ok(&json!("garbage"), "garbage"),
            Mode::Redirect => bare("302 Found", "Location: http://127.0.0.1:1/\r\n"),
            Mode::Cut => {
                "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n{\"zone\":".to_owned()
            }
            Mode::Slow => {
                // Says nothing until the client gives up.
                let _ = socket.read(&mut [0]).await;
                return;
            }
        };
        let _ = socket.write_all(text.as_bytes()).await;
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

/// A service whose configuration knows the stand-in, and a fleet that listens to it.
async fn fleet(address: SocketAddr, sources: Value) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "tok-1\n").unwrap();
    let path = folder.path().join("sources.toml");
    let text = format!(
        "[service.maps]\nkind = \"electricity_maps\"\nurl = \"http://{address}\"\ntoken_file = {token:?}\n\
         interval_s = 1\ntimeout_s = 1\nrequests_per_hour = 10000\n\
         [service.gb]\nkind = \"uk_carbon_intensity\"\nurl = \"http://{address}/uk\"\ninterval_s = 1\n\
         [service.nobody]\nkind = \"uk_carbon_intensity\"\nurl = \"http://127.0.0.1:1\"\ninterval_s = 1\n"
    );
    std::fs::write(&path, text).unwrap();
    let server = start(Config { sources: Some(path), ..config() }).await;
    let mut scenario: Value = serde_json::from_slice(&scenario("xavier-3")).unwrap();
    for zone in scenario["zones"].as_array_mut().unwrap() {
        zone["id"] = json!("north");
    }
    for site in scenario["sites"].as_array_mut().unwrap() {
        site["zone"] = json!("north");
    }
    let document = json!({ "format": "ecomap.fleet/v1", "scenario": scenario,
        "carbon": { "north": { "sources": sources } }, "control": { "every_s": 86_400 } });
    let put = server.client.put(server.url("/v1/fleets/a")).json(&document).send().await.unwrap();
    assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
    (server, folder)
}

/// Waits until the zone's state satisfies a condition.
async fn zone(server: &Running, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let wait = async {
        loop {
            let state: Value = server.get("/v1/fleets/a/state").await.json().await.unwrap();
            if let Some(zone) = state["zones"].get(0).filter(|z| holds(z)) {
                return zone.clone();
            }
            // Every failure and every word of a source makes a turn: the state changes with an event.
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: not in time"))
}

fn maps() -> Value {
    json!({ "source": "service", "name": "maps", "zone": "DE" })
}

#[tokio::test]
async fn every_failure_is_shown_and_passes() {
    let (stand, address) = Stand::start().await;
    let (server, _folder) = fleet(address, json!([maps()])).await;
    let good = zone(&server, "the first word", |z| z["intensity_g_per_kwh"] == 100.0).await;
    assert_eq!(
        (&good["provenance"], &good["source"], &good["level"]),
        (&json!("source"), &json!("maps"), &json!(0))
    );
    let mut grams = 100.0;
    for (mode, word) in [
        (Mode::Status(401), "credentials"),
        (Mode::Limited, "slow down"),
        (Mode::Status(500), "status 500"),
        (Mode::Slow, "no answer within 1 s"),
        (Mode::Cut, "cut off"),
        (Mode::Null, "no value"),
        (Mode::OtherZone, "FR"),
        (Mode::Ahead, "future"),
        (Mode::Garbage, "malformed"),
        (Mode::Redirect, "status 302"),
    ] {
        stand.set(mode);
        let what = format!("{mode:?}");
        let failing =
            zone(&server, &what, |z| z["failing"]["maps"].as_str().is_some_and(|w| w.contains(word))).await;
        assert_eq!(failing["intensity_g_per_kwh"], grams, "{what}: the last word stands while it is fresh");
        assert!(!failing.to_string().contains("127.0.0.1") && !failing.to_string().contains("tok-1"));
        grams += 10.0;
        stand.set(Mode::Well(grams));
        let well = zone(&server, "recovery", |z| z["intensity_g_per_kwh"] == grams).await;
        assert_eq!(well["failing"], json!({}), "after {what}");
    }
    let heads = stand.heads.lock().unwrap().clone();
    assert!(heads.iter().all(|h| h.to_ascii_lowercase().contains("auth-token: tok-1")));
    let conditional = |h: &&String| h.contains("/forecast") && h.contains("\"forecast\"");
    assert!(heads.iter().filter(conditional).count() > 1, "an answer with an ETag is asked for by it");
    server.ended().await;
}

#[tokio::test]
async fn the_next_source_speaks_where_the_first_does_not() {
    let (stand, address) = Stand::start().await;
    stand.set(Mode::Well(250.0));
    let sources = json!([
        { "source": "service", "name": "nobody", "zone": "GB" },
        { "source": "service", "name": "gb", "zone": "GB" },
    ]);
    let (server, _folder) = fleet(address, sources).await;
    let second = zone(&server, "the second source", |z| z["source"] == "gb").await;
    assert_eq!((&second["level"], &second["intensity_g_per_kwh"]), (&json!(1), &json!(250.0)));
    let both = zone(&server, "why the first fails", |z| z["failing"]["nobody"].is_string()).await;
    assert!(both["failing"]["nobody"].as_str().unwrap().contains("no connection"), "{both}");
    let events: Value = server.get("/v1/fleets/a/events?stream=false&after=0").await.json().await.unwrap();
    let word = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["data"]["level"] == 1)
        .expect("an event says so");
    assert_eq!(word["kind"], "carbon_source");
    server.ended().await;
}
