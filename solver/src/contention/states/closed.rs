//! Pricing where no tenant is predicted faster than by linear interference.
//!
//! Beside a set S the objective of its member n leaves Σ_m ⟨slopes_n, load_m⟩ ≤ limit_n, a linear row for
//! everything that may still join; so the search needs no predictions, and each row of the board and of
//! its members gives a bound: the least cost with the row priced, Σ_g min(0, min_c (r_c + λ·a_c)) − λ·b,
//! at a λ found by a few steps. What the search finds is predicted.

use super::judge::Judge;
use super::layout::{Item, Layout, Slot};
use super::pricing::{Priced, Query, multipliers};
use super::state::{State, reduced};
use crate::checker::TOLERANCE;
use crate::error::SolverError;

/// Relative leeway of an objective, against rounding; the predictor has the last word.
const LEEWAY: f64 = 1e-9;
/// Steps of the price of one row.
const STEPS: usize = 10;
/// Passes over the candidates of a set, each with the bounds of the last.
const PASSES: usize = 3;
/// Sets between looks at the time.
const WATCH: u64 = 256;

/// An item that may join.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) item: u32,
    pub(super) rank: usize,
    /// Additive reduced cost.
    pub(super) cost: f64,
    /// The same with the rows of the board priced.
    pub(super) priced: f64,
}

/// A set under extension.
#[derive(Clone)]
struct Set {
    items: Vec<u32>,
    /// What each objective still leaves.
    slack: Vec<f64>,
    sum: f64,
    used: Vec<f64>,
    load: Vec<f64>,
    memory: f64,
    weights: Vec<usize>,
}

struct Search<'s, 'q, 'a> {
    layout: &'s Layout<'a>,
    query: &'s Query<'q>,
    slot: &'s Slot,
    prices: Vec<f64>,
    best: Vec<(f64, Vec<u32>)>,
    bound: f64,
    nodes: u64,
    cut_short: bool,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Answers a query.
pub(super) fn price<'a>(
    layout: &Layout<'a>,
    judge: &mut Judge<'_, 'a>,
    query: &Query<'_>,
) -> Result<Priced, SolverError> {
    let slot = &layout.slots[query.slot];
    let watt = slot.cap.map_or(0.0, |cap| (-query.duals[cap]).max(0.0));
    let base = slot.cost - query.duals[slot.link] + watt * slot.idle;
    let mut candidates = Vec::new();
    for (n, item) in slot.items.iter().enumerate() {
        if query.branch.admits(slot.kind, item) {
            let cost = reduced(item.cost, &item.rows, query.duals) + watt * item.dynamic;
            let item = u32::try_from(n).unwrap_or(u32::MAX);
            candidates.push(Candidate { item, rank: 0, cost, priced: cost });
        }
    }
    super::pricing::rank(slot, &mut candidates);
    let prices = multipliers(slot, &candidates, query.below - base);
    for c in &mut candidates {
        c.priced = c.cost + dot(&prices, &slot.items[c.item as usize].uses);
    }
    let units = slot.items.first().map_or(0, |item| item.load.len());
    let mut search = Search {
        layout,
        query,
        slot,
        prices,
        best: Vec::new(),
        bound: query.below,
        nodes: 0,
        cut_short: false,
    };
    let empty = Set {
        items: Vec::new(),
        slack: Vec::new(),
        sum: base,
        used: vec![0.0; slot.room.len()],
        load: vec![0.0; units],
        memory: 0.0,
        weights: Vec::new(),
    };
    candidates.retain(|c| search.fits(&empty, c));
    search.extend(&empty, candidates);
    let Search { best, bound, nodes, cut_short, .. } = search;
    let least = best.first().map_or(bound, |b| bound.min(b.0));
    let sets: Vec<Vec<u32>> = best.iter().map(|(_, items)| items.clone()).collect();
    let told = judge.verdicts(layout, query.slot, &sets, query.over)?;
    let in_time = told.is_some();
    let told = told.unwrap_or_default();
    let states = best
        .into_iter()
        .zip(told)
        .filter_map(|((r, items), draw)| Some((r, State::new(layout, query.slot, items, draw?))));
    Ok(Priced { states: states.collect(), bound: least, complete: !cut_short && in_time, nodes })
}

