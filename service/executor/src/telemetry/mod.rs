//! What a board measured, interval by interval.
//!
//! 1. [`interval`] turns two snapshots of the runtime's counters into what happened between them.
//! 2. [`recorder`] adds power and energy, and makes the report ([`ecomap_instances::format::telemetry_v1`]).
//! 3. [`spool`] keeps reports, within bounds, while the service is away.

pub mod interval;
pub mod recorder;
pub mod spool;

pub use recorder::{Identity, Moment, Recorder};
pub use spool::Spool;
