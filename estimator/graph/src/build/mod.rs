//! The file's nodes → a flat list of operators with shapes.
//!
//! Constants are folded, branches inlined, dead operators dropped. What is wrong is collected:
//! after a mistake, only what depends on it is left out.

mod branch;
mod inputs;
pub(crate) mod order;

use crate::attrs::Attrs;
use crate::cost::{self, Class};
use crate::fact::Fact;
use crate::fault::{Fault, short};
use crate::infer::{self, Call};
use crate::onnx::messages::{GraphProto, NodeProto, ValueInfoProto};
use crate::onnx::{Model, is_default_domain};
use crate::options::Options;
use crate::shape::DType;
use ecomap_instances::issue::MAX_ISSUES;
use ecomap_instances::{Code, Issue, Issues};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A tensor that was met.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// `None` after a mistake.
    pub(crate) fact: Option<Fact>,
    /// The constant that it is, or is a view of.
    pub(crate) constant: Option<usize>,
    /// Whether it is in the outermost graph, where models can be cut.
    pub(crate) top: bool,
}

/// A constant of the file, or made from others.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) elements: u64,
    pub(crate) dtype: DType,
}

/// An operator that runs.
pub(crate) struct Op<'m> {
    pub(crate) node: &'m NodeProto,
    pub(crate) name: String,
    pub(crate) inputs: Vec<Option<usize>>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) class: Class,
    pub(crate) macs: u64,
    /// Operations: twice the MACs, or elements touched.
    pub(crate) flops: u64,
}

/// The flat program.
pub(crate) struct Program<'m> {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) ops: Vec<Op<'m>>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) opset: i64,
    pub(crate) notes: Vec<String>,
    /// Bytes of all constants in the file, as stored.
    pub(crate) stored_bytes: u64,
}

/// Values whose type the file declares.
type Declared<'m> = HashMap<&'m str, &'m ValueInfoProto>;

pub(crate) struct Builder<'m, 'o> {
    options: &'o Options,
    program: Program<'m>,
    /// Names in sight, innermost graph last.
    scopes: Vec<HashMap<&'m str, usize>>,
    issues: Vec<Issue>,
    unknown: BTreeMap<String, (usize, String)>,
    /// Given dimensions that gave something its size.
    used: RefCell<BTreeSet<String>>,
}

/// Flattens `model`.
pub(crate) fn build<'m>(model: &'m Model, options: &Options) -> Result<Program<'m>, Issues> {
    let program = Program {
        tensors: Vec::new(),
        constants: Vec::new(),
        ops: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        opset: model.opset(),
        notes: Vec::new(),
        stored_bytes: 0,
    };
    let mut builder = Builder {
        options,
        program,
        scopes: Vec::new(),
        issues: Vec::new(),
        unknown: BTreeMap::new(),
        used: RefCell::default(),
    };
    if let Some(graph) = &model.proto().graph {
        let outputs = builder.graph(graph, "/graph", "", true);
        builder.program.outputs = outputs.into_iter().flatten().collect();
    }
    builder.finish()
}

