//! Puts an agent together from its settings and the board that it is for.

use crate::agent::report::{Pace, Recording, announce};
use crate::agent::store::{Store, StoreError};
use crate::agent::transport::{Http, Token, Transport};
use crate::agent::{Agent, AgentSettings, Board, Gate, Handle, Limits, Problem};
use crate::clock::WallClock;
use crate::power::command::Program;
use crate::power::modes::Fixed;
use crate::power::nvpmodel::Nvpmodel;
use crate::power::{self, PowerModes, PowerSource};
use crate::runtime::Runtime;
use crate::telemetry::{Identity, Recorder, Spool};
use ecomap_instances::profile::Profile;
use ecomap_instances::{Catalog, Code};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings do not fit the board, or a key is missing.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The state folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or folder cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// Path.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// There can be no client for the service.
    #[error("no client for the service: {0}")]
    Client(#[from] reqwest::Error),
}

/// The board that an agent is for.
#[derive(Debug)]
pub struct Parts {
    /// Its hardware profile.
    pub profile: Arc<Profile>,
    /// What runs its models.
    pub runtime: Arc<dyn Runtime>,
    /// Its power modes.
    pub modes: Box<dyn PowerModes>,
    /// What tells its draw.
    pub source: Box<dyn PowerSource>,
}

/// An agent at work, with its telemetry. Both end when this is dropped.
#[derive(Debug)]
pub struct Running {
    // Telemetry asks the agent for its state, so it ends first.
    recording: Recording,
    agent: Agent,
    transport: Option<Arc<dyn Transport>>,
    address: Option<String>,
}

/// Starts an agent. It serves its last plan again, and answers its [`Handle`]; [`Running::speak`] lets it speak to the
/// service.
///
/// # Errors
/// [`StartError`].
pub fn start(
    settings: &AgentSettings,
    parts: Parts,
    clock: Arc<dyn WallClock>,
) -> Result<Running, StartError> {
    let Parts { profile, runtime, modes, source } = parts;
    let gate = Gate::open(&settings.device, &settings.public_key)?;
    let store = Store::open(&settings.state)?;
    let reports = settings.state.join("reports");
    let spool = Spool::open(&reports, settings.reports_kept)
        .map_err(|source| StartError::File { path: reports, source })?;
    let limits = Limits {
        safe_mode: settings.safe_mode.clone(),
        prepared_for: Duration::from_secs(settings.prepared_for_s),
    };
    let board = Board::new(
        (&settings.device, Arc::clone(&profile)),
        (Arc::clone(&runtime), modes),
        (gate, store),
        limits,
        Arc::clone(&clock),
    )?;
    let transport = transport(settings)?;
    let identity = Identity {
        device: settings.device.clone(),
        profile,
        basis: runtime.basis(),
        started_ms: clock.unix_ms(),
    };
    let recorder = Recorder::new(identity, source, &runtime.counters());
    let agent = Agent::start(board).map_err(StartError::Thread)?;
    let pace = Pace {
        sample: Duration::from_millis(settings.power.interval_ms.clamp(50, 10_000)),
        report: Duration::from_secs(settings.report_every_s.max(1)),
    };
    let recording = Recording::start(recorder, (runtime, agent.handle()), spool, pace, clock)
        .map_err(StartError::Thread)?;
    Ok(Running { recording, agent, transport, address: settings.address.clone() })
}

/// Starts an agent on this very board: its `nvpmodel` where it is a Jetson, and the best power source that it has.
///
/// # Errors
/// [`StartError`].
pub fn on_board(
    settings: &AgentSettings,
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn WallClock>,
) -> Result<Running, StartError> {
    let unknown = || Problem::new(Code::AgentBoard, format!("no hardware profile `{}`", settings.profile));
    let catalog = Catalog::embedded().map_err(|_| unknown())?;
    let profile = Arc::clone(catalog.profile(&settings.profile).ok_or_else(unknown)?);
    let power = &settings.power;
    let modes: Box<dyn PowerModes> = match &profile.modes[..] {
        [only] if profile.kind != "jetson" => Box::new(Fixed::new(only.id.as_str())),
        _ => Box::new(Nvpmodel::new(Program::new(power.nvpmodel.clone()), power.nvpmodel_conf.clone())),
    };
    let (source, passed_over) = power::open(&power.source(), &profile);
    for why in passed_over {
        tracing::warn!(why, "a source of power readings is passed over");
    }
    tracing::info!(source = source.name(), origin = source.origin().as_str(), "power is read");
    start(settings, Parts { profile, runtime, modes, source }, clock)
}

fn transport(settings: &AgentSettings) -> Result<Option<Arc<dyn Transport>>, StartError> {
    let Some(service) = &settings.service else { return Ok(None) };
    let token = match &settings.token {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| StartError::File { path: path.clone(), source })?;
            Some(Token::new(&text))
        }
    };
    Ok(Some(Arc::new(Http::new(service, &settings.device, token)?)))
}

impl Running {
    /// Speaks to the agent.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.agent.handle()
    }

    /// Reports that wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.recording.waiting()
    }

    /// Announces the board and sends its telemetry, until it is cancelled. Without a service it does nothing.
    pub async fn speak(&self) {
        let Some(transport) = &self.transport else { return std::future::pending().await };
        let telemetry = self.recording.deliver(transport.as_ref());
        match &self.address {
            Some(address) => {
                tokio::join!(telemetry, announce(self.agent.handle(), address, transport.as_ref()));
            }
            None => telemetry.await,
        }
    }
}
