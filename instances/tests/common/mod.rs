//! What the integration tests share.
#![allow(dead_code, unreachable_pub)] // each test file uses a part
#![allow(clippy::panic, clippy::print_stdout)] // helpers of tests

use ecomap_instances::Catalog;
use std::path::{Path, PathBuf};

pub fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap_or_else(|issues| panic!("{issues}"))
}

/// A path inside this crate.
pub fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a committed file with what the code generates; `ECOMAP_BLESS=1` rewrites it instead.
pub fn check_or_bless(path: &Path, generated: &str) {
    if std::env::var_os("ECOMAP_BLESS").is_some_and(|v| v == "1") {
        std::fs::write(path, generated).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is out of date; run ECOMAP_BLESS=1 cargo test -p ecomap-instances and review the diff",
        path.display()
    );
}

/// The folder of published data: `ECOMAP_DATA`, else `shared/data` beside the workspace. `None`,
/// after saying so, when it is not there.
pub fn data(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ECOMAP_DATA").map_or_else(|| here("../../shared/data"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there (set ECOMAP_DATA)", path.display());
    None
}

/// Names of the files in a folder, sorted.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|e| e.path().is_file())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
