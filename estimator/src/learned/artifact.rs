//! The shipped model: `estimator/data/model/joint.onnx` with its record `joint.json`, and the forest.

use crate::error::EstimatorError;
use crate::features::{BLOCK_FEATURES, DEVICE_FEATURES, SEGMENT_FEATURES, TENANT_FEATURES, VERSION};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Format tag of a record.
pub const FORMAT: &str = "ecomap.model/v1";

/// Largest model file that is read.
pub const MAX_BYTES: u64 = 16 << 20;

static MODEL: &[u8] = include_bytes!("../../data/model/joint.onnx");
static RECORD: &[u8] = include_bytes!("../../data/model/joint.json");
static FOREST: &[u8] = include_bytes!("../../data/model/forest.bin");

/// What a record says of its model. Fields that only the model card reads are not listed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// `ecomap.model/v1`.
    pub format: String,
    /// SHA-256 of the model file, hexadecimal.
    pub sha256: String,
    /// Version of the features.
    pub features: u32,
    /// Widths of the inputs.
    pub widths: Widths,
    /// Conformal factors.
    pub conformal: Conformal,
}

/// Widths of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Widths {
    /// Features of a block.
    pub blocks: usize,
    /// Of a segment.
    pub segments: usize,
    /// Of a tenant.
    pub tenants: usize,
    /// Of the device.
    pub device: usize,
}

/// Factors on predicted latency that make a quantile cover what it says, from plans of the
/// validation split.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Conformal {
    /// On p95.
    pub p95: f64,
    /// On p99.
    pub p99: f64,
}

/// A checked model with its record.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The ONNX file.
    pub model: std::borrow::Cow<'static, [u8]>,
    /// Its record.
    pub record: Record,
}

impl Artifact {
    /// The model that ships with the crate.
    ///
    /// # Errors
    /// [`EstimatorError::Model`] if the embedded files do not belong together.
    pub fn embedded() -> Result<Self, EstimatorError> {
        Self::checked(MODEL.into(), RECORD)
    }

    /// A model file with its record beside it (`.json` for `.onnx`).
    ///
    /// # Errors
    /// [`EstimatorError`] when a file cannot be read, is too large, or is not what the record says.
    pub fn open(path: &Path) -> Result<Self, EstimatorError> {
        let read = |path: &Path| {
            let io = |source| EstimatorError::Io { path: path.display().to_string(), source };
            if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
                return Err(EstimatorError::Model(format!(
                    "{} is larger than {} MiB",
                    path.display(),
                    MAX_BYTES >> 20
                )));
            }
            std::fs::read(path).map_err(io)
        };
        Self::checked(read(path)?.into(), &read(&path.with_extension("json"))?)
    }

    fn checked(model: std::borrow::Cow<'static, [u8]>, record: &[u8]) -> Result<Self, EstimatorError> {
        let bad = |what: String| Err(EstimatorError::Model(what));
        let record: Record =
            serde_json::from_slice(record).map_err(|e| EstimatorError::Model(format!("record: {e}")))?;
        if record.format != FORMAT {
            return bad(format!("record of format `{}`, not {FORMAT}", record.format));
        }
        let hash: String = Sha256::digest(&model).iter().map(|b| format!("{b:02x}")).collect();
        if hash != record.sha256 {
            return bad(format!("the file's hash {hash} is not the record's {}", record.sha256));
        }
        let wanted = Widths {
            blocks: BLOCK_FEATURES,
            segments: SEGMENT_FEATURES,
            tenants: TENANT_FEATURES,
            device: DEVICE_FEATURES,
        };
        if record.features != VERSION || record.widths != wanted {
            return bad(format!(
                "made for features {} {:?}, this is {VERSION} {wanted:?}",
                record.features, record.widths
            ));
        }
        let factor = |x: f64| (0.2..=5.0).contains(&x);
        if !(factor(record.conformal.p95) && factor(record.conformal.p99)) {
            return bad(format!("conformal factors {:?} are out of range", record.conformal));
        }
        Ok(Self { model, record })
    }

    /// First digits of the hash, for versions.
    #[must_use]
    pub fn short_hash(&self) -> &str {
        self.record.sha256.get(..12).unwrap_or(&self.record.sha256)
    }
}

/// The forest that ships with the crate.
#[must_use]
pub fn forest() -> &'static [u8] {
    FOREST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_model_is_what_its_record_says() {
        let shipped = Artifact::embedded().unwrap();
        assert!(shipped.model.len() < 2_000_000, "{} bytes", shipped.model.len());
    }

    #[test]
    fn a_changed_model_is_refused() {
        let mut bytes = MODEL.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let e = Artifact::checked(bytes.into(), RECORD).unwrap_err();
        assert!(e.to_string().contains("hash"), "{e}");
    }

    #[test]
    fn another_features_version_is_refused() {
        let mut record: serde_json::Value = serde_json::from_slice(RECORD).unwrap();
        record["features"] = 999.into();
        let e = Artifact::checked(MODEL.into(), record.to_string().as_bytes()).unwrap_err();
        assert!(e.to_string().contains("999"), "{e}");
    }
}
