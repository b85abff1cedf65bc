//! What can go wrong in a study.

use ecomap_carbon::source::trace::TraceError;
use ecomap_estimator::EstimatorError;
use ecomap_estimator::sim::SimError;
use ecomap_instances::Issues;
use ecomap_solver::SolverError;
use std::path::PathBuf;

/// An error of the study.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The study's file cannot be read as one.
    #[error("the study is not valid: {0}")]
    Parse(#[source] toml::de::Error),
    /// A value of the study that makes no sense.
    #[error("the study is not valid: {0}")]
    Value(String),
    /// A file cannot be read or written.
    #[error("cannot access {path}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A scenario that is none.
    #[error("scenario `{name}` is not valid:\n{issues}")]
    Scenario {
        /// Its name.
        name: String,
        /// What is wrong.
        #[source]
        issues: Issues,
    },
    /// A trace that is none.
    #[error("trace `{name}`")]
    Trace {
        /// Its name.
        name: String,
        /// What is wrong.
        #[source]
        source: TraceError,
    },
    /// The estimator cannot price or prepare something.
    #[error(transparent)]
    Estimator(#[from] EstimatorError),
    /// A solver declined or failed.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// The simulator refused a plan. This is a bug of Ecomap.
    #[error("a plan cannot be simulated: {0}")]
    Simulation(#[from] SimError),
    /// A plan that does not fit its scenario. This is a bug of Ecomap.
    #[error("a plan does not fit its scenario: {0}")]
    Misfit(String),
    /// Recorded traces are asked for and not there.
    #[error("there are no recorded traces under {0} (carbon/hourly/REGION_YEAR.csv)")]
    NoData(PathBuf),
    /// A Parquet file cannot be written.
    #[error("cannot write {path}")]
    Parquet {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A figure cannot be drawn.
    #[error("cannot draw {path}: {what}")]
    Figure {
        /// Which one.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// A row of a file of an earlier run that is none.
    #[error("{path}: {what}")]
    Row {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}