impl Search<'_, '_, '_> {
    /// Sets of at least this reduced cost are of no use.
    fn threshold(&self) -> f64 {
        let full = self.best.len() >= self.query.keep;
        self.best.last().filter(|_| full).map_or(self.query.below, |worst| worst.0.min(self.query.below))
    }

    fn item(&self, n: u32) -> &Item {
        &self.slot.items[n as usize]
    }

    /// Looks at every set with `set` and more of the candidates, each of which fits.
    fn extend(&mut self, set: &Set, mut candidates: Vec<Candidate>) {
        let spare: f64 = self
            .prices
            .iter()
            .zip(self.slot.room.iter().zip(&set.used))
            .map(|(w, (room, used))| w * (room - used))
            .sum();
        self.probe(set, spare, &mut candidates);
        if candidates.is_empty() {
            return;
        }
        let bound = self.beyond(set, spare, &candidates);
        if bound >= self.threshold() {
            return;
        }
        let late = self.nodes % WATCH == WATCH - 1 && (self.query.over)();
        if self.nodes >= self.query.nodes || late {
            self.bound = self.bound.min(bound);
            self.cut_short = true;
            return;
        }
        self.nodes += 1;
        for c in &candidates {
            self.offer(set, c);
        }
        let mut from = 0;
        while from < candidates.len() {
            let (plain, priced) = rests(&candidates[from..]);
            if set.sum + plain.max(priced - spare) >= self.threshold() {
                break;
            }
            let rank = candidates[from].rank;
            let to = from + candidates[from..].partition_point(|c| c.rank == rank);
            for c in &candidates[from..to] {
                let joined = self.joined(set, c);
                let rest = candidates[to..].iter().filter(|next| self.fits(&joined, next));
                let rest: Vec<Candidate> = rest.copied().collect();
                if !rest.is_empty() {
                    self.extend(&joined, rest);
                }
            }
            from = to;
        }
    }

    /// Keeps a set with one more item if it is good enough.
    fn offer(&mut self, set: &Set, c: &Candidate) {
        let mut value = set.sum + c.cost;
        if value >= self.threshold() {
            return;
        }
        let at = set.items.partition_point(|n| *n < c.item);
        let mut items = set.items.clone();
        items.insert(at, c.item);
        let has = |t: usize| items.iter().any(|n| self.item(*n).tenant == t);
        for (row, members) in &self.layout.bundles {
            if members.iter().any(|t| has(*t)) {
                value -= self.query.duals[*row];
            }
        }
        if value < self.threshold() && self.query.branch.complete(self.slot.kind, has) {
            let at = self.best.partition_point(|b| b.0 <= value);
            self.best.insert(at, (value, items));
            self.best.truncate(self.query.keep);
        }
    }

    /// Drops candidates of no use beside the best of the others.
    fn probe(&self, set: &Set, spare: f64, candidates: &mut Vec<Candidate>) {
        let threshold = self.threshold();
        for _ in 0..PASSES {
            let (rest, rest_priced) = rests(candidates);
            let before = candidates.len();
            let mut left = Vec::with_capacity(before);
            for group in candidates.chunk_by(|a, b| a.rank == b.rank) {
                let (own, own_priced) = least(group);
                left.extend(group.iter().filter(|c| {
                    let plain = c.cost + rest - own;
                    let priced = c.priced + rest_priced - own_priced - spare;
                    set.sum + plain.max(priced) < threshold
                }));
            }
            *candidates = left;
            if candidates.len() == before {
                break;
            }
        }
    }

    /// A bound on the sets with any of the candidates.
    fn beyond(&self, set: &Set, spare: f64, candidates: &[Candidate]) -> f64 {
        let threshold = self.threshold();
        let (rest, rest_priced) = rests(candidates);
        let mut bound = set.sum + rest.max(rest_priced - spare);
        let mut amounts = vec![0.0; candidates.len()];
        let members = set.items.iter().zip(&set.slack).filter(|(_, slack)| slack.is_finite());
        for (n, slack) in members {
            if bound >= threshold {
                return bound;
            }
            let slopes = &self.item(*n).slopes;
            for (amount, c) in amounts.iter_mut().zip(candidates) {
                *amount = dot(slopes, &self.item(c.item).load);
            }
            bound = bound.max(set.sum + row(candidates, &amounts, *slack, threshold - set.sum));
        }
        for (r, room) in self.slot.room.iter().enumerate() {
            if bound >= threshold {
                return bound;
            }
            for (amount, c) in amounts.iter_mut().zip(candidates) {
                *amount = self.item(c.item).uses[r];
            }
            bound = bound.max(set.sum + row(candidates, &amounts, room - set.used[r], threshold - set.sum));
        }
        bound
    }

    fn joined(&self, set: &Set, c: &Candidate) -> Set {
        let item = self.item(c.item);
        let mut joined = set.clone();
        joined.memory += self.adds(set, item);
        for (n, slack) in set.items.iter().zip(&mut joined.slack) {
            *slack -= dot(&self.item(*n).slopes, &item.load);
        }
        let at = set.items.partition_point(|n| *n < c.item);
        joined.items.insert(at, c.item);
        joined.slack.insert(at, item.limit - dot(&item.slopes, &set.load));
        joined.sum += c.cost;
        joined.used.iter_mut().zip(&item.uses).for_each(|(a, b)| *a += b);
        joined.load.iter_mut().zip(&item.load).for_each(|(a, b)| *a += b);
        joined.weights.extend(&item.weights);
        joined.weights.sort_unstable();
        joined.weights.dedup();
        joined
    }

    /// Bytes that an item adds.
    fn adds(&self, set: &Set, item: &Item) -> f64 {
        let new = item.weights.iter().filter(|w| set.weights.binary_search(w).is_err());
        item.memory + new.map(|w| self.layout.instance.weights[*w].bytes.get()).sum::<f64>()
    }

    /// Rows (3)–(6a), (10c), the decisions about pairs, and every objective.
    fn fits(&self, set: &Set, c: &Candidate) -> bool {
        let item = self.item(c.item);
        let within =
            set.used.iter().zip(&item.uses).zip(&self.slot.room).all(|((a, b), room)| a + b <= *room);
        if !within || dot(&item.slopes, &set.load) > item.limit + LEEWAY * (1.0 + item.limit.abs()) {
            return false;
        }
        let most = self.slot.memory + TOLERANCE * self.slot.memory.abs().max(1.0);
        if set.memory + self.adds(set, item) > most {
            return false;
        }
        set.items.iter().zip(&set.slack).all(|(n, slack)| {
            let other = self.item(*n);
            dot(&other.slopes, &item.load) <= slack + LEEWAY * (1.0 + other.limit.abs())
                && !self.layout.apart(item.tenant, other.tenant)
                && self.query.branch.admits_pair(self.slot.kind, item.tenant, other.tenant)
        })
    }
}

