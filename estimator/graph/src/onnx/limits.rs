//! How large a model may be.

/// Bounds on what is read, so that a hostile file costs little. The defaults admit every public
/// vision or language model that a Jetson-class board could run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest file, bytes.
    pub file_bytes: u64,
    /// Most memory that the decoded messages may take beside the file's own bytes.
    pub decoded_bytes: u64,
    /// Most nodes, those of sub-graphs included.
    pub nodes: u64,
    /// Deepest nesting of messages; each level of `If` takes three.
    pub depth: usize,
    /// Most tensors: inputs, constants and results.
    pub tensors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 1 << 30, decoded_bytes: 1 << 30, nodes: 50_000, depth: 48, tensors: 400_000 }
    }
}
