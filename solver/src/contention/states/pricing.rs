//! Pricing: the sets of items of a slot with the least reduced cost that the predictor accepts.
//!
//! A search over sets, tenant by tenant. With ν the price of a watt under the site's cap, a set S has
//! the reduced cost
//!
//! r(S) = r(∅) + Σ_{n ∈ S} r_n + ν·(draw(S) − idle − Σ dyn_n) + bundles,
//!
//! whose last two terms are never negative: no board draws less than it is priced at. So the sum is a
//! bound, and with multipliers w ≥ 0 on the rows (3), (5), (6a) of the board, Σ (r_n + w·u_n) − w·room
//! is another. At every set T all its extensions by one item that could matter are judged in one batch,
//! and only accepted ones are extended further: what is refused beside T is refused beside more, since
//! the predictor is monotone. Looking ahead costs predictions and saves more: the bounds of what is
//! left know which items are out.

use super::branch::Branch;
use super::judge::Judge;
use super::layout::{Layout, Slot};
use super::state::{State, reduced};
use crate::checker::TOLERANCE;
use crate::error::SolverError;

/// Steps of the multipliers on a board's rows.
const STEPS: usize = 40;
/// Passes over the candidates of a set, each with the bounds of the last.
const PASSES: usize = 4;

/// What is asked of a slot.
pub(super) struct Query<'q> {
    pub(super) slot: usize,
    pub(super) duals: &'q [f64],
    pub(super) branch: &'q Branch,
    /// Only sets of lower reduced cost.
    pub(super) below: f64,
    /// Most sets kept, the best ones.
    pub(super) keep: usize,
    /// Most sets extended.
    pub(super) nodes: u64,
    /// Whether the time is up.
    pub(super) over: &'q dyn Fn() -> bool,
}

/// What a slot answers.
pub(super) struct Priced {
    /// States with their reduced cost, best first.
    pub(super) states: Vec<(f64, State)>,
    /// No state of the slot has a lower reduced cost, or it is at least `below`.
    pub(super) bound: f64,
    /// Whether the search came to its end.
    pub(super) complete: bool,
    /// Sets extended.
    pub(super) nodes: u64,
}

/// An item that may join.
#[derive(Clone, Copy)]
struct Candidate {
    item: u32,
    rank: usize,
    /// Additive reduced cost.
    cost: f64,
    /// The same with the rows of the board priced.
    priced: f64,
}

/// A set under extension.
struct Set {
    items: Vec<u32>,
    /// Additive part of the reduced cost, r(∅) included.
    sum: f64,
    dynamic: f64,
    used: Vec<f64>,
}

struct Search<'s, 'q, 'o, 'a> {
    layout: &'s Layout<'a>,
    judge: &'s mut Judge<'o, 'a>,
    query: &'s Query<'q>,
    slot: &'s Slot,
    /// w.
    prices: Vec<f64>,
    /// ν.
    watt: f64,
    best: Vec<(f64, Vec<u32>, f64)>,
    bound: f64,
    nodes: u64,
    cut_short: bool,
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
        if query.branch.admits(slot.kind, item.tenant, item.option) {
            let cost = reduced(item.cost, &item.rows, query.duals) + watt * item.dynamic;
            let item = u32::try_from(n).unwrap_or(u32::MAX);
            candidates.push(Candidate { item, rank: 0, cost, priced: cost });
        }
    }
    rank(slot, &mut candidates);
    let prices = multipliers(slot, &candidates, query.below - base);
    for c in &mut candidates {
        let uses = &slot.items[c.item as usize].uses;
        c.priced = c.cost + prices.iter().zip(uses).map(|(w, u)| w * u).sum::<f64>();
    }
    let mut search = Search {
        layout,
        judge,
        query,
        slot,
        prices,
        watt,
        best: Vec::new(),
        bound: query.below,
        nodes: 0,
        cut_short: false,
    };
    let empty = Set { items: Vec::new(), sum: base, dynamic: 0.0, used: vec![0.0; slot.room.len()] };
    search.extend(&empty, candidates)?;
    let Search { best, bound, nodes, cut_short, .. } = search;
    let states = best.into_iter().map(|(r, items, draw)| (r, State::new(layout, query.slot, items, draw)));
    let states: Vec<(f64, State)> = states.collect();
    let bound = states.first().map_or(bound, |s| bound.min(s.0));
    Ok(Priced { states, bound, complete: !cut_short, nodes })
}

