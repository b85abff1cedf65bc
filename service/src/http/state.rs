//! What all requests share.

use crate::ServiceError;
use crate::fleets::Fleets;
use crate::fleets::services::Services;
use crate::http::body::{Bounds, Budget};
use crate::http::config::Config;
use crate::http::metrics::Metrics;
use crate::http::pool::Pool;
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_store::Store;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, watch};

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
    /// What must not be forgotten.
    pub store: Store,
    /// Fleets kept solved.
    pub fleets: Fleets,
    /// Places for streams of events.
    pub streams: Arc<Semaphore>,
    readiness: watch::Sender<Readiness>,
    boot: u64,
    requests: AtomicU64,
}

impl App {
    /// Opens the store and starts the pools; fleets start with [`Fleets::start`]. Readiness is [`Readiness::Starting`].
    ///
    /// # Errors
    /// When the store or the configuration of sources cannot be used, or a thread cannot be started.
    pub fn new(config: Config) -> Result<Arc<Self>, ServiceError> {
        let clock = SystemClock::shared();
        let solves = Pool::start("solve", config.workers, config.queue, Arc::clone(&clock))
            .map_err(ServiceError::Start)?;
        let short =
            Pool::start("short", 1, config.queue.max(1), Arc::clone(&clock)).map_err(ServiceError::Start)?;
        let budget = Budget::new(config.max_bodies);
        let store = match &config.store {
            Some(path) => Store::open(path, &config.kept)?,
            None => Store::memory(&config.kept)?,
        };
        let services = match &config.sources {
            Some(path) => Services::read(path)?,
            None => Services::default(),
        };
        let most = usize::try_from(config.kept.fleets).unwrap_or(usize::MAX);
        let workers = (config.fleet_workers.max(1), most);
        let fleets = Fleets::new(store.clone(), services, workers, &short, config.sizes(), &clock)?;
        Ok(Arc::new(Self {
            metrics: Metrics::new(solves.clone(), short.clone(), budget.clone()),
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

    /// A request id: unique in this process, hard to confuse with another's.
    #[must_use]
    pub fn next_request_id(&self) -> String {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-{n:x}", self.boot >> 32)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.fleets.close();
        self.solves.cancel_all();
        self.solves.close();
        self.short.close();
    }
}
