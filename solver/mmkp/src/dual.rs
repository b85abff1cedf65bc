//! Newton's method on the smoothed dual of a core.
//!
//! With the maximum of (22) replaced by μ·log Σ exp(·/μ), L becomes smooth and convex; its gradient
//! is c − Σ_i E[w_i] and its Hessian Σ_i Cov[w_i]/μ under the softmax weights, and it exceeds L by
//! at most μ·Σ_i log |options of i|. Driving μ down leads to the best prices.

use crate::core::{Core, singles};
use rayon::prelude::*;
use std::ops::Range;

/// Classes that one task evaluates; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 2048;
/// Scores further below the best than this many μ have no weight in single precision.
const NEGLIGIBLE: f32 = 16.0;
/// Softmax weights below this do not count in the Hessian, which only steers.
const FAINT: f32 = 1e-5;
/// Sufficient decrease (Armijo).
const DECREASE: f64 = 1e-4;
/// Most that a step may change the score of an option of mean weights, in spreads.
const LONGEST: f64 = 4.0;
/// Factor of a step that did not decrease enough, and how often it is tried.
const BACK: f64 = 0.35;
const TRIES: usize = 12;

/// The smoothed dual at some prices.
struct Evaluation {
    smooth: f64,
    exact: f64,
    gradient: Vec<f64>,
    /// Lower triangle, row by row.
    hessian: Vec<f64>,
}

/// How far and how finely to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// First and last smoothing μ.
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Factor between two.
    pub(crate) factor: f64,
    /// Newton steps at each.
    pub(crate) steps: usize,
    /// Predicted decrease over μ that ends the steps at one μ.
    pub(crate) slackness: f64,
}

/// Sums of one chunk of classes.
struct Part {
    smooth: f64,
    exact: f64,
    mean: Vec<f64>,
    hessian: Vec<f64>,
}

impl<const W: usize> Core<W> {
    fn evaluate(&self, prices: &[f64], capacity: &[f64], mu: f64) -> Evaluation {
        let rows = capacity.len();
        let mut padded = [0.0_f32; W];
        for (to, p) in padded.iter_mut().zip(singles(prices)) {
            *to = p;
        }
        let classes = self.open();
        let chunks = classes.div_ceil(CHUNK);
        let one = |n: usize| self.part(n * CHUNK..((n + 1) * CHUNK).min(classes), &padded, rows, mu);
        let parts: Vec<Part> = if chunks < 4 {
            (0..chunks).map(one).collect()
        } else {
            (0..chunks).into_par_iter().map(one).collect()
        };
        let free: Vec<f64> = capacity.iter().zip(&self.settled_weight).map(|(c, w)| c - w).collect();
        let priced: f64 = self.settled_value + prices.iter().zip(&free).map(|(p, c)| p * c).sum::<f64>();
        let mut sum =
            Evaluation { smooth: priced, exact: priced, gradient: free, hessian: vec![0.0; rows * rows] };
        for part in parts {
            sum.smooth += part.smooth;
            sum.exact += part.exact;
            for (g, m) in sum.gradient.iter_mut().zip(&part.mean) {
                *g -= m;
            }
            for (h, p) in sum.hessian.iter_mut().zip(&part.hessian) {
                *h += p;
            }
        }
        sum
    }

    fn part(&self, classes: Range<usize>, prices: &[f32; W], rows: usize, mu: f64) -> Part {
        pulp::Arch::new().dispatch(|| self.part_inner(classes, prices, rows, mu))
    }

    #[inline(always)]
    fn part_inner(&self, classes: Range<usize>, prices: &[f32; W], rows: usize, mu: f64) -> Part {
        let sharp = crate::core::single(1.0 / mu);
        let (mut smooth, mut exact) = (0.0, 0.0);
        let mut sum = [0.0_f64; W];
        let mut hessian = vec![[0.0_f32; W]; rows];
        let mut scores: Vec<f32> = Vec::new();
        let mut active: Vec<(usize, f32)> = Vec::new();
        for class in classes {
            let span = self.first[class] as usize..self.first[class + 1] as usize;
            scores.clear();
            let mut top = f32::NEG_INFINITY;
            for (value, weight) in self.value[span.clone()].iter().zip(&self.weight[span.clone()]) {
                let score = value - dot(prices, weight);
                top = top.max(score);
                scores.push(score);
            }
            active.clear();
            let mut total = 0.0_f32;
            for (score, option) in scores.iter().zip(span) {
                let x = (score - top) * sharp;
                if x > -NEGLIGIBLE {
                    let p = x.exp();
                    total += p;
                    active.push((option, p));
                }
            }
            exact += f64::from(top);
            smooth += f64::from(top) + mu * f64::from(total).ln();
            if let [(only, _)] = active.as_slice() {
                for (s, w) in sum.iter_mut().zip(&self.weight[*only]) {
                    *s += f64::from(*w);
                }
                continue;
            }
            let mut mean = [0.0_f32; W];
            for (option, p) in &mut active {
                *p /= total;
                let weight = &self.weight[*option];
                for k in 0..W {
                    mean[k] += *p * weight[k];
                }
            }
            for (s, m) in sum.iter_mut().zip(&mean) {
                *s += f64::from(*m);
            }
            for (option, p) in &active {
                if *p < FAINT {
                    continue;
                }
                let weight = &self.weight[*option];
                let mut away = [0.0_f32; W];
                for k in 0..W {
                    away[k] = weight[k] - mean[k];
                }
                let p = *p * sharp;
                for (a, row) in hessian.iter_mut().enumerate() {
                    let f = p * away[a];
                    if f != 0.0 {
                        for k in 0..W {
                            row[k] += f * away[k];
                        }
                    }
                }
            }
        }
        Part {
            smooth,
            exact,
            mean: sum[..rows].to_vec(),
            hessian: hessian.iter().flat_map(|row| row[..rows].iter().map(|h| f64::from(*h))).collect(),
        }
    }

