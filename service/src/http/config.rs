//! Limits of the service. Each has a command-line flag of `ecomap serve`.

use crate::access::AccessConfig;
use crate::fleets::boards::BoardsConfig;
use crate::input::{self, Document};
use crate::jobs::JobsConfig;
use crate::pipeline::Sizes;
use crate::telemetry::OtlpConfig;
use crate::worker::Isolated;
use ecomap_store::Settings;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How the service runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Scenario shown under `/v1/scenarios` as loaded.
    pub scenario: Option<Document>,
    /// Solver threads.
    pub workers: usize,
    /// Solves that may wait for a thread.
    pub queue: usize,
    /// Most bytes of a body.
    pub max_body: u64,
    /// Most bytes of all bodies together.
    pub max_bodies: u64,
    /// Most time for a body to arrive.
    pub body_timeout: Duration,
    /// Most time for a request's head to arrive, and for which an idle connection is kept.
    pub header_timeout: Duration,
    /// Most time for which a client may refuse to take any byte of an answer.
    pub write_timeout: Duration,
    /// Most connections; further ones wait to be accepted.
    pub max_connections: usize,
    /// Most time for a solve, parsing and pricing included.
    pub max_time_limit: Duration,
    /// Most threads that one solve may ask for.
    pub max_threads: u32,
    /// Most options of a problem, before and after pricing.
    pub max_options: u64,
    /// How long running requests may go on after a signal to stop.
    pub grace: Duration,
    /// File of the store; `None`: in memory, forgotten when the service ends.
    pub store: Option<PathBuf>,
    /// How much the store keeps, the most fleets among it.
    pub kept: Settings,
    /// Configuration of carbon sources (TOML).
    pub sources: Option<PathBuf>,
    /// Boards that plans may be brought to; `None`: there are none.
    pub boards: Option<BoardsConfig>,
    /// Whether to begin with a fleet of the loaded scenario on a synthetic, accelerated day.
    pub demo: bool,
    /// Solver threads of all fleets together.
    pub fleet_workers: usize,
    /// Most streams of events.
    pub max_streams: usize,
    /// Processes to solve in; `None`: on the solver threads.
    pub isolated: Option<Isolated>,
    /// Keys, trusted hosts and origins, rates, audit log.
    pub access: AccessConfig,
    /// Bounds of jobs.
    pub jobs: JobsConfig,
    /// Collector of spans; `None`: nobody collects.
    pub otlp: Option<OtlpConfig>,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            scenario: input::embedded("campus"),
            workers: cores,
            queue: 64,
            max_body: 16 << 20,
            max_bodies: 256 << 20,
            body_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
            max_connections: 1024,
            max_time_limit: Duration::from_secs(60),
            max_threads: u32::try_from(cores).unwrap_or(1),
            max_options: 2_000_000,
            grace: Duration::from_secs(10),
            store: None,
            kept: Settings::default(),
            sources: None,
            boards: None,
            demo: false,
            fleet_workers: cores.div_ceil(2),
            max_streams: 256,
            isolated: None,
            access: AccessConfig::default(),
            jobs: JobsConfig::default(),
            otlp: None,
        }
    }
}

impl Config {
    /// Size limits of a problem.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        // A real object takes well over 32 bytes of text; `{}` over and over is an attack.
        Sizes { objects: self.max_body / 32, options: self.max_options }
    }
}
