//! Plans brought to boards over HTTP: a real service, real agents over emulated boards.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod dispatch;
mod drift;
mod rig;
