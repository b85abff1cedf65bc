//! How a model is read.

use crate::onnx::limits::Limits;
use std::collections::BTreeMap;

/// Choices of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Values of symbolic dimensions, by name or by `input.axis`; and of inputs of one integer, by
    /// name, where the model chooses a branch by them.
    pub dims: BTreeMap<String, u64>,
    /// Value of the first axis of an input where it is symbolic and not in `dims`.
    pub batch: u64,
    /// Whether operators of unknown cost are let through, uncounted.
    pub allow_unknown: bool,
    /// Bounds on the file.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { dims: BTreeMap::new(), batch: 1, allow_unknown: false, limits: Limits::default() }
    }
}
