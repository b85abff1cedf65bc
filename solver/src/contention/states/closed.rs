//! Pricing without predictions: where no tenant is predicted faster than by linear interference, and where
//! predictions are so dear that sets are taken as accepted until they matter.
//!
//! Under linear interference, beside a set S the objective of its member n leaves Σ_m ⟨slopes_n, load_m⟩ ≤ limit_n, a linear row for
//! everything that may still join; so the search needs no predictions, and each row of the board and of
//! its members gives a bound: the least cost with the row priced, Σ_g min(0, min_c (r_c + λ·a_c)) − λ·b,
//! at a λ found by a few steps. What the search finds is predicted.
//!
//! Where predictions are dear, sets without a part that is known to be refused are taken as accepted at
//! their priced draw. That asks for too many states, never for too few, so bounds hold; those that the
//! master's optimum rests on are predicted then.

use super::judge::Judge;
use super::layout::{Item, Layout, Slot};
use super::pricing::{Penalties, Priced, Query, multipliers};
use super::state::{State, reduced};
use crate::checker::TOLERANCE;
use crate::error::SolverError;

/// Relative leeway of an objective, against rounding; the predictor has the last word.
const LEEWAY: f64 = 1e-9;
/// Steps of the price of one row.
const STEPS: usize = 10;
/// Passes over the candidates of a set, each with the bounds of the last.
const PASSES: usize = 3;
/// By which a priced draw is held to be lower, against rounding.
const LESS: f64 = 1.0 - 1e-9;
/// Sets predicted at a time where the search takes them as accepted: at first and at most.
const DOUBTED: (usize, usize) = (32, 256);
/// Sets that a search may extend from which it asks for more and more.
const PATIENT: u64 = 100_000;
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
    /// Additive part of the reduced cost, with the line below the cost of draws.
    sum: f64,
    /// Priced draw, W over a board that is off.
    draw: f64,
    used: Vec<f64>,
    load: Vec<f64>,
    memory: f64,
    weights: Vec<usize>,
    /// Members of each active cut that run, by position of the cut.
    counts: Vec<u8>,
}

struct Search<'s, 'q, 'o, 'a> {
    layout: &'s Layout<'a>,
    judge: &'s Judge<'o, 'a>,
    /// Whether known refusals keep items apart.
    dear: bool,
    query: &'s Query<'q>,
    slot: &'s Slot,
    prices: &'s [f64],
    penalties: &'s Penalties,
    /// A line below the cost of draws, intercept and slope.
    tangent: (f64, f64),
    /// Whether objectives are held against linear interference.
    limits: bool,
    /// Price of a watt.
    watt: f64,
    /// Most sets kept.
    keep: usize,
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
    let penalties = Penalties::new(layout, query.slot, query.duals);
    super::pricing::rank(slot, &mut candidates);
    let mut prices = multipliers(slot, &candidates, query.below - base);
    // Of the lines below the cost of draws the one that bounds best.
    let mut tangent = (0.0, 0.0);
    let mut best = bound(slot, &candidates, &prices);
    for line in penalties.below(slot.idle, slot.most.max(slot.idle)) {
        let tilted = tilted(slot, &candidates, line.1);
        let own = multipliers(slot, &tilted, query.below - base - line.0 - line.1 * slot.idle);
        let value = line.0 + line.1 * slot.idle + bound(slot, &tilted, &own);
        if value > best {
            (best, tangent, prices) = (value, line, own);
        }
    }
    let mut candidates = tilted(slot, &candidates, tangent.1);
    for c in &mut candidates {
        c.priced = c.cost + dot(&prices, &slot.items[c.item as usize].uses);
    }
    let task = Task { layout, query, slot, prices, watt, base, tangent, candidates, penalties };
    if judge.dear() { doubted(&task, judge) } else { plain(&task, judge) }
}

/// Candidates that pay `slope` for each watt.
fn tilted(slot: &Slot, candidates: &[Candidate], slope: f64) -> Vec<Candidate> {
    let one = |c: &Candidate| {
        let cost = c.cost + slope * slot.items[c.item as usize].dynamic;
        Candidate { cost, priced: cost, ..*c }
    };
    candidates.iter().map(one).collect()
}

