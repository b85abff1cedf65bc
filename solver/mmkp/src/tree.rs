//! A bound below that of the prices, by branching.
//!
//! At the relaxation's optimum few classes are split between options. Either one of these options is taken or it
//! is not: both halves have a lower bound, and the larger of the two bounds the whole. The tree always splits
//! the node of largest bound, at the option whose halves lose most, so the bound falls as fast as it can.
//!
//! The bound of the prices, less an option's regret, bounds every plan that takes it. So a tree over the options
//! of regret up to some `reach` proves max(bound of the tree, bound of the prices − reach) for all plans, and
//! a few hundred options are enough.

use crate::simplex::{Columns, End, NONE, State};
use pulp::Arch;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// No decision: the root.
const ROOT: u32 = u32::MAX;
/// Distance from 0 and 1 up to which a share counts as whole.
const INTEGRAL: f64 = 1e-7;
/// Pivots of one node, at most.
const PIVOTS: u32 = 500;
/// Options tried at a node: the most evenly split.
const TRIED: usize = 4;
/// How much more than the smaller loss the larger one counts.
const LOPSIDED: f64 = 10.0;
/// Distance along a ray at which an empty node's bound is evaluated.
const FAR: f64 = 1e6;
/// Most nodes kept; beyond, the tree stops.
const MOST: usize = 200_000;

/// An option taken or excluded, on top of the decisions of the parent.
#[derive(Debug, Clone, Copy)]
struct Decision {
    parent: u32,
    option: u32,
    taken: bool,
}

/// A node whose relaxation is solved.
#[derive(Debug, Clone)]
struct Open<const W: usize> {
    bound: f64,
    decision: u32,
    prices: [f64; W],
    basis: Vec<(u32, u32)>,
}

impl<const W: usize> PartialEq for Open<W> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<const W: usize> Eq for Open<W> {}

impl<const W: usize> PartialOrd for Open<W> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const W: usize> Ord for Open<W> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(other.decision.cmp(&self.decision))
    }
}

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Half {
    /// No plan of it is worth the floor.
    Gone,
    /// Its bound.
    Left(f64),
}

/// Branch and bound over a few options.
#[derive(Debug)]
pub(crate) struct Tree<const W: usize> {
    columns: Columns<W>,
    capacity: Vec<f64>,
    state: State<W>,
    /// Halves being tried, and the best tried so far.
    tried: [State<W>; 2],
    kept: [State<W>; 2],
    decisions: Vec<Decision>,
    open: BinaryHeap<Open<W>>,
    excluded: Vec<bool>,
    /// The best plan met, by class, and its value.
    best: Option<(f64, Vec<u32>)>,
    pub(crate) nodes: u64,
}

impl<const W: usize> Tree<W> {
    /// `capacity` is what the classes of `columns` may use; every class has two options or more.
    pub(crate) fn new(columns: Columns<W>, capacity: Vec<f64>) -> Self {
        let state = State::new(&columns);
        let root = Open { bound: f64::INFINITY, decision: ROOT, prices: [0.0; W], basis: slacks(&columns) };
        Self {
            tried: [state.clone(), state.clone()],
            kept: [state.clone(), state.clone()],
            decisions: Vec::new(),
            open: BinaryHeap::from([root]),
            excluded: vec![false; columns.options()],
            best: None,
            nodes: 0,
            state,
            columns,
            capacity,
        }
    }

    /// No plan over these options is worth more than this or the floor; −∞ when the tree is done.
    pub(crate) fn bound(&self) -> f64 {
        self.open.peek().map_or(f64::NEG_INFINITY, |open| open.bound)
    }

    /// The best plan met: its value, and the option of every class.
    pub(crate) fn best(&self) -> Option<&(f64, Vec<u32>)> {
        self.best.as_ref()
    }

    /// Splits `most` nodes whose bound is at least `floor`, or until the bound is below `enough`.
    pub(crate) fn grow(&mut self, floor: f64, enough: f64, most: u64, stop: &dyn Fn() -> bool) {
        Arch::new().dispatch(|| {
            for n in 0..most {
                if self.bound() < enough || self.open.len() > MOST || (n % 8 == 0 && stop()) {
                    return;
                }
                let Some(open) = self.open.pop() else { return };
                if open.bound >= floor {
                    self.nodes += 1;
                    self.split(&open, floor);
                }
            }
        });
    }

