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
//! the predictor is monotone.
//!
//! [`closed`](super::closed) is the search that needs no predictions.

use super::branch::Branch;
use super::closed::Candidate;
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
    /// Whether sets that are taken as accepted are predicted before they are handed out.
    pub(super) ask: bool,
    /// Whether multipliers are still far off.
    pub(super) first: bool,
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

/// By how much two groups together stay above their least costs, plain and priced.
type Gain = (f64, f64, usize, usize);

/// A set under extension.
struct Set {
    items: Vec<u32>,
    /// Additive part of the reduced cost, r(∅) included.
    sum: f64,
    dynamic: f64,
    used: Vec<f64>,
    /// Bytes, those of the weights included.
    memory: f64,
    /// Weight sets loaded, ascending.
    weights: Vec<usize>,
    /// Members of each active cut that run, by position of the cut.
    counts: Vec<u8>,
}

/// What cuts cost a board: those on three tenants once two of them run, those on caps by steps of its draw.
pub(super) struct Penalties {
    /// Steps: from which draw, W, and what it costs.
    steps: Vec<(f64, f64)>,
    /// Positions of cuts by tenant.
    of_tenant: Vec<Vec<usize>>,
    pub(super) prices: Vec<f64>,
}

impl Penalties {
    pub(super) fn new(layout: &Layout<'_>, slot: usize, duals: &[f64]) -> Self {
        let price = |row: usize, amount: f64| -duals.get(row).unwrap_or(&0.0) * amount;
        let steps = layout.steps[slot].iter().map(|step| (step.from, price(step.row, step.amount)));
        let mut penalties = Self {
            steps: steps.filter(|(_, price)| *price > 1e-12).collect(),
            of_tenant: vec![Vec::new(); layout.tenants()],
            prices: Vec::new(),
        };
        for triple in &layout.triples {
            let price = price(triple.row, 1.0);
            if price > 1e-12 {
                for tenant in triple.members {
                    penalties.of_tenant[tenant].push(penalties.prices.len());
                }
                penalties.prices.push(price);
            }
        }
        penalties
    }

    /// What a draw costs, W over a board that is off.
    pub(super) fn of_draw(&self, draw: f64) -> f64 {
        self.steps.iter().filter(|(from, _)| draw >= *from).map(|(_, price)| price).sum()
    }

    /// Lines below the cost of draws between `low` and `high`, intercept and slope: the pieces of its lower convex
    /// hull.
    pub(super) fn below(&self, low: f64, high: f64) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = vec![(low, self.of_draw(low))];
        let mut steps: Vec<f64> = self.steps.iter().map(|s| s.0).filter(|d| *d > low && *d < high).collect();
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        // Just before a step.
        points.extend(steps.into_iter().map(|d| (d, self.of_draw(d * (1.0 - 1e-12)))));
        points.push((high, self.of_draw(high)));
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for p in points {
            while let [.., a, b] = hull[..] {
                if (b.1 - a.1) * (p.0 - a.0) < (p.1 - a.1) * (b.0 - a.0) {
                    break;
                }
                hull.pop();
            }
            if hull.last().is_none_or(|last| p.0 > last.0) {
                hull.push(p);
            }
        }
        let line = |w: &[(f64, f64)]| {
            let slope = (w[1].1 - w[0].1) / (w[1].0 - w[0].0);
            (w[0].1 - slope * w[0].0, slope)
        };
        hull.windows(2).map(line).filter(|(_, slope)| *slope > 0.0).collect()
    }

    /// What a tenant adds to a board.
    pub(super) fn adds(&self, counts: &[u8], tenant: usize) -> f64 {
        self.of_tenant[tenant].iter().filter(|n| counts[**n] == 1).map(|n| self.prices[*n]).sum()
    }

    /// Counts a tenant, and what it adds.
    pub(super) fn add(&self, counts: &mut [u8], tenant: usize) -> f64 {
        let adds = self.adds(counts, tenant);
        self.of_tenant[tenant].iter().for_each(|n| counts[*n] += 1);
        adds
    }
}

