//! Fleets: clusters with tenants, sources of carbon intensity and budget policies, kept solved.
//!
//! ```text
//! PUT, PATCH ─ document, patch ─► store ─► live task ◄─ poller ◄─ client ◄─ services
//!                                            │  ▲
//!                                    turn    ▼  │ controller on solver threads (work)
//!                                  plan, turn, events ─► store ─► snapshot ─► GET, long poll, SSE
//! ```
//!
//! - [`wire`], [`document`], [`patch`]: what a fleet is, whether it holds, and how it changes.
//! - [`services`]: who may be asked for intensities; addresses and secrets are the operator's.
//! - [`build`], [`work`]: from a document to a controller, and its turns as records.
//! - [`live`], `turn`, `told`, `past`: the task of one fleet; [`Fleets`] starts and ends them.
//! - [`boards`]: plans carried to boards, and what they report.
//! - [`taken`]: pushed samples and reports.
//! - [`records`], [`state`], [`diff`], [`history`]: what is published.
//!
//! Nothing is announced before it is on the disk, so whoever has seen a plan finds it there after a restart.

pub mod boards;
pub mod build;
pub mod client;
pub mod clock;
pub mod demo;
pub mod diff;
pub mod document;
pub mod history;
pub mod live;
pub mod manager;
mod past;
pub mod patch;
mod poller;
pub mod records;
pub mod services;
pub mod snapshot;
pub mod state;
pub mod taken;
mod told;
mod turn;
pub mod wire;
pub mod work;

pub use manager::{EditError, Fleets, Precondition};

use crate::http::pool::Pool;
use crate::pipeline::Sizes;
use crate::worker::Isolated;
use boards::Boards;
use client::Client;
use ecomap_solver::clock::Clock;
use ecomap_store::Store;
use services::Services;
use std::sync::Arc;
use tokio::sync::watch;

/// What all fleets share.
struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    /// For whole solves and for pricing.
    solves: Pool,
    /// For caps that fell: never behind a solve.
    urgent: Pool,
    /// For checks of documents.
    short: Pool,
    sizes: Sizes,
    /// Where exact solves run that may keep HiGHS busy.
    isolated: Option<Isolated>,
    services: Services,
    boards: Boards,
    client: Client,
    /// Id of the last event.
    news: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
}

impl Shared {
    /// Wakes everybody who follows events.
    fn announce(&self, id: u64) {
        self.news.send_if_modified(|last| {
            let newer = id > *last;
            if newer {
                *last = id;
            }
            newer
        });
    }
}
