//! Generalised assignment, decomposed by agent: knapsack bounds, variable fixing, exact search.
//!
//! Every job takes one option; an option loads one agent (or none), whose capacity is limited, and
//! may use rows that options of all agents share:
//!
//! ```text
//! min Σ_j c[j, o_j]  subject to  Σ_{j: agent(o_j) = i} w[j, o_j] ≤ C_i  and  Σ_j a[j, o_j, r] ≤ b_r.
//! ```
//!
//! Published assignment files are of this kind, and so are tenants on boards of which each has one
//! scarce resource. The tour, in the order in which data passes:
//!
//! 1. [`Problem`] scales loads and costs to whole numbers, rounding so that no plan is lost and no
//!    bound too high.
//! 2. `relax`: with a multiplier on each job and shared row one knapsack an agent is left (24).
//!    Their bound is stronger than that of the linear relaxation. Multipliers rise by deflected
//!    Polyak steps; tables from both ends of each knapsack tell what each option costs when forced
//!    in or left out, and options that cost too much are dropped.
//! 3. `knapsack`: these tables, by dynamic programming over the few capacities that matter.
//! 4. `tree`: depth-first search for a plan within a target.
//! 5. [`solve`]: the root's bound, dives for plans, then complete searches with targets from the
//!    bound upwards: a target without a plan is a better bound.
//! 6. Where jobs are many, `rows` first prices all rows for the bound of the linear relaxation, and
//!    `refill` finds plans: one agent at a time is filled anew by one knapsack over all jobs that can
//!    come or stay.
//!
//! Nothing here knows tenants, boards or files.

pub mod generate;
mod knapsack;
mod problem;
mod refill;
mod relax;
mod rows;
mod solve;
mod tree;

pub use problem::{Builder, Problem, ProblemError};
pub use solve::{Answer, Limits, solve};
