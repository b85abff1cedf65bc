//! Finding ONNX Runtime's shared library.
//!
//! In this order: the path in the environment variable [`VARIABLE`] (and nothing else, if it is
//! set); beside the running program; in `.tools/onnxruntime` of the folders above the program,
//! where `make setup` puts it. Never in the current folder: what lies there may be anybody's.

use std::path::{Path, PathBuf};

/// Version of the library that `make setup` fetches.
pub const VERSION: &str = "1.32.0";

/// Environment variable that names the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// How to get the library, for messages.
pub const REMEDY: &str =
    "run `make setup`, or set ORT_DYLIB_PATH to libonnxruntime.so of ONNX Runtime 1.24 or newer";

const NAMES: [&str; 3] = ["libonnxruntime.so.1.32.0", "libonnxruntime.so", "libonnxruntime.dylib"];
const TOOLS: &str = ".tools/onnxruntime/onnxruntime/capi";
/// Folders above the program that are looked into.
const ANCESTORS: usize = 6;

/// The library, where there is one.
#[must_use]
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        let path = PathBuf::from(named);
        return path.is_file().then_some(path);
    }
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    let here = std::env::current_dir().ok();
    beside.and_then(inside).or_else(|| beside.and_then(above)).or_else(|| here.as_deref().and_then(above))
}

/// Why there is none, and what to do, for messages.
#[must_use]
pub fn missing() -> String {
    match std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        Some(named) => format!("{VARIABLE} names no file: `{}`; {REMEDY}", PathBuf::from(named).display()),
        None => format!("not installed; {REMEDY}"),
    }
}

fn inside(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn above(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().take(ANCESTORS).find_map(|f| inside(&f.join(TOOLS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_in_the_tools_of_an_ancestor() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(TOOLS);
        std::fs::create_dir_all(&folder).unwrap();
        let deep = root.path().join("target/debug/deps");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(above(&deep), None);
        let library = folder.join(NAMES[1]);
        std::fs::write(&library, b"").unwrap();
        assert_eq!(above(&deep), Some(library));
    }
}
