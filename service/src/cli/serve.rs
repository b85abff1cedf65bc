//! `ecomap serve`.

use super::access_args::AccessArgs;
use super::jobs_args::JobsArgs;
use super::{Exit, out, parse_seconds};
use crate::ServiceError;
use crate::fleets::boards::BoardsConfig;
use crate::http::server::signals;
use crate::http::{Config, Server};
use crate::input;
use crate::pipeline::{self, Sizes};
use crate::worker::{Isolated, Isolation, SILENCE};
use ecomap_instances::format::Format;
use ecomap_solver::clock::SystemClock;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port; port 0 takes a free one
    #[arg(long, env = "ECOMAP_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Scenario to load: file or name of an embedded one
    #[arg(long, env = "ECOMAP_SCENARIO", default_value = "campus")]
    scenario: String,
    /// Solver threads; one for each core when absent
    #[arg(long, env = "ECOMAP_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Solves that may wait for a thread
    #[arg(long, env = "ECOMAP_QUEUE", default_value_t = 64)]
    queue: u16,
    /// Most bytes of a request body
    #[arg(long, env = "ECOMAP_MAX_BODY", value_name = "BYTES", default_value_t = 16 << 20,
          value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    max_body: u64,
    /// Most bytes of all request bodies in memory together
    #[arg(long, env = "ECOMAP_MAX_BODIES", value_name = "BYTES", default_value_t = 256 << 20)]
    max_bodies: u64,
    /// Seconds for a body to arrive
    #[arg(long, env = "ECOMAP_BODY_TIMEOUT", value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    body_timeout: f64,
    /// Seconds for a request's head to arrive, and for an idle connection
    #[arg(long, env = "ECOMAP_HEADER_TIMEOUT", value_name = "SECONDS", default_value = "15", value_parser = parse_seconds)]
    header_timeout: f64,
    /// Most connections; further ones wait
    #[arg(long, env = "ECOMAP_MAX_CONNECTIONS", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// Most seconds that a client may ask for
    #[arg(long, env = "ECOMAP_MAX_TIME_LIMIT", value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    max_time_limit: f64,
    /// Most options of a problem, before and after pricing
    #[arg(long, env = "ECOMAP_MAX_OPTIONS", default_value_t = 2_000_000)]
    max_options: u64,
    /// Seconds that running requests may go on after SIGTERM
    #[arg(long, env = "ECOMAP_GRACE", value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    grace: f64,
    /// Problems solved in a process of their own, which can always be stopped
    #[arg(long, env = "ECOMAP_ISOLATE", value_enum, default_value_t)]
    isolate: Isolation,
    /// File of the store, where fleets, plans and events are kept; `:memory:` keeps nothing; by default in the
    /// user's data folder
    #[arg(long, env = "ECOMAP_STORE", value_name = "FILE")]
    store: Option<PathBuf>,
    /// Services that know carbon intensities (TOML)
    #[arg(long, env = "ECOMAP_SOURCES", value_name = "FILE")]
    sources: Option<PathBuf>,
    /// Boards that run plans, their addresses and the signing key (TOML)
    #[arg(long, env = "ECOMAP_BOARDS", value_name = "FILE")]
    boards: Option<PathBuf>,
    /// Begin a new store without the fleet `demo`, the scenario on a synthetic, accelerated day
    #[arg(long, env = "ECOMAP_NO_DEMO")]
    no_demo: bool,
    /// Most fleets
    #[arg(long, env = "ECOMAP_MAX_FLEETS", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_fleets: u16,
    /// Solver threads of all fleets together; half the cores when absent
    #[arg(long, env = "ECOMAP_FLEET_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    fleet_workers: Option<u16>,
    /// Most streams of events
    #[arg(long, env = "ECOMAP_MAX_STREAMS", default_value_t = 256)]
    max_streams: u16,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    jobs: JobsArgs,
    /// Write logs as JSON
    #[arg(long, env = "ECOMAP_LOG_JSON")]
    log_json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    start_logs(args.log_json);
    let scenario = input::read(&args.scenario)?;
    // A scenario that does not hold is better refused now than at the first request.
    pipeline::load(
        &scenario.name,
        &scenario.bytes,
        Some(Format::Scenario),
        Sizes::UNBOUNDED,
        &SystemClock::new(),
    )?;
    let defaults = Config::default();
    let config = Config {
        listen: args.listen,
        scenario: Some(scenario),
        workers: args.workers.map_or(defaults.workers, usize::from),
        queue: usize::from(args.queue),
        max_body: args.max_body,
        max_bodies: args.max_bodies,
        body_timeout: Duration::from_secs_f64(args.body_timeout),
        header_timeout: Duration::from_secs_f64(args.header_timeout),
        max_connections: usize::try_from(args.max_connections).unwrap_or(defaults.max_connections),
        max_time_limit: Duration::from_secs_f64(args.max_time_limit),
        max_options: args.max_options,
        grace: Duration::from_secs_f64(args.grace),
        store: store(args.store.as_deref()),
        kept: ecomap_store::Settings { fleets: u64::from(args.max_fleets), ..defaults.kept },
        sources: args.sources.clone(),
        boards: args.boards.as_deref().map(BoardsConfig::read).transpose()?,
        demo: !args.no_demo,
        fleet_workers: args.fleet_workers.map_or(defaults.fleet_workers, usize::from),
        max_streams: usize::from(args.max_streams),
        isolated: std::env::current_exe().ok().map(|program| Isolated {
            isolation: args.isolate,
            program,
            silence: SILENCE,
        }),
        access: args.access.access()?,
        jobs: args.jobs.jobs(),
        otlp: args.access.otlp()?,
        ..defaults
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServiceError::Start)?;
    runtime.block_on(async {
        let name = config.scenario.as_ref().map_or_else(String::new, |d| d.name.clone());
        let kept = config.store.as_ref().map_or_else(|| "in memory".to_owned(), |p| p.display().to_string());
        let server = Server::bind(config).await?;
        let _ = out::print(&banner(server.address(), &name, &kept));
        server.run(signals()).await;
        Ok::<_, ServiceError>(())
    })?;
    // Solves that would not stop must not keep the process.
    runtime.shutdown_background();
    Ok(Exit::Ok)
}

