//! Tables for people.

use super::{clipped, plain, scaled};
use crate::blocks::Piece;
use crate::cost::{Class, KINDS, kind_name};
use crate::inspect::Inspection;
use crate::support::UnitClass;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Refusals shown before the rest is only counted.
const MOST_REFUSALS: usize = 40;
/// Longest block name shown whole.
const MOST_NAME: usize = 48;

pub(crate) fn render(inspection: &Inspection) -> String {
    let mut text = String::new();
    let graph = &inspection.graph;
    let _ = writeln!(text, "{}, operator set {}", plain(&inspection.name), inspection.opset);
    for (what, ports) in [("input", graph.inputs()), ("output", graph.outputs())] {
        for port in ports {
            let _ = writeln!(text, "  {what:<7} {} {} {}", plain(&port.name), port.shape, port.dtype.name());
        }
    }
    let _ = writeln!(
        text,
        "  work    {} ({} in all), {} ({} at fp32), {} layers, {} legal cuts",
        scaled(graph.macs(), "MAC"),
        scaled(graph.flops(), "op"),
        scaled(graph.params(), "parameters"),
        scaled(graph.weight_bytes(), "B"),
        graph.layers().filter(|l| l.class != Class::View).count(),
        graph.cuts().len()
    );
    kinds(&mut text, inspection);
    blocks(&mut text, inspection);
    if let Some(unit) = inspection.unit {
        refusals(&mut text, inspection, unit);
    }
    for note in graph.notes() {
        let _ = writeln!(text, "note: {}", plain(note));
    }
    text
}

fn kinds(text: &mut String, inspection: &Inspection) {
    let _ = writeln!(text, "\n  {:<15}{:>8}{:>12}{:>12}", "operators", "layers", "work", "traffic");
    for kind in KINDS {
        let same: Vec<_> = inspection.graph.layers().filter(|l| l.class == Class::Op(kind)).collect();
        if !same.is_empty() {
            let flops = same.iter().map(|l| l.flops).sum();
            let bytes = same.iter().map(|l| l.traffic_bytes).sum();
            let _ = writeln!(
                text,
                "  {:<15}{:>8}{:>12}{:>12}",
                kind_name(kind),
                same.len(),
                scaled(flops, "op"),
                scaled(bytes, "B")
            );
        }
    }
    let unknown = inspection.graph.layers().filter(|l| l.class == Class::Unknown).count();
    if unknown > 0 {
        let _ = writeln!(text, "  {:<15}{unknown:>8}{:>12}{:>12}", "unknown", "–", "–");
    }
}

fn blocks(text: &mut String, inspection: &Inspection) {
    let name = |piece: &Piece| clipped(&plain(&piece.block.name), MOST_NAME);
    let width = inspection.pieces.iter().map(|p| name(p).chars().count()).max().unwrap_or(0).max(5);
    let _ = writeln!(
        text,
        "\n  {:<width$}{:>8}{:>12}{:>12}{:>12}  cut at",
        "block", "layers", "work", "weights", "leaves"
    );
    for piece in &inspection.pieces {
        let b = &piece.block;
        let cut = piece.cut.as_ref().map_or_else(String::new, |c| {
            format!("{}{}", plain(&c.tensor), if c.extractable { "" } else { " (inside a branch)" })
        });
        let line = format!(
            "  {:<width$}{:>8}{:>12}{:>12}{:>12}  {cut}",
            name(piece),
            piece.layers.len(),
            scaled(b.flops, "op"),
            scaled(b.weight_bytes, "B"),
            scaled(b.output_bytes, "B"),
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn refusals(text: &mut String, inspection: &Inspection, unit: UnitClass) {
    let name = match unit {
        UnitClass::Gpu => "GPU",
        UnitClass::Dla => "DLA (Orin, TensorRT 8.6)",
        UnitClass::Cpu => "CPU",
    };
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut count = 0;
    for (layer, why) in inspection.refused(unit) {
        count += 1;
        for reason in why {
            reasons.entry(reason).or_default().push(&layer.name);
        }
    }
    let all = inspection.graph.layers().filter(|l| l.class != Class::View).count();
    let _ = writeln!(text, "\n  {name} runs {} of {all} layers", all - count);
    for (reason, layers) in reasons.iter().take(MOST_REFUSALS) {
        let first = layers.first().map_or("", |l| *l);
        let more = if layers.len() > 1 { format!(" and {} more", layers.len() - 1) } else { String::new() };
        let _ = writeln!(text, "    {}: {}{more}", plain(reason), plain(first));
    }
    if reasons.len() > MOST_REFUSALS {
        let _ = writeln!(text, "    … and {} more reasons", reasons.len() - MOST_REFUSALS);
    }
}
