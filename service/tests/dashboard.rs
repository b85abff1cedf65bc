//! The page at `/` in a real browser: it loads, shows values that change, fits a phone, and goes on after the service
//! was killed and started again. Needs Debian's `chromium` and `chromium-driver` (`make setup` brings them); skipped,
//! and said so, where they are missing.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use ecomap_solver::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(90);

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first line of a program's output that `wanted` accepts; the rest is read and dropped, so that it never blocks.
fn start(command: &mut Command, wanted: impl Fn(&str) -> bool) -> Option<(Process, String)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    let process = Process(child);
    let line = lines.by_ref().map_while(Result::ok).find(|l| wanted(l))?;
    std::thread::spawn(move || lines.for_each(drop));
    Some((process, line))
}

fn serve(port: u16, store: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecomap"));
    command.args(["serve", "--scenario", "xavier-5", "--workers", "1", "--fleet-workers", "1"]);
    command
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--store")
        .arg(store)
        .env("ECOMAP_LOG", "warn");
    start(&mut command, |l| l.contains("http://")).expect("the service starts").0
}

/// A browser, driven over the W3C WebDriver protocol.
struct Page {
    client: reqwest::blocking::Client,
    session: String,
}

impl Page {
    fn open(driver: &str, profile: &Path) -> Self {
        let client =
            reqwest::blocking::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
            "--window-size=1200,900", format!("--user-data-dir={}", profile.display()),
        ] } } } });
        let mut page = Self { client, session: driver.to_owned() };
        let id = page.post("/session", &capabilities)["sessionId"].as_str().expect("a session").to_owned();
        page.session = format!("{driver}/session/{id}");
        page
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let answer = self.client.post(format!("{}{command}", self.session)).json(body).send().expect(command);
        let good = answer.status().is_success();
        let mut answer: Value = answer.json().expect("JSON");
        assert!(good, "{command}: {answer}");
        answer["value"].take()
    }

    fn goto(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    fn js(&self, code: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": code, "args": [] }))
    }

    fn text(&self, css: &str) -> String {
        let text = self.js(&format!("return document.querySelector({css:?}).textContent"));
        text.as_str().unwrap_or_default().to_owned()
    }

    fn count(&self, css: &str) -> u64 {
        self.js(&format!("return document.querySelectorAll({css:?}).length")).as_u64().expect("a number")
    }

    /// Number of the plan shown.
    fn plan(&self) -> Option<u64> {
        self.js("return Number(document.body.dataset.plan ?? 0)").as_u64().filter(|n| *n > 0)
    }

    fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", &json!({ "width": width, "height": height }));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.client.delete(&self.session).send();
    }
}

/// Asks again until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    let end = clock.now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(clock.now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(100)); // between two looks at a condition
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

#[test]
fn the_page_shows_a_live_fleet_and_survives_a_restart() {
    let mut driver = Command::new("chromedriver");
    driver.arg("--port=0").env("HOME", std::env::temp_dir());
    let Some((_driver, line)) = start(&mut driver, |l| l.contains("successfully on port")) else {
        eprintln!("skipped: chromedriver is not installed (Debian: chromium, chromium-driver)");
        return;
    };
    let driven: String = line.rsplit("port").next().unwrap().chars().filter(char::is_ascii_digit).collect();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store.db");
    let port = free_port();
    let service = serve(port, &store);
    let page = Page::open(&format!("http://127.0.0.1:{driven}"), &folder.path().join("browser"));
    page.goto(&format!("http://127.0.0.1:{port}/"));

    // It loads, and says what is made up.
    let first = until("the first plan", || page.plan());
    assert!(page.text("#clock").contains("synthetic"));
    until("a live stream", || (page.text("#link") == "live").then_some(()));
    assert_eq!(page.count("#tenants tbody tr"), 5);
    assert!(page.text("#devices").contains("xavier"));
    assert!(page.text("#tiles").contains("checker: pass"));

    // Values move by themselves: the clock, and later the plan.
    let clock = page.text("#clock");
    until("the clock to move", || (page.text("#clock") != clock).then_some(()));
    until("another plan", || page.plan().filter(|n| *n > first));
    until("curves", || {
        let code = "return [...document.querySelectorAll('#power path')].filter(p => p.getAttribute('d').length > 30).length";
        page.js(code).as_u64().filter(|n| *n >= 2)
    });
    until("a list of plans", || (page.count("#plans li details") >= 2).then_some(()));

    // The frontier, with the running plan on it.
    page.js("document.querySelector('#trace').click()");
    until("the frontier", || {
        (page.count("#frontier circle") >= 2 && page.count("#frontier .here") == 1).then_some(())
    });

    // A phone: nothing sticks out at the side.
    page.resize(390, 844);
    let wide = page.js("return document.documentElement.scrollWidth - window.innerWidth");
    assert!(wide.as_f64().unwrap() <= 1.0, "{wide} pixels too wide");
    page.resize(1200, 1400);

    // Killed and started again: the page says so, and goes on with the plans that were published.
    let before = page.plan().unwrap();
    drop(service);
    until("the loss to show", || page.text("#link").contains("trying again").then_some(()));
    let _service = serve(port, &store);
    until("the stream again", || (page.text("#link") == "live").then_some(()));
    let after = until("a plan again", || page.plan().filter(|n| *n >= before));
    until("new plans", || page.plan().filter(|n| *n > after));
}