struct Search<'s, 'q, 'o, 'a> {
    layout: &'s Layout<'a>,
    judge: &'s mut Judge<'o, 'a>,
    query: &'s Query<'q>,
    slot: &'s Slot,
    /// w.
    prices: Vec<f64>,
    penalties: Penalties,
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
    if layout.linear || judge.dear() {
        return super::closed::price(layout, judge, query);
    }
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
        penalties: Penalties::new(layout, query.slot, query.duals),
        watt,
        best: Vec::new(),
        bound: query.below,
        nodes: 0,
        cut_short: false,
    };
    let empty = Set {
        items: Vec::new(),
        sum: base,
        dynamic: 0.0,
        used: vec![0.0; slot.room.len()],
        memory: 0.0,
        weights: Vec::new(),
        counts: vec![0; search.penalties.prices.len()],
    };
    candidates.retain(|c| search.fits(&empty, c, None));
    search.extend(&empty, candidates)?;
    let Search { best, bound, nodes, cut_short, .. } = search;
    let states: Vec<(f64, State)> =
        best.into_iter().map(|(r, items, draw)| (r, State::new(layout, query.slot, items, draw))).collect();
    let bound = states.first().map_or(bound, |s| bound.min(s.0));
    Ok(Priced { states, bound, complete: !cut_short, nodes })
}

