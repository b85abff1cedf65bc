//! `ecomap-executor emulate`.

use crate::ExecutorError;
use crate::agent::start::{Parts, start};
use crate::agent::{AgentSettings, http};
use crate::clock::{SystemClock, WallClock};
use crate::emulate::board::EmulateError;
use crate::emulate::{EmulatedBoard, Setup};
use crate::http::body::Bounds;
use crate::http::server;
use crate::http::v2::{self, Api};
use ecomap_instances::{Catalog, Seed};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Options of `ecomap-executor emulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Hardware profile of the catalogue
    #[arg(long, default_value = "jetson-agx-xavier")]
    pub profile: String,
    /// Name of the board in scenarios
    #[arg(long)]
    pub device: String,
    /// File with the service's public key
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,
    /// Folder for the last plan and for telemetry that waits
    #[arg(long, value_name = "FOLDER")]
    pub state: PathBuf,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Base address of the service, to announce the board and send telemetry
    #[arg(long, value_name = "URL")]
    pub service: Option<String>,
    /// Where the service reaches this agent; absent: where it listens
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// File with the bearer token for the service
    #[arg(long, value_name = "FILE")]
    pub token: Option<PathBuf>,
    /// Emulated seconds in a real one
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Seed of arrivals and spreads
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Power mode in which the board stays when its budget has expired; absent: that of least budget
    #[arg(long, value_name = "MODE")]
    pub safe_mode: Option<String>,
    /// Seconds between reports
    #[arg(long, default_value_t = 10)]
    pub report_every: u64,
    /// End when standard input does
    #[arg(long)]
    pub until_stdin_ends: bool,
}

/// Most bytes of a request; no model is here that would look at them.
const MAX_BODY: u64 = 32 << 20;
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Emulates a board until the process is told to end (SIGINT or SIGTERM).
///
/// # Errors
/// [`ExecutorError::Agent`] or [`ExecutorError::Bind`].
pub fn run(args: Args) -> Result<(), ExecutorError> {
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    workers.map_err(ExecutorError::Start)?.block_on(serve(args))
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> ExecutorError {
    ExecutorError::Agent(Box::new(error))
}

async fn serve(args: Args) -> Result<(), ExecutorError> {
    let unknown = || boxed(EmulateError::Profile(args.profile.clone()));
    let catalog = Catalog::embedded().map_err(|_| unknown())?;
    let profile = Arc::clone(catalog.profile(&args.profile).ok_or_else(unknown)?);
    let clock: Arc<dyn WallClock> = Arc::new(SystemClock::new());
    let setup = Setup { speed: args.speed, seed: Seed(args.seed) };
    let emulated = EmulatedBoard::new(Arc::clone(&profile), setup, Arc::clone(&clock)).map_err(boxed)?;
    let failed = |source| ExecutorError::Bind { addr: args.listen, source };
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let settings = AgentSettings {
        address: Some(args.address.unwrap_or_else(|| format!("http://{local}"))),
        service: args.service,
        token: args.token,
        safe_mode: args.safe_mode,
        report_every_s: args.report_every,
        ..AgentSettings::new(args.device, args.profile, args.public_key, args.state)
    };
    let parts =
        Parts { profile, runtime: emulated.runtime(), modes: emulated.modes(), source: emulated.power() };
    let running = start(&settings, parts, Arc::clone(&clock)).map_err(boxed)?;
    let _driver = emulated.drive(clock).map_err(ExecutorError::Start)?;
    // A reader that went away is no error.
    let _ = writeln!(
        std::io::stdout().lock(),
        "emulated {} `{}` at {}x on http://{local}; nothing runs here, all figures are the simulator's",
        settings.profile,
        settings.device,
        args.speed
    );
    let api = Api {
        runtime: emulated.runtime(),
        bounds: Bounds::new(MAX_BODY, PATIENCE, 4 * MAX_BODY),
        patience: PATIENCE,
    };
    let limits = server::Limits { connections: 256, header: PATIENCE, grace: PATIENCE };
    http::serve(listener, v2::routes(api), limits, Some(&running), server::signals_or(args.until_stdin_ends))
        .await;
    Ok(())
}
