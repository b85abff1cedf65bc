//! `ecomap-executor emulate`.

use crate::agent::start::{Parts, StartError, start};
use crate::agent::{AgentSettings, Clock, SystemClock, http};
use crate::emulate::board::EmulateError;
use crate::emulate::{EmulatedBoard, Setup};
use ecomap_instances::{Catalog, Seed};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
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
}

/// Why a board is not emulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The catalogue has no such profile.
    #[error("no hardware profile `{0}` (`ecomap catalog` lists them)")]
    Profile(String),
    /// The board cannot be emulated.
    #[error(transparent)]
    Emulate(#[from] EmulateError),
    /// The agent cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot listen, or has no threads.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
}

/// Emulates a board until the process is told to end (SIGINT or SIGTERM).
///
/// # Errors
/// [`CliError`].
pub fn run(args: Args) -> Result<(), CliError> {
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let workers = workers.map_err(|e| CliError::Listen(args.listen, e))?;
    workers.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), CliError> {
    let unknown = || CliError::Profile(args.profile.clone());
    let catalog = Catalog::embedded().map_err(|_| unknown())?;
    let profile = Arc::clone(catalog.profile(&args.profile).ok_or_else(unknown)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let setup = Setup { speed: args.speed, seed: Seed(args.seed) };
    let emulated = EmulatedBoard::new(Arc::clone(&profile), setup, Arc::clone(&clock))?;
    let failed = |e| CliError::Listen(args.listen, e);
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
    let running = start(&settings, parts, Arc::clone(&clock))?;
    let _driver = emulated.drive(clock).map_err(EmulateError::from)?;
    // A reader that went away is no error.
    let _ = writeln!(
        std::io::stdout().lock(),
        "emulated {} `{}` at {}x on http://{local}; nothing runs here, all figures are the simulator's",
        settings.profile,
        settings.device,
        args.speed
    );
    let server = warp::serve(http::routes(running.handle())).incoming(listener).graceful(told_to_end()).run();
    tokio::select! {
        () = server => {}
        () = running.speak() => {}
    }
    Ok(())
}

/// Ends when the process is told to.
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}
