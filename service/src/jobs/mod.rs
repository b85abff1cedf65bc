//! Solves that outlive their requests.
//!
//! 1. `POST /v1/solve` with `Prefer: respond-async` or an `Idempotency-Key` makes a [`question`],
//!    which the [`desk`] writes to the store before it says so to anybody.
//! 2. The pool takes it in its owner's turn; [`run`] solves it, and what happens meanwhile goes to
//!    its [`live`] part: the best bounds and plan so far, and events for those who follow.
//! 3. The answer goes to the store as well, and is forgotten some time after. [`wire`] is what
//!    clients see.
//!
//! A service that starts takes up every job that has not ended.

pub mod desk;
pub mod live;
pub mod metrics;
pub mod question;
pub mod run;
pub mod wire;

pub use desk::{Desk, JobsConfig};
