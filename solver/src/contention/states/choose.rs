//! What a node branches on: decisions whose two sides, tried over the cheapest states, raise the bound
//! most.

use super::branch::{Branch, Rule};
use super::generate::Relaxed;
use super::layout::{Item, Means, Slot};
use super::program::{Optimum, Program};
use super::tree::{Node, Tree, WHOLE};
use crate::error::SolverError;
use std::collections::BTreeMap;

/// Hands over the keys of a state's items.
type Keys<'a, K> = &'a dyn Fn(&Slot, &[&Item], &mut dyn FnMut(K));

/// States of a trial program, and decisions of a sort tried at a node.
const TRIED: (usize, usize) = (600, 8);

impl Tree<'_, '_, '_> {
    /// What to branch on; `None` when everything is whole.
    pub(super) fn choose(
        &mut self,
        node: &Node,
        relaxed: &Relaxed,
        optimum: &Optimum,
    ) -> Result<Option<[(Change, f64); 2]>, SolverError> {
        let open = |means: &dyn Fn(Means) -> bool| {
            let list = self.layout.fixed.iter().zip(&optimum.values).enumerate();
            let mut open: Vec<(f64, usize, f64)> = list
                .filter(|(_, (f, x))| means(f.means) && fraction(**x) > WHOLE)
                .map(|(n, (_, x))| (fraction(*x), n, *x))
                .collect();
            open.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            open.truncate(TRIED.1);
            let changes = open.into_iter().map(|(_, n, x)| {
                let high = self.layout.fixed[n].high;
                [Change::Bounds(n, x.ceil(), high), Change::Bounds(n, 0.0, x.floor())]
            });
            changes.collect::<Vec<_>>()
        };
        let mut ways = open(&|m| m == Means::Sheds);
        if ways.is_empty() {
            ways = open(&|m| matches!(m, Means::Shed(_) | Means::Boards(_) | Means::On | Means::Group));
        }
        if ways.is_empty() {
            ways = self.by_configuration(optimum);
            ways.extend(self.by_tier(relaxed, optimum));
            ways.extend(self.by_kind(relaxed, optimum));
        }
        if ways.is_empty() {
            ways = open(&|m| matches!(m, Means::Alone(..)));
        }
        if ways.is_empty() {
            ways = self.by_pair(relaxed, optimum);
        }
        // A decision that is made already cannot close the node: something is lacking.
        ways.retain(|way| !way.iter().any(|change| change.made(&node.branch)));
        self.tried(node, relaxed, ways)
    }

    /// The decision whose two sides raise the bound most, over the states of least reduced cost.
    fn tried(
        &mut self,
        node: &Node,
        relaxed: &Relaxed,
        mut ways: Vec<[Change; 2]>,
    ) -> Result<Option<[(Change, f64); 2]>, SolverError> {
        let Some(proof) = relaxed.proof.as_ref().filter(|_| ways.len() > 1) else {
            let same = |change| (change, node.bound);
            return Ok(ways.into_iter().next().map(|way| way.map(same)));
        };
        let mut order: Vec<(f64, usize)> =
            self.alive(&relaxed.inside).map(|n| (self.pool[n].reduced(&proof.duals), n)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.truncate(TRIED.0);
        let list = order.into_iter().map(|(_, n)| n).collect();
        let mut program = Program::new(&self.layout, &node.branch, &self.pool, list)?;
        if program.solve(&self.layout, &self.settings(1.0))?.is_none() {
            ways.truncate(1);
        }
        let mut best: Option<(f64, usize, [f64; 2])> = None;
        let most = self.cut() - node.bound;
        for (n, way) in ways.iter().enumerate() {
            let mut gains = [0.0; 2];
            for (gain, change) in gains.iter_mut().zip(way) {
                *gain = self.gain(node, &mut program, change)?.clamp(0.0, most);
            }
            let score = (gains[0] + 1e-3 * most) * (gains[1] + 1e-3 * most);
            if best.is_none_or(|b| score > b.0) {
                best = Some((score, n, gains));
            }
        }
        Ok(best.map(|(_, n, gains)| {
            let [a, b] = ways.swap_remove(n);
            [(a, node.bound + gains[0]), (b, node.bound + gains[1])]
        }))
    }

    /// By how much the program's value exceeds the node's bound once a decision is made; the program is
    /// left as it was.
    fn gain(&self, node: &Node, program: &mut Program, change: &Change) -> Result<f64, SolverError> {
        if self.stopped().is_some() {
            return Ok(0.0);
        }
        let mut branch = node.branch.clone();
        change.apply(&mut branch);
        let mut undo = Vec::new();
        for n in 0..self.layout.fixed.len() {
            let (old, new) = (node.branch.range(&self.layout, n), branch.range(&self.layout, n));
            if old != new {
                undo.push((n, old));
                program.limit(n, new.0, new.1)?;
            }
        }
        for at in 0..program.inside.len() {
            if !branch.keeps(&self.layout, &self.pool[program.inside[at]]) {
                let column = self.layout.fixed.len() + at;
                undo.push((column, (0.0, f64::INFINITY)));
                program.limit(column, 0.0, 0.0)?;
            }
        }
        let optimum = program.solve(&self.layout, &self.settings(1.0))?;
        for (column, (low, high)) in undo {
            program.limit(column, low, high)?;
        }
        Ok(optimum.map_or(0.0, |optimum| self.value(&optimum, &program.inside) - node.bound))
    }

    /// Sets of configurations with up to so many boards of a kind on, or in a mode, against the others.
    fn by_configuration(&self, optimum: &Optimum) -> Vec<[Change; 2]> {
        let value = |config: usize| optimum.values[self.layout.configs[config].column];
        let mut sites: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (n, config) in self.layout.configs.iter().enumerate() {
            sites.entry(config.site).or_default().push(n);
        }
        let mut ways: BTreeMap<Vec<usize>, (f64, Vec<usize>)> = BTreeMap::new();
        for configs in sites.values().filter(|list| list.iter().any(|c| fraction(value(*c)) > WHOLE)) {
            let mut counts: BTreeMap<(usize, Option<usize>), BTreeMap<usize, f64>> = BTreeMap::new();
            for config in configs {
                for (slot, boards) in &self.layout.configs[*config].slots {
                    let place = &self.layout.slots[*slot];
                    for mode in [None, Some(place.mode.at())] {
                        let of_key = counts.entry((place.kind, mode)).or_default();
                        *of_key.entry(*config).or_default() += boards;
                    }
                }
            }
            for of_key in counts.values() {
                let boards = |config: &usize| of_key.get(config).copied().unwrap_or(0.0);
                let mut most: Vec<f64> = configs.iter().map(boards).collect();
                most.sort_by(f64::total_cmp);
                most.dedup();
                for most in most {
                    let (few, many): (Vec<usize>, Vec<usize>) =
                        configs.iter().partition(|config| boards(config) <= most);
                    let sum: f64 = few.iter().map(|c| value(*c)).sum();
                    if fraction(sum) > WHOLE {
                        ways.insert(few, (fraction(sum), many));
                    }
                }
            }
            for config in configs.iter().filter(|c| fraction(value(**c)) > WHOLE) {
                let others = configs.iter().copied().filter(|c| c != config).collect();
                ways.insert(vec![*config], (fraction(value(*config)), others));
            }
        }
        let mut ways: Vec<(f64, [Vec<usize>; 2])> =
            ways.into_iter().map(|(few, (part, many))| (part, [few, many])).collect();
        ways.sort_by(|a, b| b.0.total_cmp(&a.0));
        ways.truncate(TRIED.1);
        // Taking the ones is to shut the others.
        ways.into_iter().map(|(_, [few, many])| [Change::Shut(many), Change::Shut(few)]).collect()
    }

    /// What states in use sum to, by a key of their items.
    fn sums<K: Ord>(&self, relaxed: &Relaxed, optimum: &Optimum, add: Keys<'_, K>) -> BTreeMap<K, f64> {
        let mut sums: BTreeMap<K, f64> = BTreeMap::new();
        for (n, x) in relaxed.inside.iter().zip(optimum.values.iter().skip(self.layout.fixed.len())) {
            if *x <= WHOLE {
                continue;
            }
            let state = &self.pool[*n];
            let slot = &self.layout.slots[state.slot];
            let items: Vec<&Item> = state.items.iter().map(|i| &slot.items[*i as usize]).collect();
            add(slot, &items, &mut |key| *sums.entry(key).or_default() += x);
        }
        sums
    }

    /// A tier up to one, or beyond.
    fn by_tier(&self, relaxed: &Relaxed, optimum: &Optimum) -> Vec<[Change; 2]> {
        let tiers = self.sums(relaxed, optimum, &|_, items, add| {
            items.iter().for_each(|item| {
                let last = self.layout.instance.tenants[item.tenant].tiers.len().saturating_sub(1);
                (item.tier..last).for_each(|most| add((item.tenant, most)));
            });
        });
        let ways = most_open(&tiers).into_iter();
        ways.map(|(tenant, most)| both(&|inside| Rule::Tier { tenant, most, inside })).collect()
    }

    /// On boards of a kind, or not.
    fn by_kind(&self, relaxed: &Relaxed, optimum: &Optimum) -> Vec<[Change; 2]> {
        let kinds = self.sums(relaxed, optimum, &|slot, items, add| {
            items.iter().for_each(|item| add((item.tenant, slot.kind)));
        });
        let ways = most_open(&kinds).into_iter();
        ways.map(|(tenant, kind)| both(&|inside| Rule::Kind { tenant, kind, inside })).collect()
    }

    /// Two tenants on one board, else options.
    fn by_pair(&self, relaxed: &Relaxed, optimum: &Optimum) -> Vec<[Change; 2]> {
        let pairs = self.sums(relaxed, optimum, &|slot, items, add| {
            for (k, item) in items.iter().enumerate() {
                items[..k].iter().for_each(|other| add((slot.kind, other.tenant, item.tenant)));
            }
        });
        let ways = most_open(&pairs).into_iter();
        let ways: Vec<[Change; 2]> = ways
            .map(|(kind, a, b)| both(&|together| Rule::Pair { kind, tenants: (a, b), together }))
            .collect();
        if !ways.is_empty() {
            return ways;
        }
        let options = self.sums(relaxed, optimum, &|_, items, add| {
            items.iter().for_each(|item| add((item.tenant, item.option)));
        });
        let ways = most_open(&options).into_iter();
        ways.map(|(tenant, option)| both(&|inside| Rule::Item { tenant, option, inside })).collect()
    }
}