/// What the prices of a board's rows prove of sets of candidates.
fn bound(slot: &Slot, candidates: &[Candidate], prices: &[f64]) -> f64 {
    let priced = |c: &Candidate| c.cost + dot(prices, &slot.items[c.item as usize].uses);
    let groups = candidates.chunk_by(|a, b| a.rank == b.rank);
    groups.map(|g| g.iter().map(priced).fold(0.0, f64::min)).sum::<f64>() - dot(prices, &slot.room)
}

/// A query made ready.
struct Task<'s, 'q, 'a> {
    layout: &'s Layout<'a>,
    query: &'s Query<'q>,
    slot: &'s Slot,
    prices: Vec<f64>,
    watt: f64,
    /// Reduced cost of the empty board.
    base: f64,
    /// A line below the cost of draws, intercept and slope. Candidates pay the slope.
    tangent: (f64, f64),
    candidates: Vec<Candidate>,
    penalties: Penalties,
}

/// What a search found.
struct Found {
    /// Sets with their reduced cost, best first.
    best: Vec<(f64, Vec<u32>)>,
    /// No set has a lower reduced cost, or it is at least what was asked.
    bound: f64,
    nodes: u64,
    complete: bool,
}

/// The best `keep` sets that nothing known refuses.
fn look<'a>(task: &Task<'_, '_, 'a>, judge: &Judge<'_, 'a>, keep: usize) -> Found {
    let units = task.slot.items.first().map_or(0, |item| item.load.len());
    let mut search = Search {
        layout: task.layout,
        judge,
        dear: judge.dear(),
        query: task.query,
        slot: task.slot,
        prices: &task.prices,
        penalties: &task.penalties,
        tangent: task.tangent,
        limits: task.layout.linear || task.query.first,
        watt: task.watt,
        keep,
        best: Vec::new(),
        bound: task.query.below,
        nodes: 0,
        cut_short: false,
    };
    let empty = Set {
        items: Vec::new(),
        slack: Vec::new(),
        sum: task.base + task.tangent.0 + task.tangent.1 * task.slot.idle,
        draw: task.slot.idle,
        used: vec![0.0; task.slot.room.len()],
        load: vec![0.0; units],
        memory: 0.0,
        weights: Vec::new(),
        counts: vec![0; task.penalties.prices.len()],
    };
    let mut candidates = task.candidates.clone();
    candidates.retain(|c| search.fits(&empty, c, None));
    search.extend(&empty, candidates);
    let Search { best, bound, nodes, cut_short, .. } = search;
    let bound = best.first().map_or(bound, |b| bound.min(b.0));
    Found { best, bound, nodes, complete: !cut_short }
}

/// Where sets are taken as accepted, the best are predicted and the search repeated until enough of them are.
fn doubted<'a>(task: &Task<'_, '_, 'a>, judge: &mut Judge<'_, 'a>) -> Result<Priced, SolverError> {
    let (layout, query) = (task.layout, task.query);
    if !query.ask {
        let Found { best, bound, nodes, complete } = look(task, judge, query.keep);
        let state = |(r, items): (f64, Vec<u32>)| match judge.known(query.slot, &items) {
            Some(told) => Some((r, State::new(layout, query.slot, items, told?))),
            None => {
                let priced: f64 = items.iter().map(|n| task.slot.items[*n as usize].dynamic).sum();
                let draw = task.slot.idle + priced;
                Some((r, State::new(layout, query.slot, items, draw).assumed()))
            }
        };
        let states = best.into_iter().filter_map(state).collect();
        return Ok(Priced { states, bound, complete, nodes });
    }
    let mut keep = query.keep.max(if query.first { DOUBTED.0 / 2 } else { DOUBTED.0 });
    let mut nodes = 0;
    loop {
        let found = look(task, judge, keep);
        nodes += found.nodes;
        let sets: Vec<Vec<u32>> = found.best.iter().map(|(_, items)| items.clone()).collect();
        let told = judge.verdicts(layout, query.slot, &sets, query.over)?;
        let Some(told) = told else {
            return Ok(Priced { states: Vec::new(), bound: found.bound, complete: false, nodes });
        };
        let mut states = Vec::new();
        for (items, draw) in sets.into_iter().zip(&told) {
            if let Some(draw) = draw {
                let state = State::new(layout, query.slot, items, *draw);
                let reduced = state.reduced(query.duals);
                if reduced < query.below {
                    states.push((reduced, state));
                }
            }
        }
        states.sort_by(|a, b| a.0.total_cmp(&b.0));
        states.truncate(query.keep);
        let least = states.first().map_or(query.below, |s| s.0);
        // The bound holds without predictions; with the best sets accepted it is their own.
        let settled = found.best.first().is_none_or(|b| b.0 >= least - 1e-12 * least.abs().max(1.0));
        if settled || !states.is_empty() || nodes >= query.nodes {
            return Ok(Priced { states, bound: found.bound, complete: found.complete, nodes });
        }
        if query.nodes > PATIENT {
            // Where so many are refused, more are asked for at once.
            keep = (keep * 2).min(DOUBTED.1);
        }
    }
}

