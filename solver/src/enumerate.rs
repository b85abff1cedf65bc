//! Exact search for problems of a few dozen classes under global capacities only (published
//! knapsack and assignment files): depth first over options, bounded by the Lagrangian (19).
//!
//! At each node the multipliers of the parent are pushed a few Polyak steps towards the value of
//! the best plan known. A node only needs a bound that reaches that value, not the best bound, so
//! most nodes cost microseconds where a linear program costs milliseconds. Options whose regret
//! closes the distance, or that leave too little capacity for the others, are dropped; the search
//! branches on the class with the fewest options left.

use crate::columns::Column;
use crate::pricing::Costs;
use crate::solve::SolveOptions;
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, Pick};
use std::time::Duration;

/// Largest problems tried: options and rows.
const OPTIONS: usize = 2_000;
const ROWS: usize = 64;
/// Most classes: the search goes one call deeper for each.
const CLASSES: usize = 400;
/// Feasibility slack relative to a row's capacity, below the checker's tolerance.
const SLACK: f64 = 1e-9;
/// Polyak steps at the root and at other nodes.
const ROOT_STEPS: usize = 400;
const NODE_STEPS: usize = 24;
/// Rounds of dropping options at a node.
const ROUNDS: usize = 4;
/// Nodes between two looks at the clock.
const PULSE: u64 = 512;

/// What the search gave.
pub(crate) struct Found {
    /// Best plan known, the start included, and its value without the constant part.
    pub best: Option<(Assignment, f64)>,
    /// Whether the search space was exhausted: the best plan is optimal, or there is none.
    pub complete: bool,
    /// Nodes visited.
    pub nodes: u64,
}

struct Item {
    pick: Option<Pick>,
    cost: f64,
    use_of: Vec<f64>,
}

struct Search<'a> {
    classes: Vec<Vec<Item>>,
    /// Slack of each row.
    slack: Vec<f64>,
    /// Step between two possible values: no better plan is closer than this.
    lattice: f64,
    best: f64,
    chosen: Vec<Option<usize>>,
    best_chosen: Option<Vec<usize>>,
    nodes: u64,
    stopped: bool,
    options: &'a SolveOptions,
    deadline: Option<Duration>,
}

/// Whether the search is worth trying.
pub(crate) fn applies(instance: &Instance, columns: &[Vec<Column>]) -> bool {
    instance.devices.is_empty()
        && instance.affinities.is_empty()
        && instance.stability.is_free()
        && instance.capacities.len() <= ROWS
        && columns.len() <= CLASSES
        && columns.iter().map(Vec::len).sum::<usize>() <= OPTIONS
}

/// Searches until done, the node limit, `deadline` or cancellation.
pub(crate) fn search(
    instance: &Instance,
    costs: &Costs,
    columns: &[Vec<Column>],
    start: Option<(Assignment, f64)>,
    options: &SolveOptions,
    deadline: Option<Duration>,
) -> Found {
    let rows = instance.capacities.len();
    let classes: Vec<Vec<Item>> = columns
        .iter()
        .enumerate()
        .map(|(i, list)| {
            let mut items: Vec<Item> = list
                .iter()
                .map(|column| {
                    let mut use_of = vec![0.0; rows];
                    for (row, amount) in &column.choice(instance).uses {
                        use_of[row.at()] = *amount;
                    }
                    Item { pick: Some(column.pick), cost: column.cost, use_of }
                })
                .collect();
            if instance.tenants[i].shedding.allowed {
                items.push(Item { pick: None, cost: costs.shed(i), use_of: vec![0.0; rows] });
            }
            items
        })
        .collect();
    let mut search = Search {
        lattice: lattice(&classes),
        slack: instance.capacities.iter().map(|c| SLACK * c.capacity.abs().max(1.0)).collect(),
        best: start.as_ref().map_or(f64::INFINITY, |(_, value)| *value),
        chosen: vec![None; classes.len()],
        best_chosen: None,
        nodes: 0,
        stopped: false,
        options,
        deadline,
        classes,
    };
    let alive: Vec<Vec<usize>> = search.classes.iter().map(|c| (0..c.len()).collect()).collect();
    let room: Vec<f64> = instance.capacities.iter().map(|c| c.capacity).collect();
    search.node(alive, &room, 0.0, vec![0.0; rows], true);
    let best = match &search.best_chosen {
        Some(chosen) => {
            let picks = search.classes.iter().zip(chosen).map(|(items, j)| items[*j].pick).collect();
            Some((Assignment { picks, modes: Vec::new() }, search.best))
        }
        None => start,
    };
    Found { best, complete: !search.stopped, nodes: search.nodes }
}

