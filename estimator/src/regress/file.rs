//! Model files: a small binary layout, little-endian, sealed by a hash.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `ECOREGR` and a zero byte |
//! | 2 | format version, 1 |
//! | 1 | kind of regressor |
//! | 2 + n | the caller's tag: which features and targets, in which order |
//! | 2 | outputs |
//! | … | the outputs, each as its kind writes itself |
//! | 32 | SHA-256 of everything before |
//!
//! A reader checks the hash first, then every count and number; no file makes it panic or take
//! memory beyond the file's size times a small factor.

use crate::EstimatorError;
use sha2::{Digest, Sha256};

/// Largest model file read.
pub const MAX_FILE: usize = 64 << 20;
/// Longest tag, in bytes.
pub const MAX_TAG: usize = 256;
const MAGIC: &[u8; 8] = b"ECOREGR\0";
const VERSION: u16 = 1;
const SEAL: usize = 32;

/// Collects the bytes of a model file.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(kind: u8, tag: &str) -> Result<Self, EstimatorError> {
        if tag.len() > MAX_TAG {
            return Err(bad(format!("a tag of {} bytes, at most {MAX_TAG}", tag.len())));
        }
        let mut to = Self::default();
        to.bytes.extend_from_slice(MAGIC);
        to.bytes.extend_from_slice(&VERSION.to_le_bytes());
        to.u8(kind);
        to.count16(tag.len());
        to.bytes.extend_from_slice(tag.as_bytes());
        Ok(to)
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A count that the caller has bounded below 2^16.
    pub(super) fn count16(&mut self, count: usize) {
        self.bytes.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    }

    /// A count that the caller has bounded below 2^32.
    pub(super) fn count32(&mut self, count: usize) {
        self.bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }

    pub(super) fn f32(&mut self, value: f32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn f64s(&mut self, values: &[f64]) {
        values.iter().for_each(|v| self.bytes.extend_from_slice(&v.to_le_bytes()));
    }

    pub(super) fn seal(mut self) -> Vec<u8> {
        let digest = Sha256::digest(&self.bytes);
        self.bytes.extend_from_slice(&digest);
        self.bytes
    }
}

/// Walks over the bytes of a model file.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], kind: u8, tag: &str) -> Result<Self, EstimatorError> {
        if bytes.len() > MAX_FILE {
            return Err(bad(format!("{} bytes, at most {MAX_FILE}", bytes.len())));
        }
        let (body, seal) = bytes
            .len()
            .checked_sub(SEAL)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or_else(|| bad("the file ends too early"))?;
        let Some(rest) = body.strip_prefix(MAGIC) else { return Err(bad("not a regressor file")) };
        if Sha256::digest(body).as_slice() != seal {
            return Err(bad("the hash does not match: the file is damaged"));
        }
        let mut from = Self { rest };
        let version = from.count16()?;
        if version != usize::from(VERSION) {
            return Err(bad(format!("format version {version}, this program reads {VERSION}")));
        }
        let found = from.u8()?;
        if found != kind {
            return Err(bad(format!("it holds a regressor of kind {found}, not {kind}")));
        }
        let length = from.count16()?;
        let written = from.take(length)?;
        if written != tag.as_bytes() {
            let written = String::from_utf8_lossy(written);
            return Err(bad(format!("it was fitted for {written:?}, not {tag:?}")));
        }
        Ok(from)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], EstimatorError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(|| bad("the file ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EstimatorError> {
        let head = self.take(N)?;
        head.try_into().map_err(|_| bad("the file ends too early"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, EstimatorError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn count16(&mut self) -> Result<usize, EstimatorError> {
        Ok(usize::from(u16::from_le_bytes(self.array()?)))
    }

    pub(super) fn count32(&mut self) -> Result<usize, EstimatorError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| bad("a count is too large"))
    }

    pub(super) fn f32(&mut self) -> Result<f32, EstimatorError> {
        let value = f32::from_le_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(bad("a number is not finite")) }
    }

    pub(super) fn f64s(&mut self, count: usize) -> Result<Vec<f64>, EstimatorError> {
        let bytes = self.take(count.saturating_mul(8))?;
        let values: Vec<f64> = bytes
            .chunks_exact(8)
            .filter_map(|c| c.try_into().ok())
            .map(f64::from_le_bytes)
            .filter(|v| v.is_finite())
            .collect();
        if values.len() == count { Ok(values) } else { Err(bad("a number is not finite")) }
    }

    /// Bytes not yet read: no count of items can exceed it.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
}

/// The error of a model file.
pub(super) fn bad(message: impl Into<String>) -> EstimatorError {
    EstimatorError::ModelFile(message.into())
}
