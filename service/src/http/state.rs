//! What all requests share.

use crate::ServiceError;
use crate::access::Gate;
use crate::access::audit::Audit;
use crate::access::bucket::{Bucket, Rate};
use crate::fleets::Fleets;
use crate::fleets::boards::Boards;
use crate::fleets::services::Services;
use crate::http::body::{Bounds, Budget};
use crate::http::config::Config;
use crate::http::metrics::Metrics;
use crate::http::pool::Pool;
use crate::jobs::Desk;
use crate::telemetry::Spans;
use crate::telemetry::context::Ids;
use crate::wall::{SystemWall, WallClock};
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_store::Store;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Refusals of callers without a key that are written to the audit log, so that nobody can fill it.
const REFUSALS: Rate = Rate { per_s: 10.0, burst: 100.0 };

/// Whether the service takes work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The self-solve has not finished.
    Starting,
    /// The self-solve passed.
    Ready,
    /// The self-solve failed, and why.
    Failed(String),
    /// The service is about to end.
    Stopping,
}

/// What all requests share.
#[derive(Debug)]
pub struct App {
    /// Limits.
    pub config: Config,
    /// Threads for solves.
    pub solves: Pool,
    /// A thread for short work (validate, check), so that it does not wait behind solves.
    pub short: Pool,
    /// Bytes of bodies held.
    pub budget: Budget,
    /// Counters.
    pub metrics: Metrics,
    /// Time source.
    pub clock: Arc<dyn Clock>,
    /// Time of day.
    pub wall: Arc<dyn WallClock>,
    /// Who may do what.
    pub gate: Arc<Gate>,
    /// Who did what.
    pub audit: Audit,
    /// Ids of traces and spans.
    pub ids: Ids,
    /// Where spans go.
    pub spans: Spans,
    /// What must not be forgotten.
    pub store: Store,
    /// Solves that outlive their requests.
    pub jobs: Desk,
    /// Fleets kept solved.
    pub fleets: Fleets,
    /// Places for streams of events.
    pub streams: Arc<Semaphore>,
    refusals: Mutex<Bucket>,
    readiness: watch::Sender<Readiness>,
    boot: u64,
    requests: AtomicU64,
}

impl App {
    /// Opens the store and starts the pools, on a Tokio runtime; fleets start with [`Fleets::start`]. Readiness is
    /// [`Readiness::Starting`].
    ///
    /// # Errors
    /// When the store, the configuration of sources, the key file or the audit log cannot be used, when keys are
    /// needed, or a thread cannot be started.
    pub fn new(config: Config) -> Result<Arc<Self>, ServiceError> {
        let clock = SystemClock::shared();
        let wall = SystemWall::shared();
        let gate = Gate::open(&config.access, config.listen, wall.now())?;
        let audit = Audit::open(config.access.audit.as_deref(), config.access.audit_most)?;
        let spans = Spans::start(config.otlp.clone())?;
        let store = match &config.store {
            Some(path) => Store::open(path, &config.kept)?,
            None => Store::memory(&config.kept)?,
        };
        let boot = boot_number(wall.now());
        let jobs = Desk::new(store.clone(), config.jobs.clone(), boot, Arc::clone(&clock));
        let solves = Pool::start("solve", config.workers, config.queue, Arc::clone(&clock))
            .map_err(ServiceError::Start)?;
        let short =
            Pool::start("short", 1, config.queue.max(1), Arc::clone(&clock)).map_err(ServiceError::Start)?;
        let budget = Budget::new(config.max_bodies);
        let services = match &config.sources {
            Some(path) => Services::read(path)?,
            None => Services::default(),
        };
        let most = usize::try_from(config.kept.fleets).unwrap_or(usize::MAX);
        let boards = Boards::new(config.boards.clone());
        let workers = (config.fleet_workers.max(1), most);
        let fleets = Fleets::new(
            store.clone(),
            (services, boards),
            workers,
            &short,
            (config.sizes(), config.isolated.clone()),
            &clock,
        )?;
        let mut metrics = Metrics::new(solves.clone(), short.clone(), budget.clone());
        metrics.watch(&audit, &spans, &jobs.metrics);
        Ok(Arc::new(Self {
            metrics,
            gate: Arc::new(gate),
            audit,
            ids: Ids::default(),
            spans,
            jobs,
            refusals: Mutex::new(Bucket::new(REFUSALS, clock.now())),
            wall,
            solves,
            short,
            budget,
            clock,
            store,
            fleets,
            streams: Arc::new(Semaphore::new(config.max_streams)),
            config,
            readiness: watch::Sender::new(Readiness::Starting),
            boot: RandomState::new().hash_one(std::process::id()),
            requests: AtomicU64::new(0),
        }))
    }

    /// Whether the service takes work.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    /// Follows changes of readiness.
    #[must_use]
    pub fn watch_readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// Changes readiness; a service that stops stays so.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.readiness.send_if_modified(|now| {
            let change = *now != Readiness::Stopping && *now != readiness;
            if change {
                *now = readiness;
            }
            change
        });
    }

    /// Bounds of a body.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        Bounds { bytes: self.config.max_body, time: self.config.body_timeout }
    }

    /// Whether a refusal of somebody without a key is written down; beyond a rate, they are only
    /// counted.
    #[must_use]
    pub fn audits_refusal(&self, now: Duration) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).take(now).wait.is_none()
    }

    /// A request id: unique in this process, hard to confuse with another's.
    #[must_use]
    pub fn next_request_id(&self) -> String {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{n:x}", self.boot >> 32)
    }
}

/// Tells this run of the service from others: milliseconds since 1970.
fn boot_number(now: jiff::Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}

impl Drop for App {
    fn drop(&mut self) {
        self.fleets.close();
        self.solves.cancel_all();
        self.solves.close();
        self.short.close();
    }
}
