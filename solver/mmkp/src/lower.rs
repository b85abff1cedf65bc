//! The bound of a whole problem, lowered by trees over ever more of its options.

use crate::problem::Problem;
use crate::search::{Candidate, Found};
use crate::simplex::Columns;
use crate::sweep::Certificate;
use crate::tree::Tree;

/// Options of the first tree beside the best of each class, for each row; the next has twice as many.
const OPTIONS: usize = 16;
/// Values up to this, when whole, are summed exactly.
const EXACT: f64 = 9e15;

/// A bound at or below that of the prices.
pub(crate) struct Lowered<'a, const W: usize> {
    problem: &'a Problem,
    certificate: &'a Certificate,
    grown: Option<Grown<W>>,
    count: usize,
    /// No plan that is worth more than the floor of the last growth is worth more than this.
    bound: f64,
    whole: bool,
    /// Nodes split so far, and vectors compared for them.
    pub(crate) work: u64,
}

/// A tree and what its numbers stand for.
struct Grown<const W: usize> {
    tree: Tree<W>,
    /// Class and option of each option of the tree.
    at: Vec<(u32, u32)>,
    /// Value of the classes that are not in the tree.
    settled: f64,
    /// Bound on plans that take an option left out.
    outside: f64,
}

impl<'a, const W: usize> Lowered<'a, W> {
    pub(crate) fn new(problem: &'a Problem, certificate: &'a Certificate) -> Self {
        let count = OPTIONS * problem.rows();
        let whole = problem.whole_values && certificate.bound.abs() < EXACT;
        Self { problem, certificate, grown: None, count, bound: certificate.bound, whole, work: 0 }
    }

    /// A bound on all plans, when `value` is that of the best known.
    pub(crate) fn bound(&self, value: f64) -> f64 {
        let bound = self.bound.max(value);
        // A thousandth covers what rounding adds to sums of scores.
        if self.whole { bound.min((bound + 1e-3).floor().max(value)) } else { bound }
    }

    /// Whether `listed` options are enough for the next growth.
    pub(crate) fn wants(&self, listed: usize) -> bool {
        listed < self.count
    }

    /// Splits `nodes` nodes. `candidates` are the options of least regret by rising regret, all of them where
    /// `all` is set; `value` is that of the best plan known, and a bound of `enough` ends the growth. A better
    /// plan is returned as changes of `base`.
    pub(crate) fn grow(
        &mut self,
        (candidates, all): (&[Candidate], bool),
        (base, worth, used): (&[u32], f64, &[f64]),
        (value, enough): (f64, f64),
        nodes: u64,
        stop: &dyn Fn() -> bool,
    ) -> Option<Found> {
        let floor = value + if self.whole { 0.999 } else { 1e-9 * value.abs() };
        let grown = match &mut self.grown {
            Some(grown) => grown,
            None => {
                let near = &candidates[..self.count.min(candidates.len())];
                if near.is_empty() {
                    return None;
                }
                let complete = all && near.len() == candidates.len();
                self.grown.insert(Grown::new(
                    self.problem,
                    self.certificate,
                    near,
                    complete,
                    (base, worth, used),
                ))
            }
        };
        let before = grown.tree.nodes;
        let known = grown.tree.best().map_or(f64::NEG_INFINITY, |(value, _)| *value);
        let settled = grown.settled;
        let target = enough.max(grown.outside) - settled;
        grown.tree.grow(floor - settled, target, nodes, stop);
        let options = u64::try_from(grown.at.len()).unwrap_or(u64::MAX);
        self.work += (grown.tree.nodes - before).saturating_mul(options).saturating_mul(64);
        // Nodes below the floor are gone: what they bound is at most the floor.
        let inside = (grown.tree.bound() + settled).max(floor.min(self.bound));
        self.bound = self.bound.min(inside.max(grown.outside));
        let found = grown.tree.best().filter(|(value, _)| *value > known).map(|(value, plan)| Found {
            value: value + settled,
            changes: plan.iter().map(|option| grown.at[*option as usize]).collect(),
        });
        if inside <= grown.outside {
            // The options left out are what holds the bound up.
            self.count *= 2;
            self.grown = None;
        }
        found
    }
}

impl<const W: usize> Grown<W> {
    fn new(
        problem: &Problem,
        certificate: &Certificate,
        near: &[Candidate],
        complete: bool,
        (base, worth, used): (&[u32], f64, &[f64]),
    ) -> Self {
        let mut at: Vec<(u32, u32)> = near.iter().map(|c| (c.class, c.option)).collect();
        let mut classes: Vec<u32> = near.iter().map(|c| c.class).collect();
        classes.sort_unstable();
        classes.dedup();
        at.extend(classes.iter().map(|class| (*class, base[*class as usize])));
        at.sort_unstable();
        at.dedup();
        let (mut first, mut value, mut weight) = (vec![0], Vec::new(), Vec::new());
        for (n, (class, option)) in at.iter().enumerate() {
            if n > 0 && at[n - 1].0 != *class {
                first.push(u32::try_from(n).unwrap_or(u32::MAX));
            }
            let (class, option) = (*class as usize, *option as usize);
            value.push(problem.value(class, option));
            let mut row = [0.0; W];
            for (k, to) in row.iter_mut().enumerate().take(problem.rows()) {
                *to = problem.weight(class, option, k);
            }
            weight.push(row);
        }
        first.push(u32::try_from(at.len()).unwrap_or(u32::MAX));
        let (mut settled, mut taken) = (worth, used.to_vec());
        for class in &classes {
            let (class, option) = (*class as usize, base[*class as usize] as usize);
            settled -= problem.value(class, option);
            for (k, sum) in taken.iter_mut().enumerate() {
                *sum -= problem.weight(class, option, k);
            }
        }
        let capacity = (0..problem.rows()).map(|k| problem.room(k, taken[k])).collect();
        let reach = near.last().map_or(0.0, |c| c.regret);
        let outside = if complete { f64::NEG_INFINITY } else { certificate.bound - reach };
        Self {
            tree: Tree::new(Columns::new(first, value, weight, problem.rows()), capacity),
            at,
            settled,
            outside,
        }
    }
}
