//! What can go wrong in a solver.

use ecomap_instances::Issues;

/// An error of the solver crate. Infeasibility and limits are not errors but statuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SolverError {
    /// The solver does not handle this kind of instance or objective.
    #[error("{solver} does not handle {what}")]
    Unsupported {
        /// Solver asked.
        solver: &'static str,
        /// What it does not handle.
        what: String,
    },
    /// No solver of that name is registered.
    #[error("there is no solver `{name}`; known: {known}")]
    UnknownSolver {
        /// Name asked for.
        name: String,
        /// Names registered.
        known: String,
    },
    /// HiGHS refused a call. This is a bug of Ecomap or HiGHS, not of the input.
    #[error("HiGHS failed in {call} (status {status})")]
    Highs {
        /// Function called.
        call: &'static str,
        /// Status returned.
        status: i32,
    },
    /// A warm start or plan that does not fit the instance.
    #[error("the plan does not fit the instance:\n{0}")]
    Plan(#[source] Issues),
    /// The plan found breaks a row; it is withheld. This is a bug of Ecomap.
    #[error("the plan found does not pass the checker: {0}")]
    Rejected(String),
    /// Writing a model file failed.
    #[error("cannot write {path}")]
    Write {
        /// File.
        path: String,
        /// Reason.
        #[source]
        source: std::io::Error,
    },
}