/// The largest of a few values of Σ_g min(0, min_c (cost_c + λ·amount_c)) − λ·room over λ ≥ 0.
fn row(candidates: &[Candidate], amounts: &[f64], room: f64, target: f64) -> f64 {
    let (mut best, mut price, mut low, mut high) = (f64::NEG_INFINITY, 0.0, 0.0, None);
    for _ in 0..STEPS {
        let (mut value, mut slope) = (-price * room, -room);
        let mut from = 0;
        while from < candidates.len() {
            let rank = candidates[from].rank;
            let (mut least, mut amount) = (0.0, 0.0);
            while from < candidates.len() && candidates[from].rank == rank {
                let cost = candidates[from].cost + price * amounts[from];
                if cost < least {
                    (least, amount) = (cost, amounts[from]);
                }
                from += 1;
            }
            value += least;
            slope += amount;
        }
        best = value.max(best);
        if best >= target {
            break;
        }
        if slope > 1e-12 {
            low = price;
            price = match high {
                Some(high) => 0.5 * (low + high),
                None => price + (target - value) / slope,
            };
        } else if slope < -1e-12 && price > 0.0 {
            high = Some(price);
            price = 0.5 * (low + price);
        } else {
            break;
        }
    }
    best
}

/// Least costs of a group, or nothing taken.
fn least(group: &[Candidate]) -> (f64, f64) {
    group.iter().fold((0.0, 0.0), |(a, b): (f64, f64), c| (a.min(c.cost), b.min(c.priced)))
}

/// Sum of the least costs of all groups.
fn rests(candidates: &[Candidate]) -> (f64, f64) {
    let groups = candidates.chunk_by(|a, b| a.rank == b.rank);
    groups.map(least).fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1))
}
