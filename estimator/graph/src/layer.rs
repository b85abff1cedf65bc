//! The layer graph: what a plan can place.

use crate::build::{Op, Program};
use crate::cost::{Class, is_matmul};
use crate::fact::Fact;
use crate::fault::{Fault, short};
use crate::fuse::{self, Group, Uses, is_constant};
use crate::onnx::Model;
use crate::options::Options;
use crate::shape::{DType, Shape};
use crate::support::{self, Support};
use ecomap_instances::Issues;
use ecomap_instances::family::OpKind;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of an element in the catalogue's convention: fp32, whatever the file stores.
pub const ELEMENT_BYTES: u64 = 4;

/// A layer: one operator, with what is folded into it.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The node's name, else that of its first result; inside a branch, behind the `If`'s name.
    pub name: String,
    /// ONNX operator that names the layer.
    pub op_type: String,
    /// Operators folded in, in order.
    pub folded: Vec<String>,
    /// Kind of work.
    pub class: Class,
    /// Shapes of the results that leave the layer.
    pub shapes: Vec<Shape>,
    /// Arithmetic, operations; one multiply-accumulate counts two.
    pub flops: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Trained parameters. Running statistics of batch normalisation are none; a tensor that several
    /// layers use belongs to the first.
    pub params: u64,
    /// Weights kept in memory after folding, fp32 bytes.
    pub weight_bytes: u64,
    /// Distinct activations that enter, fp32 bytes.
    pub input_bytes: u64,
    /// Activations that leave, fp32 bytes.
    pub output_bytes: u64,
    /// Unfused memory traffic, fp32 bytes: inputs, outputs and weights; of an embedding the rows
    /// looked up, of attention four times the scores as well.
    pub traffic_bytes: u64,
    /// Where it can run.
    pub support: Support,
}

/// A tensor between layers.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Name in the file.
    pub tensor: String,
    /// Identifies the tensor: edges to several layers share it.
    pub id: usize,
    /// Shape.
    pub shape: Shape,
    /// Element type in the file.
    pub dtype: DType,
    /// Size at fp32, bytes.
    pub bytes: u64,
}

/// A tensor at the model's border.
#[derive(Debug, Clone)]
pub struct Port {
    /// Name in the file.
    pub name: String,
    /// Identity, as [`Edge::id`].
    pub id: usize,
    /// Shape.
    pub shape: Shape,
    /// Element type in the file.
    pub dtype: DType,
}

/// A model as a graph of layers, in an order in which they can run.
#[derive(Debug, Clone)]
pub struct LayerGraph {
    graph: DiGraph<Layer, Edge>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// For each layer: tensors that enter and leave, by identity.
    pub(crate) reads: Vec<Vec<usize>>,
    pub(crate) writes: Vec<Vec<usize>>,
    pub(crate) tensors: BTreeMap<usize, Port>,
    /// Tensors at which the file itself can be cut.
    pub(crate) top: BTreeSet<usize>,
    /// Constants of the outermost graph whose elements are known, by name.
    pub(crate) folded: BTreeMap<String, Fact>,
    notes: Vec<String>,
    stored_bytes: u64,
}

impl LayerGraph {
    /// Reads the layers of a model.
    ///
    /// # Errors
    /// Everything that is wrong with it, or that keeps its cost from being known: `E1504`–`E1515`.
    pub fn of(model: &Model, options: &Options) -> Result<Self, Issues> {
        let program = crate::build::build(model, options)?;
        Assembly::new(&program).assemble().map_err(|fault| Issues::one(fault.at("/graph")))
    }

    /// The graph: layers in order of execution, an edge for each tensor and layer that takes it.
    #[must_use]
    pub const fn graph(&self) -> &DiGraph<Layer, Edge> {
        &self.graph
    }

    /// Layers in order of execution.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &Layer> + DoubleEndedIterator {
        self.graph.raw_nodes().iter().map(|n| &n.weight)
    }

    /// How many layers, views included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there are none; never so after reading.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What enters the model.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What leaves the model.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// A tensor between layers or at the border, by its name in the file.
    #[must_use]
    pub fn port(&self, tensor: &str) -> Option<&Port> {
        self.tensors.values().find(|p| p.name == tensor)
    }

    /// What the counts leave out or assume.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Bytes of all constants as the file stores them, used or not.
    #[must_use]
    pub const fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Trained parameters.
    #[must_use]
    pub fn params(&self) -> u64 {
        self.layers().map(|l| l.params).sum()
    }

    /// Multiply-accumulates of convolutions and matrix products.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.layers().map(|l| l.macs).sum()
    }

    /// Operations of all layers.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.layers().map(|l| l.flops).sum()
    }

    /// Weights kept in memory, fp32 bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.layers().map(|l| l.weight_bytes).sum()
    }
}

