//! What placements cost: latency quantiles, energy, unit loads and memory of every way to run a
//! tenant's model on a board, and what tenants do to each other when they share one.
//!
//! The tour, in the order in which data passes:
//!
//! 1. [`parameters`] holds the fitted efficiencies; [`roofline`] turns a block, a unit and a power
//!    mode into a time.
//! 2. [`table`] sums blocks into segments and placements, once for each (tier, profile, mode).
//! 3. [`placement`] enumerates the cuts, [`pareto`] keeps those worth offering.
//! 4. [`predictor`] is the port; [`analytic`] is its first implementation: roofline, M/D/1 waiting
//!    ([`queueing`]) and linear interference.
//! 5. [`pricing`] turns a [`Scenario`](ecomap_instances::Scenario) into an
//!    [`Instance`](ecomap_instances::Instance); [`mod@explain`] shows the same numbers to people.
//! 6. [`validation`] compares predictions with public measurements and fits the parameters.
//! 7. [`regress`] fits forests, ridge regressions and nearest neighbours to feature matrices.
//! 8. [`calibrate`] corrects predictions from telemetry, with a stated coverage, and notices drift.
//!
//! This crate knows nothing of optimisation or HTTP.

pub mod activity;
pub mod analytic;
pub mod calibrate;
pub mod coexecution;
mod cost;
pub mod dataset;
mod error;
pub mod evaluation;
pub mod explain;
pub mod features;
pub mod learned;
pub mod measure;
pub mod parameters;
pub mod pareto;
pub mod placement;
pub mod predictor;
pub mod pricing;
pub mod queueing;
pub mod regress;
pub mod roofline;
pub mod sim;
pub mod table;
#[cfg(test)]
mod test_support;
pub mod validation;

pub use analytic::Roofline;
pub use error::EstimatorError;
pub use explain::{Explanation, explain};
pub use learned::Learned;
pub use predictor::Predictor;
pub use pricing::{PricingReport, price};
