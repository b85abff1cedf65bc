//! What can go wrong in this crate.

use ecomap_instances::Issues;

/// An error of the estimator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimatorError {
    /// The fitted-parameters file does not parse or has a number out of range.
    #[error("parameters: {0}")]
    Parameters(String),
    /// The priced instance breaks a rule, e.g. a tenant that may not be shed has no option.
    #[error("the priced scenario is not a valid instance: {0}")]
    Instance(#[from] Issues),
    /// A predictor answered with a list of another length than its request.
    #[error("predictor `{name}` answered {got} of {asked} requests")]
    ShortAnswer {
        /// Predictor.
        name: String,
        /// Requests.
        asked: usize,
        /// Answers.
        got: usize,
    },
    /// A plan that the simulator refuses.
    #[error("simulation: {0}")]
    Simulation(#[from] crate::sim::SimError),
    /// A file of measurements cannot be read.
    #[error("{path}: {message}")]
    Data {
        /// File.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
}