    /// Brings the state to a node. `false` where it holds no plan.
    #[inline(always)]
    fn load(&mut self, open: &Open<W>) -> bool {
        self.excluded.fill(false);
        let mut at = open.decision;
        while at != ROOT {
            let decision = self.decisions[at as usize];
            let option = decision.option as usize;
            if decision.taken {
                for other in self.columns.of(self.columns.owner(option)) {
                    self.excluded[other] |= other != option;
                }
            } else {
                self.excluded[option] = true;
            }
            at = decision.parent;
        }
        let excluded = &self.excluded;
        if (0..self.columns.classes()).any(|class| self.columns.of(class).all(|o| excluded[o])) {
            return false;
        }
        let alive = |o: usize| !excluded[o];
        if !self.state.set(&self.columns, &self.capacity, (&open.prices, &open.basis), alive) {
            let anew = slacks(&self.columns);
            self.state.set(&self.columns, &self.capacity, (&[0.0; W], &anew), alive);
        }
        true
    }

    #[inline(always)]
    fn split(&mut self, open: &Open<W>, floor: f64) {
        if !self.load(open) {
            return;
        }
        let Half::Left(bound) = solved(&mut self.state, &self.columns, &self.capacity, floor) else { return };
        let bound = bound.min(open.bound);
        let mut by: Vec<(f64, usize)> = self
            .state
            .basic(&self.columns)
            .map(|(o, x)| (x.min(1.0 - x), o))
            .filter(|(share, _)| *share > INTEGRAL)
            .collect();
        if by.is_empty() {
            // Only the root gets here, or a node that rounding hid; its plan ends it.
            take(&self.state, &self.columns, &self.capacity, &mut self.best);
            return;
        }
        by.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        by.truncate(TRIED);
        let mut top = (f64::NEG_INFINITY, 0, [Half::Gone; 2]);
        for (_, option) in by {
            let halves = [true, false].map(|taken| self.half(option, taken, bound, floor));
            let [a, b] = halves.map(|half| match half {
                Half::Gone => f64::MAX,
                Half::Left(left) => bound - left,
            });
            let (less, more) = (a.min(b), a.max(b));
            let score = if less == f64::MAX { less } else { less + 1e-3 * more.min(LOPSIDED * less + 1.0) };
            if score > top.0 {
                top = (score, option, halves);
                std::mem::swap(&mut self.tried, &mut self.kept);
            }
        }
        let (_, option, halves) = top;
        for (n, half) in halves.into_iter().enumerate() {
            let Half::Left(bound) = half else { continue };
            let state = &self.kept[n];
            if state.basic(&self.columns).all(|(_, x)| x.min(1.0 - x) <= INTEGRAL)
                && take(state, &self.columns, &self.capacity, &mut self.best)
            {
                continue;
            }
            let decision = index(self.decisions.len());
            self.decisions.push(Decision { parent: open.decision, option: index(option), taken: n == 0 });
            let basis = state.keyed(&self.columns);
            self.open.push(Open { bound, decision, prices: *state.prices(), basis });
        }
    }

    /// Solves the half of the present node that takes `option`, or that does not.
    #[inline(always)]
    fn half(&mut self, option: usize, taken: bool, bound: f64, floor: f64) -> Half {
        let half = &mut self.tried[usize::from(!taken)];
        half.clone_from(&self.state);
        let mut any = true;
        if taken {
            for other in self.columns.of(self.columns.owner(option)) {
                any &= other == option || half.exclude(&self.columns, other);
            }
        } else {
            any = half.exclude(&self.columns, option);
        }
        if !any {
            return Half::Gone;
        }
        match solved(half, &self.columns, &self.capacity, floor) {
            Half::Left(left) => Half::Left(left.min(bound)),
            Half::Gone => Half::Gone,
        }
    }
}

fn slacks<const W: usize>(columns: &Columns<W>) -> Vec<(u32, u32)> {
    (0..columns.rows()).map(|k| (index(columns.options() + k), NONE)).collect()
}

