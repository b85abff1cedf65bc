//! From a cap that falls to the first answer of the new tier, stage by stage, on this machine.
//!
//! ```sh
//! cargo run --release -p ecomap-benches --bin captorun
//! ```
//!
//! One host board serves three tenants of MobileNet V2 over HTTP on the loopback, with a real agent, real models
//! (weights drawn from a seed) and Poisson load. A clean hour's plan runs; then the zone turns dirty, by a seed:
//!
//! - `cap`: the policy's cap, from the intensity, on a copy of the budgets; it is part of `publish`, too;
//! - `publish`: from the intensity to a plan that keeps the cap, checked (`Controller::begin`);
//! - `orders`: the plan as orders;
//! - `prepare`, `commit`: on the board, signed, over HTTP;
//! - `answer`: from then until a client has the answer of a tenant's new tier;
//! - `all`: from the intensity to that answer.
//!
//! Times are measured. The store and the fleet manager's queue are not in them: `capdrop` and docs/src/performance.md have
//! those. Caps and watts are the model's; this board's profile is a stand-in for the machine.

#![allow(clippy::print_stdout)] // a command line prints

use clap::Parser;
use ecomap_benches::quantile;
use ecomap_dispatch::{Board, Dispatcher, HttpLink, Key, Outcome};
use ecomap_estimator::{Roofline, price};
use ecomap_executor::agent::{self, AgentSettings};
use ecomap_executor::clock::{Clock, SystemClock, WallClock};
use ecomap_executor::http::body::Bounds;
use ecomap_executor::http::server::Limits;
use ecomap_executor::http::v2::{self, Api};
use ecomap_executor::load::{Load, Pattern, Running};
use ecomap_executor::repository::index;
use ecomap_executor::repository::synthetic::tiers;
use ecomap_executor::runtime::Runtime;
use ecomap_executor::runtime::ort::settings::{DEFAULT_UNDER_WAY, Fallback, Provider};
use ecomap_executor::runtime::ort::{OrtRuntime, Settings as RuntimeSettings, UnitSettings};
use ecomap_fleet::{Budgets, Controller, Effort, Published, Settings};
use ecomap_instances::format::orders_v1::{OrdersDto, split};
use ecomap_instances::format::scenario_v1;
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::{TenantId, UnitId};
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_instances::{Catalog, Instance, Scenario};
use ecomap_solver::SolveOptions;
use ecomap_solver::report::{Extra, to_result};
use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

type Fault = Box<dyn std::error::Error + Send + Sync>;

const TENANTS: [&str; 3] = ["gate", "hall", "yard"];
const TIERS: [&str; 5] =
    ["mobilenet-v2-140", "mobilenet-v2-100", "mobilenet-v2-075", "mobilenet-v2-050", "mobilenet-v2-035"];
const RATE_PER_S: f64 = 5.0;
const STAGES: [&str; 7] = ["cap", "publish", "orders", "prepare", "commit", "answer", "all"];
const MAX_BODY: u64 = 32 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Args {
    /// Drops timed
    #[arg(long, default_value_t = 30)]
    drops: usize,
    /// Seed of the dirty hours
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Fault> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let key = Arc::new(Key::new(&"5e".repeat(32))?);
    std::fs::write(folder.path().join("service.pub"), key.public())?;
    repository(&folder.path().join("models"))?;
    let runtime = runtime(&folder.path().join("models"))?;
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rows = workers.block_on(measure(&args, folder.path(), &key, &runtime))?;
    println!("{} drops; ms by stage, measured", rows.len());
    println!("{:<8} {:>9} {:>9} {:>9}", "stage", "median", "p95", "most");
    for (n, stage) in STAGES.iter().enumerate() {
        let at = |share| quantile(rows.iter().filter_map(|r| r.get(n).copied()).collect(), share);
        println!("{stage:<8} {:>9.2} {:>9.2} {:>9.2}", at(0.5), at(0.95), at(1.0));
    }
    Ok(())
}

fn scenario() -> Result<Scenario, Fault> {
    let tenant = |id: &&str| {
        json!({ "id": id, "family": "mobilenet-v2", "tiers": TIERS, "origin": "lab", "rate_per_s": RATE_PER_S,
            "slo": { "quantile": "p95", "latency_ms": 2000 } })
    };
    let text = json!({
        "format": "ecomap.scenario/v1", "name": "one-host",
        "zones": [{ "id": "grid", "carbon_g_per_kwh": 150 }],
        "sites": [{ "id": "lab", "zone": "grid", "budget": { "policy": "linear", "clean_g_per_kwh": 150,
            "dirty_g_per_kwh": 600, "max_w": 20, "min_w": 10.6 } }],
        "devices": [{ "id": "host", "site": "lab", "profile": "host-cpu" }],
        "tenants": TENANTS.iter().map(tenant).collect::<Vec<_>>(),
    });
    let catalog = Catalog::embedded().map_err(Clone::clone)?;
    Ok(scenario_v1::read(text.to_string().as_bytes(), catalog)?)
}

