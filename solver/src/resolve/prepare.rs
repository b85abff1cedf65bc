//! Filling the store ahead of time.

use super::{BudgetChange, Resolver};
use crate::error::SolverError;
use ecomap_instances::ids::{CapacityIx, SiteIx};
use ecomap_instances::units::Watts;

/// Intervals narrower than this share of the segment are left as they are.
const NARROW: f64 = 1e-4;
/// Most points solved.
const POINTS: usize = 512;

/// How far a preparation has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The largest gap of a lookup on the segment; `None` where nothing is known of some part.
    pub worst: Option<f64>,
    /// Whether no further step would change anything.
    pub done: bool,
}

/// Solves a copy of a problem at ever more budgets between two ends, until every lookup between them is
/// within a gap.
///
/// Between the budgets from which on two neighbouring plans fit the answer stays and the bound moves on, so a lookup
/// is worst just before the next plan fits; the interval where that is worst is halved. Plans and proofs found serve any
/// other budgets too, with whatever gap they prove there.
#[derive(Debug, Clone)]
pub struct Preparation {
    pub(super) resolver: Resolver,
    low: Vec<f64>,
    high: Vec<f64>,
    gap: f64,
    points: Vec<f64>,
}

impl Resolver {
    /// A preparation from the budgets after `low` to those after `high`, until lookups are within `gap`. Where one end
    /// has no cap, the segment is the other end.
    #[must_use]
    pub fn preparation(&self, low: &BudgetChange, high: &BudgetChange, gap: f64) -> Preparation {
        let mut resolver = self.clone();
        resolver.options.gap = gap * 0.25;
        resolver.options.warm_start = None;
        Preparation { resolver, low: self.changed(low), high: self.changed(high), gap, points: Vec::new() }
    }

    /// Takes over what a preparation has found; whether it was about the same tenants.
    pub fn absorb(&mut self, preparation: &Preparation) -> bool {
        let same = preparation.resolver.epoch == self.epoch;
        if same {
            self.store.merge(&preparation.resolver.store);
            // The copy may have been made at other intensities.
            self.reweigh();
        }
        same
    }
}

impl Preparation {
    fn at(&self, t: f64) -> Vec<f64> {
        let between =
            |(l, h): (&f64, &f64)| if l.is_finite() && h.is_finite() { l + t * (h - l) } else { *l };
        self.low.iter().zip(&self.high).map(between).collect()
    }

    fn solve_at(&mut self, t: f64) -> Result<(), SolverError> {
        let budgets = self.at(t);
        let sites = self.resolver.instance.sites.len();
        let watts = |b: f64| if b.is_finite() { Some(Watts::new(b)) } else { None };
        let change = BudgetChange {
            caps: budgets[..sites].iter().enumerate().map(|(s, b)| (SiteIx::new(s), watts(*b))).collect(),
            capacities: budgets[sites..].iter().enumerate().map(|(r, b)| (CapacityIx::new(r), *b)).collect(),
        };
        self.resolver.set_budgets(&change)?;
        self.resolver.deepen()?;
        let position = self.points.partition_point(|p| *p < t);
        self.points.insert(position, t);
        Ok(())
    }

    /// From which share of the segment on a use fits; `None` if nowhere on it.
    fn begins(&self, used: &[f64]) -> Option<f64> {
        let mut from = 0.0_f64;
        for ((u, l), h) in used.iter().zip(&self.low).zip(&self.high) {
            if u > l {
                if u > h || h <= l {
                    return None;
                }
                from = from.max((u - l) / (h - l));
            }
        }
        Some(from)
    }

    /// The gap where lookups are worst (+∞ where nothing is known), and the interval that ends there.
    fn worst(&self) -> (f64, f64, f64) {
        let plans = self.resolver.store.plans().iter().filter(|p| !p.barred);
        let mut ends: Vec<f64> = plans.filter_map(|p| self.begins(&p.used)).collect();
        ends.extend(&self.points);
        ends.sort_by(f64::total_cmp);
        let mut worst = (-1.0, 0.0, 1.0);
        let mut before = 0.0_f64;
        for end in ends {
            if end - before > NARROW {
                let known = self.resolver.known(&self.at(end - NARROW * 0.5));
                let gap = if known.infeasible { 0.0 } else { known.gap().unwrap_or(f64::INFINITY) };
                if gap > worst.0 {
                    worst = (gap, before, end);
                }
            }
            before = end;
        }
        worst
    }

    /// Solves at one more point. Plans of a lexicographic objective are not pooled, so that there is nothing to do.
    ///
    /// # Errors
    /// Those of the exact solver.
    pub fn step(&mut self) -> Result<Progress, SolverError> {
        if !self.resolver.pools() {
            return Ok(Progress { worst: None, done: true });
        }
        match self.points.len() {
            0 => self.solve_at(1.0)?,
            1 => self.solve_at(0.0)?,
            _ => {
                let (gap, from, to) = self.worst();
                if gap > self.gap {
                    self.solve_at(f64::midpoint(from, to))?;
                }
            }
        }
        if self.points.len() < 2 {
            return Ok(Progress { worst: None, done: false });
        }
        let (gap, ..) = self.worst();
        let done = gap <= self.gap || self.points.len() >= POINTS;
        Ok(Progress { worst: gap.is_finite().then_some(gap.max(0.0)), done })
    }
}
