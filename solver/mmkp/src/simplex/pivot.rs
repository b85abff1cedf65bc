//! Pivots of the dual simplex.

use super::columns::STEP;
use super::{Columns, End, NONE, State, dot, index};

/// A basic column below minus this is infeasible.
const FEASIBLE: f64 = 1e-9;
/// Rates nearer to 0 do not enter.
const PIVOT: f64 = 1e-9;
/// Pivots between two inversions.
const FRESH: u32 = 60;

impl<const W: usize> State<W> {
    /// The position that must leave most urgently; where a key must, it is made basic first.
    #[inline(always)]
    fn leaving(&mut self, columns: &Columns<W>) -> Option<usize> {
        let options = columns.options();
        let (mut worst, mut at, mut swap) = (FEASIBLE, None, false);
        for p in 0..self.basis.len() {
            let o = self.basis[p] as usize;
            let x = self.x[p];
            // How far prices must move before this one changes regrets by as much as a unit of it.
            let norm =
                self.inverse[p].iter().zip(&columns.scale).fold(1e-12, |sum, (r, s)| sum + r.abs() * s);
            if o >= options {
                if -x / norm > worst {
                    (worst, at, swap) = (-x / norm, Some(p), false);
                }
                continue;
            }
            let out = if self.excluded(o) { x.abs() } else { -x };
            if out / norm > worst {
                (worst, at, swap) = (out / norm, Some(p), false);
            }
            let class = columns.owner(o);
            let mut key = 1.0;
            for q in 0..self.basis.len() {
                let other = self.basis[q] as usize;
                if other < options && columns.owner(other) == class {
                    key -= self.x[q];
                }
            }
            let out = if self.excluded(self.key[class] as usize) { key.abs() } else { -key };
            if out / norm > worst {
                (worst, at, swap) = (out / norm, Some(p), true);
            }
        }
        let p = at?;
        if swap {
            self.swap_key(columns, p);
        }
        Some(p)
    }

    /// Pivots until the relaxation is solved, its bound is below `cutoff`, or `most` are done.
    #[inline(always)]
    pub(crate) fn optimise(&mut self, columns: &Columns<W>, cutoff: f64, most: u32) -> End {
        for _ in 0..most {
            if self.bound < cutoff {
                return End::Cut;
            }
            if self.since >= FRESH && !self.refresh(columns) {
                return End::Lost;
            }
            let Some(p) = self.leaving(columns) else { return End::Optimal };
            let x = self.x[p];
            let sign = if x < 0.0 { 1.0 } else { -1.0 };
            self.ray = self.inverse[p].map(|r| r * sign);
            let Some((entering, step)) = self.entering(columns) else { return End::Empty };
            if !self.pivot(columns, p, entering, step, sign) {
                return End::Lost;
            }
        }
        End::Lost
    }

    /// Rates of regrets along the ray, and the first column that becomes as good as its key.
    #[inline(always)]
    fn entering(&mut self, columns: &Columns<W>) -> Option<(usize, f64)> {
        let n = columns.stride;
        let (mut least, mut at) = ([f64::INFINITY; STEP], [0_u32; STEP]);
        for from in (0..n).step_by(STEP) {
            let mut rate = [0.0; STEP];
            for k in 0..columns.rows {
                let direction = self.ray[k];
                let over = &self.over[k * n + from..k * n + from + STEP];
                for l in 0..STEP {
                    rate[l] += direction * over[l];
                }
            }
            let regret = &self.regret[from..from + STEP];
            for l in 0..STEP {
                let ratio = if rate[l] < -PIVOT { regret[l] / -rate[l] } else { f64::INFINITY };
                let better = ratio < least[l];
                least[l] = if better { ratio } else { least[l] };
                at[l] = if better { index(from) } else { at[l] };
            }
            self.rate[from..from + STEP].copy_from_slice(&rate);
        }
        let (mut step, mut column) = (f64::INFINITY, None);
        for l in 0..STEP {
            if least[l] < step {
                (step, column) = (least[l], Some(at[l] as usize + l));
            }
        }
        for k in 0..columns.rows {
            if self.ray[k] < -PIVOT && self.position[columns.options() + k] == NONE {
                let ratio = self.prices[k].max(0.0) / -self.ray[k];
                if ratio < step {
                    (step, column) = (ratio, Some(columns.options() + k));
                }
            }
        }
        column.map(|column| (column, step))
    }

    #[inline(always)]
    fn pivot(&mut self, columns: &Columns<W>, p: usize, entering: usize, step: f64, sign: f64) -> bool {
        let options = columns.options();
        let a = self.column(columns, index(entering));
        let u = dot(&self.inverse[p], &a);
        let expected =
            sign * if entering < options { self.rate[entering] } else { self.ray[entering - options] };
        if (u - expected).abs() > 1e-6 * expected.abs().max(1e-3) || u.abs() < PIVOT {
            // Rounding: from a fresh inverse once more, or not at all.
            return self.since > 0 && self.refresh(columns);
        }
        self.since += 1;
        for k in 0..W {
            self.prices[k] += step * self.ray[k];
        }
        for (regret, rate) in self.regret.iter_mut().zip(&self.rate) {
            *regret = (*regret + step * rate).max(0.0);
        }
        let leaving = self.basis[p] as usize;
        let amount = self.x[p] / u;
        let row = self.inverse[p].map(|r| r / u);
        self.inverse[p] = row;
        for q in (0..self.basis.len()).filter(|q| *q != p) {
            let f = dot(&self.inverse[q], &a);
            if f != 0.0 {
                for k in 0..W {
                    self.inverse[q][k] -= f * row[k];
                }
                self.x[q] -= f * amount;
            }
        }
        self.x[p] = amount;
        self.position[leaving] = NONE;
        self.position[entering] = index(p);
        self.basis[p] = index(entering);
        self.bound = self.worth + dot(&self.prices, &self.room);
        true
    }

    /// L (22) at `prices` (negative ones count as 0) over the options that are not excluded, evaluated from
    /// nothing.
    #[inline(always)]
    pub(crate) fn evaluate(&self, columns: &Columns<W>, capacity: &[f64], prices: &[f64; W]) -> f64 {
        let clean = prices.map(|p| p.max(0.0));
        let mut sum: f64 = clean.iter().zip(capacity).map(|(p, c)| p * c).sum();
        for class in 0..columns.classes() {
            let mut top = f64::NEG_INFINITY;
            for o in columns.of(class) {
                if self.regret[o] < f64::INFINITY {
                    top = top.max(columns.score(o, &clean));
                }
            }
            sum += top;
        }
        sum
    }
}
