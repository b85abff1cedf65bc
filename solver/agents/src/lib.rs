//! Generalised assignment and its kin, decomposed by agent.
#![allow(dead_code)]
mod knapsack;
mod problem;
mod relax;
mod tree;
mod solve;
pub use problem::{Builder, Problem, ProblemError};
pub use solve::{Answer, Limits, solve};
