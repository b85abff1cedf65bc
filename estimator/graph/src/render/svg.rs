//! A drawing: layers in rows by depth, blocks in bands. No program outside is needed.
//!
//! The row of a layer is the longest way to it; within a row, layers stand below what feeds them.
//! A model of more than [`MAX_DRAWN`] layers is drawn by its blocks.

use super::{clipped, colour, plain, scaled};
use crate::cost::Class;
use crate::inspect::Inspection;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Most layers drawn one by one.
const MAX_DRAWN: usize = 1500;
/// Most lines between them.
const MAX_LINES: usize = 6000;
const WIDTH: usize = 190;
const HEIGHT: usize = 40;
const GAP_X: usize = 18;
const GAP_Y: usize = 26;
const MARGIN: usize = 20;
const TITLE: usize = 30;

struct Box {
    row: usize,
    column: usize,
    title: String,
    detail: String,
    tip: String,
    fill: &'static str,
    block: usize,
}

fn escaped(text: &str) -> String {
    let text = plain(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(crate) fn render(inspection: &Inspection) -> String {
    let (boxes, lines) =
        if inspection.graph.len() <= MAX_DRAWN && inspection.graph.graph().edge_count() <= MAX_LINES {
            layers(inspection)
        } else {
            blocks(inspection)
        };
    let columns = boxes.iter().map(|b| b.column + 1).max().unwrap_or(1);
    let rows = boxes.iter().map(|b| b.row + 1).max().unwrap_or(1);
    let width = 2 * MARGIN + columns * (WIDTH + GAP_X);
    let height = 2 * MARGIN + TITLE + rows * (HEIGHT + GAP_Y);
    let x = |b: &Box| MARGIN + b.column * (WIDTH + GAP_X);
    let y = |b: &Box| MARGIN + TITLE + b.row * (HEIGHT + GAP_Y);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let title = format!(
        "{} — {}, {}",
        inspection.name,
        scaled(inspection.graph.macs(), "MAC"),
        scaled(inspection.graph.params(), "parameters")
    );
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"14\">{}</text>",
        MARGIN + 8,
        escaped(&title)
    );
    for n in 0..inspection.pieces.len() {
        let rows = || boxes.iter().filter(|b| b.block == n).map(y);
        if let (Some(top), Some(bottom), true) = (rows().min(), rows().max(), n % 2 == 0) {
            let _ = writeln!(
                text,
                "<rect x=\"0\" y=\"{}\" width=\"{width}\" height=\"{}\" fill=\"#f6f6f6\"/>",
                top - GAP_Y / 2,
                bottom - top + HEIGHT + GAP_Y
            );
        }
    }
    for (from, to) in &lines {
        if let (Some(a), Some(b)) = (boxes.get(*from), boxes.get(*to)) {
            let (x1, y1, x2, y2) = (x(a) + WIDTH / 2, y(a) + HEIGHT, x(b) + WIDTH / 2, y(b));
            let middle = usize::midpoint(y1, y2);
            let _ = writeln!(
                text,
                "<path d=\"M{x1} {y1} C{x1} {middle} {x2} {middle} {x2} {y2}\" fill=\"none\" stroke=\"#888888\"/>"
            );
        }
    }
    for b in &boxes {
        let (x, y) = (x(b), y(b));
        let _ = writeln!(
            text,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"5\" \
             fill=\"{}\" stroke=\"#555555\"/><text x=\"{}\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" \
             fill=\"#555555\">{}</text></g>",
            escaped(&b.tip),
            b.fill,
            x + 7,
            y + 16,
            escaped(&clipped(&b.title, 32)),
            x + 7,
            y + 32,
            escaped(&clipped(&b.detail, 34))
        );
    }
    text.push_str("</svg>\n");
    text
}

fn layers(inspection: &Inspection) -> (Vec<Box>, Vec<(usize, usize)>) {
    let graph = inspection.graph.graph();
    let lines: Vec<(usize, usize)> =
        graph.raw_edges().iter().map(|e| (e.source().index(), e.target().index())).collect();
    let count = graph.node_count();
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (a, b) in &lines {
        if let Some(list) = feeds.get_mut(*b) {
            list.push(*a);
        }
    }
    // Layers are in order of execution: what feeds one has its row already.
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(count);
    let mut taken: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count + 1];
    for list in &feeds {
        let above: Vec<(usize, usize)> = list.iter().filter_map(|f| places.get(*f).copied()).collect();
        let row = above.iter().map(|(r, _)| r + 1).max().unwrap_or(0);
        let wish = above.iter().map(|(_, c)| c).sum::<usize>() / above.len().max(1);
        let column = taken.get_mut(row).map_or(wish, |used| {
            let near = (0..=used.len()).flat_map(|d| [Some(wish + d), wish.checked_sub(d)]).flatten();
            let column = near.into_iter().find(|c| !used.contains(c)).unwrap_or(wish + used.len());
            used.insert(column);
            column
        });
        places.push((row, column));
    }
    let block = |n: usize| inspection.pieces.iter().position(|p| p.layers.contains(&n)).unwrap_or(0);
    let boxes = graph.raw_nodes().iter().zip(&places).enumerate().map(|(n, (node, (row, column)))| {
        let layer = &node.weight;
        let folded: String = layer.folded.iter().map(|f| format!(" + {f}")).collect();
        let shape = layer.shapes.first().map_or_else(String::new, ToString::to_string);
        let work = if layer.class == Class::View {
            String::new()
        } else {
            format!("{}  ", scaled(layer.flops, "op"))
        };
        Box {
            row: *row,
            column: *column,
            title: format!("{}{folded}", layer.op_type),
            detail: format!("{work}{shape}"),
            tip: format!(
                "{}: {}{folded}, {}",
                layer.name,
                layer.op_type,
                scaled(layer.weight_bytes, "B of weights")
            ),
            fill: colour(layer.class),
            block: block(n),
        }
    });
    (boxes.collect(), lines)
}

fn blocks(inspection: &Inspection) -> (Vec<Box>, Vec<(usize, usize)>) {
    let boxes: Vec<Box> = inspection
        .pieces
        .iter()
        .enumerate()
        .map(|(n, piece)| Box {
            row: n,
            column: 0,
            title: piece.block.name.clone(),
            detail: format!("{}, {} layers", scaled(piece.block.flops, "op"), piece.layers.len()),
            tip: format!("leaves {}", scaled(piece.block.output_bytes, "B")),
            fill: "#cfe2f3",
            block: n,
        })
        .collect();
    let lines = (1..boxes.len()).map(|n| (n - 1, n)).collect();
    (boxes, lines)
}
