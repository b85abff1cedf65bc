//! File formats: wire types (DTOs) that reject unknown fields, and their reading into domain
//! types. Nothing past this module meets an unchecked number.

pub mod catalog_v1;
pub mod gap;
pub mod instance_v1;
pub mod mmkp;
pub mod result_v1;
pub mod scenario_v1;
pub mod schema;

use crate::issue::{Code, Issue, Issues, pointer_token};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use std::fmt::Write as _;

/// Reads one JSON document into a wire type.
///
/// # Errors
/// [`Code::NotJson`], [`Code::TooDeep`] or [`Code::Shape`] with a pointer to the first offending
/// value. (Serde stops at the first; the semantic checks that follow collect all.)
pub fn read_document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Issues> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path().iter() {
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
