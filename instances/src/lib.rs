//! What Ecomap's problems are made of: units of measure, hardware profiles, model families,
//! tenants, [`Scenario`]s, priced [`Instance`]s, plans and certificates, with the file formats,
//! their validation, seeded generators and the catalogue that ships inside the binary.
//!
//! The tour, in the order in which data passes:
//!
//! 1. [`mod@format`] reads bytes into wire types, then into domain types; every mistake is an
//!    [`Issue`] with a stable code, a JSON pointer and a remedy.
//! 2. [`Scenario`] is what a user knows; [`Catalog`] holds the boards and models it names.
//! 3. [`Instance`] is the priced problem, pure numbers; benchmark files read straight into it.
//! 4. [`plan`] is the answer: an [`Assignment`](plan::Assignment) in indices, and the
//!    [certificate](format::result_v1::CertificateDto) that says how good it is.
//! 5. [`accelerators`] is another kind of problem: jobs that want several accelerators of a cluster.
//! 6. [`scenarios`] ship inside the binary; [`generate`] makes more of them from a [`Seed`].
//!
//! This crate knows nothing of solvers, predictors or HTTP.

pub mod accelerators;
mod catalog;
pub mod family;
pub mod format;
pub mod generate;
pub mod ids;
pub mod instance;
pub mod issue;
pub mod network;
pub mod objective;
pub mod plan;
pub mod profile;
pub mod scenario;
pub mod scenarios;
pub mod units;

pub use catalog::Catalog;
pub use generate::Seed;
pub use instance::Instance;
pub use issue::{Code, Issue, Issues};
pub use objective::{Objective, Term};
pub use scenario::Scenario;
