//! Calibration through its public face, on simulated telemetry with a known truth.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod coverage;
mod drift;
mod keeping;
mod refusals;
mod stream;
