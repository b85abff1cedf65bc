//! Ecomap for people and schedulers: the `ecomap` command line and the HTTP service.
//!
//! The tour, in the order in which data passes:
//!
//! 1. [`input`] finds and reads a document: a file, standard input, or an embedded scenario.
//! 2. [`pipeline`] joins the other crates: parse → validate → price → solve → check → result.
//! 3. [`joint`] asks the learned predictor about the plan of a result.
//! 4. [`contention`] lends the joint predictor to the solver.
//! 5. [`worker`] runs the solver in a process of its own.
//! 6. [`cli`] is the command line; `main.rs` only calls it.
//! 7. [`fleets`] keeps fleets solved while carbon intensity moves their caps.
//! 8. [`http`] is the server: bounded bodies, a bounded pool of solver threads, RFC 9457 errors.
//! 9. [`jobs`] are solves that outlive their requests.
//! 10. [`accelerators`] joins jobs for accelerators to the pipeline.
//! 11. [`access`] says who may do what there, and [`telemetry`] tells others what happened.
//!
//! The mathematics is in `ecomap-solver`, prediction in `ecomap-estimator`.

pub mod accelerators;
pub mod access;
pub mod cli;
pub mod contention;
pub mod error;
pub mod explain;
pub mod fleets;
pub mod frontier;
pub mod http;
pub mod input;
pub mod jobs;
pub mod joint;
pub mod pipeline;
pub mod steady;
pub mod telemetry;
pub mod wall;
pub mod worker;

pub use error::ServiceError;