/// Where nothing is doubted, what is found is predicted.
fn plain<'a>(task: &Task<'_, '_, 'a>, judge: &mut Judge<'_, 'a>) -> Result<Priced, SolverError> {
    let (layout, query) = (task.layout, task.query);
    let Found { best, bound, nodes, complete } = look(task, judge, query.keep);
    let sets: Vec<Vec<u32>> = best.iter().map(|(_, items)| items.clone()).collect();
    let told = judge.verdicts(layout, query.slot, &sets, query.over)?;
    let in_time = told.is_some();
    let told = told.unwrap_or_default();
    let states = best
        .into_iter()
        .zip(told)
        .filter_map(|((r, items), draw)| Some((r, State::new(layout, query.slot, items, draw?))));
    Ok(Priced { states: states.collect(), bound, complete: complete && in_time, nodes })
}

impl Search<'_, '_, '_, '_> {
    /// Sets of at least this reduced cost are of no use.
    fn threshold(&self) -> f64 {
        let full = self.best.len() >= self.keep;
        self.best.last().filter(|_| full).map_or(self.query.below, |worst| worst.0.min(self.query.below))
    }

    /// Slowdown less 1 that an item bears.
    fn limit(&self, item: &Item) -> f64 {
        if self.limits { item.limit } else { f64::INFINITY }
    }

    fn item(&self, n: u32) -> &Item {
        &self.slot.items[n as usize]
    }

