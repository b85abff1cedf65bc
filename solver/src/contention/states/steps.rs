//! Cuts on a site's cap: of two boards that are on, not both draw much.
//!
//! In a configuration c with boards in slots a and b, under the cap that the idle draw of its other boards leaves,
//! C′, a board of a that draws at least τ and one of b that draws more than C′ − τ do not fit together:
//!
//! Σ_{S in a, d_S ≥ τ} x_S + Σ_{S in b, d_S > C′ − τ} x_S ≤ y_c,
//!
//! and for two boards of one slot, with τ ≥ C′/2, twice those that draw at least τ and once those between
//! C′ − τ and τ sum to at most 2 y_c. The linear cap row lets half of a thirsty board stand beside half of a
//! frugal one. For two boards these are all that the cap says: draws are ordered, so the conflicts of their states
//! are a bipartite graph whose independent sets the inequalities describe. Pricing pays a step of the draw.

use super::layout::{Row, Sparse};
use super::program::{Optimum, Program};
use super::tree::Tree;
use crate::error::SolverError;
use std::collections::{BTreeMap, BTreeSet};

/// Least violation of a cut that is added.
const VIOLATION: f64 = 0.02;
/// Most cuts added at once, and most of all.
const ADDED: (usize, usize) = (40, 1_500);
/// Most cuts at once on two boards of a configuration, and W between their thresholds.
const PAIR: (usize, f64) = (4, 0.1);
/// W by which a threshold lies below the draw that it is taken from, so that rounding never decides.
const MARGIN: f64 = 1e-6;
/// Relative slack of a cap, above the checker's.
const SLACK: f64 = 2e-6;

/// States of a slot that draw at least `from` W over a board that is off enter a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) from: f64,
    pub(super) row: usize,
    pub(super) amount: f64,
}

/// A cut as found: its configuration, what the configuration may have, and the steps of slots.
struct Cut {
    violation: f64,
    config: usize,
    most: f64,
    steps: Vec<(usize, f64, f64)>,
}

/// Coefficients of a state of a slot with these steps.
pub(super) fn enter(steps: &[Step], draw: f64, rows: &mut Sparse) {
    for step in steps.iter().filter(|step| draw >= step.from) {
        match rows.iter_mut().find(|(row, _)| *row == step.row) {
            Some((_, amount)) => *amount += step.amount,
            None => rows.push((step.row, step.amount)),
        }
    }
}

