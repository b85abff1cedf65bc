//! Graphviz: layers, tensors with their sizes, blocks as clusters.

use super::{colour, plain, scaled};
use crate::inspect::Inspection;
use petgraph::visit::EdgeRef;
use std::fmt::Write as _;

fn quoted(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

pub(crate) fn render(inspection: &Inspection) -> String {
    let graph = inspection.graph.graph();
    let mut text = format!("digraph \"{}\" {{\n", quoted(&inspection.name));
    text.push_str("  rankdir=TB; node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\"];\n");
    for (n, piece) in inspection.pieces.iter().enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{n} {{ label=\"{}\";", quoted(&piece.block.name));
        for at in piece.layers.clone() {
            let Some(layer) = graph.raw_nodes().get(at).map(|n| &n.weight) else { continue };
            let mut label = vec![layer.op_type.as_str()];
            label.extend(layer.folded.iter().map(String::as_str));
            let shapes: Vec<String> = layer.shapes.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                text,
                "    n{at} [label=\"{}\\n{}\\n{}, {}\", fillcolor=\"{}\"];",
                quoted(&layer.name),
                quoted(&label.join(" + ")),
                shapes.join(", "),
                scaled(layer.flops, "op"),
                colour(layer.class)
            );
        }
        text.push_str("  }\n");
    }
    for edge in graph.edge_references() {
        let _ = writeln!(
            text,
            "  n{} -> n{} [label=\"{} {}\", tooltip=\"{}\"];",
            edge.source().index(),
            edge.target().index(),
            edge.weight().shape,
            scaled(edge.weight().bytes, "B"),
            quoted(&edge.weight().tensor)
        );
    }
    text.push_str("}\n");
    text
}
