//! File formats: wire types (DTOs) that reject unknown fields, and their reading into domain
//! types. Nothing past this module meets an unchecked number.

pub mod accelerators_v1;
pub mod agent_v1;
pub mod catalog_v1;
pub mod frontier_v1;
pub mod gap;
mod guess;
pub mod instance_v1;
pub mod mmkp;
pub mod orders_v1;
pub mod result_v1;
pub mod scenario_v1;
pub mod schema;
pub mod telemetry_v1;
mod text;

pub use guess::{Format, Input, guess, read_any};

use crate::issue::{Code, Issue, Issues, pointer_token};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use std::fmt::Write as _;

/// Deepest nesting of a JSON document; no format of Ecomap comes near it.
pub const MAX_DEPTH: usize = 64;

/// Document size that callers accept unless they are told otherwise, in bytes. A domain value
/// can take about 150 times the memory of the shortest text that describes it (`{}` for an option).
pub const DEFAULT_MAX_BYTES: usize = 64 << 20;

/// Refuses a document of `len` bytes when that is more than `limit`.
///
/// # Errors
/// [`Code::TooLarge`] for the whole document.
pub fn check_size(len: usize, limit: usize) -> Result<(), Issues> {
    if len <= limit {
        return Ok(());
    }
    Err(Issues::one(Issue::new(Code::TooLarge, "", format!("{len} bytes, at most {limit}"))))
}

/// Reads one JSON document into a wire type.
///
/// # Errors
/// [`Code::NotJson`], [`Code::TooDeep`] or [`Code::Shape`] with a pointer to the first offending
/// value. (Serde stops at the first; the semantic checks that follow collect all.)
pub fn read_document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Issues> {
    check_depth(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => {
                    let _ = write!(pointer, "/{index}");
                }
                Segment::Map { key } => {
                    let _ = write!(pointer, "/{}", pointer_token(key));
                }
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        Issues::one(json_issue(&error.into_inner(), pointer))
    })?;
    deserializer.end().map_err(|error| Issues::one(json_issue(&error, String::new())))?;
    Ok(value)
}

/// Finds nesting beyond [`MAX_DEPTH`] before anything is built from it, whatever shape the reader
/// expects there.
fn check_depth(bytes: &[u8]) -> Result<(), Issues> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let message = format!("more than {MAX_DEPTH} levels");
                    return Err(Issues::one(Issue::new(Code::TooDeep, "", message)));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn json_issue(error: &serde_json::Error, pointer: String) -> Issue {
    let text = error.to_string();
    let code = if text.starts_with("recursion limit") {
        Code::TooDeep
    } else if error.is_data() {
        Code::Shape
    } else {
        Code::NotJson
    };
    Issue::new(code, pointer, text)
}

/// The `format` field of a JSON document, without reading the rest into memory.
///
/// # Errors
/// [`Code::NotJson`] when it is not a JSON object, [`Code::Format`] when the field is missing.
pub fn sniff_format(bytes: &[u8]) -> Result<String, Issues> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: Option<String>,
    }
    let head: Head = read_document(bytes)?;
    head.format
        .ok_or_else(|| Issues::one(Issue::new(Code::Format, "/format", "the document has no `format` field")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_checked_against_the_callers_limit() {
        assert_eq!(check_size(10, 10), Ok(()));
        let issues = check_size(11, 10).err().map(|i| i.list().to_vec()).unwrap_or_default();
        assert_eq!(issues.iter().map(|i| i.code).collect::<Vec<_>>(), [Code::TooLarge]);
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check_depth(deep(MAX_DEPTH).as_bytes()), Ok(()));
        assert!(check_depth(deep(MAX_DEPTH + 1).as_bytes()).is_err());
        let text = format!(r#"{{"a\"{}": "{}"}}"#, "[".repeat(100), "{".repeat(100));
        assert_eq!(check_depth(text.as_bytes()), Ok(()));
    }
}
