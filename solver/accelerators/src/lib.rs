//! Jobs that want several accelerators of a cluster: the policies of MAPA (Ranganath et al., SC 2021)
//! and Synergy (Mohan et al., OSDI 2022), their exact counterparts, and a simulator.
//!
//! The tour, in the order in which data passes:
//!
//! 1. [`bandwidth`] and [`matching`] measure where a job's pattern fits into a topology; [`speed`]
//!    says how fast it runs there.
//! 2. [`mapa`] chooses accelerators by the links between them, [`synergy`] CPUs and memory beside
//!    them; both fill a [`Free`](state::Free) cluster with [`Placement`]s.
//! 3. [`problem`] writes all that a plan may choose as a priced instance, so that the workspace's
//!    exact solver (HiGHS) answers the same question, and [`solver`] puts the policies behind the
//!    common `Solver` trait.
//! 4. [`check`](mod@check) verifies placements from the workload alone.
//! 5. [`sim`] plays a policy over arrivals, and measures completion times.
//!
//! What was followed and what adapted: `docs/src/accelerators.md`.

pub mod bandwidth;
pub mod check;
pub mod error;
pub mod mapa;
pub mod matching;
pub mod problem;
pub mod sim;
pub mod solver;
pub mod speed;
pub mod state;
pub mod synergy;

pub use error::AcceleratorError;
pub use problem::Problem;
pub use solver::{Method, methods};
pub use state::{Part, Placement};

/// A count as a number.
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