    /// Prices that make L of this core small, from `prices` on; with the value reached.
    ///
    /// `capacity` is that of the covered classes.
    pub(crate) fn newton(&self, prices: &[f64], capacity: &[f64], schedule: Schedule) -> (Vec<f64>, f64) {
        let mut at = prices.to_vec();
        let mut best = (at.clone(), f64::INFINITY);
        let mut mu = schedule.from;
        loop {
            let enough = schedule.slackness * mu;
            let mut here = self.evaluate(&at, capacity, mu);
            for _ in 0..schedule.steps {
                if here.exact < best.1 {
                    best = (at.clone(), here.exact);
                }
                let free: Vec<usize> =
                    (0..at.len()).filter(|k| at[*k] > 0.0 || here.gradient[*k] < 0.0).collect();
                let step = direction(&here, &free);
                let gain: f64 = free.iter().zip(&step).map(|(k, d)| -here.gradient[*k] * d).sum();
                if free.is_empty() || gain < enough {
                    break;
                }
                let Some(next) = self.line_search(&at, &here, (&free, &step), (capacity, mu)) else {
                    break;
                };
                (at, here) = next;
            }
            if here.exact < best.1 {
                best = (at.clone(), here.exact);
            }
            if mu <= schedule.to {
                return best;
            }
            mu = (mu * schedule.factor).max(schedule.to);
        }
    }

    /// By how much the scores of options of mean weights change in the first Newton step at `mu`.
    pub(crate) fn shift(&self, prices: &[f64], capacity: &[f64], mu: f64) -> f64 {
        let here = self.evaluate(prices, capacity, mu);
        let free: Vec<usize> =
            (0..prices.len()).filter(|k| prices[*k] > 0.0 || here.gradient[*k] < 0.0).collect();
        let step = direction(&here, &free);
        free.iter().zip(&step).map(|(k, d)| d.abs() * self.scale[*k]).sum()
    }

    fn line_search(
        &self,
        at: &[f64],
        here: &Evaluation,
        (free, step): (&[usize], &[f64]),
        (capacity, mu): (&[f64], f64),
    ) -> Option<(Vec<f64>, Evaluation)> {
        let shift: f64 = free.iter().zip(step).map(|(k, d)| d.abs() * self.scale[*k]).sum();
        let mut length = (LONGEST * self.spread / shift.max(1e-300)).min(1.0);
        for _ in 0..TRIES {
            let mut next = at.to_vec();
            let mut linear = 0.0;
            for (k, d) in free.iter().zip(step) {
                next[*k] = (at[*k] + length * d).max(0.0);
                linear += here.gradient[*k] * (next[*k] - at[*k]);
            }
            let there = self.evaluate(&next, capacity, mu);
            if there.smooth <= here.smooth + DECREASE * linear {
                return Some((next, there));
            }
            length *= BACK;
        }
        None
    }
}

/// λ·w, summed as a tree: in order it would wait for each addition.
#[inline(always)]
fn dot<const W: usize>(a: &[f32; W], b: &[f32; W]) -> f32 {
    let mut products = [0.0_f32; W];
    for k in 0..W {
        products[k] = a[k] * b[k];
    }
    let mut width = W / 2;
    while width > 0 {
        for k in 0..width {
            products[k] += products[k + width];
        }
        width /= 2;
    }
    products[0]
}

/// −(H + ε)⁻¹·g over the free rows by Cholesky's factorisation; steepest descent scaled by the
/// diagonal where that does not descend.
fn direction(here: &Evaluation, free: &[usize]) -> Vec<f64> {
    let n = free.len();
    let rows = here.gradient.len();
    let mut a = vec![0.0; n * n];
    for (r, k) in free.iter().enumerate() {
        for (c, l) in free.iter().enumerate().take(r + 1) {
            a[r * n + c] = here.hessian[k * rows + l];
        }
        a[r * n + r] = a[r * n + r] * (1.0 + 1e-6) + 1e-30;
    }
    for r in 0..n {
        for c in 0..=r {
            let dot: f64 = (0..c).map(|k| a[r * n + k] * a[c * n + k]).sum();
            let rest = a[r * n + c] - dot;
            a[r * n + c] = if r == c { rest.max(1e-14).sqrt() } else { rest / a[c * n + c] };
        }
    }
    let mut x = vec![0.0; n];
    for r in 0..n {
        let dot: f64 = (0..r).map(|k| a[r * n + k] * x[k]).sum();
        x[r] = (-here.gradient[free[r]] - dot) / a[r * n + r];
    }
    for r in (0..n).rev() {
        let dot: f64 = (r + 1..n).map(|k| a[k * n + r] * x[k]).sum();
        x[r] = (x[r] - dot) / a[r * n + r];
    }
    let gain: f64 = free.iter().zip(&x).map(|(k, d)| -here.gradient[*k] * d).sum();
    if gain > 0.0 && gain.is_finite() {
        return x;
    }
    free.iter().map(|k| -here.gradient[*k] / (here.hessian[k * rows + k] + 1e-9)).collect()
}
