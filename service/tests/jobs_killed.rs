//! The service is killed again and again while it takes and solves jobs: nothing that it
//! acknowledged is lost.
#![allow(clippy::expect_used)] // tests

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SCENARIO: &str = "tiny";
const KILLS: usize = 10;

struct Service {
    child: Child,
    url: String,
}

impl Service {
    fn start(store: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ecomap"))
            .args(["serve", "--no-demo", "--listen", "127.0.0.1:0", "--workers", "1", "--store"])
            .arg(store)
            .env("ECOMAP_LOG", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let out = child.stdout.take().expect("piped");
        let line = BufReader::new(out).lines().next().expect("a banner").expect("text");
        let url = line.split(' ').find(|w| w.starts_with("http://")).expect("an address");
        Self { child, url: url.trim_end_matches(',').to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().expect("runs"); // SIGKILL
        self.child.wait().expect("ends");
    }
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store.db");
    let document = ecomap_instances::scenarios::embedded(SCENARIO).expect("embedded");
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build();
    let client = client.expect("a client");
    let mut acknowledged = Vec::new();
    for round in 0..KILLS {
        let service = Service::start(&store);
        // The kill comes while the last request is on its way, after another number of jobs each time.
        for n in 0..=round * 3 {
            let request = client.post(format!("{}/v1/solve", service.url)).body(document.to_vec());
            let request =
                request.header("prefer", "respond-async").header("idempotency-key", format!("{round}-{n}"));
            let response = request.send().expect("answers");
            assert_eq!(response.status(), 202);
            acknowledged.push(response.headers()["location"].to_str().expect("text").to_owned());
        }
        let last = client.post(format!("{}/v1/solve", service.url)).body(document.to_vec());
        let last = last.header("prefer", "respond-async").header("idempotency-key", format!("{round}-last"));
        let sent = std::thread::spawn(move || last.send());
        service.kill();
        if let Ok(response) = sent.join().expect("no panic") {
            acknowledged.push(response.headers()["location"].to_str().expect("text").to_owned());
        }
    }
    let service = Service::start(&store);
    for location in &acknowledged {
        let request = client.get(format!("{}{location}", service.url)).header("prefer", "wait=60");
        let response = request.send().expect("answers");
        assert_eq!(response.status(), 200, "{location} is lost");
        let job: Value = response.json().expect("JSON");
        assert_eq!(job["state"], "done", "{job:#}");
        assert_eq!(job["result"]["certificate"]["checker"]["verdict"], "pass");
    }
    // A request sent again after the crash gets the job of the first time.
    let request = client.post(format!("{}/v1/solve", service.url)).body(document.to_vec());
    let response = request.header("idempotency-key", "0-0").send().expect("answers");
    assert_eq!(response.headers()["location"].to_str().ok(), acknowledged.first().map(String::as_str));
    service.kill();
}
