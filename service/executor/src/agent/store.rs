//! What an agent keeps on disk, so that it serves its last plan again after a restart.
//!
//! One file: a line with the format and the SHA-256 of the rest, then JSON. It is written beside the old one, flushed
//! to the disk, and renamed: at every moment the file is the old state or the new one, whole. Writing needs space,
//! renaming does not; so [`Store::stage`] comes before anything is changed on the board, [`Staged::publish`] after.

use crate::agent::ledger::Digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const FORMAT: &str = "ecomap.agent-state/v1";
const FILE: &str = "state";
/// Most bytes of the file.
const MAX_FILE: u64 = 16 << 20;

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Highest version ever heard of.
    pub highest: u64,
    /// Number of the last renewal.
    pub renewal: u64,
    /// Plan that runs.
    pub running: Option<KeptPlan>,
    /// When the budget expires, ms since the epoch; `None`: never.
    pub lease_until_ms: Option<u64>,
}

/// A plan as it was sent, with its signature, which is checked again when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptPlan {
    /// Version.
    pub version: u64,
    /// Orders, as they were sent.
    pub orders: String,
    /// Signature of the request that brought them.
    pub signature: String,
}

/// Why the state cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// File.
        path: PathBuf,
        /// How that is known.
        what: String,
    },
}

/// A folder that belongs to one agent.
#[derive(Debug, Clone)]
pub struct Store(PathBuf);

/// A state that is written, but not yet the one that counts; thrown away when dropped.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Store {
    /// Uses a folder, made if need be.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
        Ok(Self(folder.to_owned()))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// The state that counts; `None` when none was ever kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file is not what was written.
    pub fn read(&self) -> Result<Option<Kept>, StoreError> {
        let path = self.file();
        let mut bytes = Vec::new();
        let count = match File::open(&path) {
            Ok(file) => file.take(MAX_FILE + 1).read_to_end(&mut bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        };
        let count = count.map_err(|source| StoreError::Io { path: path.clone(), source })?;
        let damaged = |what: &str| Err(StoreError::Damaged { path: path.clone(), what: what.to_owned() });
        if count as u64 > MAX_FILE {
            return damaged("too long");
        }
        let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return damaged("no first line") };
        let (head, rest) = bytes.split_at(end);
        let rest = rest.get(1..).unwrap_or_default();
        if head != format!("{FORMAT} {}", Digest::of(rest)).as_bytes() {
            return damaged("its hash is wrong");
        }
        match serde_json::from_slice(rest) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) => damaged(&error.to_string()),
        }
    }

    /// Writes a state to the disk, beside the one that counts.
    ///
    /// # Errors
    /// [`StoreError::Io`], e.g. when the disk is full; the state that counts is untouched.
    pub fn stage(&self, kept: &Kept) -> Result<Staged, StoreError> {
        let failed = |source| StoreError::Io { path: self.0.clone(), source };
        let body = serde_json::to_vec(kept).map_err(|e| failed(e.into()))?;
        let mut file = tempfile::Builder::new().prefix("state-").tempfile_in(&self.0).map_err(failed)?;
        let head = format!("{FORMAT} {}\n", Digest::of(&body));
        file.write_all(head.as_bytes()).map_err(failed)?;
        file.write_all(&body).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        Ok(Staged { file, target: self.file() })
    }

    /// Writes a state and makes it the one that counts.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&self, kept: &Kept) -> Result<(), StoreError> {
        self.stage(kept)?.publish()
    }
}

impl Staged {
    /// Makes this state the one that counts.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the old state counts then.
    pub fn publish(self) -> Result<(), StoreError> {
        let Self { file, target } = self;
        let failed = |source| StoreError::Io { path: target.clone(), source };
        file.persist(&target).map_err(|e| failed(e.error))?;
        // The new name must outlive a loss of power as well.
        let folder = target.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(version: u64) -> Kept {
        let plan =
            KeptPlan { version, orders: "{\"é\": 1}\n".to_owned(), signature: "ed25519 00".to_owned() };
        Kept { highest: version + 2, renewal: 4, running: Some(plan), lease_until_ms: Some(5) }
    }

    #[test]
    fn what_was_kept_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a/b")).unwrap();
        assert_eq!(store.read().unwrap(), None);
        store.write(&kept(3)).unwrap();
        let staged = store.stage(&kept(4)).unwrap();
        assert_eq!(store.read().unwrap(), Some(kept(3)));
        staged.publish().unwrap();
        assert_eq!(store.read().unwrap(), Some(kept(4)));
        drop(store.stage(&kept(5)).unwrap());
        assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn damage_of_any_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write(&kept(3)).unwrap();
        let whole = fs::read(folder.path().join(FILE)).unwrap();
        for n in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[n] ^= 1;
            fs::write(folder.path().join(FILE), &bytes).unwrap();
            assert!(matches!(store.read(), Err(StoreError::Damaged { .. })), "byte {n}");
            fs::write(folder.path().join(FILE), &whole[..n]).unwrap();
            assert!(store.read().is_err(), "cut at {n}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_leaves_the_old_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write(&kept(3)).unwrap();
        // A folder where the file is to be: root may write anywhere else.
        let gone = Store::open(&folder.path().join("gone")).unwrap();
        fs::remove_dir(gone.folder()).unwrap();
        assert!(matches!(gone.stage(&kept(4)), Err(StoreError::Io { .. })));
        assert_eq!(store.read().unwrap(), Some(kept(3)));
    }
}
