//! The audit log: who did what, when, and how it ended. JSON lines; no bodies, no secrets.
//!
//! One thread writes. Its queue is bounded: a line that does not fit is counted and said, so that
//! a full disk shows instead of stopping the service.

use crate::ServiceError;
use crate::access::role::Role;
use crate::wall::WireTime;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Lines that may wait for the disk.
const QUEUE: usize = 4096;
/// Longest path written.
pub const MOST_PATH: usize = 256;

/// A line.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// When it was answered.
    pub time: WireTime,
    /// Request id, as in the log.
    pub request: String,
    /// Trace, as in the log.
    pub trace: String,
    /// Id of the key; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Name of the key, or `local` without keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Address that the connection came from; behind a proxy, the proxy's.
    pub peer: String,
    /// Method.
    pub method: String,
    /// Path without the query, clipped.
    pub path: String,
    /// Status; absent when the client went away first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `ok`, `refused` (access), `failed`, or `gone` (the client).
    pub outcome: &'static str,
}

/// Where audit lines go.
#[derive(Debug)]
pub struct Audit {
    writer: Option<Writer>,
    /// Lines that were not written.
    pub lost: Counter,
}

#[derive(Debug)]
struct Writer {
    lines: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Audit {
    /// Appends to `path`; without one, lines go to the log with the target `audit`. A file beyond
    /// `most` bytes is renamed to `<path>.1`, over an older one.
    ///
    /// # Errors
    /// [`ServiceError::Write`] when the file cannot be opened; [`ServiceError::Start`].
    pub fn open(path: Option<&Path>, most: u64) -> Result<Self, ServiceError> {
        let Some(path) = path else { return Ok(Self { writer: None, lost: Counter::default() }) };
        let file = Sink::open(path, most)?;
        let lost: Counter = Counter::default();
        let counter = lost.clone();
        let (lines, incoming) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || file.run(&incoming, &counter))
            .map_err(ServiceError::Start)?;
        Ok(Self { writer: Some(Writer { lines: Some(lines), thread: Some(thread) }), lost })
    }

    /// Writes a line.
    pub fn write(&self, entry: &Entry) {
        let Ok(mut line) = serde_json::to_vec(entry) else { return };
        match &self.writer {
            None => {
                tracing::info!(target: "audit", line = %String::from_utf8_lossy(&line), "audit");
            }
            Some(writer) => {
                line.push(b'\n');
                let sent = writer.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
                if !sent {
                    self.lost.inc();
                    tracing::error!(request = entry.request, "an audit line was lost: the disk is too slow");
                }
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lines = None; // the thread writes what is left, and ends
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Sink {
    path: PathBuf,
    file: File,
    written: u64,
    most: u64,
}

impl Sink {
    fn open(path: &Path, most: u64) -> Result<Self, ServiceError> {
        let fault = |source| ServiceError::Write { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(fault)?;
        let written = file.metadata().map_err(fault)?.len();
        Ok(Self { path: path.to_owned(), file, written, most })
    }

    fn run(mut self, lines: &Receiver<Vec<u8>>, lost: &Counter) {
        while let Ok(line) = lines.recv() {
            let length = line.len() as u64;
            if self.written > 0 && self.written.saturating_add(length) > self.most {
                self.turn_over();
            }
            match self.file.write_all(&line) {
                Ok(()) => self.written += length,
                Err(error) => {
                    lost.inc();
                    tracing::error!(%error, path = %self.path.display(), "an audit line was lost");
                }
            }
        }
        let _ = self.file.sync_all();
    }

    fn turn_over(&mut self) {
        let mut old = self.path.as_os_str().to_owned();
        old.push(".1");
        let renamed = std::fs::rename(&self.path, PathBuf::from(old)).is_ok();
        match Self::open(&self.path, self.most) {
            Ok(next) if renamed => *self = next,
            // The old file goes on; its next attempt comes after as many bytes again.
            _ => self.written = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32) -> Entry {
        Entry {
            time: WireTime(jiff::Timestamp::UNIX_EPOCH),
            request: format!("r-{n}"),
            trace: String::new(),
            key: Some("0123456789ab".to_owned()),
            name: Some("ci".to_owned()),
            role: Some(Role::Solve),
            peer: "127.0.0.1".to_owned(),
            method: "POST".to_owned(),
            path: "/v1/solve".to_owned(),
            status: Some(200),
            outcome: "ok",
        }
    }

    #[test]
    fn lines_are_all_written_and_old_files_make_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let line = serde_json::to_vec(&entry(0)).expect("JSON").len() as u64 + 1;
        let audit = Audit::open(Some(&path), 3 * line).expect("opens");
        (0..5).for_each(|n| audit.write(&entry(n)));
        drop(audit); // waits for the writer
        let read = |path: &Path| -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(path).expect("there");
            text.lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
        };
        let old = read(&folder.path().join("audit.jsonl.1"));
        let new = read(&path);
        let ids: Vec<_> = old.iter().chain(&new).map(|v| v["request"].clone()).collect();
        assert_eq!(ids, ["r-0", "r-1", "r-2", "r-3", "r-4"]);
        assert_eq!((new[0]["outcome"].as_str(), new[0]["role"].as_str()), (Some("ok"), Some("solve")));
        // A restart goes on where the file ends.
        let audit = Audit::open(Some(&path), 3 * line).expect("opens");
        audit.write(&entry(5));
        drop(audit);
        assert_eq!(read(&path).len(), 3);
    }
}