fn repository(root: &Path) -> Result<(), Fault> {
    let catalog = Catalog::embedded().map_err(Clone::clone)?;
    let mut items = Vec::new();
    for tier in tiers::all().into_iter().filter(|t| TIERS.contains(&t.tier)) {
        let item = tier.make(None, Seed(1))?.ok_or("an architecture that cannot be made")?;
        items.push((index::describe(&item, catalog)?, item.bytes));
    }
    index::write(root, None, &items)?;
    Ok(())
}

fn runtime(repository: &Path) -> Result<Arc<dyn Runtime>, Fault> {
    let cores = ecomap_onnxruntime::cores::allowed()?;
    if cores.len() < 2 {
        return Err("two cores are needed".into());
    }
    let units = ["cpu0", "cpu1"].iter().zip(cores).map(|(id, core)| UnitSettings {
        id: UnitId::from(*id),
        provider: Provider::Cpu,
        cores: vec![core],
        threads: 1,
        fallback: Fallback::Refuse,
    });
    let settings = RuntimeSettings {
        profile: Some("host-cpu".to_owned()),
        repository: repository.to_owned(),
        units: units.collect(),
        under_way: DEFAULT_UNDER_WAY,
        memory_bytes: None,
        proc: PathBuf::from("/proc"),
    };
    Ok(Arc::new(OrtRuntime::new(settings, Arc::new(SystemClock::new()))?))
}

