//! The agent that runs on a board.
//!
//! For now it reads plans: what would each board run, and is the plan one that may be run at all?
//!
//! 1. [`orders`] turns a result document into one [`orders::Orders`] a board, and refuses results
//!    that no board should act on.
//! 2. [`show`] prints orders for people.
//! 3. [`cli`] is the command line; `main.rs` only calls it.
//!
//! What comes next has its place beside them: model sessions, power modes, power rails, telemetry.
//! The crate depends on `ecomap-instances` alone, so that a board never compiles a solver.

pub mod agent;
pub mod cli;
#[cfg(feature = "emulate")]
pub mod emulate;
pub mod error;
pub mod orders;
pub mod power;
pub mod runtime;
pub mod show;
pub mod telemetry;

pub use error::ExecutorError;
