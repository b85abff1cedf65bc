//! Small files of sysfs.

use crate::power::Fault;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes of an attribute: numbers and names are far shorter.
const ATTRIBUTE: u64 = 256;
/// Most entries of a folder that are looked at.
const ENTRIES: usize = 1024;

/// Text of an attribute, without the white space around it.
///
/// # Errors
/// As reading does; bytes that are not UTF-8 are [`io::ErrorKind::InvalidData`].
pub fn attribute(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(ATTRIBUTE).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// A whole number from an attribute.
///
/// # Errors
/// What was wrong, as a fault of `rail`.
pub fn number(path: &Path, rail: &str) -> Result<i64, Fault> {
    let text = attribute(path).map_err(|error| fault(&error, rail))?;
    text.parse().map_err(|_| Fault::Garbage { rail: rail.to_owned(), text: text.chars().take(40).collect() })
}

/// What a file that cannot be read says about its rail.
#[must_use]
pub fn fault(error: &io::Error, rail: &str) -> Fault {
    let rail = rail.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => Fault::Missing { rail },
        io::ErrorKind::PermissionDenied => Fault::Denied { rail },
        io::ErrorKind::InvalidData => Fault::Garbage { rail, text: "not UTF-8".to_owned() },
        _ => Fault::Unreadable { rail, reason: error.to_string() },
    }
}

/// Entries of a folder whose name `keep` accepts, in the order of their names.
///
/// # Errors
/// As reading the folder does.
pub fn entries(folder: &Path, keep: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(ENTRIES) {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&keep) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tests often run as root, whom no file is denied, so the kinds are looked at one by one.
    #[test]
    fn every_kind_of_failure_has_its_fault() {
        let of = |kind: io::ErrorKind| fault(&kind.into(), "GPU");
        assert_eq!(of(io::ErrorKind::NotFound), Fault::Missing { rail: "GPU".to_owned() });
        assert_eq!(of(io::ErrorKind::PermissionDenied), Fault::Denied { rail: "GPU".to_owned() });
        assert!(matches!(of(io::ErrorKind::InvalidData), Fault::Garbage { .. }));
        assert!(matches!(of(io::ErrorKind::BrokenPipe), Fault::Unreadable { .. }));
    }
}