/// Tenants that pay most first; the items of each by cost.
fn rank(slot: &Slot, candidates: &mut [Candidate]) {
    let tenant = |c: &Candidate| slot.items[c.item as usize].tenant;
    let mut least: Vec<(f64, usize)> = Vec::new();
    for c in candidates.iter() {
        match least.iter_mut().find(|(_, t)| *t == tenant(c)) {
            Some(slot) => slot.0 = slot.0.min(c.cost),
            None => least.push((c.cost, tenant(c))),
        }
    }
    least.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for c in candidates.iter_mut() {
        c.rank = least.iter().position(|(_, t)| *t == tenant(c)).unwrap_or(usize::MAX);
    }
    candidates.sort_by(|a, b| a.rank.cmp(&b.rank).then(a.cost.total_cmp(&b.cost)).then(a.item.cmp(&b.item)));
}

/// w by Polyak steps towards `target`, at which nothing is left to look for.
fn multipliers(slot: &Slot, candidates: &[Candidate], target: f64) -> Vec<f64> {
    let count = slot.room.len();
    let mut w = vec![0.0; count];
    let mut best = (f64::NEG_INFINITY, w.clone());
    for _ in 0..STEPS {
        let mut slope: Vec<f64> = slot.room.iter().map(|room| -room).collect();
        let mut value: f64 = -w.iter().zip(&slot.room).map(|(w, room)| w * room).sum::<f64>();
        for group in candidates.chunk_by(|a, b| a.rank == b.rank) {
            let mut least: (f64, Option<&Candidate>) = (0.0, None);
            for c in group {
                let uses = &slot.items[c.item as usize].uses;
                let priced = c.cost + w.iter().zip(uses).map(|(w, u)| w * u).sum::<f64>();
                if priced < least.0 {
                    least = (priced, Some(c));
                }
            }
            value += least.0;
            if let Some(c) = least.1 {
                let uses = &slot.items[c.item as usize].uses;
                slope.iter_mut().zip(uses).for_each(|(s, u)| *s += u);
            }
        }
        if value > best.0 {
            best = (value, w.clone());
        }
        let norm: f64 =
            w.iter().zip(&slope).filter(|(w, s)| **w > 0.0 || **s > 0.0).map(|(_, s)| s * s).sum();
        if value >= target || norm <= 1e-12 {
            break;
        }
        let step = (target - value) / norm;
        w.iter_mut().zip(&slope).for_each(|(w, s)| *w = (*w + step * s).max(0.0));
    }
    best.1
}

impl Search<'_, '_, '_, '_> {
    /// Sets of at least this reduced cost are of no use.
    fn threshold(&self) -> f64 {
        let full = self.best.len() >= self.query.keep;
        self.best.last().filter(|_| full).map_or(self.query.below, |worst| worst.0)
    }

    /// Looks at every set with `set` and more of the candidates.
    fn extend(&mut self, set: &Set, mut candidates: Vec<Candidate>) -> Result<(), SolverError> {
        let spare: f64 = self.spare(set);
        candidates.retain(|c| self.fits(set, c));
        for _ in 0..PASSES {
            let (rest, rest_priced) = rests(&candidates);
            let threshold = self.threshold();
            let before = candidates.len();
            let mut left: Vec<Candidate> = Vec::with_capacity(before);
            for group in candidates.chunk_by(|a, b| a.rank == b.rank) {
                let (own, own_priced) = least(group);
                for c in group {
                    let plain = set.sum + c.cost + rest - own;
                    let priced = set.sum + c.priced + rest_priced - own_priced - spare;
                    if plain.max(priced) < threshold {
                        left.push(*c);
                    }
                }
            }
            candidates = left;
            if candidates.len() == before {
                break;
            }
        }
        if candidates.is_empty() {
            return Ok(());
        }
        if self.nodes >= self.query.nodes || (self.query.over)() {
            let (rest, rest_priced) = rests(&candidates);
            self.bound = self.bound.min(set.sum + rest.max(rest_priced - spare));
            self.cut_short = true;
            return Ok(());
        }
        self.nodes += 1;
        let candidates = self.accepted(set, &candidates)?;
        let mut groups: Vec<(usize, f64, f64)> = Vec::new();
        let mut from = 0;
        for group in candidates.chunk_by(|a, b| a.rank == b.rank) {
            let (own, own_priced) = least(group);
            groups.push((from, own, own_priced));
            from += group.len();
        }
        let (mut rest, mut rest_priced) = rests(&candidates);
        for (g, (from, own, own_priced)) in groups.iter().enumerate() {
            let to = groups.get(g + 1).map_or(candidates.len(), |next| next.0);
            if set.sum + rest.max(rest_priced - spare) >= self.threshold() {
                break;
            }
            (rest, rest_priced) = (rest - own, rest_priced - own_priced);
            for c in &candidates[*from..to] {
                let bound = set.sum + (c.cost + rest).max(c.priced + rest_priced - spare);
                if bound < self.threshold() {
                    self.extend(&self.joined(set, c), candidates[to..].to_vec())?;
                }
            }
        }
        Ok(())
    }

