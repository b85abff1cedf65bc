//! Agents over emulated boards: plans in two phases, restarts, budgets that expire, power modes, telemetry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod board;
mod budget;
mod http;
mod modes;
mod phases;
mod restart;
mod rig;
mod telemetry;
