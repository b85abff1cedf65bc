//! A fleet kept solved.
//!
//! [`Controller::step`] is one turn of the loop: intensities come in, [`Budgets`] turn them into caps, the running plan
//! is replaced at once where a cap no longer admits it, and improved where that pays. It does no I/O and reads no
//! clock, so the service that runs for months and [`replay`] over a recorded trace are the same code.
//!
//! 1. [`budget`]: policies of groups of sites, and the frontier that the daily allowance spends along.
//! 2. [`controller`]: the turn itself; [`Published`] plans are numbered and say why they came.
//! 3. [`meter`]: what the plans emitted, by the model's power (*predicted*, nothing here is measured).
//! 4. [`history`]: one row a turn, as CSV; [`replay`]: the controller on a virtual clock.

pub mod budget;
pub mod controller;
pub mod error;
pub mod history;
pub mod meter;
pub mod replay;

pub use budget::{Budgets, Group};
pub use controller::{Cause, Controller, Past, Published, Settings, Turn};
pub use error::FleetError;
pub use history::Row;
pub use meter::Meter;
pub use replay::{Replay, Summary};
