//! Keeps reports until the service has them.
//!
//! Each report is a file of its own in a folder, named by when the agent started and by its number, so that the order
//! of names is that of the reports, across restarts too. At most so many are kept: then the oldest goes, and the next
//! report says how many were lost. When the disk is full, reports stay in memory, within a smaller bound.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Most reports that are kept in memory, when the disk takes none.
const IN_MEMORY: usize = 256;
/// Most bytes of a report.
const MAX_REPORT: u64 = 4 << 20;

#[derive(Debug)]
struct Entry {
    name: String,
    /// Its text, where it is not in a file.
    body: Option<Vec<u8>>,
}

/// Reports that wait, oldest first.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    most: usize,
    waiting: VecDeque<Entry>,
    in_memory: usize,
    lost: u64,
}

impl Spool {
    /// Uses a folder, made if need be, with what it holds from before. At least one report is kept.
    ///
    /// # Errors
    /// When the folder cannot be made or listed.
    pub fn open(folder: &Path, most: usize) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            if let Ok(name) = entry?.file_name().into_string() {
                if is_report(&name) {
                    names.push(name);
                } else if name.ends_with(".part") {
                    // Left by an agent that ended while it wrote.
                    let _ = fs::remove_file(folder.join(&name));
                }
            }
        }
        names.sort_unstable();
        let waiting = names.into_iter().map(|name| Entry { name, body: None }).collect();
        let mut spool = Self { folder: folder.to_owned(), most: most.max(1), waiting, in_memory: 0, lost: 0 };
        spool.trim();
        Ok(spool)
    }

    /// Reports that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Reports thrown away since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Adds a report.
    pub fn push(&mut self, started_ms: u64, sequence: u64, body: Vec<u8>) {
        let name = format!("{started_ms:020}-{sequence:020}.json");
        let body = match self.write(&name, &body) {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, folder = %self.folder.display(), "a report is kept in memory only");
                self.in_memory += 1;
                Some(body)
            }
        };
        self.waiting.push_back(Entry { name, body });
        self.trim();
    }

    fn write(&self, name: &str, body: &[u8]) -> io::Result<()> {
        let part = self.folder.join(format!("{name}.part"));
        let written = fs::File::create(&part).and_then(|mut file| file.write_all(body));
        let done = written.and_then(|()| fs::rename(&part, self.folder.join(name)));
        if done.is_err() {
            let _ = fs::remove_file(&part);
        }
        done
    }

    fn trim(&mut self) {
        while self.waiting.len() > self.most || self.in_memory > IN_MEMORY {
            if self.drop_front() {
                self.lost += 1;
            }
        }
    }

    fn drop_front(&mut self) -> bool {
        let Some(entry) = self.waiting.pop_front() else { return false };
        if entry.body.is_some() {
            self.in_memory -= 1;
        } else {
            let _ = fs::remove_file(self.folder.join(&entry.name));
        }
        true
    }

    /// The oldest report, with its name. Files that cannot be read are lost and passed over.
    pub fn front(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            let entry = self.waiting.front()?;
            let body = entry.body.clone().map_or_else(|| read(&self.folder.join(&entry.name)), Ok);
            match body {
                Ok(body) => return Some((entry.name.clone(), body)),
                Err(error) => {
                    tracing::warn!(%error, name = entry.name, "a report is lost");
                    self.drop_front();
                    self.lost += 1;
                }
            }
        }
    }

    /// The service has the report of this name. Nothing happens if it was thrown away meanwhile.
    pub fn done(&mut self, name: &str) {
        if self.waiting.front().is_some_and(|entry| entry.name == name) {
            self.drop_front();
        }
    }

    /// The service does not want the report of this name: it is lost.
    pub fn refused(&mut self, name: &str) {
        if self.waiting.front().is_some_and(|entry| entry.name == name) && self.drop_front() {
            self.lost += 1;
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_REPORT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_report(name: &str) -> bool {
    let Some((started, sequence)) = name.strip_suffix(".json").and_then(|n| n.split_once('-')) else {
        return false;
    };
    [started, sequence].iter().all(|t| t.len() == 20 && t.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(spool: &mut Spool) -> Vec<String> {
        std::iter::from_fn(|| {
            let (name, body) = spool.front()?;
            spool.done(&name);
            String::from_utf8(body).ok()
        })
        .collect()
    }

    #[test]
    fn reports_wait_in_order_and_outlive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 100).unwrap();
        for n in 1..=11 {
            spool.push(7, n, n.to_string().into_bytes());
        }
        fs::write(folder.path().join("00000000000000000007-00000000000000000012.json.part"), "cut").unwrap();
        fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
        let mut spool = Spool::open(folder.path(), 100).unwrap();
        spool.push(9, 1, b"after".to_vec());
        let mut expected: Vec<String> = (1..=11).map(|n| n.to_string()).collect();
        expected.push("after".to_owned());
        assert_eq!(bodies(&mut spool), expected);
        assert!(spool.is_empty() && spool.take_lost() == 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "all but the stranger's file are gone");
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 3).unwrap();
        for n in 1..=5 {
            spool.push(7, n, n.to_string().into_bytes());
        }
        assert_eq!((spool.len(), spool.take_lost(), spool.take_lost()), (3, 2, 0));
        let (name, _) = spool.front().unwrap();
        for n in 6..=8 {
            spool.push(7, n, n.to_string().into_bytes());
        }
        // The one that was being sent has been thrown away; the answer for it must not drop another.
        spool.done(&name);
        assert_eq!(bodies(&mut spool), ["6", "7", "8"]);
    }

    #[test]
    fn without_a_disk_reports_stay_in_memory_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone");
        let mut spool = Spool::open(&path, 10_000).unwrap();
        fs::remove_dir(&path).unwrap();
        for n in 1..=300 {
            spool.push(7, n, n.to_string().into_bytes());
        }
        assert_eq!((spool.len(), spool.take_lost()), (IN_MEMORY, 300 - IN_MEMORY as u64));
        assert_eq!(bodies(&mut spool)[0], (300 - IN_MEMORY + 1).to_string());
    }
}
