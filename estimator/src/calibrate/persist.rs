//! The calibration file: `ecomap.calibration/v1`, JSON, sealed by a hash.
//!
//! The hash is the SHA-256 of `body` as this crate prints it. A reader checks sizes, parses,
//! rebuilds the calibration from checked parts, prints it again and compares: whatever the bytes
//! are, the answer is a calibration that could have been written or a typed error.

use super::calibration::{Calibration, State};
use super::settings::Settings;
use super::tree::{Node, Tree};
use crate::EstimatorError;
use ecomap_instances::ids::is_legal_id;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Name and version of the file format.
pub const FORMAT: &str = "ecomap.calibration/v1";
/// Largest calibration file, read or written.
pub const MAX_FILE: usize = 128 << 20;

#[derive(Serialize)]
struct DocumentRef<'a> {
    format: &'a str,
    sha256: &'a str,
    body: BodyRef<'a>,
}

#[derive(Serialize)]
struct BodyRef<'a> {
    settings: &'a Settings,
    newest: u64,
    version: u64,
    sequence: u64,
    latency: Vec<EntryRef<'a>>,
    power: Vec<EntryRef<'a>>,
}

#[derive(Serialize)]
struct EntryRef<'a> {
    path: &'a [String],
    node: &'a Node,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    sha256: String,
    body: Body,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    settings: Settings,
    newest: u64,
    version: u64,
    sequence: u64,
    latency: Vec<Entry>,
    power: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: Vec<String>,
    node: Node,
}

fn bad(message: impl Into<String>) -> EstimatorError {
    EstimatorError::CalibrationFile(message.into())
}

fn entries(tree: &Tree) -> Vec<EntryRef<'_>> {
    tree.nodes().map(|(path, node)| EntryRef { path, node }).collect()
}

fn fill(tree: &mut Tree, list: Vec<Entry>, sequence: u64, settings: &Settings) -> Result<(), EstimatorError> {
    for Entry { path, node } in list {
        // Levels of units have a `+` between kinds.
        let legal = path.iter().all(|name| is_legal_id(&name.replace('+', "-")));
        let shown = path.join(" / ");
        if !legal || !tree.restore(path, node, sequence, settings) {
            return Err(bad(format!("the entry {shown:?} is out of range or listed twice")));
        }
    }
    Ok(())
}

impl Calibration {
    fn body(&self) -> BodyRef<'_> {
        BodyRef {
            settings: &self.settings,
            newest: self.newest,
            version: self.state.version,
            sequence: self.state.sequence,
            latency: entries(&self.state.latency),
            power: entries(&self.state.power),
        }
    }

    /// SHA-256 of the body as printed, in hexadecimal.
    fn hash(&self) -> Result<String, EstimatorError> {
        let bytes = serde_json::to_vec(&self.body()).map_err(|e| bad(e.to_string()))?;
        let digest = Sha256::digest(&bytes);
        Ok(digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// The calibration file: settings and present state, without the versions kept in memory.
    ///
    /// # Errors
    /// [`EstimatorError::CalibrationFile`] above [`MAX_FILE`].
    pub fn to_json(&self) -> Result<Vec<u8>, EstimatorError> {
        let document = DocumentRef { format: FORMAT, sha256: &self.hash()?, body: self.body() };
        let bytes = serde_json::to_vec(&document).map_err(|e| bad(e.to_string()))?;
        if bytes.len() > MAX_FILE {
            return Err(bad(format!("{} bytes, at most {MAX_FILE}", bytes.len())));
        }
        Ok(bytes)
    }

    /// Reads a calibration file. It predicts exactly what the written one did.
    ///
    /// # Errors
    /// [`EstimatorError::CalibrationFile`] for a damaged file or another format, and
    /// [`EstimatorError::Settings`] for settings out of range.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EstimatorError> {
        if bytes.len() > MAX_FILE {
            return Err(bad(format!("{} bytes, at most {MAX_FILE}", bytes.len())));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if document.format != FORMAT {
            return Err(bad(format!("format {:?}, this program reads {FORMAT:?}", document.format)));
        }
        let body = document.body;
        body.settings.check()?;
        if body.version > body.newest {
            return Err(bad("the version is above the newest one"));
        }
        let mut state = State::empty();
        (state.version, state.sequence) = (body.version, body.sequence);
        fill(&mut state.latency, body.latency, body.sequence, &body.settings)?;
        fill(&mut state.power, body.power, body.sequence, &body.settings)?;
        let calibration = Self::with(body.settings, state, body.newest);
        if calibration.hash()? != document.sha256 {
            return Err(bad("the hash does not match: the file is damaged"));
        }
        Ok(calibration)
    }
}
