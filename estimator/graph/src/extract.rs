//! Graph surgery: the part of a model's file between two legal cuts, as a model of its own.
//!
//! A segment keeps everything of the file that it needs: its nodes with their names, the constants
//! they take, operator sets, functions, metadata. Its border is declared with the shapes that the
//! layer graph found, because cuts and constants hold for those shapes only; names at the border are
//! those of the file, so that the outputs of a segment are the inputs of the next.
//!
//! What both sides of a cut need without its crossing is given to both: constants, and values that
//! depend on shapes alone. The latter may be computed in the file from a tensor of another segment
//! (`Shape` of an input, far behind it); such a value is put in as the constant that it is.

use crate::build::order::{captured, order};
use crate::cuts::Cut;
use crate::fact::Fact;
use crate::fault::{Fault, short};
use crate::layer::{LayerGraph, Port};
use crate::onnx::messages::{
    DimensionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::onnx::{Model, is_external};
use crate::shape::DType;
use crate::value::Value;
use bytes::Bytes;
use ecomap_instances::{Code, Issues};
use std::collections::{BTreeSet, HashMap, HashSet};

/// First version of the format in which constants need not be listed among the inputs.
const IR_OF_PLAIN_CONSTANTS: i64 = 4;

/// A model prepared for cutting.
#[derive(Debug)]
pub struct Surgery<'m> {
    model: &'m Model,
    layers: &'m LayerGraph,
    graph: &'m GraphProto,
    /// Positions of the nodes in an order in which they can run.
    order: Vec<usize>,
    maker: HashMap<&'m str, usize>,
    dense: HashMap<&'m str, &'m TensorProto>,
    sparse: HashMap<&'m str, &'m SparseTensorProto>,
    /// Results of nodes that depend on constants of the file alone.
    computable: HashSet<&'m str>,
}

/// What a segment is made of.
#[derive(Default)]
struct Parts<'m> {
    nodes: BTreeSet<usize>,
    dense: BTreeSet<&'m str>,
    sparse: BTreeSet<&'m str>,
    folded: Vec<TensorProto>,
}

impl<'m> Surgery<'m> {
    /// Prepares a model whose layers were read.
    ///
    /// # Errors
    /// `E1513` when data lies in other files: a part would need them beside it.
    pub fn new(model: &'m Model, layers: &'m LayerGraph) -> Result<Self, Issues> {
        let faulty = |fault: Fault| Issues::one(fault.at("/graph"));
        let graph = model.proto().graph.as_ref();
        let graph = graph.ok_or_else(|| faulty(Fault::new(Code::ModelUnreadable, "no graph")))?;
        if let Some(t) = graph.initializer.iter().find(|t| is_external(t)) {
            let message = format!("data of `{}` is not in the file", short(t.name()));
            return Err(faulty(Fault::new(Code::ModelExternal, message)));
        }
        let dense: HashMap<_, _> = graph.initializer.iter().map(|t| (t.name(), t)).collect();
        let sparse = graph.sparse_initializer.iter();
        let sparse: HashMap<_, _> = sparse.filter_map(|s| Some((s.values.as_ref()?.name(), s))).collect();
        let inputs: HashSet<&str> = graph.input.iter().map(ValueInfoProto::name).collect();
        let outside =
            |name: &str| dense.contains_key(name) || sparse.contains_key(name) || inputs.contains(name);
        let order = order(graph, &outside).map_err(|list| {
            let first = list.into_iter().next();
            faulty(first.map_or_else(|| Fault::new(Code::ModelCycle, "no order"), |(fault, _)| fault))
        })?;
        let mut surgery = Self {
            model,
            layers,
            graph,
            order,
            maker: HashMap::new(),
            dense,
            sparse,
            computable: HashSet::new(),
        };
        surgery.survey();
        Ok(surgery)
    }