/// Tenants that pay most first; the items of each by cost.
pub(super) fn rank(slot: &Slot, candidates: &mut [Candidate]) {
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
pub(super) fn multipliers(slot: &Slot, candidates: &[Candidate], target: f64) -> Vec<f64> {
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

    /// Looks at every set with `set` and more of the candidates, each of which fits.
    fn extend(&mut self, set: &Set, mut candidates: Vec<Candidate>) -> Result<(), SolverError> {
        let spare: f64 = self.spare(set);
        self.probe(set, spare, &mut candidates);
        if candidates.is_empty() {
            return Ok(());
        }
        let bound = self.beyond(set, spare, &candidates);
        if bound >= self.threshold() {
            return Ok(());
        }
        if self.nodes >= self.query.nodes || (self.query.over)() {
            self.cut_off(bound);
            return Ok(());
        }
        self.nodes += 1;
        let Some(mut candidates) = self.accepted(set, &candidates)? else {
            self.cut_off(bound);
            return Ok(());
        };
        self.probe(set, spare, &mut candidates);
        let mut from = 0;
        while from < candidates.len() {
            if self.beyond(set, spare, &candidates[from..]) >= self.threshold() {
                break;
            }
            let rank = candidates[from].rank;
            let to = from + candidates[from..].partition_point(|c| c.rank == rank);
            for c in &candidates[from..to] {
                let joined = self.joined(set, c);
                let rest = candidates[to..].iter().filter(|next| self.fits(&joined, next, Some(c.item)));
                let rest: Vec<Candidate> = rest.copied().collect();
                if !rest.is_empty() {
                    self.extend(&joined, rest)?;
                }
            }
            from = to;
        }
        Ok(())
    }

    /// Notes sets that are left out.
    fn cut_off(&mut self, bound: f64) {
        self.bound = self.bound.min(bound);
        self.cut_short = true;
    }

    /// Drops candidates of no use beside the best of the others that each admits.
    fn probe(&self, set: &Set, spare: f64, candidates: &mut Vec<Candidate>) {
        for _ in 0..PASSES {
            let (rest, rest_priced) = rests(candidates);
            let threshold = self.threshold();
            let mut left: Vec<Candidate> = Vec::with_capacity(candidates.len());
            for group in candidates.chunk_by(|a, b| a.rank == b.rank) {
                let (own, own_priced) = least(group);
                for c in group {
                    let plain = set.sum + c.cost + rest - own;
                    let priced = set.sum + c.priced + rest_priced - own_priced - spare;
                    if plain.max(priced) < threshold && self.beside(set, spare, candidates, c) < threshold {
                        left.push(*c);
                    }
                }
            }
            let done = left.len() == candidates.len();
            *candidates = left;
            if done {
                break;
            }
        }
    }

    /// A bound on the sets with `c` and other candidates that no known pair keeps off.
    fn beside(&self, set: &Set, spare: f64, candidates: &[Candidate], c: &Candidate) -> f64 {
        let (mut plain, mut priced) = (c.cost, c.priced);
        for group in candidates.chunk_by(|a, b| a.rank == b.rank) {
            if group.first().is_some_and(|g| g.rank == c.rank) {
                continue;
            }
            let (mut own, mut own_priced) = (0.0_f64, 0.0_f64);
            for other in group {
                if (other.cost < own || other.priced < own_priced)
                    && !self.judge.apart(self.query.slot, c.item, other.item)
                {
                    own = own.min(other.cost);
                    own_priced = own_priced.min(other.priced);
                }
            }
            plain += own;
            priced += own_priced;
        }
        set.sum + plain.max(priced - spare)
    }

    /// A bound on the sets with any of the candidates: tenants are taken in pairs whose items are known
    /// to keep each other off.
    fn beyond(&self, set: &Set, spare: f64, candidates: &[Candidate]) -> f64 {
        let (rest, rest_priced) = rests(candidates);
        let threshold = self.threshold();
        let bound = set.sum + rest.max(rest_priced - spare);
        if bound >= threshold {
            return bound;
        }
        let groups: Vec<&[Candidate]> = candidates.chunk_by(|a, b| a.rank == b.rank).collect();
        let mut gains: Vec<Gain> = Vec::new();
        for (g, first) in groups.iter().enumerate() {
            let own = least(first);
            for (h, second) in groups.iter().enumerate().skip(g + 1) {
                let other = least(second);
                let (plain, priced) = self.pair(first, second, own, other);
                if plain > 0.0 || priced > 0.0 {
                    gains.push((plain, priced, g, h));
                }
            }
        }
        let matched = |key: &dyn Fn(&Gain) -> f64| {
            let mut order: Vec<(f64, usize, usize)> = gains.iter().map(|x| (key(x), x.2, x.3)).collect();
            order.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            let mut taken = vec![false; groups.len()];
            let mut sum = 0.0;
            for (gain, g, h) in order {
                if !taken[g] && !taken[h] {
                    (taken[g], taken[h]) = (true, true);
                    sum += gain;
                }
            }
            sum
        };
        let plain = rest + matched(&|x| x.0);
        let priced = rest_priced + matched(&|x| x.1) - spare;
        set.sum + plain.max(priced)
    }

    /// By how much two tenants together stay above the sum of their least costs.
    fn pair(
        &self,
        first: &[Candidate],
        second: &[Candidate],
        own: (f64, f64),
        other: (f64, f64),
    ) -> (f64, f64) {
        let (mut plain, mut priced) = (own.0.min(other.0), own.1.min(other.1));
        for a in first {
            for b in second {
                if (a.cost + b.cost < plain || a.priced + b.priced < priced)
                    && !self.judge.apart(self.query.slot, a.item, b.item)
                {
                    plain = plain.min(a.cost + b.cost);
                    priced = priced.min(a.priced + b.priced);
                }
            }
        }
        (plain - own.0 - other.0, priced - own.1 - other.1)
    }

    /// w·(what is left of the board's rows).
    fn spare(&self, set: &Set) -> f64 {
        let left = self.slot.room.iter().zip(&set.used).map(|(room, used)| room - used);
        self.prices.iter().zip(left).map(|(w, left)| w * left).sum()
    }

    fn joined(&self, set: &Set, c: &Candidate) -> Set {
        let item = &self.slot.items[c.item as usize];
        let mut items = Vec::with_capacity(set.items.len() + 1);
        let at = set.items.partition_point(|n| *n < c.item);
        items.extend_from_slice(&set.items[..at]);
        items.push(c.item);
        items.extend_from_slice(&set.items[at..]);
        let mut weights = set.weights.clone();
        weights.extend(&item.weights);
        weights.sort_unstable();
        weights.dedup();
        let mut counts = set.counts.clone();
        let penalty = self.penalties.add(&mut counts, item.tenant);
        Set {
            items,
            sum: set.sum + c.cost + penalty,
            dynamic: set.dynamic + item.dynamic,
            used: set.used.iter().zip(&item.uses).map(|(a, b)| a + b).collect(),
            memory: set.memory + self.adds(set, c),
            weights,
            counts,
        }
    }

    /// Bytes that a candidate adds.
    fn adds(&self, set: &Set, c: &Candidate) -> f64 {
        let item = &self.slot.items[c.item as usize];
        let new = item.weights.iter().filter(|w| set.weights.binary_search(w).is_err());
        item.memory + new.map(|w| self.layout.instance.weights[*w].bytes.get()).sum::<f64>()
    }

    /// Rows (3)–(6a), and for the item that came last, (10c), the decisions about pairs, and no pair that
    /// is known to be refused. Earlier items were asked before.
    fn fits(&self, set: &Set, c: &Candidate, last: Option<u32>) -> bool {
        let item = &self.slot.items[c.item as usize];
        if let Some(last) = last {
            if self.judge.apart(self.query.slot, last, c.item) {
                return false;
            }
            let other = &self.slot.items[last as usize];
            if self.layout.apart(item.tenant, other.tenant)
                || !self.query.branch.admits_pair(self.slot.kind, item.tenant, other.tenant)
            {
                return false;
            }
        }
        let within =
            set.used.iter().zip(&item.uses).zip(&self.slot.room).all(|((a, b), room)| a + b <= *room);
        let most = self.slot.memory + TOLERANCE * self.slot.memory.abs().max(1.0);
        within && set.memory + self.adds(set, c) <= most
    }

    /// The candidates that the predictor accepts beside the set; good sets are kept. `None` when the time
    /// is up before all are judged.
    fn accepted(
        &mut self,
        set: &Set,
        candidates: &[Candidate],
    ) -> Result<Option<Vec<Candidate>>, SolverError> {
        let joined: Vec<Set> = candidates.iter().map(|c| self.joined(set, c)).collect();
        let sets: Vec<Vec<u32>> = joined.iter().map(|s| s.items.clone()).collect();
        let told = self.judge.verdicts(self.layout, self.query.slot, &sets, self.query.over)?;
        let Some(verdicts) = told else { return Ok(None) };
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
            let value = joined.sum + self.watt * slack + bundles + self.penalties.of_draw(draw);
            if value < self.threshold() && self.query.branch.complete(self.slot.kind, has) {
                let at = self.best.partition_point(|b| b.0 <= value);
                self.best.insert(at, (value, joined.items, draw));
                self.best.truncate(self.query.keep);
            }
        }
        Ok(Some(accepted))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Penalties;
    use rand::{Rng as _, SeedableRng as _};

    #[test]
    fn lines_lie_below_the_cost_of_draws_and_meet_it() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let mut lines = 0;
        for _ in 0..200 {
            let count = rng.random_range(0..6);
            let steps =
                (0..count).map(|_| (rng.random_range(0.0..12.0), rng.random_range(0.1..3.0))).collect();
            let penalties = Penalties { steps, of_tenant: Vec::new(), prices: Vec::new() };
            let (low, high) = (2.0, 11.0);
            // Between its corners the cost is flat, so that the corners and what lies just before them will do.
            let mut draws: Vec<f64> =
                penalties.steps.iter().flat_map(|s| [s.0, s.0 * (1.0 - 1e-12)]).collect();
            draws.retain(|d| (low..=high).contains(d));
            draws.extend([low, high]);
            for (at, slope) in penalties.below(low, high) {
                let above = |d: &f64| penalties.of_draw(*d) - at - slope * d;
                let least = draws.iter().map(above).fold(f64::INFINITY, f64::min);
                assert!(least.abs() < 1e-6, "{least} at {draws:?} for {:?}", penalties.steps);
                lines += 1;
            }
        }
        assert!(lines > 200, "{lines}");
    }
}
