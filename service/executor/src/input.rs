//! Files that the command line names.

use crate::ExecutorError;
use std::io::{self, Read};
use std::path::Path;

/// Most bytes of a result.
const MAX_BYTES: u64 = 256 << 20;

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// [`ExecutorError::Read`] or [`ExecutorError::TooLarge`].
pub fn read(path: &Path) -> Result<Vec<u8>, ExecutorError> {
    let failed = |source| ExecutorError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let count = if path.as_os_str() == "-" {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)
    };
    if count.map_err(failed)? as u64 > MAX_BYTES {
        return Err(ExecutorError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(bytes)
}
