//! Layers → a chain of at most twelve blocks, cut where one tensor crosses.

use crate::cost::{Class, KINDS};
use crate::cuts::Cut;
use crate::layer::{ELEMENT_BYTES, Layer, LayerGraph};
use ecomap_instances::family::OpWork;
use ecomap_instances::family::{Block, MAX_BLOCKS};
use ecomap_instances::format::catalog_v1::{BlockDto, OpDto};
use ecomap_instances::units::{Bytes, Ops};
use std::ops::Range;

/// Most cuts that are weighed against each other; of more, an even choice by work is taken.
const MAX_CANDIDATES: usize = 600;

/// A run of layers between two cuts.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The layers, in order of execution.
    pub layers: Range<usize>,
    /// The tensor that leaves; `None` for the last piece.
    pub cut: Option<Cut>,
    /// Its numbers, as in a catalogue file.
    pub block: BlockDto,
}

impl Piece {
    /// The block as the estimator takes it.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // totals are below 2^53, see `LayerGraph::of`
    pub fn to_block(&self) -> Block {
        let b = &self.block;
        let ops = b.ops.iter().map(|o| OpWork {
            kind: o.kind,
            count: o.count,
            flops: Ops::new(o.flops as f64),
            traffic: Bytes::new(o.bytes as f64),
        });
        Block {
            name: b.name.clone(),
            flops: Ops::new(b.flops as f64),
            weights: Bytes::new(b.weight_bytes as f64),
            input: Bytes::new(b.input_bytes as f64),
            output: Bytes::new(b.output_bytes as f64),
            ops: ops.collect(),
        }
    }
}

/// Work by which blocks are balanced: operations, and ten for each byte moved, so that
/// traffic-bound ends of a model weigh something. As in `instances/catalog/graph.py`.
fn work(layer: &Layer) -> u64 {
    layer.flops.saturating_add(layer.traffic_bytes.saturating_mul(10))
}

impl LayerGraph {
    /// The chain of at most `wanted` blocks (at most twelve) whose work is most even.
    ///
    /// The sum of squared shares of the work is minimised by dynamic programming, with a small price
    /// on the tensor that each cut moves; of equal chains the one with the earliest cuts is taken.
    #[must_use]
    pub fn blocks(&self, wanted: usize) -> Vec<Piece> {
        let layers: Vec<&Layer> = self.layers().collect();
        let mut sums = vec![0_u64];
        for layer in &layers {
            sums.push(sums.last().copied().unwrap_or(0).saturating_add(work(layer)));
        }
        let cuts = thin(self.cuts(), &sums);
        let chosen = choose(&cuts, &sums, wanted.clamp(1, MAX_BLOCKS));
        let mut pieces = Vec::with_capacity(chosen.len() + 1);
        let mut start = 0;
        let mut entering = self.inputs().iter().map(|p| p.shape.elements() * ELEMENT_BYTES).sum();
        for cut in chosen.into_iter().map(Some).chain([None]) {
            let end = cut.as_ref().map_or(layers.len(), |c| c.after);
            let leaving = match &cut {
                Some(cut) => cut.bytes,
                None => self.outputs().iter().map(|p| p.shape.elements() * ELEMENT_BYTES).sum(),
            };
            let part = layers.get(start..end).unwrap_or_default();
            pieces.push(Piece { layers: start..end, cut, block: summary(part, entering, leaving) });
            (start, entering) = (end, leaving);
        }
        name_apart(&mut pieces);
        pieces
    }
}

/// The numbers of a run of layers.
fn summary(layers: &[&Layer], entering: u64, leaving: u64) -> BlockDto {
    let mut ops = Vec::new();
    for kind in KINDS {
        let same = layers.iter().filter(|l| l.class == Class::Op(kind));
        let (mut count, mut flops, mut bytes) = (0_u32, 0_u64, 0_u64);
        for layer in same {
            count = count.saturating_add(1);
            flops += layer.flops;
            bytes += layer.traffic_bytes;
        }
        if count > 0 {
            ops.push(OpDto { kind, count, flops, bytes });
        }
    }
    let named = || layers.iter().filter(|l| l.class != Class::View);
    let first = named().next().or(layers.first()).map_or("empty", |l| l.name.as_str());
    let last = named().next_back().or(layers.last()).map_or("empty", |l| l.name.as_str());
    BlockDto {
        name: if first == last { first.to_owned() } else { format!("{first}..{last}") },
        flops: ops.iter().map(|o| o.flops).sum(),
        weight_bytes: layers.iter().map(|l| l.weight_bytes).sum(),
        input_bytes: entering,
        output_bytes: leaving,
        ops,
    }
}

