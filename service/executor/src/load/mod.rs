//! Load for tenants that have no clients.
//!
//! 1. [`arrivals`] says when requests come: Poisson, periodic, or as recorded in a [`trace`].
//! 2. [`generator`] sends them, from outside the units' threads, and counts what became of them.

pub mod arrivals;
pub mod generator;
pub mod trace;

pub use arrivals::{Arrivals, Pattern};
pub use generator::{Load, LoadReport, Running};
