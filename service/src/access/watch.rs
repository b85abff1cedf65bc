//! Takes over the key file when it changes, so that a revoked key ends without a restart.

use crate::ServiceError;
use crate::access::gate::Gate;
use crate::access::keyfile::KeyFile;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the file is looked at: how long a revoked key may still be used.
pub const EVERY: Duration = Duration::from_secs(1);

/// What tells one version of a file from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp { modified: meta.modified().ok(), length: meta.len(), inode })
}

/// Follows the gate's key file until it is dropped with its runtime. A file that cannot be read
/// leaves the keys as they were, and says so once.
pub async fn follow(gate: Arc<Gate>) {
    let Some(path) = gate.path().map(Path::to_owned) else { return };
    // Not what is there now: it may have changed since it was read.
    let mut seen = None;
    loop {
        let known = seen.clone();
        let from: PathBuf = path.clone();
        let looked = tokio::task::spawn_blocking(move || look(&from, known.as_ref())).await;
        if let Ok(Some((now, outcome))) = looked {
            seen = now;
            match outcome {
                Ok(file) => {
                    gate.replace(&file);
                    tracing::info!(keys = file.keys().len(), "the key file was read");
                }
                Err(error) => {
                    tracing::error!(%error, "the key file cannot be read; the keys stay as they were");
                }
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

type Looked = (Option<Stamp>, Result<KeyFile, ServiceError>);

/// The file, if it is not the one seen last.
fn look(path: &Path, seen: Option<&Stamp>) -> Option<Looked> {
    let now = stamp(path);
    if now.is_some() && now.as_ref() == seen {
        return None;
    }
    if now.is_none() && seen.is_none() {
        return None; // said already
    }
    Some((now, KeyFile::read(path)))
}
