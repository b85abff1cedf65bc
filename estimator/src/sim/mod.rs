//! Discrete-event co-execution of DNN services on one board.
//!
//! The simulator is the ground truth that the learned predictor is trained on and judged by. It is
//! a model, not a board: what of it was compared with measurements, and how well it did, is on the
//! validation page; numbers that come from it are labelled *simulated* wherever they are shown.
//!
//! 1. [`soc`] is the hardware of one board in one power mode, as plain numbers that may be
//!    perturbed; [`contention`] is the slowdown that shared memory causes.
//! 2. [`stream`] is one tenant: its chain of stages, each a list of blocks on a unit, and its
//!    arrivals.
//! 3. [`simulate`] runs them; [`outcome`] is what it measured.
//!
//! The same [`Soc`], [`Stream`]s and [`Run`] give the same [`Outcome`], bit by bit.

pub mod contention;
mod engine;
pub mod outcome;
pub mod soc;
pub mod stream;
mod unit;

pub use engine::{Run, SimError, simulate};
pub use outcome::{Outcome, StreamOutcome};
pub use soc::{Discipline, Soc, SocUnit};
pub use stream::{Arrivals, Jitter, Stage, Stream, Work};