impl<'m> Builder<'m, '_> {
    fn issue(&mut self, fault: Fault, pointer: impl Into<String>) {
        // One more than is kept, so that the rest can be said to exist.
        if self.issues.len() <= MAX_ISSUES {
            self.issues.push(fault.at(pointer));
        }
    }

    /// The size given for a dimension.
    fn given(&self, name: &str) -> Option<u64> {
        let size = self.options.dims.get(name).copied()?;
        self.used.borrow_mut().insert(name.to_owned());
        Some(size)
    }

    /// A size that nothing took is a mistake: the figures would be those of another shape.
    fn unused(&mut self) {
        let used = self.used.take();
        for name in self.options.dims.keys().filter(|n| !used.contains(*n)) {
            let message = format!("no symbolic dimension takes the value given for `{}`", short(name));
            self.issue(Fault::new(Code::ModelDimension, message), "/graph/input");
        }
    }

    fn finish(mut self) -> Result<Program<'m>, Issues> {
        self.unused();
        for (op, (count, pointer)) in std::mem::take(&mut self.unknown) {
            let message = format!("`{}` is not known ({count} nodes)", short(&op));
            if self.options.allow_unknown {
                self.program.notes.push(format!("{message}; its cost is not counted"));
            } else {
                self.issue(Fault::new(Code::ModelUnknownOperator, message), pointer);
            }
        }
        if self.issues.is_empty() {
            self.drop_dead();
            let program = &self.program;
            let runs =
                program.outputs.iter().any(|t| program.tensors.get(*t).is_some_and(|t| t.constant.is_none()));
            if !runs || program.ops.is_empty() {
                self.issue(Fault::new(Code::ModelNoOutput, "no output depends on an input"), "/graph/output");
            }
        }
        Issues::check(self.issues)?;
        Ok(self.program)
    }

    /// Keeps the operators that an output needs.
    fn drop_dead(&mut self) {
        let mut wanted = vec![false; self.program.tensors.len()];
        let mark = |list: &mut [bool], t: usize| {
            if let Some(slot) = list.get_mut(t) {
                *slot = true;
            }
        };
        for t in &self.program.outputs {
            mark(&mut wanted, *t);
        }
        let mut live = Vec::with_capacity(self.program.ops.len());
        for op in self.program.ops.drain(..).rev() {
            if op.outputs.iter().any(|t| wanted.get(*t).copied().unwrap_or(false)) {
                op.inputs.iter().flatten().for_each(|t| mark(&mut wanted, *t));
                live.push(op);
            }
        }
        live.reverse();
        self.program.ops = live;
    }

    fn tensor(&mut self, name: &str, fact: Option<Fact>, constant: Option<usize>, top: bool) -> usize {
        self.program.tensors.push(Tensor { name: name.to_owned(), fact, constant, top });
        self.program.tensors.len() - 1
    }

    fn constant(&mut self, fact: &Fact) -> usize {
        self.program.constants.push(Constant { elements: fact.shape.elements(), dtype: fact.dtype });
        self.program.constants.len() - 1
    }

    fn lookup(&self, name: &str) -> Option<usize> {
        self.scopes.iter().rev().find_map(|s| s.get(name).copied())
    }

    fn define(&mut self, name: &'m str, tensor: usize) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, tensor);
        }
    }

    /// Builds one graph; gives its outputs.
    fn graph(&mut self, graph: &'m GraphProto, at: &str, prefix: &str, top: bool) -> Vec<Option<usize>> {
        if self.program.tensors.len() > self.options.limits.tensors {
            let most = self.options.limits.tensors;
            self.issue(Fault::new(Code::ModelTooLarge, format!("more than {most} tensors")), at);
            return Vec::new();
        }
        self.scopes.push(HashMap::new());
        for (n, tensor) in graph.initializer.iter().enumerate() {
            let pointer = format!("{at}/initializer/{n}");
            self.initializer(tensor, tensor.name(), &pointer, top);
        }
        for (n, sparse) in graph.sparse_initializer.iter().enumerate() {
            if let Some(values) = &sparse.values {
                self.sparse(values, &sparse.dims, &format!("{at}/sparse_initializer/{n}"), top);
            }
        }
        self.inputs(graph, at, top);
        let mut declared = HashMap::new();
        if self.options.allow_unknown {
            declared.extend(graph.value_info.iter().chain(&graph.output).map(|v| (v.name(), v)));
        }
        match order::order(graph, &|name| self.lookup(name).is_some()) {
            Ok(order) => {
                for n in order {
                    if let Some(node) = graph.node.get(n) {
                        self.node(node, &format!("{at}/node/{n}"), prefix, n, top, &declared);
                    }
                }
            }
            Err(faults) => {
                for (fault, n) in faults {
                    self.issue(fault, format!("{at}/node/{n}"));
                }
                self.scopes.pop();
                return Vec::new();
            }
        }
        let mut outputs = Vec::with_capacity(graph.output.len());
        for (n, output) in graph.output.iter().enumerate() {
            let found = self.lookup(output.name());
            if found.is_none() {
                let message = format!("nothing produces the output `{}`", short(output.name()));
                self.issue(Fault::new(Code::ModelMissing, message), format!("{at}/output/{n}"));
            }
            outputs.push(found);
        }
        self.scopes.pop();
        outputs
    }

    fn node(
        &mut self,
        node: &'m NodeProto,
        pointer: &str,
        prefix: &str,
        n: usize,
        top: bool,
        declared: &Declared<'m>,
    ) {
        let mut inputs = Vec::with_capacity(node.input.len());
        let mut poisoned = false;
        for name in &node.input {
            let found = if name.is_empty() { None } else { self.lookup(name) };
            let known = found.and_then(|t| self.program.tensors.get(t)).is_some_and(|t| t.fact.is_some());
            poisoned |= !name.is_empty() && !known;
            inputs.push(found);
        }
        let op = node.op_type();
        let own = [node.name(), node.output.first().map_or("", String::as_str)];
        let name = own.into_iter().find(|s| !s.is_empty()).map_or_else(|| format!("{op}_{n}"), str::to_owned);
        let name = format!("{prefix}{name}");
        if poisoned {
            for output in &node.output {
                let t = self.tensor(output, None, None, top);
                self.define(output, t);
            }
            return;
        }
        if is_default_domain(node.domain()) && op == "If" {
            self.branches(node, pointer, &name, &inputs);
            return;
        }
        let facts: Vec<Option<Fact>> = inputs
            .iter()
            .map(|t| t.and_then(|t| self.program.tensors.get(t)).and_then(|t| t.fact.clone()))
            .collect();
        let call = Call {
            op,
            inputs: &facts,
            attrs: Attrs::of(node),
            outputs: node.output.len(),
            opset: self.program.opset,
        };
        match self.infer(&call, node, pointer, declared) {
            Ok((results, known)) => self.record(&call, node, name, inputs, results, known, (pointer, top)),
            Err(fault) => {
                let message = format!("`{}` ({op}): {}", short(&name), fault.message);
                self.issue(Fault::new(fault.code, message), pointer);
                for output in &node.output {
                    let t = self.tensor(output, None, None, top);
                    self.define(output, t);
                }
            }
        }
    }

    /// Facts of the results, and whether the operator is known.
    fn infer(
        &mut self,
        call: &Call<'_>,
        node: &NodeProto,
        pointer: &str,
        declared: &Declared<'m>,
    ) -> Result<(Vec<Fact>, bool), Fault> {
        let default = is_default_domain(node.domain());
        if default && matches!(call.op, "Loop" | "Scan" | "SequenceMap") {
            if !self.options.allow_unknown {
                return Err(Fault::new(Code::ModelSubgraph, "how often its body runs is not known"));
            }
            let message =
                format!("`{}`: how often its body runs is not known; not counted", short(node.name()));
            self.program.notes.push(message);
            return Ok((self.declared(call, node, declared)?, false));
        }
        if default && let Some(facts) = infer::infer(call)? {
            if facts.len() < node.output.len() {
                return Err(Fault::operator(format!(
                    "it gives {} results, {} are named",
                    facts.len(),
                    node.output.len()
                )));
            }
            return Ok((facts, true));
        }
        let label = if default { call.op.to_owned() } else { format!("{}.{}", node.domain(), call.op) };
        let entry = self.unknown.entry(label).or_insert_with(|| (0, pointer.to_owned()));
        entry.0 += 1;
        if !self.options.allow_unknown {
            // Said once for all nodes of this operator, at the end.
            return Ok((Vec::new(), false));
        }
        Ok((self.declared(call, node, declared)?, false))
    }

    #[allow(clippy::too_many_arguments)]
    fn record(
        &mut self,
        call: &Call<'_>,
        node: &'m NodeProto,
        name: String,
        inputs: Vec<Option<usize>>,
        results: Vec<Fact>,
        known: bool,
        (pointer, top): (&str, bool),
    ) {
        let constants: Vec<bool> = inputs
            .iter()
            .map(|t| t.and_then(|t| self.program.tensors.get(t)).is_some_and(|t| t.constant.is_some()))
            .collect();
        let named = inputs.iter().zip(&constants).filter(|(t, _)| t.is_some());
        let folds = known && named.clone().all(|(_, c)| *c);
        // A part of a table keeps the table in memory.
        let view =
            matches!(call.op, "DequantizeLinear" | "QuantizeLinear" | "Transpose" | "Gather" | "Slice")
                || matches!(cost::class(call, &constants), Class::View);
        let source = inputs.first().copied().flatten().and_then(|t| self.program.tensors.get(t));
        let source = source.and_then(|t| t.constant);
        let mut outputs = Vec::with_capacity(node.output.len());
        let mut results = results.into_iter();
        for output in &node.output {
            let fact = results.next();
            let constant = match &fact {
                Some(f) if folds || f.value.is_some() => {
                    Some(source.filter(|_| view && folds).unwrap_or_else(|| self.constant(f)))
                }
                _ => None,
            };
            let t = self.tensor(output, fact, constant, top);
            if !output.is_empty() {
                self.define(output, t);
            }
            outputs.push(t);
        }
        let tensors = &self.program.tensors;
        if outputs.iter().all(|t| tensors.get(*t).is_none_or(|t| t.constant.is_some() || t.fact.is_none())) {
            return;
        }
        let class = if known { cost::class(call, &constants) } else { Class::Unknown };
        let out = outputs.first().and_then(|t| tensors.get(*t)).and_then(|t| t.fact.as_ref());
        let macs = match (known, out) {
            (true, Some(out)) => cost::macs(call, &out.shape),
            _ => Ok(None),
        };
        let macs = macs.and_then(|m| {
            let m = m.unwrap_or(0);
            if m < 1 << 52 { Ok(m) } else { Err(Fault::overflow("multiply-accumulates")) }
        });
        let macs = match macs {
            Ok(m) => m,
            Err(fault) => {
                self.issue(fault, pointer);
                return;
            }
        };
        let largest = call
            .inputs
            .iter()
            .zip(&constants)
            .filter(|(_, c)| !**c)
            .filter_map(|(f, _)| f.as_ref())
            .chain(out)
            .map(|f| f.shape.elements())
            .max();
        let flops = match class {
            Class::Op(kind) if cost::is_matmul(kind) => 2 * macs,
            Class::Op(_) => largest.unwrap_or(0),
            Class::View | Class::Unknown => 0,
        };
        self.program.ops.push(Op { node, name, inputs, outputs, class, macs, flops });
    }
}
