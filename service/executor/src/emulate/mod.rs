//! A board that is not there: the agent's runtime, power modes and rails over the simulator of `ecomap-estimator`.
//!
//! The agent cannot tell it from a board, and everybody else is told: figures are labelled *emulated* in status,
//! telemetry and answers. No model runs, so answers carry no outputs, only how long the simulator says they take.
//!
//! 1. [`placed`] turns orders into the simulator's streams, or refuses them.
//! 2. [`world`] is the board: its mode, its plan, and what the simulator has counted, window by window.
//! 3. [`runtime`], [`modes`] and [`power`] are its faces to the agent; [`answers`] answers requests.
//! 4. [`board`] puts them together and lets time run, by a factor faster than the clock if wanted.
//!
//! Each tenant's requests are a Poisson stream at the rate of the plan. Requests of real clients get a latency from
//! the simulated distribution; they add nothing to the simulated load.

pub mod answers;
pub mod board;
pub mod cli;
pub mod modes;
pub mod placed;
pub mod power;
pub mod runtime;
pub mod world;

pub use board::{Driver, EmulatedBoard, Setup};
