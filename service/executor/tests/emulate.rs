//! `ecomap-executor emulate` as a process: it says what it is, takes signed plans, keeps them over a kill, and ends with
//! its standard input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use ecomap_instances::Catalog;
use ecomap_instances::format::agent_v1::{SIGNATURE_HEADER, plan_path, signed_bytes};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DEVICE: &str = "yard/xavier-1";

/// A process that does not outlive the test.
struct Board {
    child: Child,
    base: String,
    client: reqwest::blocking::Client,
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Board {
    fn start(folder: &Path) -> Self {
        let public = folder.join("service.pub");
        std::fs::write(&public, hex(key().verifying_key().as_bytes())).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ecomap-executor"))
            .args(["emulate", "--profile", "jetson-agx-xavier", "--device", DEVICE, "--speed", "10"])
            .args(["--listen", "127.0.0.1:0", "--until-stdin-ends", "--public-key"])
            .arg(&public)
            .arg("--state")
            .arg(folder.join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("emulated jetson-agx-xavier"), "{line}");
        let base = line.split_whitespace().find(|w| w.starts_with("http://")).unwrap();
        let base = base.trim_end_matches(';').to_owned();
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        Self { child, base, client }
    }

    fn status(&self) -> Value {
        self.client.get(format!("{}/agent/v1/status", self.base)).send().unwrap().json().unwrap()
    }

    fn tell(&self, method: reqwest::Method, path: &str, body: &str) -> reqwest::blocking::Response {
        let signature = key().sign(&signed_bytes(DEVICE, method.as_str(), path, body.as_bytes()));
        let request = self.client.request(method, format!("{}{path}", self.base));
        let request = request.header(SIGNATURE_HEADER, format!("ed25519 {}", hex(&signature.to_bytes())));
        request.body(body.to_owned()).send().unwrap()
    }
}

fn orders() -> String {
    let catalog = Catalog::embedded().unwrap();
    let tier = &catalog.family("resnet").unwrap().tiers[0];
    let latency = json!({ "p50": 20.0, "p95": 25.0, "p99": 30.0 });
    json!({
        "format": "ecomap.orders/v1", "version": 1, "device": DEVICE, "site": "yard", "profile": "jetson-agx-xavier",
        "mode": "MAXN", "power_w": 20.0, "tasks": [{
            "tenant": "cam", "family": "resnet", "tier": tier.id.as_str(),
            "segments": [{ "from_block": 0, "to_block": tier.blocks.len(), "unit": "gpu" }], "rate_per_s": 10.0,
            "network_ms": 0.0, "predicted_ms": latency, "isolated_ms": latency, "power_w": 1.0,
        }],
    })
    .to_string()
}

#[test]
fn a_board_is_emulated_killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board::start(folder.path());
    assert_eq!((&board.status()["basis"], &board.status()["running"]), (&json!("emulated"), &Value::Null));
    let unsigned = board.client.put(format!("{}{}", board.base, plan_path(1))).body(orders()).send().unwrap();
    assert!(unsigned.status().is_client_error());
    let prepared = board.tell(reqwest::Method::PUT, &plan_path(1), &orders());
    assert!(prepared.status().is_success(), "{}", prepared.text().unwrap());
    let committed = board.tell(reqwest::Method::POST, &format!("{}/commit", plan_path(1)), "");
    assert!(committed.status().is_success(), "{}", committed.text().unwrap());
    let model: Value =
        board.client.get(format!("{}/v2/models/cam", board.base)).send().unwrap().json().unwrap();
    assert!(model.to_string().contains("emulated"), "{model}");
    drop(board);
    let mut again = Board::start(folder.path());
    while again.status()["running"] != 1 {
        std::thread::yield_now();
    }
    // Whoever holds the pipe ends it.
    drop(again.child.stdin.take());
    assert!(again.child.wait().unwrap().success());
}
