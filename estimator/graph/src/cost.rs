//! What operators cost, by the rules of the catalogue (`instances/catalog/graph.py`).
//!
//! | operators | multiply-accumulates |
//! |---|---|
//! | `Conv` | elements of the result × kernel × input channels ÷ groups |
//! | `ConvTranspose` | elements of the input × kernel × output channels ÷ groups |
//! | `Gemm`, `MatMul` | elements of the result × the axis summed over |
//! | `Einsum` | product of the sizes of all letters |
//! | `LSTM`, `GRU`, `RNN` | directions × steps × batch × gates × hidden × (input + hidden) |
//!
//! A multiply-accumulate counts as two operations. Biases are not counted. Every other operator
//! counts one operation for each element of the larger of its input and its result, except views,
//! which move nothing and count nothing.

use crate::fault::Fault;
use crate::infer::{Call, contract_letters, gates, groups};
use crate::shape::Shape;
use ecomap_instances::family::OpKind;
use serde::Serialize;

/// What kind of work a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// An operator class of the catalogue.
    Op(OpKind),
    /// The same elements under another shape or name: no work, no traffic.
    View,
    /// An operator that is not known here: its cost is not counted.
    Unknown,
}

impl Class {
    /// Name as printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Unknown => "unknown",
            Self::Op(kind) => kind_name(kind),
        }
    }
}

/// The wire name of an operator class.
#[must_use]
pub const fn kind_name(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Conv => "conv",
        OpKind::DepthwiseConv => "depthwise_conv",
        OpKind::Gemm => "gemm",
        OpKind::Attention => "attention",
        OpKind::Norm => "norm",
        OpKind::Lrn => "lrn",
        OpKind::Elementwise => "elementwise",
        OpKind::Pool => "pool",
        OpKind::Concat => "concat",
        OpKind::Resize => "resize",
        OpKind::Embedding => "embedding",
        OpKind::Silu => "silu",
        OpKind::Hardswish => "hardswish",
        OpKind::Gelu => "gelu",
        OpKind::Sigmoid => "sigmoid",
        OpKind::Softmax => "softmax",
    }
}

/// The classes in the order in which the catalogue lists them.
pub(crate) const KINDS: [OpKind; 16] = [
    OpKind::Conv,
    OpKind::DepthwiseConv,
    OpKind::Gemm,
    OpKind::Attention,
    OpKind::Norm,
    OpKind::Lrn,
    OpKind::Elementwise,
    OpKind::Pool,
    OpKind::Concat,
    OpKind::Resize,
    OpKind::Embedding,
    OpKind::Silu,
    OpKind::Hardswish,
    OpKind::Gelu,
    OpKind::Sigmoid,
    OpKind::Softmax,
];

/// The class of an operator by itself; `constant` says which of its inputs are constants.
pub(crate) fn class(call: &Call<'_>, constant: &[bool]) -> Class {
    let is_constant = |n: usize| constant.get(n).copied().unwrap_or(false);
    let kind = match call.op {
        "Conv" | "ConvInteger" | "QLinearConv" => {
            let channels = call.optional(0).map_or(1, |x| x.shape.dim(1));
            let depthwise = channels > 1 && groups(call).is_ok_and(|g| g == channels);
            if depthwise { OpKind::DepthwiseConv } else { OpKind::Conv }
        }
        "ConvTranspose" => OpKind::Conv,
        "MatMul" | "MatMulInteger" | "Einsum" if !is_constant(0) && !is_constant(1) => OpKind::Attention,
        "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Einsum" | "LSTM" | "GRU" | "RNN" => {
            OpKind::Gemm
        }
        "BatchNormalization"
        | "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization"
        | "LpNormalization"
        | "MeanVarianceNormalization" => OpKind::Norm,
        "LRN" => OpKind::Lrn,
        "MaxPool" | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            OpKind::Pool
        }
        "Concat" => OpKind::Concat,
        "Resize" | "Upsample" | "GridSample" => OpKind::Resize,
        "Gather" if is_constant(0) => OpKind::Embedding,
        "Sigmoid" | "HardSigmoid" => OpKind::Sigmoid,
        "Swish" => OpKind::Silu,
        "HardSwish" => OpKind::Hardswish,
        "Gelu" => OpKind::Gelu,
        "Softmax" | "LogSoftmax" | "Hardmax" => OpKind::Softmax,
        "Identity" | "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Split" | "Cast"
        | "CastLike" => return Class::View,
        // A slice without gaps is a part of the buffer; one with a step copies.
        "Slice" => {
            let stepped = call.optional(4).and_then(|s| s.value.as_ref()).and_then(|v| v.ints());
            if stepped.is_some_and(|s| s.iter().any(|n| *n != 1)) {
                OpKind::Elementwise
            } else {
                return Class::View;
            }
        }
        _ => OpKind::Elementwise,
    };
    Class::Op(kind)
}

/// Whether the class counts multiply-accumulates.
pub(crate) const fn is_matmul(kind: OpKind) -> bool {
    matches!(kind, OpKind::Conv | OpKind::DepthwiseConv | OpKind::Gemm | OpKind::Attention)
}

/// Multiply-accumulates of an operator, where it has any.
pub(crate) fn macs(call: &Call<'_>, out: &Shape) -> Result<Option<u64>, Fault> {
    let product = |factors: &[u64]| {
        let all = factors.iter().try_fold(1_u64, |a, f| a.checked_mul(*f));
        all.map(Some).ok_or_else(|| Fault::overflow("multiply-accumulates"))
    };
    let kernel = |w: &Shape| {
        let dims = w.dims().get(2..).unwrap_or_default();
        dims.iter().try_fold(1_u64, |a, d| a.checked_mul(*d)).ok_or_else(|| Fault::overflow("kernel"))
    };
    match call.op {
        "Conv" | "ConvInteger" | "QLinearConv" => {
            let w = &call.input(if call.op == "QLinearConv" { 3 } else { 1 })?.shape;
            product(&[out.elements(), kernel(w)?, w.dim(1)])
        }
        "ConvTranspose" => {
            let w = &call.input(1)?.shape;
            product(&[call.input(0)?.shape.elements(), kernel(w)?, w.dim(1)])
        }
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let a = &call.input(0)?.shape;
            product(&[out.elements(), a.dims().last().copied().unwrap_or(1)])
        }
        "Gemm" => {
            let a = &call.input(0)?.shape;
            let summed = if call.attrs.int_or("transA", 0) == 0 { a.dim(1) } else { a.dim(0) };
            product(&[out.elements(), summed])
        }
        "Einsum" => {
            let sizes: Vec<u64> = contract_letters(call)?.0.into_values().collect();
            product(&sizes)
        }
        op => match gates(op) {
            None => Ok(None),
            Some(gates) => {
                let (x, w, r) = (&call.input(0)?.shape, &call.input(1)?.shape, &call.input(2)?.shape);
                let width = w.dim(2).checked_add(r.dim(2)).ok_or_else(|| Fault::overflow("width"))?;
                product(&[w.dim(0), x.dim(0), x.dim(1), gates, r.dim(2), width])
            }
        },
    }
}