fn ms(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

fn orders(instance: &Instance, published: &Published, version: u64) -> Result<Vec<OrdersDto>, Fault> {
    let solution = published.solution.as_ref().ok_or("a plan without its solution")?;
    let result = to_result(instance, solution, Extra::default());
    if result.certificate.checker.verdict != "pass" {
        return Err("a published plan that fails the checker".into());
    }
    Ok(split(&result, version, None))
}

async fn measure(
    args: &Args,
    folder: &Path,
    key: &Arc<Key>,
    runtime: &Arc<dyn Runtime>,
) -> Result<Vec<Vec<f64>>, Fault> {
    let clock: Arc<dyn WallClock> = Arc::new(SystemClock::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let settings = AgentSettings::new(
        "host".to_owned(),
        "host-cpu".to_owned(),
        folder.join("service.pub"),
        folder.join("state"),
    );
    let agent = agent::start::on_board(&settings, Arc::clone(runtime), Arc::clone(&clock))?;
    let api = Api {
        runtime: Arc::clone(runtime),
        bounds: Bounds::new(MAX_BODY, PATIENCE, 4 * MAX_BODY),
        patience: PATIENCE,
    };
    let limits = Limits { connections: 64, header: PATIENCE, grace: PATIENCE };
    let board = Board {
        device: "host".to_owned(),
        link: Arc::new(HttpLink::new("host", &base, Arc::clone(key))?),
        draws_w: None,
    };
    let work = drops(args, &base, board, runtime, &clock);
    let serving = agent::http::serve(listener, v2::routes(api), limits, Some(&agent), std::future::pending());
    tokio::select! {
        rows = work => rows,
        () = serving => Err("the board's server ended".into()),
    }
}

async fn drops(
    args: &Args,
    base: &str,
    board: Board,
    runtime: &Arc<dyn Runtime>,
    clock: &Arc<dyn WallClock>,
) -> Result<Vec<Vec<f64>>, Fault> {
    let scenario = scenario()?;
    let instance = price(&scenario, &Roofline::embedded()?)?.0;
    let budgets = || Budgets::of(&scenario, Watts::ZERO, SignedDuration::ZERO);
    let settings = Settings { options: SolveOptions::default(), gain: 0.01, effort: Effort::Every };
    let mut clean = Controller::new(instance, vec![0], budgets()?, settings);
    let hour = |n: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(n);
    let left = SignedDuration::from_hours(12);
    let ahead = |grams: f64| vec![vec![GramsPerKwh::new(grams); 26]];
    clean.step(hour(1), &ahead(150.0), left)?;
    let running = clean.running().cloned().ok_or("no plan for a clean hour")?;
    let (dispatcher, client) = (Dispatcher::default(), client()?);
    let (boards, mut version) = ([board], 0);
    let mut rng = Seed(args.seed).rng(0);
    let (mut rows, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..4 * args.drops {
        if rows.len() == args.drops {
            break;
        }
        version += 1;
        let before = orders(clean.instance(), &running, version)?;
        committed(&dispatcher, &before, &boards).await?;
        if loads.is_empty() {
            loads = start(runtime, args.seed)?;
        }
        let dirty = ahead(rng.random_range(250.0..650.0));
        let (mut own, mut controller) = (budgets()?, clean.fork(budgets()?));
        let begun = clock.now();
        let caps = own.caps(hour(2), &dirty, (&[0.0], left), 1);
        let cap = clock.now();
        if caps.sites.iter().all(Option::is_none) {
            return Err("a policy without a cap".into());
        }
        let event = clock.now();
        let turn = controller.begin(hour(2), &dirty, left)?;
        let published = clock.now();
        // A cap that the running plan keeps is no drop.
        let Some(plan) = turn.published.first() else { continue };
        version += 1;
        let next = orders(controller.instance(), plan, version)?;
        let ordered = clock.now();
        let (prepare, commit) = committed(&dispatcher, &next, &boards).await?;
        let dispatched = clock.now();
        let Some((tenant, tier)) = changed(&before, &next) else {
            continue;
        };
        first(&client, base, &tenant, &tier, version).await?;
        let answered = clock.now();
        rows.push(
            [
                cap.saturating_sub(begun),
                published.saturating_sub(event),
                ordered.saturating_sub(published),
                prepare,
                commit,
                answered.saturating_sub(dispatched),
                answered.saturating_sub(event),
            ]
            .map(ms)
            .to_vec(),
        );
    }
    for load in loads {
        let report = load.stop();
        if report.failed.0 > 0 {
            return Err(format!("{} requests failed: {:?}", report.failed.0, report.failed.1).into());
        }
    }
    Ok(rows)
}

/// A tenant that another tier serves from now on, and that tier.
fn changed(before: &[OrdersDto], next: &[OrdersDto]) -> Option<(String, String)> {
    let tasks = |list: &'_ [OrdersDto]| -> Vec<(String, String)> {
        list.iter().flat_map(|o| &o.tasks).map(|t| (t.tenant.clone(), t.tier.clone())).collect()
    };
    let old = tasks(before);
    tasks(next).into_iter().find(|task| !old.contains(task))
}

async fn committed(
    dispatcher: &Dispatcher,
    orders: &[OrdersDto],
    boards: &[Board],
) -> Result<(Duration, Duration), Fault> {
    match dispatcher.dispatch(orders, boards).await? {
        Outcome::Committed { prepare, commit, .. } => Ok((prepare, commit)),
        other => Err(format!("a plan was not committed: {other:?}").into()),
    }
}

fn start(runtime: &Arc<dyn Runtime>, seed: u64) -> Result<Vec<Running>, Fault> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut loads = Vec::new();
    for (n, tenant) in (0_u64..).zip(TENANTS) {
        let load = Load {
            tenant: TenantId::from(tenant),
            pattern: Pattern::Poisson { rate_per_s: RATE_PER_S },
            seed: Seed(seed ^ n),
            within: None,
            requests: None,
        };
        loads.push(Running::start(load, Arc::clone(runtime), Arc::clone(&clock))?);
    }
    Ok(loads)
}

fn client() -> Result<reqwest::Client, Fault> {
    Ok(reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

/// Asks the tenant as a client does; the answer must be the new tier's.
async fn first(
    client: &reqwest::Client,
    base: &str,
    tenant: &str,
    tier: &str,
    version: u64,
) -> Result<(), Fault> {
    let pixels = vec![0_u8; 4 * 3 * 224 * 224];
    let model: Value = client.get(format!("{base}/v2/models/{tenant}")).send().await?.json().await?;
    let head = json!({ "inputs": [{ "name": model["inputs"][0]["name"], "shape": [1, 3, 224, 224],
        "datatype": "FP32", "parameters": { "binary_data_size": pixels.len() } }] })
    .to_string();
    let length = head.len();
    let request = client
        .post(format!("{base}/v2/models/{tenant}/infer"))
        .header("inference-header-content-length", length)
        .body([head.into_bytes(), pixels].concat());
    let answer: Value = request.send().await?.json().await?;
    let (said, plan) = (&answer["parameters"]["tier"], &answer["parameters"]["plan_version"]);
    if *said != tier || *plan != version {
        return Err(
            format!("{tenant} was answered by {said} of plan {plan}, not by {tier} of {version}").into()
        );
    }
    Ok(())
}
