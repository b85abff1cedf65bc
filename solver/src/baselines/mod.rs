//! Heuristics behind the [`Solver`] trait: one file each, one line each in
//! `known!` below.
//!
//! Common ground: `common` (columns, costs, the way out), `watch` (limits and trace), `local` and
//! `construct` (moves and insertions on the common objective). Methods of papers that know neither
//! power, tiers nor clusters go through `blind`: `board` is what they see, `repair` makes a plan of
//! what they place. `predictor`, `throughput`, `timeline` and `tree` are the models and the search
//! that several of them share.

use crate::solve::Solver;

mod blind;
mod board;
mod common;
mod construct;
pub(crate) mod local;
mod predictor;
mod repair;
mod throughput;
mod timeline;
mod tree;
mod watch;

pub(crate) use common::{Problem, above_floor, finish, staying};
pub(crate) use construct::best_of_ladder;

/// Declares a baseline's file, its type, and its place in [`ALL`], by one line for each. (`cargo fmt`
/// does not see files declared by a macro; `make fmt` and `make lint` name them.)
macro_rules! known {
    ($($file:ident::$solver:ident,)*) => {
        $(mod $file; pub use $file::$solver;)*

        /// Every baseline, in the order in which lists show them.
        pub const ALL: &[&dyn Solver] = &[$(&$solver),*];
    };
}

known! {
    greedy::Greedy,
    gpu_only::GpuOnly,
    round_robin::RoundRobin,
    local_search::LocalSearch,
    annealing::Annealing,
    ecomap::EcomapLoop,
    omniboost::OmniBoost,
    rankmap::RankMap,
    mosaic::Mosaic,
    odmdef::Odmdef,
    haxconn::HaxConn,
    herald::Herald,
    h2h::H2h,
    band::Band,
    magma::Magma,
    clover::Clover,
    proteus::Proteus,
}

pub use clover::should_run_again;