/// Files may give several nodes one name.
fn name_apart(pieces: &mut [Piece]) {
    let mut seen = std::collections::BTreeSet::new();
    for (n, piece) in pieces.iter_mut().enumerate() {
        if !seen.insert(piece.block.name.clone()) {
            piece.block.name = format!("{}#{}", piece.block.name, n + 1);
            seen.insert(piece.block.name.clone());
        }
    }
}

/// Cuts with work before and behind them, at most [`MAX_CANDIDATES`].
fn thin(cuts: Vec<Cut>, sums: &[u64]) -> Vec<Cut> {
    let total = sums.last().copied().unwrap_or(0);
    let before = |cut: &Cut| sums.get(cut.after).copied().unwrap_or(0);
    // Between two cuts without work in between, the later one is the same: it only follows a view.
    let mut kept: Vec<Cut> = Vec::new();
    for cut in cuts {
        let here = before(&cut);
        if here > kept.last().map_or(0, before) && here < total {
            kept.push(cut);
        }
    }
    if kept.len() <= MAX_CANDIDATES {
        return kept;
    }
    let step = (total / MAX_CANDIDATES as u64).max(1);
    let mut next = step;
    kept.retain(|cut| {
        let take = before(cut) >= next;
        if take {
            next = (before(cut) / step + 1).saturating_mul(step);
        }
        take
    });
    kept
}

/// The most even choice of cuts.
#[allow(clippy::cast_precision_loss)] // shares need no more than 53 bits
fn choose(cuts: &[Cut], sums: &[u64], wanted: usize) -> Vec<Cut> {
    let total = sums.last().copied().unwrap_or(0).max(1) as f64;
    let wanted = wanted.min(cuts.len() + 1);
    let n = cuts.len() + 2;
    let work = |i: usize| match i {
        0 => 0,
        _ => {
            let end = cuts.get(i - 1).map_or(sums.len().saturating_sub(1), |c| c.after);
            sums.get(end).copied().unwrap_or(0)
        }
    };
    let works: Vec<u64> = (0..n).map(work).collect();
    let price = |a: usize, b: usize| {
        let (from, to) = (works.get(a).copied().unwrap_or(0), works.get(b).copied().unwrap_or(0));
        let share = to.saturating_sub(from) as f64 / total;
        let moved = b.checked_sub(1).and_then(|b| cuts.get(b)).map_or(0.0, |c| 20.0 * c.bytes as f64 / total);
        share * share + 0.2 * moved / wanted as f64
    };
    // best[j] after k blocks: cheapest chain of k blocks that ends at place j.
    let mut best = vec![f64::INFINITY; n];
    if let Some(first) = best.first_mut() {
        *first = 0.0;
    }
    let mut from: Vec<Vec<usize>> = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        let mut step = vec![f64::INFINITY; n];
        let mut origin = vec![0; n];
        for (a, cost) in best.iter().enumerate().filter(|(_, c)| c.is_finite()) {
            for b in a + 1..n {
                let c = cost + price(a, b);
                if let (Some(slot), Some(o)) = (step.get_mut(b), origin.get_mut(b))
                    && c < *slot
                {
                    *slot = c;
                    *o = a;
                }
            }
        }
        best = step;
        from.push(origin);
    }
    let mut chosen = Vec::with_capacity(wanted);
    let mut at = n - 1;
    for origin in from.iter().rev() {
        at = origin.get(at).copied().unwrap_or(0);
        chosen.extend(at.checked_sub(1).and_then(|i| cuts.get(i)).cloned());
    }
    chosen.reverse();
    chosen
}
