//! Carries plans to the boards of a fleet, and takes in what they measured.
//!
//! 1. [`key`] signs what boards are told; [`link`] tells them, over HTTP behind a port.
//! 2. [`Dispatcher`] brings a plan to all its boards or to none: it is prepared everywhere in parallel, then committed,
//!    boards that will draw less before boards that will draw more ([`waves`]). [`outcome`] is what came of it, and
//!    what a re-solve should leave out.
//! 3. [`registry`] knows the boards that announced themselves and keeps their reports, [`http`] is its face.
//! 4. [`observe`] turns reports into observations that the estimator's calibration learns from.
//!
//! What plan is to run is not decided here.

pub mod dispatcher;
pub mod http;
pub mod key;
pub mod link;
pub mod observe;
pub mod outcome;
pub mod registry;
pub mod waves;

pub use dispatcher::{Board, Dispatcher, Pace};
pub use key::Key;
pub use link::{HttpLink, Link, LinkError};
pub use outcome::{Done, Exclusion, Failed, Lost, Outcome, Refusal};
pub use registry::Registry;
