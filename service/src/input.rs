//! Where documents come from: a file, standard input, or the scenarios embedded in the binary.

use crate::ServiceError;
use ecomap_instances::Catalog;
use ecomap_instances::format::{self, Format};
use ecomap_instances::issue::{Code, Issue, Issues};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes that the command line reads from one input.
pub const MAX_INPUT_BYTES: u64 = 1 << 30;

/// A document as read, not yet understood.
#[derive(Debug, Clone)]
pub struct Document {
    /// Name for messages and for formats without a name of their own: the file's stem.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Reads `source`: `-` is standard input, else a file, else an embedded scenario of that name.
///
/// # Errors
/// [`ServiceError::NoSuchInput`], [`ServiceError::Read`] or [`ServiceError::InputTooLarge`].
pub fn read(source: &str) -> Result<Document, ServiceError> {
    if source == "-" {
        let bytes = bounded(std::io::stdin().lock(), "standard input")?;
        return Ok(Document { name: "stdin".to_owned(), bytes });
    }
    let path = Path::new(source);
    match File::open(path) {
        Ok(file) => Ok(Document { name: stem(path), bytes: bounded(file, source)? }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // What looks like a path is no name of a scenario.
            if source.contains(['/', '.']) {
                return Err(ServiceError::Read { path: path.to_owned(), source: error });
            }
            embedded(source).ok_or_else(|| ServiceError::NoSuchInput {
                name: source.to_owned(),
                known: embedded_names().collect::<Vec<_>>().join(", "),
            })
        }
        Err(source) => Err(ServiceError::Read { path: path.to_owned(), source }),
    }
}

/// Names of the embedded scenarios, smallest first.
pub fn embedded_names() -> impl Iterator<Item = &'static str> {
    ecomap_instances::scenarios::ALL.iter().map(|(name, _)| *name)
}

/// The embedded scenario named `name`.
#[must_use]
pub fn embedded(name: &str) -> Option<Document> {
    let (name, bytes) = ecomap_instances::scenarios::ALL.iter().find(|(n, _)| *n == name)?;
    Some(Document { name: (*name).to_owned(), bytes: bytes.to_vec() })
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "input".to_owned(), |s| s.to_string_lossy().into_owned())
}

fn bounded(reader: impl Read, name: &str) -> Result<Vec<u8>, ServiceError> {
    let mut bytes = Vec::new();
    reader
        .take(MAX_INPUT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ServiceError::Read { path: name.into(), source })?;
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        return Err(ServiceError::InputTooLarge { name: name.to_owned(), limit: MAX_INPUT_BYTES });
    }
    Ok(bytes)
}

/// The format of a document, guessed where it is not given.
///
/// # Errors
/// For text, [`ServiceError::UnknownFormat`]; for JSON, what keeps it from being one of ours.
pub fn format_of(name: &str, bytes: &[u8], given: Option<Format>) -> Result<Format, ServiceError> {
    if let Some(format) = given.or_else(|| format::guess(bytes)) {
        return Ok(format);
    }
    match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') | None => Err(ServiceError::Invalid(unknown_json(bytes))),
        Some(_) => Err(ServiceError::UnknownFormat(name.to_owned())),
    }
}

/// Why a JSON document's format is none of ours.
#[must_use]
pub fn unknown_json(bytes: &[u8]) -> Issues {
    match format::sniff_format(bytes) {
        Err(issues) => issues,
        Ok(tag) => Issues::one(Issue::new(
            Code::Format,
            "/format",
            format!("`{}` is not a format of this version", tag.escape_debug()),
        )),
    }
}

/// The embedded catalogue.
///
/// # Errors
/// Only if the embedded files are broken.
pub fn catalog() -> Result<&'static Catalog, ServiceError> {
    Catalog::embedded().map_err(ServiceError::Catalog)
}
