//! Files below one folder, and nowhere else.
//!
//! Every step from the folder to the file is opened by itself, without following symbolic links, so
//! that nothing can be put in the way between a check and its use. (`openat2` would do it in one
//! call, but the kernels of JetPack 4 and 5 are older.)

use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A folder that is open.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder; the path itself is the user's and may lead through links.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(rustix::fs::CWD, path, flags, Mode::empty())?))
    }

    /// Reads a file by the names on its way; `None` when it has more than `most` bytes.
    ///
    /// # Errors
    /// The system's; an error of kind `InvalidInput` for a name that is not plain, and of kind
    /// `FilesystemLoop` or `NotADirectory` where a symbolic link is in the way.
    pub fn read(&self, parts: &[&str], most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((name, folders)) = parts.split_last() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name"));
        };
        let mut here: Option<OwnedFd> = None;
        for folder in folders {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            here = Some(openat(here.as_ref().unwrap_or(&self.0), plain(folder)?, flags, Mode::empty())?);
        }
        // Without NONBLOCK a pipe of this name would hang the reader.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(here.as_ref().unwrap_or(&self.0), plain(name)?, flags, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::new();
        File::from(file).take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }
}

/// Whether `name` is one step into a folder.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}

fn plain(name: &str) -> io::Result<&str> {
    if is_plain(name) {
        return Ok(name);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` is no plain name", name.escape_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn reads_below_the_folder_only() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"secret").unwrap();
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/file"), b"12345").unwrap();
        symlink(outside.path(), at("away")).unwrap();
        symlink(outside.path().join("secret"), at("a/link")).unwrap();
        symlink("b", at("a/same")).unwrap();
        let folder = Folder::open(root.path()).unwrap();
        assert_eq!(folder.read(&["a", "b", "file"], 5).unwrap().as_deref(), Some(&b"12345"[..]));
        assert_eq!(folder.read(&["a", "b", "file"], 4).unwrap(), None);
        let refused: [&[&str]; 9] = [
            &["away", "secret"],
            &["a", "link"],
            &["a", "same", "file"],
            &["..", "secret"],
            &["a/b", "file"],
            &["a", "b"],
            &["a", "", "file"],
            &["/etc/passwd"],
            &[],
        ];
        for parts in refused {
            assert!(folder.read(parts, 100).is_err(), "{parts:?}");
        }
        let missing = folder.read(&["a", "b", "none"], 5).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_does_not_hang_the_reader() {
        let root = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("pipe")).status();
        if !made.is_ok_and(|s| s.success()) {
            eprintln!("skipped: no mkfifo");
            return;
        }
        let refused = Folder::open(root.path()).unwrap().read(&["pipe"], 5).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
