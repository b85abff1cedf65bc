//! What can go wrong in the executor.

use crate::repository::RepositoryError;
use crate::runtime::Refused;
use ecomap_instances::Issues;
use ecomap_instances::ids::UnitId;
use ecomap_instances::plan::Status;
use std::path::PathBuf;

/// An error of the executor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// The file is longer than a plan can be.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// File.
        path: PathBuf,
        /// Most bytes read.
        limit: u64,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// The address cannot be had.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// Address.
        addr: std::net::SocketAddr,
        /// Reason.
        source: std::io::Error,
    },
    /// The model repository cannot be used.
    #[error("repository: {0}")]
    Repository(#[from] RepositoryError),
    /// The plan cannot be run here.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// The document is not a result.
    #[error("{0}")]
    Invalid(#[from] Issues),
    /// The result has no plan.
    #[error("the result has no plan (status {})", .0.as_str())]
    NoPlan(Status),
    /// The plan did not pass the checker.
    #[error("refused: the plan did not pass the checker (verdict `{verdict}`{})", example(.first))]
    NotChecked {
        /// Verdict.
        verdict: String,
        /// First violation, for people.
        first: Option<String>,
    },
    /// The plan contradicts itself.
    #[error("refused: {0}")]
    Inconsistent(String),
    /// The plan does not know the board.
    #[error("the plan has no device `{device}`; it has: {known}")]
    UnknownDevice {
        /// Name asked for.
        device: String,
        /// Names known.
        known: String,
    },
    /// A compute unit cannot be used.
    #[error("E1710 unit `{unit}`: {message}")]
    Unit {
        /// Unit.
        unit: UnitId,
        /// Why.
        message: String,
    },
    /// The agent cannot start.
    #[error(transparent)]
    Agent(Box<dyn std::error::Error + Send + Sync>),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Start(std::io::Error),
    /// Orders cannot be written as JSON; a bug.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

fn example(first: &Option<String>) -> String {
    first.as_ref().map_or_else(String::new, |text| format!(", {text}"))
}