/// Solves a relaxation; its bound is evaluated anew, whatever way the pivots went.
#[inline(always)]
fn solved<const W: usize>(state: &mut State<W>, columns: &Columns<W>, capacity: &[f64], floor: f64) -> Half {
    let mut prices =
        if state.optimise(columns, floor, PIVOTS) == End::Empty { *state.ray() } else { [0.0; W] };
    for (to, price) in prices.iter_mut().zip(state.prices()) {
        *to = price + FAR * *to;
    }
    let mut bound = state.evaluate(columns, capacity, &prices);
    if bound >= floor {
        bound = bound.min(state.evaluate(columns, capacity, &state.prices().clone()));
    }
    if bound < floor { Half::Gone } else { Half::Left(bound) }
}

/// Keeps the plan of a relaxation whose shares are whole; whether it fits.
fn take<const W: usize>(
    state: &State<W>,
    columns: &Columns<W>,
    capacity: &[f64],
    best: &mut Option<(f64, Vec<u32>)>,
) -> bool {
    let mut plan: Vec<usize> = (0..columns.classes()).map(|class| state.key(class)).collect();
    for (option, x) in state.basic(columns) {
        if x > 0.5 {
            plan[columns.owner(option)] = option;
        }
    }
    let mut left = capacity.to_vec();
    let mut value = 0.0;
    for option in &plan {
        value += columns.value(*option);
        for (l, w) in left.iter_mut().zip(columns.weight(*option)) {
            *l -= w;
        }
    }
    let fits = plan.iter().all(|option| !state.excluded(*option))
        && left.iter().zip(capacity).all(|(l, c)| *l >= -crate::problem::tolerance(*c));
    if fits && best.as_ref().is_none_or(|(known, _)| value > *known) {
        *best = Some((value, plan.into_iter().map(index).collect()));
    }
    fits
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    struct Case {
        first: Vec<u32>,
        value: Vec<f64>,
        weight: Vec<[f64; 4]>,
        room: Vec<f64>,
    }

    impl Case {
        fn draw(rng: &mut ChaCha8Rng) -> Self {
            let classes = rng.random_range(2..8);
            let mut first = vec![0_u32];
            for _ in 0..classes {
                first.push(first[first.len() - 1] + rng.random_range(2..5));
            }
            let n = first[first.len() - 1];
            let value = (0..n).map(|_| f64::from(rng.random_range(1..60))).collect();
            let weight = (0..n).map(|_| [0; 4].map(|_| f64::from(rng.random_range(0..30)))).collect();
            let room = (0..4).map(|_| f64::from(rng.random_range(9..20) * classes)).collect();
            Self { first, value, weight, room }
        }

        /// The best value, by trying everything.
        fn best(&self, room: &[f64], class: usize) -> f64 {
            if room.iter().any(|r| *r < 0.0) {
                return f64::NEG_INFINITY;
            }
            if class + 1 == self.first.len() {
                return 0.0;
            }
            (self.first[class] as usize..self.first[class + 1] as usize)
                .map(|o| {
                    let left: Vec<f64> = room.iter().zip(&self.weight[o]).map(|(r, w)| r - w).collect();
                    self.value[o] + self.best(&left, class + 1)
                })
                .fold(f64::NEG_INFINITY, f64::max)
        }
    }

    #[test]
    fn trees_find_the_optimum_and_never_bound_below_it() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut feasible = 0;
        for case in 0..400 {
            let drawn = Case::draw(&mut rng);
            let want = drawn.best(&drawn.room, 0);
            let columns = Columns::new(drawn.first.clone(), drawn.value.clone(), drawn.weight.clone(), 4);
            let mut tree = Tree::new(columns, drawn.room.clone());
            let found = |tree: &Tree<4>| tree.best().map_or(f64::NEG_INFINITY, |(value, _)| *value);
            while tree.bound() > f64::NEG_INFINITY {
                tree.grow(found(&tree).max(-1.0) + 0.999, f64::NEG_INFINITY, 1, &|| false);
                assert!(tree.bound().max(found(&tree)) >= want - 1e-6, "case {case}");
            }
            assert_eq!(found(&tree), want, "case {case}");
            feasible += u32::from(want.is_finite());
        }
        assert!(feasible > 150, "{feasible}");
    }
}
