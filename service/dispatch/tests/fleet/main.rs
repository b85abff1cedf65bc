//! Plans for fleets of real agents over HTTP on the loopback; the boards are emulated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod chaos;
mod dispatch;
mod node;
mod service;
