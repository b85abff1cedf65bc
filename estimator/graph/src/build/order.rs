//! Order of execution: each node after those whose results it takes.

use crate::fault::{Fault, short};
use crate::onnx::messages::{GraphProto, NodeProto};
use ecomap_instances::Code;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// Positions of the nodes in an order in which they can run; among those ready, the file's order.
///
/// # Errors
/// What is wrong, with the node's position: tensors that are defined twice or never, or a cycle.
pub(crate) fn order(
    graph: &GraphProto,
    outside: &dyn Fn(&str) -> bool,
) -> Result<Vec<usize>, Vec<(Fault, usize)>> {
    let mut faults = Vec::new();
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (n, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if outside(output) || producer.insert(output, n).is_some() {
                let message = format!("`{}` again", short(output));
                faults.push((Fault::new(Code::ModelDuplicate, message), n));
            }
        }
    }
    let mut waits = vec![0_usize; graph.node.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (n, node) in graph.node.iter().enumerate() {
        let mut from = BTreeSet::new();
        for input in node.input.iter().filter(|i| !i.is_empty()) {
            match producer.get(input.as_str()) {
                Some(p) => {
                    from.insert(*p);
                }
                None if outside(input) => {}
                None => {
                    let message = format!("nothing produces `{}`", short(input));
                    faults.push((Fault::new(Code::ModelMissing, message), n));
                }
            }
        }
        captured(node, &mut |name| {
            if let Some(p) = producer.get(name) {
                from.insert(*p);
            }
        });
        for p in from {
            if let (Some(list), Some(w)) = (users.get_mut(p), waits.get_mut(n)) {
                list.push(n);
                *w += 1;
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let ready = waits.iter().enumerate().filter(|(_, w)| **w == 0).map(|(n, _)| Reverse(n));
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(Reverse(n)) = ready.pop() {
        order.push(n);
        for user in users.get(n).into_iter().flatten() {
            if let Some(w) = waits.get_mut(*user) {
                *w -= 1;
                if *w == 0 {
                    ready.push(Reverse(*user));
                }
            }
        }
    }
    if order.len() < waits.len() {
        let stuck = waits.iter().position(|w| *w > 0).unwrap_or(0);
        let name = graph.node.get(stuck).map_or("", NodeProto::name);
        let message = format!("node `{}` waits for its own result", short(name));
        return Err(vec![(Fault::new(Code::ModelCycle, message), stuck)]);
    }
    Ok(order)
}

/// Names that a node's sub-graphs may take from outside. Sub-graphs nest as deep as messages may.
pub(crate) fn captured<'m>(node: &'m NodeProto, found: &mut dyn FnMut(&'m str)) {
    for attribute in &node.attribute {
        for graph in attribute.g.iter().chain(&attribute.graphs) {
            for inner in &graph.node {
                for input in &inner.input {
                    found(input);
                }
                captured(inner, found);
            }
            for output in &graph.output {
                found(output.name());
            }
        }
    }
}
