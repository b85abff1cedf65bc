//! Writing: results to standard output or a file, everything else to standard error.

use crate::ServiceError;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// Writes to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a value as indented JSON to standard output.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(ServiceError::Json)?;
    text.push('\n');
    print(&text)
}

/// Writes a file, whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ServiceError> {
    let failed = |source| ServiceError::Write { path: path.to_owned(), source };
    // A device or pipe (`/dev/stdout`) cannot be replaced by renaming.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(failed);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".part-{}", std::process::id()));
    std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path)).map_err(|source| {
        let _ = std::fs::remove_file(&beside);
        failed(source)
    })
}

/// Writes a value as indented JSON to a file.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ServiceError> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write(path, &text)
}

/// A line on standard error.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error on standard error.
pub(super) fn error(error: &anyhow::Error) {
    note(&format!("ecomap: {error}"));
}

/// Whether the reader of standard output went away.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
