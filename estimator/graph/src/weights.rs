//! Weights for models that come without.
//!
//! Public "light" graphs carry topologies only: their weights are `ConstantOfShape`, all equal, so
//! that every image gets the same answer. Here such weights become initializers drawn from a seed,
//! scaled by what uses them so that activations neither vanish nor explode (He et al. 2015,
//! "Delving Deep into Rectifiers", for layers before rectifiers). **The model still has learnt
//! nothing**: it costs what the real one costs, and its answers mean nothing, but they depend on the
//! input, so that a wrongly cut or wrongly wired model gives other answers.

use crate::attrs::Attrs;
use crate::onnx::Model;
use crate::onnx::limits::Limits;
use crate::onnx::messages::{GraphProto, NodeProto, StringStringEntryProto, TensorProto};
use crate::shape::DType;
use bytes::Bytes;
use ecomap_instances::Issues;
use ecomap_instances::generate::Seed;
use rand::Rng;
use std::collections::{BTreeMap, HashMap};

/// Key of the model's metadata that says where its weights come from.
pub const METADATA_KEY: &str = "ecomap.weights";

/// Whether a model's weights are drawn from a seed, as its metadata says.
#[must_use]
pub fn is_synthetic(model: &Model) -> bool {
    let props = &model.proto().metadata_props;
    props.iter().any(|p| p.key() == METADATA_KEY && p.value().starts_with("synthetic"))
}

/// How many elements may be drawn for one model: 2 GiB of weights.
const MAX_ELEMENTS: usize = 1 << 29;

/// What a weight is for.
#[derive(Clone, Copy)]
enum Use {
    /// A matrix or kernel whose rows are outputs: `[out, in, ...]`.
    Rows,
    /// A matrix whose columns are outputs: `[in, out]`.
    Columns,
    /// Multiplies one value.
    Scale,
    /// A variance: positive.
    Variance,
    /// Is added.
    Shift,
}

/// Replaces weights that are all equal, or have no data, by draws from `seed`, and says so in the
/// model's metadata.
///
/// # Errors
/// As [`Model::read`], when the model with weights is larger than `limits`.
pub fn draw(model: &Model, seed: Seed, limits: &Limits) -> Result<Model, Issues> {
    let mut proto = model.proto().clone();
    if let Some(graph) = &mut proto.graph {
        fill(graph, seed);
    }
    proto.metadata_props.retain(|p| p.key() != METADATA_KEY);
    proto.metadata_props.push(StringStringEntryProto {
        key: Some(METADATA_KEY.to_owned()),
        value: Some(format!("synthetic: drawn from seed {}", seed.0)),
    });
    // Constants that no input lists need this version of the format.
    proto.ir_version = Some(proto.ir_version().max(4));
    Model::from_proto(&proto, limits)
}

fn fill(graph: &mut GraphProto, seed: Seed) {
    let uses = uses(graph);
    let dims: HashMap<&str, Vec<i64>> = graph
        .initializer
        .iter()
        .filter(|t| t.data_type() == DType::Int64.number())
        .map(|t| (t.name(), integers(t)))
        .collect();
    let mut drawn: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for node in graph.node.iter().filter(|n| is_filler(n)) {
        let shape = node.input.first().and_then(|i| dims.get(i.as_str()));
        if let (Some(shape), Some(name)) = (shape, node.output.first()) {
            drawn.insert(name.clone(), shape.clone());
        }
    }
    for tensor in &graph.initializer {
        let float = tensor.data_type() == DType::Float.number();
        if float && !tensor.dims.is_empty() && tensor.float_data.is_empty() && tensor.raw_data.is_none() {
            drawn.insert(tensor.name().to_owned(), tensor.dims.clone());
        }
    }
    let mut left = MAX_ELEMENTS;
    let mut made: HashMap<String, TensorProto> = HashMap::new();
    for (n, (name, dims)) in drawn.into_iter().enumerate() {
        let size = dims.iter().try_fold(1_usize, |a, d| a.checked_mul(usize::try_from(*d).ok()?));
        let Some(size) = size.filter(|s| *s <= left) else { continue };
        left -= size;
        let wanted = uses.get(&name).copied().unwrap_or(Use::Shift);
        let data = values(size, wanted, &dims, seed, n as u64);
        let tensor = TensorProto {
            name: Some(name.clone()),
            dims,
            data_type: Some(DType::Float.number()),
            raw_data: Some(data),
            ..Default::default()
        };
        made.insert(name, tensor);
    }
    graph.node.retain(|n| !(is_filler(n) && n.output.first().is_some_and(|o| made.contains_key(o))));
    graph.initializer.retain(|t| !made.contains_key(t.name()));
    let mut list: Vec<TensorProto> = made.into_values().collect();
    list.sort_by(|a, b| a.name().cmp(b.name()));
    graph.initializer.extend(list);
    // Older files list constants among the inputs.
    let constants: std::collections::HashSet<&str> =
        graph.initializer.iter().map(TensorProto::name).collect();
    graph.input.retain(|i| !constants.contains(i.name()));
}

