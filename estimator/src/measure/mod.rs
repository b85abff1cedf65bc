//! Measuring ONNX models on this machine, alone and beside each other, and predicting the rest.
//!
//! 1. [`machine`] describes the machine: processor, cores, load of others, energy counter.
//! 2. [`plan`] draws what is measured, from a seed: every model alone on every unit (a set of cores),
//!    and models beside each other, in closed loops and as Poisson streams.
//! 3. [`tenant`] runs one model on its cores; [`campaign`] runs the plan in interleaved
//!    repetitions and discards runs that others disturbed.
//! 4. [`mod@file`] is what is kept: a versioned JSON document, checked when it is read.
//! 5. [`host`] turns the runs alone into a board for the simulator; [`fn@compare`] fits what is left
//!    on half of the co-runs and judges the other half; [`rows`] makes rows for a data set.
//!
//! Times come from an injected [`clock`]. Nothing here is deterministic but the plan, the reading,
//! and all that is computed from a file.

pub mod campaign;
pub mod clock;
pub mod compare;
pub mod file;
pub mod host;
pub mod machine;
pub mod plan;
pub mod rows;
pub mod tenant;

pub use campaign::{Campaign, Target};
pub use compare::{Comparison, compare};
pub use file::Measured;
pub use plan::{Case, CaseTenant, Half, Kind, Load, Settings};
