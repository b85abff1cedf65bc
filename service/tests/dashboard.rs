//! The page at `/` in a real browser: it loads, shows values that change, fits a phone, and goes on after the service
//! was killed and started again. Needs Debian's `chromium` and `chromium-driver` (`make setup` brings them); skipped,
//! and said so, where they are missing.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::future::Future;
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
    command.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--store").arg(store).env("ECOMAP_LOG", "warn");
    start(&mut command, |l| l.contains("http://")).expect("the service starts").0
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = ask().await {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await; // between two looks at a condition
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn text(page: &Client, css: &str) -> String {
    let element = page.find(Locator::Css(css)).await.expect(css);
    element.text().await.unwrap_or_default()
}

async fn js(page: &Client, code: &str) -> Value {
    page.execute(code, Vec::new()).await.expect(code)
}

async fn plan(page: &Client) -> Option<u64> {
    js(page, "return Number(document.body.dataset.plan ?? 0)").await.as_u64().filter(|n| *n > 0)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_a_live_fleet_and_survives_a_restart() {
    let mut driver = Command::new("chromedriver");
    driver.arg("--port=0").env("HOME", std::env::temp_dir());
    let Some((_driver, line)) = start(&mut driver, |l| l.contains("on port")) else {
        eprintln!("skipped: chromedriver is not installed (Debian: chromium, chromium-driver)");
        return;
    };
    let driven: String =
        line.rsplit("port").next().unwrap().chars().filter(char::is_ascii_digit).collect();
    let profile = tempfile::tempdir().unwrap();
    let store = profile.path().join("store.db");
    let port = free_port();
    let service = serve(port, &store);

    let data = profile.path().join("browser");
    let options = json!({ "goog:chromeOptions": { "args": [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
        "--window-size=1200,900", format!("--user-data-dir={}", data.display()),
    ] } });
    let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
        .capabilities(options.as_object().unwrap().clone())
        .connect(&format!("http://127.0.0.1:{driven}"))
        .await
        .expect("a browser session");
    page.goto(&format!("http://127.0.0.1:{port}/")).await.unwrap();

    // It loads, and says what is made up.
    let first = until("the first plan", || plan(&page)).await;
    assert!(text(&page, "#clock").await.contains("synthetic"));
    until("a live stream", || async { (text(&page, "#link").await == "live").then_some(()) }).await;
    assert_eq!(js(&page, "return document.querySelectorAll('#tenants tbody tr').length").await, json!(5));
    assert!(text(&page, "#devices").await.contains("xavier"));
    assert!(text(&page, "#tiles").await.contains("checker: pass"));

    // Values move by themselves: the clock, and later the plan.
    let clock = text(&page, "#clock").await;
    until("the clock to move", || async { (text(&page, "#clock").await != clock).then_some(()) }).await;
    until("another plan", || async { plan(&page).await.filter(|n| *n > first) }).await;
    until("curves", || async {
        let code = "return [...document.querySelectorAll('#power path')].filter(p => p.getAttribute('d').length > 30).length";
        js(&page, code).await.as_u64().filter(|n| *n >= 2)
    })
    .await;
    until("a list of plans", || async {
        let code = "return document.querySelectorAll('#plans li details').length";
        js(&page, code).await.as_u64().filter(|n| *n >= 2)
    })
    .await;

    // The frontier, with the running plan on it.
    page.find(Locator::Css("#trace")).await.unwrap().click().await.unwrap();
    until("the frontier", || async {
        let code = "return document.querySelectorAll('#frontier circle').length * document.querySelectorAll('#frontier .here').length";
        js(&page, code).await.as_u64().filter(|n| *n >= 2)
    })
    .await;

    // A phone: nothing sticks out at the side.
    page.set_window_size(390, 844).await.unwrap();
    let wide = js(&page, "return document.documentElement.scrollWidth - window.innerWidth").await;
    assert!(wide.as_f64().unwrap() <= 1.0, "{wide} pixels too wide");
    page.set_window_size(1200, 900).await.unwrap();

    // Killed and started again: the page says so, and goes on with the plans that were published.
    let before = plan(&page).await.unwrap();
    drop(service);
    until("the loss to show", || async { text(&page, "#link").await.contains("trying again").then_some(()) }).await;
    let _service = serve(port, &store);
    until("the stream again", || async { (text(&page, "#link").await == "live").then_some(()) }).await;
    let after = until("a plan again", || async { plan(&page).await.filter(|n| *n >= before) }).await;
    until("new plans", || async { plan(&page).await.filter(|n| *n > after) }).await;

    if let Ok(file) = std::env::var("ECOMAP_SCREENSHOT") {
        std::fs::write(file, page.screenshot().await.unwrap()).unwrap();
    }
    page.close().await.unwrap();
}
