//! Legal cuts: places where exactly one tensor crosses.
//!
//! Everything between the input and the output then passes through that tensor: it dominates the
//! output in the graph of tensors and layers. The converse holds as well, for every layer lies on a
//! path from an input to an output: it is before or behind a tensor that all paths pass. So one
//! sweep over any order of execution finds all of them; a test compares it with the dominators.

use crate::layer::{ELEMENT_BYTES, LayerGraph};
use petgraph::algo::dominators::simple_fast;
use petgraph::graph::DiGraph;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A place where the model can be cut in two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Layers before the cut, in order of execution.
    pub after: usize,
    /// The tensor that crosses.
    pub tensor: String,
    /// Its size at fp32, bytes.
    pub bytes: u64,
    /// Whether the file can be cut there: the tensor is not inside a branch, nor an output itself.
    pub extractable: bool,
    #[serde(skip)]
    pub(crate) id: usize,
}

impl LayerGraph {
    /// All legal cuts inside the model, in order.
    #[must_use]
    pub fn cuts(&self) -> Vec<Cut> {
        let end = self.reads.len();
        // Place of the last layer that needs each tensor; the caller needs the outputs.
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (n, reads) in self.reads.iter().enumerate() {
            last.extend(reads.iter().map(|t| (*t, n)));
        }
        last.extend(self.outputs().iter().map(|p| (p.id, end)));
        // Tensors by the layer that ends them.
        let mut ends: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (t, n) in &last {
            ends.entry(*n).or_default().push(*t);
        }
        // What needs no input (an unknown operator may not) could run before everything else.
        let free = self.reads.iter().zip(&self.writes).filter(|(reads, _)| reads.is_empty());
        let entering = self.inputs().iter().map(|p| p.id).chain(free.flat_map(|(_, writes)| writes.clone()));
        let mut live: BTreeSet<usize> = entering.filter(|t| last.contains_key(t)).collect();
        let mut cuts = Vec::new();
        for (n, writes) in self.writes.iter().enumerate() {
            live.extend(writes.iter().filter(|t| last.contains_key(t)));
            for t in ends.get(&n).into_iter().flatten() {
                live.remove(t);
            }
            let mut crossing = live.iter();
            if let (Some(t), None, true) = (crossing.next(), crossing.next(), n + 1 < end) {
                cuts.extend(self.cut(n + 1, *t));
            }
        }
        cuts
    }

    fn cut(&self, after: usize, id: usize) -> Option<Cut> {
        let port = self.tensors.get(&id)?;
        Some(Cut {
            after,
            tensor: port.name.clone(),
            bytes: port.shape.elements() * ELEMENT_BYTES,
            extractable: self.top.contains(&id) && self.outputs().iter().all(|p| p.id != id),
            id,
        })
    }

    /// The tensors that dominate the output, in order: the same as the cuts, by another way.
    #[must_use]
    pub fn dominating_tensors(&self) -> Vec<String> {
        let mut graph: DiGraph<Option<usize>, ()> = DiGraph::new();
        let (source, sink) = (graph.add_node(None), graph.add_node(None));
        let mut place = BTreeMap::new();
        for t in self.tensors.keys() {
            place.insert(*t, graph.add_node(Some(*t)));
        }
        for port in self.inputs() {
            place.get(&port.id).map(|t| graph.add_edge(source, *t, ()));
        }
        for (reads, writes) in self.reads.iter().zip(&self.writes) {
            let layer = graph.add_node(None);
            if reads.is_empty() {
                graph.add_edge(source, layer, ());
            }
            for t in reads.iter().filter_map(|t| place.get(t)) {
                graph.add_edge(*t, layer, ());
            }
            for t in writes.iter().filter_map(|t| place.get(t)) {
                graph.add_edge(layer, *t, ());
            }
        }
        for port in self.outputs() {
            place.get(&port.id).map(|t| graph.add_edge(*t, sink, ()));
        }
        let dominators = simple_fast(&graph, source);
        let border: BTreeSet<usize> = self.inputs().iter().chain(self.outputs()).map(|p| p.id).collect();
        let chain = dominators.strict_dominators(sink).into_iter().flatten();
        let mut names: Vec<String> = chain
            .filter_map(|n| graph.node_weight(n).copied().flatten())
            .filter(|t| !border.contains(t))
            .filter_map(|t| self.tensors.get(&t).map(|p| p.name.clone()))
            .collect();
        names.reverse();
        names
    }
}
