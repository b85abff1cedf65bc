//! The process' environment of ONNX Runtime.

use crate::library::{REMEDY, find, missing};
use ort::environment::Environment;
use std::sync::OnceLock;

/// The environment. A process has one; the first library that loads stays, and so does the first
/// failure.
///
/// # Errors
/// Why there is none and what to do, for people.
pub fn environment() -> Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    ENVIRONMENT
        .get_or_init(|| {
            let path = find().ok_or_else(missing)?;
            let builder = ort::init_from(&path).map_err(|e| format!("{}: {e}; {REMEDY}", path.display()))?;
            builder.build().map_err(|e| format!("{}: {e}", path.display()))
        })
        .as_ref()
        .map_err(Clone::clone)
}