    /// w·(what is left of the board's rows).
    fn spare(&self, set: &Set) -> f64 {
        let left = self.slot.room.iter().zip(&set.used).map(|(room, used)| room - used);
        self.prices.iter().zip(left).map(|(w, left)| w * left).sum()
    }

    fn joined(&self, set: &Set, c: &Candidate) -> Set {
        let item = &self.slot.items[c.item as usize];
        let mut items = set.items.clone();
        let at = items.partition_point(|n| *n < c.item);
        items.insert(at, c.item);
        Set {
            items,
            sum: set.sum + c.cost,
            dynamic: set.dynamic + item.dynamic,
            used: set.used.iter().zip(&item.uses).map(|(a, b)| a + b).collect(),
        }
    }

    /// Rows (3)–(6a), (10c) and the decisions about pairs; and no pair that is known to be refused.
    fn fits(&self, set: &Set, c: &Candidate) -> bool {
        let item = &self.slot.items[c.item as usize];
        let within =
            set.used.iter().zip(&item.uses).zip(&self.slot.room).all(|((a, b), room)| a + b <= *room);
        if !within {
            return false;
        }
        let mut memory = item.memory;
        let mut sets: Vec<usize> = item.weights.clone();
        for n in &set.items {
            let other = &self.slot.items[*n as usize];
            if self.layout.apart(item.tenant, other.tenant)
                || !self.query.branch.admits_pair(self.slot.kind, item.tenant, other.tenant)
            {
                return false;
            }
            let pair = if *n < c.item { [*n, c.item] } else { [c.item, *n] };
            if self.judge.known(self.query.slot, &pair) == Some(None) {
                return false;
            }
            memory += other.memory;
            sets.extend(&other.weights);
        }
        sets.sort_unstable();
        sets.dedup();
        let weights: f64 = sets.iter().map(|w| self.layout.instance.weights[*w].bytes.get()).sum();
        memory + weights <= self.slot.memory + TOLERANCE * self.slot.memory.abs().max(1.0)
    }

    /// The candidates that the predictor accepts beside the set; good sets are kept.
    fn accepted(&mut self, set: &Set, candidates: &[Candidate]) -> Result<Vec<Candidate>, SolverError> {
        let joined: Vec<Set> = candidates.iter().map(|c| self.joined(set, c)).collect();
        let sets: Vec<Vec<u32>> = joined.iter().map(|s| s.items.clone()).collect();
        let verdicts = self.judge.verdicts(self.layout, self.query.slot, &sets)?;
        let mut accepted = Vec::with_capacity(candidates.len());
        for ((c, joined), verdict) in candidates.iter().zip(joined).zip(verdicts) {
            let Some(draw) = verdict else { continue };
            accepted.push(*c);
            let slack = (draw - self.slot.idle - joined.dynamic).max(0.0);
            let tenant = |n: &u32| self.slot.items[*n as usize].tenant;
            let has = |t: usize| joined.items.iter().any(|n| tenant(n) == t);
            let bundles: f64 = self
                .layout
                .bundles
                .iter()
                .filter(|(_, members)| members.iter().any(|t| has(*t)))
                .map(|(row, _)| -self.query.duals[*row])
                .sum();
            let value = joined.sum + self.watt * slack + bundles;
            if value < self.threshold() && self.query.branch.complete(self.slot.kind, has) {
                let at = self.best.partition_point(|b| b.0 <= value);
                self.best.insert(at, (value, joined.items, draw));
                self.best.truncate(self.query.keep);
            }
        }
        Ok(accepted)
    }
}

/// Least costs of a group, or nothing taken.
fn least(group: &[Candidate]) -> (f64, f64) {
    let plain = group.iter().map(|c| c.cost).fold(0.0, f64::min);
    (plain, group.iter().map(|c| c.priced).fold(0.0, f64::min))
}

/// Sum of the least costs of all groups.
fn rests(candidates: &[Candidate]) -> (f64, f64) {
    candidates
        .chunk_by(|a, b| a.rank == b.rank)
        .map(least)
        .fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1))
}
