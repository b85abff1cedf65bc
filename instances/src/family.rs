//! Model families: ladders of quality tiers, each a chain of blocks that may be cut.

use crate::ids::{FamilyId, TierId};
use crate::units::{Bytes, Ops};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Class of operator, as fine as prediction and unit support need. Batch normalisation and ReLU
/// are folded into the convolution before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum OpKind {
    Conv,
    DepthwiseConv,
    Gemm,
    Attention,
    Norm,
    Lrn,
    Elementwise,
    Pool,
    Concat,
    Resize,
    Embedding,
    Silu,
    Hardswish,
    Gelu,
    Sigmoid,
    Softmax,
}

/// Work of one operator class inside a block, at batch 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpWork {
    /// Operator class.
    pub kind: OpKind,
    /// How many operators of it.
    pub count: u32,
    /// Arithmetic, one multiply-accumulate counting two.
    pub flops: Ops,
    /// Unfused memory traffic at fp32: inputs, outputs and weights.
    pub traffic: Bytes,
}

/// A run of layers between two legal cut points: one tensor enters, one leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Name in the family's own terms, e.g. `layer3.0-2`.
    pub name: String,
    /// Arithmetic of the whole block.
    pub flops: Ops,
    /// Weights at fp32.
    pub weights: Bytes,
    /// The entering tensor at fp32, batch 1.
    pub input: Bytes,
    /// The leaving tensor at fp32, batch 1.
    pub output: Bytes,
    /// Operator mix.
    pub ops: Vec<OpWork>,
}

/// One quality tier: a concrete network.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    /// Name, unique in the family.
    pub id: TierId,
    /// Published quality in the family's metric, percent.
    pub accuracy: f64,
    /// Parameters.
    pub params: u64,
    /// Published multiply-accumulates for one input.
    pub macs: u64,
    /// Bytes of one request on the wire.
    pub request: Bytes,
    /// Bytes of one response on the wire.
    pub response: Bytes,
    /// The chain of blocks, input first. At least one, at most [`MAX_BLOCKS`].
    pub blocks: Vec<Block>,
}

/// Longest block chain of a tier.
pub const MAX_BLOCKS: usize = 12;

/// A ladder of tiers for one task, best accuracy first.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Name, unique in the catalogue.
    pub id: FamilyId,
    /// Human name.
    pub name: String,
    /// Task, e.g. `image-classification`.
    pub task: String,
    /// Quality metric with its data set, e.g. `top-1 on ImageNet-1k validation`.
    pub metric: String,
    /// Tiers, best first.
    pub tiers: Vec<Tier>,
}

impl Family {
    /// Position of the tier named `id`.
    #[must_use]
    pub fn tier_position(&self, id: &str) -> Option<usize> {
        self.tiers.iter().position(|t| t.id.as_str() == id)
    }
}

impl Tier {
    /// Weights of the whole tier at fp32.
    #[must_use]
    pub fn weights(&self) -> Bytes {
        self.blocks.iter().map(|b| b.weights).sum()
    }
}
