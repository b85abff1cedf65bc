//! A folder of calibration files, one a version, the latest few kept.

use super::calibration::Calibration;
use super::persist::MAX_FILE;
use crate::EstimatorError;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Where versions of a calibration outlive the process.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
    keep: usize,
}

fn io(path: &Path, source: std::io::Error) -> EstimatorError {
    EstimatorError::Io { path: path.display().to_string(), source }
}

impl Archive {
    /// An archive in an existing folder that keeps the latest `keep` versions, at least one.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, keep: usize) -> Self {
        Self { folder: folder.into(), keep: keep.max(1) }
    }

    fn path(&self, version: u64) -> PathBuf {
        self.folder.join(format!("calibration-{version:020}.json"))
    }

    /// Versions in the folder, ascending.
    ///
    /// # Errors
    /// [`EstimatorError::Io`] where the folder cannot be listed.
    pub fn versions(&self) -> Result<Vec<u64>, EstimatorError> {
        let mut versions = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|e| io(&self.folder, e))? {
            let name = entry.map_err(|e| io(&self.folder, e))?.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix("calibration-")?.strip_suffix(".json"));
            versions.extend(number.filter(|n| n.len() == 20).and_then(|n| n.parse::<u64>().ok()));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    /// Makes a version ([`Calibration::checkpoint`]) above all in the folder and writes it, whole or
    /// not at all: to a temporary file in the same folder, flushed to the disk, then renamed. Then
    /// removes the oldest beyond those kept. Returns the version.
    ///
    /// # Errors
    /// [`EstimatorError::Io`], or [`EstimatorError::CalibrationFile`] for one too large.
    pub fn save(&self, calibration: &mut Calibration) -> Result<u64, EstimatorError> {
        let before = self.versions()?;
        calibration.newest = before.last().copied().unwrap_or(0).max(calibration.newest);
        let version = calibration.checkpoint();
        let bytes = calibration.to_json()?;
        write_atomically(&self.path(version), &bytes)?;
        let surplus = (before.len() + 1).saturating_sub(self.keep);
        for old in before.into_iter().take(surplus) {
            let path = self.path(old);
            fs::remove_file(&path).map_err(|e| io(&path, e))?;
        }
        Ok(version)
    }

    /// Reads a version.
    ///
    /// # Errors
    /// [`EstimatorError::NoVersion`] where there is no such file, else [`EstimatorError::Io`] or
    /// as [`Calibration::from_json`].
    pub fn load(&self, version: u64) -> Result<Calibration, EstimatorError> {
        let path = self.path(version);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(EstimatorError::NoVersion(version));
            }
            Err(e) => return Err(io(&path, e)),
        };
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(|e| io(&path, e))?;
        Calibration::from_json(&bytes)
    }

    /// Reads the highest version; `None` in an empty folder.
    ///
    /// # Errors
    /// As [`Archive::load`]. A damaged latest file is an error, not silently an older version:
    /// [`Archive::versions`] and [`Archive::load`] let the caller go back.
    pub fn load_latest(&self) -> Result<Option<Calibration>, EstimatorError> {
        self.versions()?.last().map(|&v| self.load(v)).transpose()
    }
}

/// Replaces `path` by a file with these bytes: readers see the old file or the new one.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), EstimatorError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| io(folder, e))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|e| io(path, e))?;
    file.persist(path).map_err(|e| io(path, e.error))?;
    // The rename itself is on the disk once the folder is.
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io(folder, e))
}
