//! The study: every method on the same scenarios under the same carbon traces, limits and prices,
//! and every plan executed in the `SoC` simulator.
//!
//! The tour, in the order in which data passes:
//!
//! 1. [`config`] reads `study.toml`.
//! 2. [`scene`] is a priced scenario under one trace: hour by hour the caps that its budgets derive
//!    from carbon intensity.
//! 3. [`cell`] plays one method through the hours of one scene from one seed.
//! 4. [`truth`] executes a plan in the simulator and measures it.
//! 5. [`table`] has the tidy CSV tables: hours, moments of solves, latencies of requests, conditions;
//!    [`summary`] the figures by method.
//! 6. [`figures`] draws the tables, [`report`] writes the page of results, both from tables alone;
//!    [`columns`](mod@columns) writes the hours as Parquet.
//! 7. [`run`](mod@run) does all cells in parallel, and picks up where a run was interrupted.
//!
//! Figures of carbon, latency and power are *simulated*, never measured on a board.

pub mod cell;
pub mod columns;
pub mod config;
pub mod error;
pub mod figures;
pub mod mix;
pub mod recorded;
pub mod report;
pub mod run;
pub mod scene;
pub mod stats;
pub mod summary;
pub mod table;
pub mod truth;

pub use config::Study;
pub use error::StudyError;
pub use run::{Progress, Tables, run};