    /// Who makes each tensor, and which of them need no input.
    fn survey(&mut self) {
        for n in &self.order {
            let Some(node) = self.graph.node.get(*n) else { continue };
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                self.maker.insert(output, *n);
            }
        }
        for n in &self.order {
            let Some(node) = self.graph.node.get(*n) else { continue };
            let constant = |t: &str| {
                self.dense.contains_key(t) || self.sparse.contains_key(t) || self.computable.contains(t)
            };
            // A name that a branch defines itself is no tensor of this graph.
            let known =
                |t: &&str| self.maker.contains_key(t) || self.layers.inputs().iter().any(|p| p.name == *t);
            if !is_random(node) && needs(node).into_iter().all(|t| constant(t) || !known(&t)) {
                self.computable.extend(node.output.iter().map(String::as_str));
            }
        }
    }

    /// The model between two cuts; `None` is the model's own border.
    ///
    /// # Errors
    /// `E1705` when the model cannot be cut there: a cut is inside a branch, the two are in the wrong
    /// order, or the part needs another tensor as well.
    pub fn segment(&self, from: Option<&Cut>, to: Option<&Cut>) -> Result<Model, Issues> {
        self.part(from, to).map_err(|fault| Issues::one(fault.at("/graph")))
    }

    /// The whole model as a chain, cut at each of `cuts`.
    ///
    /// # Errors
    /// As [`Surgery::segment`].
    pub fn chain(&self, cuts: &[Cut]) -> Result<Vec<Model>, Issues> {
        let starts = std::iter::once(None).chain(cuts.iter().map(Some));
        let ends = cuts.iter().map(Some).chain(std::iter::once(None));
        starts.zip(ends).map(|(from, to)| self.segment(from, to)).collect()
    }

    fn part(&self, from: Option<&Cut>, to: Option<&Cut>) -> Result<Model, Fault> {
        let inputs = self.border(from, self.layers.inputs())?;
        let outputs = self.border(to, self.layers.outputs())?;
        let entering: HashSet<&str> = inputs.iter().map(|p| p.name.as_str()).collect();
        if let Some(same) = outputs.iter().find(|p| entering.contains(p.name.as_str())) {
            return Err(illegal(format!("`{}` would enter and leave", short(&same.name))));
        }
        let parts = self.gather(&entering, &outputs)?;
        let proto = self.model.proto();
        Ok(Model::part(
            ModelProto {
                ir_version: Some(proto.ir_version().max(IR_OF_PLAIN_CONSTANTS)),
                producer_name: proto.producer_name.clone(),
                producer_version: proto.producer_version.clone(),
                domain: proto.domain.clone(),
                model_version: proto.model_version,
                doc_string: proto.doc_string.clone(),
                graph: Some(self.assemble(&inputs, &outputs, parts)),
                opset_import: proto.opset_import.clone(),
                metadata_props: proto.metadata_props.clone(),
                training_info: Vec::new(),
                functions: proto.functions.clone(),
                configuration: proto.configuration.clone(),
            },
            self.model.opset(),
        ))
    }

    /// The tensors at one end of a segment.
    fn border<'a>(&'a self, cut: Option<&Cut>, own: &'a [Port]) -> Result<Vec<&'a Port>, Fault> {
        let Some(cut) = cut else { return Ok(own.iter().collect()) };
        let port = self.layers.tensors.get(&cut.id).filter(|p| p.name == cut.tensor);
        match port {
            Some(port) if cut.extractable => Ok(vec![port]),
            Some(_) => Err(illegal(format!("`{}` is inside a branch, or an output", short(&cut.tensor)))),
            None => Err(illegal(format!("the model has no tensor `{}`", short(&cut.tensor)))),
        }
    }

    /// Walks back from the outputs to what enters.
    fn gather(&self, entering: &HashSet<&str>, outputs: &[&Port]) -> Result<Parts<'m>, Fault> {
        let mut parts = Parts::default();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut open: Vec<&str> = Vec::new();
        for port in outputs {
            match self.maker.get_key_value(port.name.as_str()) {
                Some((name, _)) => open.push(*name),
                None => return Err(illegal(format!("no node makes `{}`", short(&port.name)))),
            }
        }
        while let Some(name) = open.pop() {
            if name.is_empty() || entering.contains(name) || !seen.insert(name) {
                continue;
            }
            if self.dense.contains_key(name) {
                parts.dense.insert(name);
            } else if self.sparse.contains_key(name) {
                parts.sparse.insert(name);
            } else if let Some(n) = self.maker.get(name) {
                let folded = self.layers.folded.get(name).filter(|_| !self.computable.contains(name));
                if let Some(tensor) = folded.and_then(|fact| constant(name, fact)) {
                    parts.folded.push(tensor);
                } else if let Some(node) = self.graph.node.get(*n)
                    && parts.nodes.insert(*n)
                {
                    open.extend(needs(node));
                }
            } else if self.layers.inputs().iter().any(|p| p.name == name) {
                return Err(illegal(format!("the part also needs the model's input `{}`", short(name))));
            }
            // Else a name inside a branch.
        }
        Ok(parts)
    }

    fn assemble(&self, inputs: &[&Port], outputs: &[&Port], parts: Parts<'m>) -> GraphProto {
        let graph = self.graph;
        let nodes: Vec<NodeProto> = self
            .order
            .iter()
            .filter(|n| parts.nodes.contains(n))
            .filter_map(|n| graph.node.get(*n).cloned())
            .collect();
        let border: HashSet<&str> = inputs.iter().chain(outputs).map(|p| p.name.as_str()).collect();
        let made: HashSet<&str> = nodes
            .iter()
            .flat_map(|n| &n.output)
            .map(String::as_str)
            .chain(parts.dense.iter().copied())
            .collect();
        // In the order of the file, so that the same cut gives the same bytes.
        let dense = graph.initializer.iter().filter(|t| parts.dense.contains(t.name()));
        let sparse = graph.sparse_initializer.iter();
        let sparse = sparse.filter(|s| s.values.as_ref().is_some_and(|v| parts.sparse.contains(v.name())));
        let inner = graph.value_info.iter();
        let inner = inner.filter(|v| made.contains(v.name()) && !border.contains(v.name()));
        let notes = graph.quantization_annotation.iter();
        let notes = notes.filter(|a| made.contains(a.tensor_name()) || border.contains(a.tensor_name()));
        GraphProto {
            name: graph.name.clone(),
            doc_string: graph.doc_string.clone(),
            initializer: dense.cloned().chain(parts.folded).collect(),
            sparse_initializer: sparse.cloned().collect(),
            input: inputs.iter().map(|p| declare(p)).collect(),
            output: outputs.iter().map(|p| declare(p)).collect(),
            value_info: inner.cloned().collect(),
            quantization_annotation: notes.cloned().collect(),
            metadata_props: graph.metadata_props.clone(),
            node: nodes,
        }
    }
}