    /// Looks at every set with `set` and more of the candidates, each of which fits.
    fn extend(&mut self, set: &Set, mut candidates: Vec<Candidate>) {
        let spare = self.spare(set);
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
                // Bounds first: they cost less than a look at what is refused.
                let mut rest = candidates[to..].to_vec();
                self.probe(&joined, self.spare(&joined), &mut rest);
                rest.retain(|next| self.fits(&joined, next, Some(c.item)));
                if !rest.is_empty() {
                    self.extend(&joined, rest);
                }
            }
            from = to;
        }
    }

    /// w·(what is left of the board's rows).
    fn spare(&self, set: &Set) -> f64 {
        let left = self.slot.room.iter().zip(&set.used).map(|(room, used)| room - used);
        self.prices.iter().zip(left).map(|(w, left)| w * left).sum()
    }

    /// Keeps a set with one more item if it is good enough.
    fn offer(&mut self, set: &Set, c: &Candidate) {
        let item = self.item(c.item);
        let priced = set.draw + item.dynamic;
        let sum = set.sum + c.cost + self.penalties.adds(&set.counts, item.tenant);
        let mut value = sum + self.above(priced * LESS);
        if value >= self.threshold() {
            return;
        }
        let at = set.items.partition_point(|n| *n < c.item);
        let mut items = set.items.clone();
        items.insert(at, c.item);
        if self.dear {
            match self.judge.known(self.query.slot, &items) {
                Some(None) => return,
                Some(Some(draw)) => {
                    let beyond = (draw - priced).max(0.0);
                    value = sum + self.watt * beyond + self.tangent.1 * beyond + self.above(draw);
                }
                None => {}
            }
        }
        let has = |t: usize| items.iter().any(|n| self.item(*n).tenant == t);
        for (row, members) in &self.layout.bundles {
            if members.iter().any(|t| has(*t)) {
                value -= self.query.duals[*row];
            }
        }
        if value < self.threshold() && self.query.branch.complete(self.slot.kind, has) {
            let at = self.best.partition_point(|b| b.0 <= value);
            self.best.insert(at, (value, items));
            self.best.truncate(self.keep);
        }
    }

    /// What a draw costs above the line below.
    fn above(&self, draw: f64) -> f64 {
        (self.penalties.of_draw(draw) - self.tangent.0 - self.tangent.1 * draw).max(0.0)
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
        let floor = set.sum;
        let mut bound = floor + rest.max(rest_priced - spare);
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
            bound = bound.max(floor + row(candidates, &amounts, *slack, threshold - floor));
        }
        for (r, room) in self.slot.room.iter().enumerate() {
            if bound >= threshold {
                return bound;
            }
            for (amount, c) in amounts.iter_mut().zip(candidates) {
                *amount = self.item(c.item).uses[r];
            }
            bound = bound.max(floor + row(candidates, &amounts, room - set.used[r], threshold - floor));
        }
        if self.dear && bound < threshold {
            bound = bound.max(floor + self.paired(set, candidates, spare, threshold - floor));
        }
        bound
    }

    /// The least that candidates add where tenants are taken in pairs of which the known refusals beside the set
    /// leave less than the best of both.
    fn paired(&self, set: &Set, candidates: &[Candidate], spare: f64, enough: f64) -> f64 {
        let (rest, rest_priced) = rests(candidates);
        let by_price = rest_priced - spare > rest;
        let key = |c: &Candidate| if by_price { c.priced } else { c.cost };
        let mut value = if by_price { rest_priced - spare } else { rest };
        let groups: Vec<&[Candidate]> = candidates.chunk_by(|a, b| a.rank == b.rank).collect();
        let least: Vec<f64> = groups.iter().map(|g| g.iter().map(key).fold(0.0, f64::min)).collect();
        let mut gains: Vec<(f64, usize, usize)> = Vec::new();
        for (g, first) in groups.iter().enumerate() {
            for (h, second) in groups.iter().enumerate().skip(g + 1) {
                let mut best = least[g].min(least[h]);
                for a in *first {
                    for b in *second {
                        let sum = key(a) + key(b);
                        if sum < best && !self.conflict(set, a.item, b.item) {
                            best = sum;
                        }
                    }
                }
                let gain = best - least[g] - least[h];
                if gain > 0.0 {
                    gains.push((gain, g, h));
                }
            }
        }
        gains.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut taken = vec![false; groups.len()];
        for (gain, g, h) in gains {
            if value >= enough {
                break;
            }
            if !taken[g] && !taken[h] {
                (taken[g], taken[h]) = (true, true);
                value += gain;
            }
        }
        value
    }

    /// Whether two items are known to be refused together beside a set.
    fn conflict(&self, set: &Set, a: u32, b: u32) -> bool {
        if !self.judge.doubted(self.query.slot, a, b) {
            return false;
        }
        let mut items = Vec::with_capacity(set.items.len() + 2);
        items.extend_from_slice(&set.items);
        items.extend([a, b]);
        items.sort_unstable();
        self.judge.refuted(self.query.slot, &items, &[a, b])
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
        joined.slack.insert(at, self.limit(item) - dot(&item.slopes, &set.load));
        joined.sum += c.cost + self.penalties.add(&mut joined.counts, item.tenant);
        joined.draw += item.dynamic;
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
    fn fits(&self, set: &Set, c: &Candidate, last: Option<u32>) -> bool {
        let item = self.item(c.item);
        let within =
            set.used.iter().zip(&item.uses).zip(&self.slot.room).all(|((a, b), room)| a + b <= *room);
        if set.draw + item.dynamic > self.slot.most {
            return false;
        }
        let limit = self.limit(item);
        if !within || dot(&item.slopes, &set.load) > limit + LEEWAY * (1.0 + limit.abs()) {
            return false;
        }
        let most = self.slot.memory + TOLERANCE * self.slot.memory.abs().max(1.0);
        if set.memory + self.adds(set, item) > most {
            return false;
        }
        if self.dear
            && let Some(last) = last
        {
            let at = set.items.partition_point(|n| *n < c.item);
            let mut items = set.items.clone();
            items.insert(at, c.item);
            // Parts without the item that came last were looked at before it came.
            if self.judge.refuted(self.query.slot, &items, &[c.item, last]) {
                return false;
            }
        }
        set.items.iter().zip(&set.slack).all(|(n, slack)| {
            let other = self.item(*n);
            dot(&other.slopes, &item.load) <= slack + LEEWAY * (1.0 + self.limit(other).abs())
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
