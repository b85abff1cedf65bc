//! Heuristics behind the [`Solver`](crate::Solver) trait: one file each, one line each in the
//! [`registry`](crate::registry).

mod common;
mod construct;
mod gpu_only;
mod greedy;
pub(crate) mod local;

pub(crate) use common::{Problem, above_floor, finish, staying};
pub(crate) use construct::best_of_ladder;
pub use gpu_only::GpuOnly;
pub use greedy::Greedy;
