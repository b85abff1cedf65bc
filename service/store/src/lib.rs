//! What the service must not forget, in one SQLite file.
//!
//! ```no_run
//! # use ecomap_store::{Event, Settings, Store};
//! # fn main() -> Result<(), ecomap_store::StoreError> {
//! let store = Store::open("ecomap.db".as_ref(), &Settings::default())?;
//! let event = Event::new(Some("campus"), "started", "the service starts", "{}", jiff::Timestamp::UNIX_EPOCH);
//! let id = store.write(move |tx| tx.add_event(&event)).wait()?;
//! let events = store.read(move |view| view.events(None, id - 1, 10)).wait()?;
//! # Ok(()) }
//! ```
//!
//! 1. [`migrate`]: numbered steps from an empty file to the present tables; a file of a later version is refused.
//! 2. [`Store`] ([`engine`]): one thread writes, a few read. [`Store::write`] runs a closure on a [`Tx`], in a
//!    transaction; it is answered after the transaction is on the disk (`synchronous=FULL`, write-ahead log), so
//!    what was acknowledged survives the process being killed. Writers that wait together share one commit. A closure
//!    that fails leaves nothing behind and harms no neighbour.
//! 3. One file for each table, with its rows, its questions (on [`View`]) and its changes (on [`Tx`]): [`fleets`],
//!    [`plans`], [`turns`], [`events`], [`samples`], [`telemetry`], [`jobs`] ([`job_heads`] without their documents). Every table that grows has a bound in
//!    [`Settings`]; a change that adds rows removes the oldest ones beyond it.
//!
//! Queues are bounded: when one is full the answer is [`StoreError::Busy`], at once. Answers are futures; threads
//! outside an asynchronous runtime call [`Pending::wait`]. The store reads no clock: times come from the caller.

pub mod calibrations;
pub mod engine;
pub mod error;
pub mod events;
pub mod fleets;
pub mod job_heads;
pub mod jobs;
mod lock;
pub mod migrate;
pub mod plans;
pub mod samples;
pub mod settings;
pub mod telemetry;
mod time;
pub mod turns;

pub use calibrations::Calibration;
pub use engine::{Pending, Store, Tx, View};
pub use error::StoreError;
pub use events::Event;
pub use fleets::{Expect, Fleet};
pub use job_heads::{JobHead, JobUse};
pub use jobs::Job;
pub use plans::Plan;
pub use samples::Sample;
pub use settings::Settings;
pub use telemetry::Telemetry;
pub use turns::Turn;
