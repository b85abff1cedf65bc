//! Heuristics behind the [`Solver`](crate::Solver) trait: one file each, one line each in the
//! [`registry`](crate::registry).
//!
//! Common ground: `common` (columns, costs, the way out), `watch` (limits and trace), `local` and
//! `construct` (moves and insertions on the common objective). Methods of papers that know neither
//! power, tiers nor clusters go through `blind`: `board` is what they see, `repair` makes a plan of
//! what they place. `predictor`, `throughput`, `timeline` and `tree` are the models and the search
//! that several of them share.

mod annealing;
mod band;
mod blind;
mod board;
mod clover;
mod common;
mod construct;
mod ecomap;
mod gpu_only;
mod greedy;
mod h2h;
mod haxconn;
mod herald;
pub(crate) mod local;
mod local_search;
mod magma;
mod mosaic;
mod odmdef;
mod omniboost;
mod predictor;
mod proteus;
mod rankmap;
mod repair;
mod round_robin;
mod throughput;
mod timeline;
mod tree;
mod watch;

pub(crate) use common::{Problem, above_floor, finish, staying};
pub(crate) use construct::best_of_ladder;

pub use annealing::Annealing;
pub use band::Band;
pub use clover::{Clover, should_run_again};
pub use ecomap::EcomapLoop;
pub use gpu_only::GpuOnly;
pub use greedy::Greedy;
pub use h2h::H2h;
pub use haxconn::HaxConn;
pub use herald::Herald;
pub use local_search::LocalSearch;
pub use magma::Magma;
pub use mosaic::Mosaic;
pub use odmdef::Odmdef;
pub use omniboost::OmniBoost;
pub use proteus::Proteus;
pub use rankmap::RankMap;
pub use round_robin::RoundRobin;
