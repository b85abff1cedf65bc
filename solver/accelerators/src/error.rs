//! What can go wrong in this crate.

use ecomap_instances::Issues;
use ecomap_solver::SolverError;

/// An error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceleratorError {
    /// The workload has too many possible placements, or breaks a rule of instances.
    #[error("{0}")]
    Invalid(#[from] Issues),
    /// The method answers the other question.
    #[error("{method} answers the question `{takes}`; this workload asks `{asked}`")]
    Question {
        /// Method.
        method: &'static str,
        /// Question that it answers.
        takes: &'static str,
        /// Question of the workload.
        asked: &'static str,
    },
    /// The exact solver failed.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// HiGHS gave up on a linear program.
    #[error("the fractional placement cannot be solved: {0}")]
    Linear(String),
    /// A job that no cluster state can take.
    #[error("job `{0}` fits nowhere, not even on an empty cluster")]
    FitsNowhere(String),
}
