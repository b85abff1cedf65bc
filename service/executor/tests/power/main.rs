//! Power modes and rails, on trees and commands in the shapes that JetPack 4 to 6 have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod counters;
mod modes;
mod monitors;
mod tree;