/// What one layer keeps resident and what was trained.
#[derive(Default)]
struct Weights {
    params: u64,
    resident: u64,
}

struct Assembly<'p, 'm> {
    program: &'p Program<'m>,
    uses: Uses,
    counted: BTreeSet<usize>,
}

impl<'p, 'm> Assembly<'p, 'm> {
    fn new(program: &'p Program<'m>) -> Self {
        Self { program, uses: Uses::of(program), counted: BTreeSet::new() }
    }

    fn elements(&self, tensor: usize) -> u64 {
        let fact = self.program.tensors.get(tensor).and_then(|t| t.fact.as_ref());
        fact.map_or(0, |f| f.shape.elements())
    }

    fn assemble(mut self) -> Result<LayerGraph, Fault> {
        let groups = fuse::fuse(self.program, &self.uses);
        let mut graph = DiGraph::with_capacity(groups.len(), groups.len());
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        let mut maker: BTreeMap<usize, NodeIndex> = BTreeMap::new();
        let mut tensors = BTreeMap::new();
        for t in self.program.inputs.iter().chain(&self.program.outputs) {
            tensors.extend(self.port(*t).map(|p| (*t, p)));
        }
        let mut total = 0_u64;
        for group in &groups {
            let (entering, leaving) = self.border(group);
            let layer = self.layer(group, &entering, &leaving)?;
            // Sizes are sums of f64 elsewhere: kept where those are exact.
            for part in [layer.flops, layer.traffic_bytes, layer.weight_bytes] {
                total = total
                    .checked_add(part)
                    .filter(|t| *t < 1 << 53)
                    .ok_or_else(|| Fault::overflow("cost"))?;
            }
            let node = graph.add_node(layer);
            for t in &entering {
                if let (Some(from), Some(port)) = (maker.get(t), tensors.get(t)) {
                    let port: &Port = port;
                    graph.add_edge(
                        *from,
                        node,
                        Edge {
                            tensor: port.name.clone(),
                            id: *t,
                            bytes: port.shape.elements() * ELEMENT_BYTES,
                            shape: port.shape.clone(),
                            dtype: port.dtype,
                        },
                    );
                }
            }
            for t in &leaving {
                maker.insert(*t, node);
                tensors.extend(self.port(*t).map(|p| (*t, p)));
            }
            reads.push(entering);
            writes.push(leaving);
        }
        let program = self.program;
        let ports = |list: &[usize]| list.iter().filter_map(|t| tensors.get(t).cloned()).collect::<Vec<_>>();
        let top =
            tensors.keys().copied().filter(|t| program.tensors.get(*t).is_some_and(|t| t.top)).collect();
        let folded = program.tensors.iter().filter(|t| t.top && t.constant.is_some());
        let folded = folded.filter_map(|t| {
            let fact = t.fact.as_ref().filter(|f| f.value.is_some())?;
            Some((t.name.clone(), fact.clone()))
        });
        let folded = folded.collect();
        Ok(LayerGraph {
            inputs: ports(&program.inputs),
            outputs: ports(&program.outputs),
            graph,
            reads,
            writes,
            top,
            folded,
            tensors,
            notes: program.notes.clone(),
            stored_bytes: program.stored_bytes,
        })
    }

    fn port(&self, t: usize) -> Option<Port> {
        let tensor = self.program.tensors.get(t)?;
        let fact = tensor.fact.as_ref()?;
        Some(Port { name: tensor.name.clone(), id: t, shape: fact.shape.clone(), dtype: fact.dtype })
    }

    fn ops(&self, group: &Group) -> Vec<&'p Op<'m>> {
        let program = self.program;
        group.ops.iter().filter_map(|n| program.ops.get(*n)).collect()
    }

    /// Distinct activations that enter and leave a group.
    fn border(&self, group: &Group) -> (Vec<usize>, Vec<usize>) {
        let (mut entering, mut leaving) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let inside = |op: usize| group.ops.binary_search(&op).is_ok();
        for op in self.ops(group) {
            for t in op.inputs.iter().flatten() {
                let made_inside = self.uses.producer(*t).is_some_and(inside);
                if !made_inside && !is_constant(self.program, *t) && seen.insert(*t) {
                    entering.push(*t);
                }
            }
            for t in &op.outputs {
                let used = self.uses.is_output(*t) || self.uses.consumers(*t).iter().any(|c| !inside(*c));
                if used && !is_constant(self.program, *t) {
                    leaving.push(*t);
                }
            }
        }
        (entering, leaving)
    }

