//! What can go wrong with the store.

use std::path::PathBuf;
use thiserror::Error;

/// Why a question or a change has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The queue is full: try again.
    #[error("the store has too much to do")]
    Busy,
    /// The store is closed, or the closure panicked.
    #[error("the store is closed")]
    Closed,
    /// The file was written by a later version of this program.
    #[error(
        "the store has schema version {found}, this program knows versions up to {known}: use a later program"
    )]
    Newer {
        /// Of the file.
        found: i64,
        /// The last one known.
        known: i64,
    },
    /// A SQLite file that is not a store.
    #[error("`{0}` is a database, but not a store of this program")]
    Foreign(PathBuf),
    /// Another process has the store open.
    #[error("`{0}` is in use by another process")]
    Locked(PathBuf),
    /// The file cannot be used.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is there is not what the caller expects.
    #[error("there is another version now")]
    Conflict,
    /// There is no such row.
    #[error("there is no such row")]
    NotFound,
    /// As many rows as there may be, none of them to be given up.
    #[error("there is room for {0} only")]
    Full(u64),
    /// A row that no version of this program writes.
    #[error("a row does not hold: {0}")]
    Corrupt(String),
    /// The transaction could not be brought to the disk: nothing in it holds.
    #[error("the change could not be written: {0}")]
    Commit(String),
    /// SQLite refuses.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}
