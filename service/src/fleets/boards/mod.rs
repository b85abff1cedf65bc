//! The boards of fleets: plans carried to them, and what they report.
//!
//! ```text
//! live task ─ plan ─► crew ─ prepare, commit, status, renew ─► boards
//!     ▲                │ ▲                                       │
//!     └ outs, drift ───┘ └──────── reports ◄─ POST /v1/agents ◄──┘
//! ```
//!
//! - [`config`]: which boards there are and where; addresses are the operator's.
//! - [`Boards`]: who may speak, and which fleet a board belongs to.
//! - `crew`, `looks`, `rounds`: one task for each fleet with boards; it alone speaks to them.
//! - `reports`: what reports teach; `memory` keeps it. [`corrected`]: predictions after that.
//! - [`outs`]: what a solve leaves out because boards refuse it, or do not answer.

pub mod config;
pub mod corrected;
mod crew;
mod looks;
mod memory;
pub mod outs;
mod reports;
mod rounds;
pub mod wire;

pub use config::BoardsConfig;
pub(super) use corrected::{Corrected, Corrections};
pub(super) use crew::{Assigned, Handle, hire};
pub(super) use memory::Memory;
pub use outs::{Known, Outs};

use ecomap_dispatch::registry::{NotTaken, Seen};
use ecomap_dispatch::{Board, Key, LinkError, Pace, Registry};
use ecomap_instances::format::agent_v1::RegistrationDto;
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Which fleet a board belongs to.
#[derive(Debug, Clone)]
struct Claim {
    number: u64,
    uid: i64,
    fleet: String,
    reports: mpsc::Sender<Arc<TelemetryDto>>,
}

#[derive(Debug, Default)]
struct Claims {
    by_device: BTreeMap<String, Claim>,
    last: u64,
}

/// The boards that the operator configured. Clones share them.
#[derive(Debug, Clone)]
pub struct Boards {
    key: Option<Arc<Key>>,
    known: Arc<BTreeMap<String, Option<String>>>,
    registry: Registry,
    check: Duration,
    pace: Pace,
    claims: Arc<Mutex<Claims>>,
}

impl Boards {
    /// As configured; `None`: there are none.
    #[must_use]
    pub fn new(config: Option<BoardsConfig>) -> Self {
        let (key, boards, check, pace) = match config {
            Some(c) => (Some(Arc::new(c.key)), c.boards, c.check, c.pace),
            None => (None, BTreeMap::new(), Duration::from_secs(60), Pace::default()),
        };
        let names: BTreeSet<String> = boards.keys().cloned().collect();
        // Reports are handed on as they come, so the registry need not keep any.
        let registry = Registry::new(Some(names), 1);
        Self { key, known: Arc::new(boards), registry, check, pace, claims: Arc::default() }
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        // Nothing panics while it is held.
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of all configured boards.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// Whether the board is configured.
    #[must_use]
    pub fn has(&self, device: &str) -> bool {
        self.known.contains_key(device)
    }

    /// The boards that announced themselves, by name.
    #[must_use]
    pub fn announced(&self) -> BTreeMap<String, Seen> {
        self.registry.boards()
    }

    /// A board announces itself, at `now` on the service's monotonic clock.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn register(&self, device: &str, news: RegistrationDto, now: Duration) -> Result<(), NotTaken> {
        self.registry.register(device, news, now)
    }

    /// Shortest budget that is renewed in time, s: renewals come three times in it, and wait while a plan is prepared
    /// and committed.
    #[must_use]
    pub fn shortest_lease_s(&self) -> f64 {
        let waits = self.pace.prepare + 2 * self.pace.commit + 2 * self.check;
        (1.5 * waits.as_secs_f64()).ceil().max(5.0)
    }

    /// The fleet that a board belongs to, if any.
    #[must_use]
    pub fn fleet_of(&self, device: &str) -> Option<String> {
        self.claims().by_device.get(device).map(|claim| claim.fleet.clone())
    }

    /// Whether a report is one that was not taken yet.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn fresh(&self, device: &str, report: &TelemetryDto) -> Result<bool, NotTaken> {
        self.registry.fresh(device, report)
    }

    /// Takes a report that is in the store, and hands it to the crew of the board's fleet. `false`: it was taken before.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn report(&self, device: &str, report: &Arc<TelemetryDto>) -> Result<bool, NotTaken> {
        if !self.registry.report(device, TelemetryDto::clone(report))? {
            return Ok(false);
        }
        let claim = self.claims().by_device.get(device).cloned();
        if let Some(claim) = claim
            && claim.reports.try_send(Arc::clone(report)).is_err()
        {
            tracing::warn!(device, fleet = claim.fleet, "a report came while too many waited");
        }
        Ok(true)
    }

    /// Claims a board for a fleet; the name of the fleet that has it, if another one does.
    fn claim(
        &self,
        device: &str,
        (uid, fleet): (i64, &str),
        reports: &mpsc::Sender<Arc<TelemetryDto>>,
    ) -> Result<u64, String> {
        let mut claims = self.claims();
        if let Some(other) = claims.by_device.get(device).filter(|c| c.uid != uid) {
            return Err(other.fleet.clone());
        }
        claims.last += 1;
        let number = claims.last;
        let claim = Claim { number, uid, fleet: fleet.to_owned(), reports: reports.clone() };
        claims.by_device.insert(device.to_owned(), claim);
        Ok(number)
    }

    fn release(&self, device: &str, number: u64) {
        let mut claims = self.claims();
        if claims.by_device.get(device).is_some_and(|c| c.number == number) {
            claims.by_device.remove(device);
        }
    }

    /// Where a board is: as configured, else as it announced itself.
    fn address(&self, device: &str) -> Option<String> {
        let configured = self.known.get(device)?.clone();
        configured
            .or_else(|| self.registry.boards().get(device).map(|seen| seen.registration.address.clone()))
    }

    /// A way to the board at `address`.
    fn board(&self, device: &str, address: &str) -> Result<Board, LinkError> {
        let key = self.key.as_ref().ok_or_else(|| LinkError::Lost("no signing key".to_owned()))?;
        let link = ecomap_dispatch::HttpLink::new(device, address, Arc::clone(key))?;
        Ok(Board { device: device.to_owned(), link: Arc::new(link), draws_w: None })
    }
}