impl Tree<'_, '_, '_> {
    /// Adds the cuts on caps that an optimum violates most; how many there were.
    pub(super) fn cap_cuts(
        &mut self,
        optimum: &Optimum,
        program: &mut Program,
    ) -> Result<usize, SolverError> {
        let mut found = self.thirsty(optimum, program);
        found.sort_by(|a, b| b.violation.total_cmp(&a.violation));
        let room = ADDED.1.saturating_sub(self.layout.steps_count);
        found.truncate(ADDED.0.min(room));
        for cut in &found {
            self.add_steps(cut, program)?;
        }
        Ok(found.len())
    }

    fn add_steps(&mut self, cut: &Cut, program: &mut Program) -> Result<(), SolverError> {
        let row = self.layout.rows.len();
        self.layout.steps_count += 1;
        self.layout.rows.push(Row { equal: false, rhs: 0.0 });
        self.layout.most.push(self.layout.lack());
        let column = self.layout.configs[cut.config].column;
        self.layout.fixed[column].rows.push((row, -cut.most));
        let mut slots = BTreeSet::new();
        for (slot, from, amount) in &cut.steps {
            self.layout.steps[*slot].push(Step { from: *from, row, amount: *amount });
            slots.insert(*slot);
        }
        for state in self.pool.iter_mut().filter(|state| slots.contains(&state.slot)) {
            let own: Vec<Step> =
                self.layout.steps[state.slot].iter().filter(|s| s.row == row).copied().collect();
            enter(&own, state.draw, &mut state.rows);
        }
        program.cut(&self.layout, row, 0.0, &self.pool)
    }

    fn thirsty(&self, optimum: &Optimum, program: &Program) -> Vec<Cut> {
        // Draws in use by slot.
        let mut used: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
        for (n, x) in program.inside.iter().zip(optimum.values.iter().skip(self.layout.fixed.len())) {
            if *x > 1e-6 {
                let state = &self.pool[*n];
                used.entry(state.slot).or_default().push((state.draw, *x));
            }
        }
        let none = Vec::new();
        let mut found = Vec::new();
        for (c, config) in self.layout.configs.iter().enumerate() {
            let fixed = &self.layout.fixed[config.column];
            let y = optimum.values[config.column];
            let Some(cap) = config.slots.first().and_then(|(slot, _)| self.layout.slots[*slot].cap) else {
                continue;
            };
            let Some((_, cap)) = fixed.rows.iter().find(|(row, _)| *row == cap) else { continue };
            if y <= 1e-6 || !cap.is_finite() {
                continue;
            }
            let idle: f64 = config.slots.iter().map(|(s, n)| n * self.layout.slots[*s].idle).sum();
            let cap = -cap * (1.0 + SLACK) + SLACK;
            for (k, (a, boards)) in config.slots.iter().enumerate() {
                let own = self.layout.slots[*a].idle;
                let draws = used.get(a).unwrap_or(&none);
                let above = |list: &[(f64, f64)], from: f64| {
                    list.iter().filter(|(d, _)| *d >= from).map(|(_, x)| x).sum::<f64>()
                };
                if *boards > 1.5 {
                    let left = cap - idle + 2.0 * own;
                    let best = draws.iter().filter(|(d, _)| *d >= left / 2.0).map(|(d, _)| {
                        let from = d - MARGIN;
                        let other = other(left, from);
                        (above(draws, from) + above(draws, other) - 2.0 * y, from, other)
                    });
                    for (violation, from, other) in worst(best.filter(|_| *boards < 2.5)) {
                        let steps = vec![(*a, from, 1.0), (*a, other, 1.0)];
                        found.push(Cut { violation, config: c, most: 2.0, steps });
                    }
                }
                for (b, others) in &config.slots[k + 1..] {
                    if *boards > 1.5 || *others > 1.5 {
                        continue;
                    }
                    let left = cap - idle + own + self.layout.slots[*b].idle;
                    let beside = used.get(b).unwrap_or(&none);
                    let best = draws.iter().map(|(d, _)| {
                        let from = d - MARGIN;
                        let other = other(left, from);
                        (above(draws, from) + above(beside, other) - y, from, other)
                    });
                    for (violation, from, other) in worst(best) {
                        let steps = vec![(*a, from, 1.0), (*b, other, 1.0)];
                        found.push(Cut { violation, config: c, most: 1.0, steps });
                    }
                }
            }
        }
        found
    }
}

/// The thresholds that are violated most, apart from each other: violation and both draws.
fn worst(all: impl Iterator<Item = (f64, f64, f64)>) -> Vec<(f64, f64, f64)> {
    let mut all: Vec<_> = all.filter(|cut| cut.0 > VIOLATION).collect();
    all.sort_by(|x, y| y.0.total_cmp(&x.0));
    let mut chosen: Vec<(f64, f64, f64)> = Vec::new();
    for cut in all {
        if chosen.len() < PAIR.0 && chosen.iter().all(|other| (other.1 - cut.1).abs() >= PAIR.1) {
            chosen.push(cut);
        }
    }
    chosen
}

/// The least draw that does not fit beside one of `from` under `cap`.
fn other(cap: f64, from: f64) -> f64 {
    let rest = cap - from;
    rest + 1e-12 * rest.abs().max(1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Step, enter, other};
    use rand::{Rng as _, SeedableRng as _};

    #[test]
    fn what_a_cap_admits_the_cuts_admit() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut cut_off = 0;
        for _ in 0..2_000 {
            let cap: f64 = rng.random_range(10.0..40.0);
            let from: f64 = rng.random_range(0.0..cap);
            let beside = other(cap, from);
            let of = |steps: &[Step], draw: f64| {
                let mut rows = Vec::new();
                enter(steps, draw, &mut rows);
                rows.iter().map(|(_, amount)| amount).sum::<f64>()
            };
            let step = |from| Step { from, row: 0, amount: 1.0 };
            let (a, b) = (rng.random_range(0.0..cap), rng.random_range(0.0..cap));
            let two = of(&[step(from)], a) + of(&[step(beside)], b);
            let same = [step(from), step(beside)];
            if a + b <= cap {
                assert!(two <= 1.0, "{a} and {b} W fit under {cap}, split at {from}");
                assert!(
                    from < cap / 2.0 || of(&same, a) + of(&same, b) <= 2.0,
                    "{a} and {b} W under {cap}, {from}"
                );
            } else if two > 1.0 {
                cut_off += 1;
            }
        }
        assert!(cut_off > 100, "{cut_off} pairs beyond the cap are cut off");
    }
}
