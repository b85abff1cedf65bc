//! The agent that runs on a board.
//!
//! It reads plans, makes their models run, and answers requests. In the order of the data:
//!
//! 1. [`orders`] turns a result document into one [`orders::Orders`] a board, and refuses results
//!    that no board should act on; [`show`] prints orders for people.
//! 2. [`repository`] holds the model files, with their hashes.
//! 3. [`runtime`] makes orders run: cuts models at the plan's cuts, loads the segments on their
//!    units, switches from plan to plan without losing a request.
//! 4. [`http`] is the Open Inference Protocol v2 in front of it; [`load`] drives tenants without
//!    clients.
//! 5. [`agent`] takes plans from the service, [`power`] sets power modes and reads rails, [`telemetry`]
//!    is what is reported; `emulate` (a feature) is a board that is not there.
//! 6. [`config`] reads the configuration, [`serve`] puts everything together, [`cli`] is the command
//!    line; `main.rs` only calls it. Time comes from [`clock`].
//!
//! The crate depends on `ecomap-instances`, `ecomap-graph` and ONNX Runtime, so that a board never
//! compiles a solver.

pub mod agent;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(feature = "emulate")]
pub mod emulate;
pub mod error;
pub mod http;
pub mod input;
pub mod load;
pub mod orders;
pub mod power;
pub mod repository;
pub mod runtime;
pub mod serve;
pub mod show;
pub mod telemetry;

pub use error::ExecutorError;