/// Distance from the next whole number.
fn fraction(x: f64) -> f64 {
    (x - x.round()).abs()
}

/// A rule's two sides.
fn both(rule: &dyn Fn(bool) -> Rule) -> [Change; 2] {
    [Change::Rule(rule(false)), Change::Rule(rule(true))]
}

/// The keys whose values are farthest from whole, the first of equals first.
fn most_open<K: Copy>(sums: &BTreeMap<K, f64>) -> Vec<K> {
    let mut open: Vec<(f64, K)> = sums.iter().map(|(k, x)| ((x - x.round()).abs(), *k)).collect();
    open.retain(|(fraction, _)| *fraction > WHOLE);
    open.sort_by(|a, b| b.0.total_cmp(&a.0));
    open.truncate(TRIED.1);
    open.into_iter().map(|(_, k)| k).collect()
}

/// A decision.
pub(super) enum Change {
    Bounds(usize, f64, f64),
    Rule(Rule),
    /// Configurations that are not taken.
    Shut(Vec<usize>),
}

impl Change {
    fn made(&self, branch: &Branch) -> bool {
        match self {
            Self::Bounds(column, low, high) => branch.bounds.contains(&(*column, *low, *high)),
            Self::Rule(rule) => branch.rules.contains(rule),
            Self::Shut(configs) => configs.iter().all(|c| branch.shut.contains(c)),
        }
    }

    pub(super) fn apply(&self, branch: &mut Branch) {
        match self {
            Self::Bounds(column, low, high) => branch.bounds.push((*column, *low, *high)),
            Self::Rule(rule) => branch.rules.push(*rule),
            Self::Shut(configs) => branch.shut.extend(configs),
        }
    }
}