/// Logs on standard error, as `ECOMAP_LOG` wants them.
pub(super) fn start_logs(json: bool) {
    let filter = EnvFilter::try_from_env("ECOMAP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    // Fails only when logs were started before.
    let _ = if json { logs.json().try_init() } else { logs.try_init() };
}

/// Where the store is: as told, else in the user's data folder; `None` in memory.
fn store(told: Option<&Path>) -> Option<PathBuf> {
    if let Some(told) = told {
        return (told != Path::new(":memory:")).then(|| told.to_owned());
    }
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
    // A service without a home keeps its store where it runs.
    Some(data.map_or_else(|| PathBuf::from("ecomap.db"), |data| data.join("ecomap").join("ecomap.db")))
}

/// What to try next.
fn banner(address: SocketAddr, scenario: &str, kept: &str) -> String {
    format!(
        "ecomap {} listens on http://{address}, scenario `{scenario}`, store {kept}

Try in another terminal:
  curl -s http://{address}/v1/scenarios/{scenario} > {scenario}.json
  curl -s -d @{scenario}.json http://{address}/v1/solve
  curl -s -d @{scenario}.json 'http://{address}/v1/solve?objective=carbon&time_limit_s=10'
  curl -s http://{address}/ready
  curl -s http://{address}/v1/fleets
  curl -N http://{address}/v1/fleets/demo/events
Documentation: http://{address}/docs/
Ctrl-C stops.
",
        env!("CARGO_PKG_VERSION")
    )
}
