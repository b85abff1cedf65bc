//! Seeded data sets of simulated device plans.
//!
//! 1. [`draw`] makes random plans: a board with jittered hardware, a mode, one to eight tenants with
//!    tiers, placements, rates and kinds of arrival.
//! 2. [`row`] runs one in the simulator and keeps its features and what was measured.
//! 3. [`mod@file`] does so for many; [`parquet`] writes and reads the rows. The schema is on the page *Data sets* of the book.
//!
//! Row `n` of a [`Spec`] depends on the specification's seed and `n` only, so any number of threads
//! makes the same file.

pub mod draw;
pub mod file;
pub mod parquet;
pub mod row;

pub use draw::{Draw, HELD_OUT_FAMILIES, HELD_OUT_PROFILE, Sampler, Split};
pub use file::{Spec, write, write_pairs};
pub use row::{Effort, Row, TenantTruth, make};
