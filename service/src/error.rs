//! What can go wrong in this crate.

use ecomap_estimator::EstimatorError;
use ecomap_instances::{Code, Issues};
use ecomap_solver::SolverError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An error of the service crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The document is not valid.
    #[error("{0}")]
    Invalid(#[from] Issues),
    /// The objective asked for is not one.
    #[error("{code} objective: {message}")]
    Objective {
        /// Code of the mistake.
        code: Code,
        /// What is wrong.
        message: String,
    },
    /// Nothing says which format the document has.
    #[error(
        "cannot tell the format of {0}: it is neither a JSON object with a `format` nor text that looks like a benchmark file; where the command has it, --format names it"
    )]
    UnknownFormat(String),
    /// Neither a file nor an embedded scenario.
    #[error("there is no file `{name}`, and no embedded scenario of that name (embedded: {known})")]
    NoSuchInput {
        /// What was asked for.
        name: String,
        /// Embedded scenarios.
        known: String,
    },
    /// The document is longer than this program reads.
    #[error("{name} is larger than {limit} bytes")]
    InputTooLarge {
        /// File.
        name: String,
        /// Most bytes read.
        limit: u64,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// This command takes a scenario, not a priced instance or a benchmark file.
    #[error("{0} is not a scenario; only a scenario has something to estimate")]
    NotAScenario(String),
    /// A request asks for something that does not exist or is out of range.
    #[error("{0}")]
    Usage(String),
    /// The time allowed ran out before the solver could start.
    #[error("the time allowed was used up before the solver could start")]
    NoTimeLeft,
    /// The solver failed.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// The process that solves cannot be started.
    #[error("cannot start {} to solve in: {source}", program.display())]
    Worker {
        /// This program.
        program: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// The estimator failed.
    #[error(transparent)]
    Estimator(EstimatorError),
    /// The embedded files are broken; a bug.
    #[error("the embedded catalogue is broken: {0}")]
    Catalog(&'static Issues),
    /// A result cannot be written as JSON; a bug.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {}", bind_reason(source))]
    Bind {
        /// Address asked for.
        addr: SocketAddr,
        /// Reason.
        source: std::io::Error,
    },
    /// A service that others can reach asks for keys.
    #[error(
        "E4190 {addr} is not a loopback address, and there is no active key: make one with `ecomap keys add` and name \
         its file with --keys"
    )]
    KeysNeeded {
        /// Address asked for.
        addr: SocketAddr,
    },
    /// Not a key file.
    #[error("E4191 {path} is not a key file: {message}")]
    KeyFile {
        /// File.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// The operating system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
    /// The store cannot be opened, or fails.
    #[error("the store: {0}")]
    Store(#[from] ecomap_store::StoreError),
    /// The configuration of carbon sources does not hold.
    #[error("{path}: {what}")]
    Sources {
        /// File.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The configuration of boards does not hold.
    #[error("{path}: {what}")]
    Boards {
        /// File.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The client for carbon sources cannot be made.
    #[error("cannot make the client for carbon sources: {0}")]
    Client(String),
    /// A thread or the runtime cannot be started.
    #[error("cannot start the service: {0}")]
    Start(#[source] std::io::Error),
}

impl From<EstimatorError> for ServiceError {
    fn from(error: EstimatorError) -> Self {
        match error {
            // The scenario prices into something that breaks a rule: the user's to mend.
            EstimatorError::Instance(issues) => Self::Invalid(issues),
            other => Self::Estimator(other),
        }
    }
}

fn bind_reason(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            "the address is already in use; stop the other process or choose another with --listen".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{source}; ports below 1024 need a privilege, choose another with --listen")
        }
        _ => source.to_string(),
    }
}