    fn layer(&mut self, group: &Group, entering: &[usize], leaving: &[usize]) -> Result<Layer, Fault> {
        let ops = self.ops(group);
        let head =
            self.program.ops.get(group.head).ok_or_else(|| Fault::operator("a layer without operator"))?;
        let sum = |list: &[usize]| {
            let all = list.iter().try_fold(0_u64, |a, t| a.checked_add(self.elements(*t)));
            all.ok_or_else(|| Fault::overflow("activations"))
        };
        let (inputs, outputs) = (sum(entering)?, sum(leaving)?);
        let macs = ops.iter().try_fold(0_u64, |a, op| a.checked_add(op.macs));
        let macs = macs.ok_or_else(|| Fault::overflow("multiply-accumulates"))?;
        let largest = entering.iter().chain(leaving).map(|t| self.elements(*t)).max().unwrap_or(0);
        let scores = match group.class {
            Class::Op(OpKind::Attention) if ops.len() > 1 => {
                head.outputs.first().map_or(0, |t| self.elements(*t))
            }
            _ => 0,
        };
        let embeds = group.class == Class::Op(OpKind::Embedding);
        let support = support::of(self.program, group, &ops);
        let folded = ops.iter().filter(|o| !std::ptr::eq(**o, head)).map(|o| o.node.op_type().to_owned());
        let folded: Vec<String> = folded.collect();
        let shapes = leaving.iter().filter_map(|t| self.port(*t)).map(|p| p.shape).collect();
        let weights = self.weights(group);
        let free = matches!(group.class, Class::View | Class::Unknown);
        let moved = if free {
            Some(0)
        } else if embeds {
            outputs.checked_mul(2).and_then(|o| o.checked_add(inputs))
        } else {
            let all = [inputs, outputs, weights.resident, scores.saturating_mul(4)];
            all.into_iter().try_fold(0_u64, u64::checked_add)
        };
        let bytes =
            |elements: u64| elements.checked_mul(ELEMENT_BYTES).ok_or_else(|| Fault::overflow("bytes"));
        let flops = match group.class {
            Class::Op(kind) if is_matmul(kind) => {
                macs.checked_mul(2).ok_or_else(|| Fault::overflow("cost"))?
            }
            Class::Op(_) => largest,
            Class::View | Class::Unknown => 0,
        };
        Ok(Layer {
            name: short(&head.name),
            op_type: short(head.node.op_type()),
            folded,
            class: group.class,
            shapes,
            flops,
            macs,
            params: weights.params,
            weight_bytes: bytes(weights.resident)?,
            input_bytes: bytes(inputs)?,
            output_bytes: bytes(outputs)?,
            traffic_bytes: bytes(moved.ok_or_else(|| Fault::overflow("bytes"))?)?,
            support,
        })
    }

    /// Counts the constants that the group is the first to use.
    fn weights(&mut self, group: &Group) -> Weights {
        let mut weights = Weights::default();
        let mut bias = 0;
        for op in self.ops(group) {
            let name = op.node.op_type();
            for (slot, t) in op.inputs.iter().enumerate() {
                let Some(t) = t else { continue };
                let Some((id, elements)) = self.weight(name, slot, *t) else { continue };
                if !self.counted.insert(id) || group.repeated.contains(t) {
                    continue;
                }
                let folds = group.affine && !std::ptr::eq(op, self.head(group));
                let statistics = name == "BatchNormalization" && slot >= 3;
                if !statistics {
                    weights.params = weights.params.saturating_add(elements);
                }
                // What is folded leaves one bias a channel, be it there already or not.
                if folds {
                    bias = elements;
                } else if !statistics {
                    let own_bias =
                        group.affine && slot == 2 && matches!(name, "Conv" | "ConvTranspose" | "Gemm");
                    if own_bias {
                        bias = elements;
                    } else {
                        weights.resident = weights.resident.saturating_add(elements);
                    }
                }
            }
        }
        if group.class != Class::Op(OpKind::Norm) {
            weights.resident = weights.resident.saturating_add(bias);
        }
        weights
    }

    fn head(&self, group: &Group) -> *const Op<'m> {
        self.program.ops.get(group.head).map_or(std::ptr::null(), std::ptr::from_ref)
    }

    /// The constant that input `slot` of an operator is, if it is a weight.
    fn weight(&self, op: &str, slot: usize, tensor: usize) -> Option<(usize, u64)> {
        let tensor = self.program.tensors.get(tensor)?;
        let id = tensor.constant?;
        let constant = self.program.constants.get(id)?;
        let setting = match op {
            "Resize" | "Upsample" | "Pad" | "Clip" | "Dropout" | "OneHot" | "QuantizeLinear" | "TopK" => {
                slot > 0
            }
            "Where" | "Pow" => true,
            // The constants of formulas: a square root of two, an epsilon.
            "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" => constant.elements <= 1,
            _ => false,
        };
        (!setting && constant.dtype.is_weight()).then_some((id, constant.elements))
    }
}