/// The largest of 1, 1/10, 1/100 that all costs are multiples of; 0 when none is.
fn lattice(classes: &[Vec<Item>]) -> f64 {
    let whole = |scale: f64| {
        classes.iter().flatten().all(|item| {
            let scaled = item.cost * scale;
            (scaled - scaled.round()).abs() <= 1e-12 * scaled.abs() && scaled.abs() < 1e6
        })
    };
    [1.0, 10.0, 100.0].into_iter().find(|scale| whole(*scale)).map_or(0.0, |scale| 1.0 / scale)
}

/// A bound at a node, its multipliers, and each class's least priced cost.
struct Bound {
    value: f64,
    multipliers: Vec<f64>,
    least: Vec<f64>,
    taken: Vec<usize>,
}

impl Search<'_> {
    /// A plan must be below this to be better.
    fn cutoff(&self) -> f64 {
        if self.best.is_infinite() {
            return self.best;
        }
        // A thousandth of a step covers the rounding of a few hundred summed costs.
        self.best - (self.lattice * 0.999).max(1e-9 * self.best.abs().max(1.0))
    }

    fn node(
        &mut self,
        mut alive: Vec<Vec<usize>>,
        room: &[f64],
        fixed: f64,
        multipliers: Vec<f64>,
        root: bool,
    ) {
        self.nodes += 1;
        if self.nodes.is_multiple_of(PULSE) {
            self.stopped |= self.options.cancel.is_cancelled()
                || self.deadline.is_some_and(|d| self.options.clock.now() >= d);
        }
        self.stopped |= self.options.work_limit.is_some_and(|limit| self.nodes > limit);
        if self.stopped {
            return;
        }
        let mut multipliers = multipliers;
        for _ in 0..ROUNDS {
            if !self.drop_by_room(&mut alive, room) {
                return;
            }
            let steps = if root { ROOT_STEPS } else { NODE_STEPS };
            let bound = self.ascend(&alive, room, fixed, multipliers, steps);
            if bound.value >= self.cutoff() {
                return;
            }
            self.try_plan(&bound, room, fixed);
            let dropped = self.drop_by_regret(&mut alive, &bound);
            multipliers = bound.multipliers;
            if dropped == 0 {
                break;
            }
            if alive.iter().zip(&self.chosen).any(|(list, chosen)| chosen.is_none() && list.is_empty()) {
                return;
            }
        }
        let open = |i: usize| self.chosen[i].is_none();
        let Some(branch) = (0..alive.len()).filter(|i| open(*i)).min_by_key(|i| alive[*i].len()) else {
            if fixed < self.cutoff() && self.fits(room) {
                self.best = fixed;
                self.best_chosen = self.chosen.iter().copied().collect();
            }
            return;
        };
        let priced = |j: usize| self.priced(branch, j, &multipliers);
        let mut order: Vec<(f64, usize)> = alive[branch].iter().map(|j| (priced(*j), *j)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, j) in order {
            let item = &self.classes[branch][j];
            let room: Vec<f64> = room.iter().zip(&item.use_of).map(|(r, u)| r - u).collect();
            let cost = fixed + item.cost;
            let mut rest = alive.clone();
            rest[branch] = vec![j];
            self.chosen[branch] = Some(j);
            self.node(rest, &room, cost, multipliers.clone(), false);
            self.chosen[branch] = None;
            if self.stopped {
                return;
            }
        }
    }

    fn fits(&self, room: &[f64]) -> bool {
        room.iter().zip(&self.slack).all(|(room, slack)| *room >= -slack)
    }

    fn priced(&self, class: usize, item: usize, multipliers: &[f64]) -> f64 {
        let item = &self.classes[class][item];
        item.use_of.iter().zip(multipliers).fold(item.cost, |sum, (u, m)| sum + u * m)
    }

    /// Drops options after which the other classes' least use no longer fits; `false` when nothing
    /// fits at all.
    fn drop_by_room(&self, alive: &mut [Vec<usize>], room: &[f64]) -> bool {
        for (r, room) in room.iter().enumerate() {
            let least: Vec<f64> = alive
                .iter()
                .enumerate()
                .map(|(i, list)| {
                    if self.chosen[i].is_some() {
                        return 0.0;
                    }
                    list.iter().map(|j| self.classes[i][*j].use_of[r]).fold(f64::INFINITY, f64::min)
                })
                .collect();
            let spare = room - least.iter().sum::<f64>();
            if spare < -self.slack[r] {
                return false;
            }
            for (i, list) in alive.iter_mut().enumerate() {
                if self.chosen[i].is_none() {
                    list.retain(|j| self.classes[i][*j].use_of[r] - least[i] <= spare + self.slack[r]);
                }
            }
        }
        true
    }

    fn drop_by_regret(&self, alive: &mut [Vec<usize>], bound: &Bound) -> usize {
        let cutoff = self.cutoff();
        let mut dropped = 0;
        for (i, list) in alive.iter_mut().enumerate() {
            if self.chosen[i].is_some() {
                continue;
            }
            let before = list.len();
            list.retain(|j| bound.value + self.priced(i, *j, &bound.multipliers) - bound.least[i] < cutoff);
            dropped += before - list.len();
        }
        dropped
    }

    /// The Lagrangian at `multipliers` over the open classes.
    fn evaluate(
        &self,
        alive: &[Vec<usize>],
        room: &[f64],
        fixed: f64,
        multipliers: &[f64],
        bound: &mut Bound,
    ) {
        let mut value = fixed - multipliers.iter().zip(room).map(|(m, r)| m * r).sum::<f64>();
        for (i, list) in alive.iter().enumerate() {
            if self.chosen[i].is_some() {
                continue;
            }
            let mut least = f64::INFINITY;
            for &j in list {
                let priced = self.priced(i, j, multipliers);
                if priced < least {
                    least = priced;
                    bound.taken[i] = j;
                }
            }
            bound.least[i] = least;
            value += least;
        }
        bound.value = value;
    }

    /// Polyak steps from `multipliers` towards the cutoff; keeps the best bound.
    fn ascend(
        &self,
        alive: &[Vec<usize>],
        room: &[f64],
        fixed: f64,
        multipliers: Vec<f64>,
        steps: usize,
    ) -> Bound {
        let n = alive.len();
        let blank = || Bound {
            value: f64::NEG_INFINITY,
            multipliers: Vec::new(),
            least: vec![0.0; n],
            taken: vec![0; n],
        };
        let (mut best, mut now) = (blank(), blank());
        let mut at = multipliers;
        let target = if self.best.is_finite() { self.cutoff() } else { f64::INFINITY };
        let mut pace = 1.0;
        let mut stale = 0;
        for _ in 0..steps {
            self.evaluate(alive, room, fixed, &at, &mut now);
            if now.value > best.value {
                best.value = now.value;
                best.multipliers.clone_from(&at);
                best.least.clone_from(&now.least);
                best.taken.clone_from(&now.taken);
                stale = 0;
                if best.value >= target {
                    break;
                }
            } else {
                stale += 1;
                if stale >= 3 {
                    pace *= 0.6;
                    stale = 0;
                }
            }
            let mut slope: Vec<f64> = room.iter().map(|r| -r).collect();
            for (i, items) in self.classes.iter().enumerate() {
                if self.chosen[i].is_none() {
                    for (s, u) in slope.iter_mut().zip(&items[now.taken[i]].use_of) {
                        *s += u;
                    }
                }
            }
            for (s, m) in slope.iter_mut().zip(&at) {
                if *m <= 0.0 && *s < 0.0 {
                    *s = 0.0;
                }
            }
            let norm: f64 = slope.iter().map(|s| s * s).sum();
            if norm <= 1e-18 {
                break;
            }
            let distance = if target.is_finite() {
                (target - now.value).max(0.0)
            } else {
                now.value.abs().max(1.0) * 0.01
            };
            let step = pace * (distance + 1e-9) / norm;
            for (m, s) in at.iter_mut().zip(&slope) {
                *m = (*m + step * s).max(0.0);
            }
        }
        if best.multipliers.is_empty() {
            best.multipliers = at;
        }
        best
    }

    /// The options that the bound takes are a plan when they fit.
    fn try_plan(&mut self, bound: &Bound, room: &[f64], fixed: f64) {
        let mut left = room.to_vec();
        let mut value = fixed;
        let mut chosen = Vec::with_capacity(self.classes.len());
        for (i, items) in self.classes.iter().enumerate() {
            if let Some(j) = self.chosen[i] {
                chosen.push(j);
                continue;
            }
            let item = &items[bound.taken[i]];
            value += item.cost;
            chosen.push(bound.taken[i]);
            for (l, u) in left.iter_mut().zip(&item.use_of) {
                *l -= u;
            }
        }
        if value < self.cutoff() && self.fits(&left) {
            self.best = value;
            self.best_chosen = Some(chosen);
        }
    }
}
