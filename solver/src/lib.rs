//! Solvers for the Ecomap mapping problem, exact and heuristic, behind one trait.
//!
//! The tour, in the order in which data passes (equation numbers: `docs/src/formulation.md`):
//!
//! 1. [`Solver::solve`] takes a validated [`Instance`](ecomap_instances::Instance) and
//!    [`SolveOptions`].
//! 2. [`reduce`] drops options that no plan or no optimal plan can take, and says why.
//! 3. [`formulation`] writes the rows with good_lp; [`highs`](mod@highs) runs HiGHS below it and
//!    reads back bound, gap, nodes and the reason it stopped.
//! 4. [`exact`] puts these together, with a warm start from [`baselines`], and column generation
//!    where the model is too large to write down at once.
//! 5. [`checker`] re-verifies the plan from the instance alone.
//! 6. [`report`] turns the [`Solution`] into the wire form.
//!
//! This crate knows nothing of ONNX Runtime or HTTP.

mod agents;
pub mod baselines;
mod cdp;
pub mod checker;
pub mod clock;
mod columns;
pub mod contention;
mod enumerate;
pub mod error;
pub mod exact;
pub mod explain;
pub mod formulation;
pub mod frontier;
pub mod highs;
mod lns;
mod prices;
pub mod pricing;
pub mod reduce;
pub mod registry;
mod relax;
pub mod report;
pub mod resolve;
mod scalar;
pub mod solution;
pub mod solve;
pub mod stability;
mod state;

pub use error::SolverError;
pub use registry::{by_name, solvers};
pub use resolve::{BudgetChange, Resolver};
pub use solution::{Certificate, Level, Solution};
pub use solve::{CancelToken, Incumbent, Observer, SolveOptions, Solver, default_gap};
