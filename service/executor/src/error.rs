//! What can go wrong in the executor.

use ecomap_instances::Issues;
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
    /// Orders cannot be written as JSON; a bug.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
}

fn example(first: &Option<String>) -> String {
    first.as_ref().map_or_else(String::new, |text| format!(", {text}"))
}
