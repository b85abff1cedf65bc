//! Passes over all options: scores v − λ·w of sixteen classes at a time.

use crate::problem::{LANES, Problem};
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Range;

/// Blocks that one task handles; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 64;
/// Blocks below which a pass stays on one thread.
const PARALLEL: usize = 256;

/// The best options at some prices, and the bound they give.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// L(λ), equation (22): no plan is worth more.
    pub bound: f64,
    /// The option of the largest score of every class; the first of equal ones.
    pub best: Vec<u32>,
    /// That score.
    pub score: Vec<f64>,
    /// λ·c, and so `bound` − Σ `score`.
    pub priced_capacity: f64,
}

impl Problem {
    pub(crate) fn blocks(&self) -> usize {
        self.layer.len() - 1
    }

    /// Runs `work` on chunks of blocks, in parallel where it pays, and returns what they gave in
    /// order.
    pub(crate) fn in_chunks<T: Send>(&self, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        let blocks = self.blocks();
        let chunks = blocks.div_ceil(CHUNK);
        let one = |n: usize| work(n * CHUNK..((n + 1) * CHUNK).min(blocks));
        if blocks < PARALLEL {
            (0..chunks).map(one).collect()
        } else {
            (0..chunks).into_par_iter().map(one).collect()
        }
    }

    /// Scores of a block in single precision, layer by layer.
    #[inline(always)]
    pub(crate) fn scores(&self, block: usize, prices: &[f32], into: &mut Vec<[f32; LANES]>) {
        let layers = self.layer[block]..self.layer[block + 1];
        let rows = self.rows();
        let weight = &self.weight[layers.start * rows..layers.end * rows];
        into.clear();
        into.extend_from_slice(&self.value[layers]);
        for (score, weight) in into.iter_mut().zip(weight.chunks_exact(rows)) {
            for (w, price) in weight.iter().zip(prices) {
                for lane in 0..LANES {
                    score[lane] -= price * w[lane];
                }
            }
        }
    }

    /// The same in double precision, on the numbers that were given.
    #[inline(always)]
    fn fine_scores(&self, block: usize, prices: &[f64], into: &mut Vec<[f64; LANES]>) {
        let layers = self.layer[block]..self.layer[block + 1];
        let rows = self.rows();
        let span = layers.start * rows..layers.end * rows;
        into.clear();
        if let Some(fine) = &self.fine {
            into.extend_from_slice(&fine.value[layers]);
            for (score, weight) in into.iter_mut().zip(fine.weight[span].chunks_exact(rows)) {
                for (w, price) in weight.iter().zip(prices) {
                    for lane in 0..LANES {
                        score[lane] -= price * w[lane];
                    }
                }
            }
            return;
        }
        into.extend(self.value[layers].iter().map(|v| v.map(f64::from)));
        for (score, weight) in into.iter_mut().zip(self.weight[span].chunks_exact(rows)) {
            for (w, price) in weight.iter().zip(prices) {
                for lane in 0..LANES {
                    score[lane] -= price * f64::from(w[lane]);
                }
            }
        }
    }

    /// How far an option's score at `prices` is below the best of its class, whose scores
    /// `certificate` has: a plan that takes it is worth at most the bound less this.
    #[must_use]
    pub fn regret(&self, certificate: &Certificate, prices: &[f64], class: usize, option: usize) -> f64 {
        let priced: f64 =
            prices.iter().enumerate().map(|(k, p)| p.max(0.0) * self.weight(class, option, k)).sum();
        let score = self.value(class, option) - priced;
        certificate.score.get(class).map_or(0.0, |best| (best - score).max(0.0))
    }

    /// Evaluates (22) over all options in double precision. Negative prices count as 0.
    #[must_use]
    pub fn certify(&self, prices: &[f64]) -> Certificate {
        let prices: Vec<f64> = prices.iter().map(|p| p.max(0.0)).collect();
        let parts = self.in_chunks(|blocks| {
            let mut out = Vec::with_capacity(blocks.len() * LANES);
            Arch::new().dispatch(|| {
                let mut scores = Vec::new();
                for block in blocks.clone() {
                    self.fine_scores(block, &prices, &mut scores);
                    out.extend(best_of(&scores));
                }
            });
            out
        });
        let mut best = vec![0; self.classes()];
        let mut score = vec![0.0; self.classes()];
        for (slot, (s, j)) in parts.into_iter().flatten().enumerate() {
            let class = self.class[slot] as usize;
            if class < best.len() {
                best[class] = j;
                score[class] = s;
            }
        }
        let priced_capacity: f64 = prices.iter().zip(&self.capacity).map(|(p, c)| p * c).sum();
        let bound = priced_capacity + score.iter().sum::<f64>();
        Certificate { bound, best, score, priced_capacity }
    }
}

#[inline(always)]
fn best_of(scores: &[[f64; LANES]]) -> [(f64, u32); LANES] {
    let mut top = [f64::NEG_INFINITY; LANES];
    let mut at = [0_u32; LANES];
    for (j, score) in (0_u32..).zip(scores) {
        for lane in 0..LANES {
            let better = score[lane] > top[lane];
            top[lane] = if better { score[lane] } else { top[lane] };
            at[lane] = if better { j } else { at[lane] };
        }
    }
    std::array::from_fn(|lane| (top[lane], at[lane]))
}
