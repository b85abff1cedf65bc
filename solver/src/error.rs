//! What can go wrong in a solver.

use ecomap_instances::{Code, Issues};

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
    /// The joint predictor failed.
    #[error("the joint prediction failed: {0}")]
    Prediction(String),
    /// A joint prediction is below the isolated one: the master of a contention loop would be no
    /// relaxation, and its bound none.
    #[error(
        "{code}: tenant {tenant} is predicted at {quantile} {predicted_ms} ms beside its co-runners and at \
         {isolated_ms} ms alone",
        code = Code::NotARelaxation
    )]
    NotARelaxation {
        /// Tenant.
        tenant: String,
        /// Quantile.
        quantile: &'static str,
        /// End-to-end latency predicted jointly.
        predicted_ms: f64,
        /// End-to-end latency of the option without co-runners.
        isolated_ms: f64,
    },
    /// The process that was to solve could not be started or asked.
    #[error("the solver process failed: {0}")]
    Process(String),
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