fn illegal(message: String) -> Fault {
    Fault::new(Code::RunCut, message)
}

/// Everything that a node takes, through its sub-graphs too; of those also names they define.
fn needs(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).filter(|i| !i.is_empty()).collect();
    captured(node, &mut |name| names.push(name));
    names
}

/// Operators that give something else each time, without an input.
fn is_random(node: &NodeProto) -> bool {
    node.op_type().starts_with("Random") || matches!(node.op_type(), "Bernoulli" | "Multinomial")
}

/// A tensor's declaration, with the shape that was found.
fn declare(port: &Port) -> ValueInfoProto {
    let dim = |size: &u64| DimensionProto { dim_value: i64::try_from(*size).ok(), ..Default::default() };
    let shape = TensorShapeProto { dim: port.shape.dims().iter().map(dim).collect() };
    let tensor = TensorTypeProto { elem_type: Some(port.dtype.number()), shape: Some(shape) };
    let kind = TypeProto { tensor_type: Some(tensor), ..Default::default() };
    ValueInfoProto { name: Some(port.name.clone()), r#type: Some(kind), ..Default::default() }
}

/// A known value as an initializer; `None` for types that shapes are not made of.
fn constant(name: &str, fact: &Fact) -> Option<TensorProto> {
    let value = fact.value.as_deref()?;
    let data: Vec<u8> = match (value, fact.dtype) {
        (Value::Ints(v), DType::Int64) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        (Value::Ints(v), DType::Int32) => {
            let narrow: Option<Vec<i32>> = v.iter().map(|x| i32::try_from(*x).ok()).collect();
            narrow?.into_iter().flat_map(i32::to_le_bytes).collect()
        }
        (Value::Ints(v), DType::Bool) => v.iter().map(|x| u8::from(*x != 0)).collect(),
        #[allow(clippy::cast_possible_truncation)] // they were single before
        (Value::Reals(v), DType::Float) => v.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        (Value::Reals(v), DType::Double) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        _ => return None,
    };
    let dims: Option<Vec<i64>> = fact.shape.dims().iter().map(|d| i64::try_from(*d).ok()).collect();
    Some(TensorProto {
        name: Some(name.to_owned()),
        dims: dims?,
        data_type: Some(fact.dtype.number()),
        raw_data: Some(Bytes::from(data)),
        ..Default::default()
    })
}