/// Makes a tensor of equal floats: what stands for weights in a light graph.
fn is_filler(node: &NodeProto) -> bool {
    let value = node.attribute.iter().find(|a| a.name() == "value").and_then(|a| a.t.as_ref());
    node.op_type() == "ConstantOfShape" && value.is_none_or(|t| t.data_type() == DType::Float.number())
}

fn integers(tensor: &TensorProto) -> Vec<i64> {
    match &tensor.raw_data {
        Some(raw) => {
            raw.chunks_exact(8).filter_map(|c| Some(i64::from_le_bytes(c.try_into().ok()?))).collect()
        }
        None => tensor.int64_data.clone(),
    }
}

/// What each tensor is used for, by the first node that takes it, also behind changes of shape.
fn uses(graph: &GraphProto) -> HashMap<String, Use> {
    let mut found = HashMap::new();
    let mut views: Vec<(&str, &str)> = Vec::new();
    for node in &graph.node {
        for (slot, input) in node.input.iter().enumerate() {
            if let Some(used) = use_of(node, slot) {
                found.entry(input.clone()).or_insert(used);
            }
        }
        if matches!(node.op_type(), "Unsqueeze" | "Reshape" | "Squeeze" | "Identity")
            && let (Some(input), Some(output)) = (node.input.first(), node.output.first())
        {
            views.push((input, output));
        }
    }
    for (input, output) in views.into_iter().rev() {
        if let Some(used) = found.get(output).copied() {
            found.entry(input.to_owned()).or_insert(used);
        }
    }
    found
}

fn use_of(node: &NodeProto, slot: usize) -> Option<Use> {
    Some(match (node.op_type(), slot) {
        ("Conv", 1) => Use::Rows,
        ("Gemm", 1) if Attrs::of(node).int_or("transB", 0) != 0 => Use::Rows,
        ("Gemm" | "MatMul", 1) => Use::Columns,
        ("BatchNormalization", 4) => Use::Variance,
        ("BatchNormalization", 1) | ("Mul", _) => Use::Scale,
        ("Conv" | "Gemm", 2) | ("BatchNormalization", 2 | 3) | ("Add", _) => Use::Shift,
        _ => return None,
    })
}

/// Little-endian floats.
fn values(size: usize, wanted: Use, dims: &[i64], seed: Seed, stream: u64) -> Bytes {
    let [low, high] = range(wanted, dims);
    let mut rng = seed.rng(stream);
    let mut data = Vec::with_capacity(size * 4);
    for _ in 0..size {
        data.extend_from_slice(&rng.random_range(low..high).to_le_bytes());
    }
    Bytes::from(data)
}

/// Bounds of a uniform distribution; of products `±√(6/n)`, `n` the inputs summed over.
fn range(wanted: Use, dims: &[i64]) -> [f32; 2] {
    #[allow(clippy::cast_precision_loss)] // a scale
    let summed_over = |n: i64| {
        let bound = (6.0 / n.max(1) as f32).sqrt();
        [-bound, bound]
    };
    match wanted {
        Use::Rows => summed_over(dims.iter().skip(1).fold(1, |a, d| a.saturating_mul(*d))),
        Use::Columns => summed_over(dims.iter().rev().nth(1).copied().unwrap_or(1)),
        Use::Scale => [0.8, 1.2],
        Use::Variance => [0.5, 1.5],
        Use::Shift => [-0.1, 0.1],
    }
}
