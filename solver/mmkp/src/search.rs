//! Rounding: a plan near the bound, by moves of least regret.
//!
//! At prices λ the distance of a feasible plan from the bound is Σ_k λ_k·slack_k + Σ_i regret_i.
//! A plan is better if it trades little regret for the slack it closes, so only the options of
//! least regret are tried: one class at a time, then two, then three, from many starts.

use crate::problem::{Problem, tolerance};
use crate::sweep::Certificate;
use pulp::Arch;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Slack of the padding rows.
const FREE: f64 = 1e30;
/// Triples are tried among this many moves.
const TRIPLES: usize = 90;
/// and only for plans this close to the best (relative).
const TRIPLES_WITHIN: f64 = 2e-4;
/// Chance that a new start keeps the best plan.
const KEEP: f64 = 0.93;
/// Random changes at a new start: at least, and how many more.
const KICKS: (usize, usize) = (2, 5);
/// Rounding allowance in single precision, relative to the largest weight.
const ROUNDING: f64 = 5e-7;

/// An option that the search may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) class: u32,
    pub(crate) option: u32,
    pub(crate) regret: f64,
}

/// The candidates with everything the inner loops read, by rising regret.
pub(crate) struct Field<const W: usize> {
    /// Local class of each candidate.
    owner: Vec<u32>,
    option: Vec<u32>,
    regret: Vec<f32>,
    value: Vec<f64>,
    weight: Vec<[f64; W]>,
    light: Vec<[f32; W]>,
    /// Problem's class of each local class.
    classes: Vec<u32>,
    /// Candidate of each local class in the base plan.
    base: Vec<u32>,
    /// Slack and value of the base plan.
    slack: [f64; W],
    worth: f64,
    margin: [f64; W],
    tolerance: [f64; W],
    /// What a unit of each row is worth to the repair.
    price: [f32; W],
}

impl<const W: usize> Field<W> {
    /// The field around `base`; `candidates` need not hold the base options.
    pub(crate) fn new(
        problem: &Problem,
        base: &[u32],
        (worth, used): (f64, &[f64]),
        certificate: &Certificate,
        prices: &[f64],
        candidates: &[Candidate],
    ) -> Self {
        let rows = problem.rows();
        let mut all = candidates.to_vec();
        let mut classes: Vec<u32> = all.iter().map(|c| c.class).collect();
        classes.sort_unstable();
        classes.dedup();
        let has: std::collections::BTreeSet<(u32, u32)> = all.iter().map(|c| (c.class, c.option)).collect();
        for class in &classes {
            let option = base[*class as usize];
            if !has.contains(&(*class, option)) {
                let regret = problem.regret(certificate, prices, *class as usize, option as usize);
                all.push(Candidate { class: *class, option, regret });
            }
        }
        all.sort_by(|a, b| {
            a.regret.total_cmp(&b.regret).then(a.class.cmp(&b.class)).then(a.option.cmp(&b.option))
        });
        let local = |class: u32| index(classes.binary_search(&class).unwrap_or(0));
        let mut base_of = vec![0; classes.len()];
        let mut weight = Vec::with_capacity(all.len());
        let mut heaviest = [0.0_f64; W];
        for (n, c) in all.iter().enumerate() {
            if base[c.class as usize] == c.option {
                base_of[local(c.class) as usize] = index(n);
            }
            let mut w = [0.0; W];
            for (k, to) in w.iter_mut().enumerate().take(rows) {
                *to = problem.weight(c.class as usize, c.option as usize, k);
                heaviest[k] = heaviest[k].max(to.abs());
            }
            weight.push(w);
        }
        let (mut slack, mut margin, mut loose, mut price) = ([FREE; W], [0.0; W], [0.0; W], [0.0_f32; W]);
        for k in 0..rows {
            let capacity = problem.capacity[k];
            slack[k] = problem.room(k, used[k]);
            loose[k] = tolerance(capacity);
            margin[k] = if problem.whole[k] { -0.25 } else { ROUNDING * heaviest[k] };
            let least = 1e-6 * certificate.bound.abs() / capacity.abs().max(1.0);
            price[k] = crate::core::single(prices[k].max(least));
        }
        Self {
            owner: all.iter().map(|c| local(c.class)).collect(),
            option: all.iter().map(|c| c.option).collect(),
            regret: all.iter().map(|c| crate::core::single(c.regret)).collect(),
            value: all.iter().map(|c| problem.value(c.class as usize, c.option as usize)).collect(),
            light: weight.iter().map(|w| w.map(crate::core::single)).collect(),
            weight,
            classes,
            base: base_of,
            slack,
            worth,
            margin,
            tolerance: loose,
            price,
        }
    }

    fn len(&self) -> usize {
        self.owner.len()
    }
}

/// A plan found: candidates changed from the base, by class, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) value: f64,
    pub(crate) changes: Vec<(u32, u32)>,
}

/// One search over a field.
pub(crate) struct Search<'a, const W: usize> {
    field: &'a Field<W>,
    now: Vec<u32>,
    slack: [f64; W],
    value: f64,
    best: Option<(f64, Vec<u32>)>,
    rng: ChaCha8Rng,
    /// Vectors compared so far.
    pub(crate) work: u64,
    least_gain: f32,
    gains: Vec<(f32, u32)>,
    deltas: Vec<[f32; W]>,
}

impl<'a, const W: usize> Search<'a, W> {
    /// Starts at the base plan, and at `known` (candidates by local class) if there is one.
    pub(crate) fn new(field: &'a Field<W>, seed: u64) -> Self {
        Self {
            now: field.base.clone(),
            slack: field.slack,
            value: field.worth,
            best: None,
            rng: ChaCha8Rng::seed_from_u64(seed),
            work: 0,
            least_gain: crate::core::single(1e-10 * field.worth.abs()).max(f32::MIN_POSITIVE),
            gains: Vec::new(),
            deltas: Vec::new(),
            field,
        }
    }

    /// Searches until a plan is worth `goal`, `work` is used up, or `stop` says so.
    pub(crate) fn run(&mut self, goal: f64, work: u64, stop: &dyn Fn() -> bool) -> Option<Found> {
        let mut first = true;
        loop {
            self.repair(!first);
            if self.feasible() {
                self.descend(goal, work);
                if self.best.as_ref().is_none_or(|(value, _)| self.value > *value) {
                    self.best = Some((self.value, self.now.clone()));
                }
            }
            first = false;
            let reached = self.best.as_ref().is_some_and(|(value, _)| *value >= goal);
            if reached || self.work >= work || stop() {
                break;
            }
            self.restart();
        }
        self.found()
    }

    fn found(&self) -> Option<Found> {
        let (value, at) = self.best.as_ref()?;
        let field = self.field;
        let changes = at
            .iter()
            .zip(&field.base)
            .zip(&field.classes)
            .filter(|((now, base), _)| now != base)
            .map(|((now, _), class)| (*class, field.option[*now as usize]))
            .collect();
        Some(Found { value: *value, changes })
    }

    fn feasible(&self) -> bool {
        self.slack.iter().zip(&self.field.tolerance).all(|(s, t)| *s >= -t)
    }

    fn take(&mut self, candidate: usize) {
        let field = self.field;
        let owner = field.owner[candidate] as usize;
        let old = self.now[owner] as usize;
        if old == candidate {
            return;
        }
        self.value += field.value[candidate] - field.value[old];
        for k in 0..W {
            self.slack[k] += field.weight[old][k] - field.weight[candidate][k];
        }
        self.now[owner] = index(candidate);
    }

    /// Takes the change that relieves most violation per regret until nothing is violated or no
    /// change helps.
    fn repair(&mut self, shake: bool) {
        let field = self.field;
        let limit = 3 * field.classes.len() + 60;
        for _ in 0..limit {
            if self.feasible() {
                return;
            }
            self.work += field.len() as u64;
            let slack = self.slack.map(crate::core::single);
            let mut top: Option<(f32, usize)> = None;
            let now = &self.now;
            let rng = &mut self.rng;
            Arch::new().dispatch(|| {
                for candidate in 0..field.owner.len() {
                    let old = now[field.owner[candidate] as usize] as usize;
                    if old == candidate {
                        continue;
                    }
                    let (a, b) = (&field.light[candidate], &field.light[old]);
                    let mut relief = [0.0_f32; W];
                    for k in 0..W {
                        let then = slack[k] + b[k] - a[k];
                        relief[k] = field.price[k] * ((-slack[k]).max(0.0) - (-then).max(0.0));
                    }
                    let relief: f32 = relief.iter().sum();
                    if relief <= 1e-9 {
                        continue;
                    }
                    let cost = field.regret[candidate] - field.regret[old];
                    let each = if cost <= 0.0 { 1e6 + relief } else { relief / (cost + 1e-6 * relief) };
                    let each = if shake { each * (1.0 + 0.4 * rng.random::<f32>()) } else { each };
                    if top.is_none_or(|(best, _)| each > best) {
                        top = Some((each, candidate));
                    }
                }
            });
            let Some((_, candidate)) = top else { return };
            self.take(candidate);
        }
    }

    /// Improves by the best move of one, two or three classes until there is none.
    fn descend(&mut self, goal: f64, work: u64) {
        while self.value < goal {
            self.list();
            let mut room = [0.0_f32; W];
            for ((to, slack), margin) in room.iter_mut().zip(&self.slack).zip(&self.field.margin) {
                *to = crate::core::single(slack - margin);
            }
            let mut top = (self.least_gain, [u32::MAX; 3]);
            self.work += self.gains.len() as u64;
            let (gains, deltas, owner) = (&self.gains, &self.deltas, &self.field.owner);
            let mut tried = 0;
            Arch::new().dispatch(|| {
                singles(gains, deltas, &room, &mut top);
                tried = pairs(gains, deltas, owner, &room, &mut top);
            });
            self.work += tried;
            let near =
                self.best.as_ref().is_none_or(|(best, _)| self.value > best - TRIPLES_WITHIN * best.abs());
            if top.1[0] == u32::MAX && near && self.work < work {
                let chosen = self.least_regret();
                let (gains, deltas, owner) = (&self.gains, &self.deltas, &self.field.owner);
                Arch::new().dispatch(|| tried = triples(&chosen, gains, deltas, owner, &room, &mut top));
                self.work += tried;
            }
            let taken = top.1.into_iter().filter(|n| *n != u32::MAX);
            let moves: Vec<usize> = taken.map(|n| self.gains[n as usize].1 as usize).collect();
            if moves.is_empty() {
                return;
            }
            for candidate in moves {
                self.take(candidate);
            }
            if !self.feasible() {
                return; // rounding: the repair of the next start mends it
            }
        }
    }

    /// All changes from the present plan, most gain first.
    fn list(&mut self) {
        let field = self.field;
        self.gains.clear();
        for candidate in 0..field.len() {
            let old = self.now[field.owner[candidate] as usize] as usize;
            if old != candidate {
                let gain = crate::core::single(field.value[candidate] - field.value[old]);
                self.gains.push((gain, index(candidate)));
            }
        }
        self.gains.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.deltas.clear();
        let now = &self.now;
        self.deltas.extend(self.gains.iter().map(|(_, candidate)| {
            let old = now[field.owner[*candidate as usize] as usize] as usize;
            let (a, b) = (&field.light[*candidate as usize], &field.light[old]);
            std::array::from_fn(|k| a[k] - b[k])
        }));
    }

    /// Positions in the list of the changes of least regret, rising.
    fn least_regret(&self) -> Vec<usize> {
        let field = self.field;
        let mut by: Vec<(f32, usize)> = self
            .gains
            .iter()
            .enumerate()
            .map(|(n, (_, candidate))| {
                let old = self.now[field.owner[*candidate as usize] as usize] as usize;
                ((field.regret[*candidate as usize] - field.regret[old]).abs(), n)
            })
            .collect();
        if by.len() > TRIPLES {
            by.select_nth_unstable_by(TRIPLES - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            by.truncate(TRIPLES);
        }
        let mut chosen: Vec<usize> = by.into_iter().map(|(_, n)| n).collect();
        chosen.sort_unstable();
        chosen
    }

    fn restart(&mut self) {
        let field = self.field;
        let keep = self.rng.random_bool(KEEP);
        match &self.best {
            Some((_, at)) if keep => {
                for owner in 0..at.len() {
                    let to = self.best.as_ref().map_or(0, |(_, at)| at[owner]);
                    self.take(to as usize);
                }
            }
            _ => {
                for owner in 0..field.base.len() {
                    self.take(field.base[owner] as usize);
                }
            }
        }
        let kicks = KICKS.0 + self.rng.random_range(0..KICKS.1);
        let among = (field.len() / 3).max(8).min(field.len());
        for _ in 0..kicks {
            let candidate = self.rng.random_range(0..among);
            self.take(candidate);
        }
    }
}

type Top = (f32, [u32; 3]);

#[inline(always)]
fn fits<const W: usize>(delta: &[f32; W], room: &[f32; W]) -> bool {
    let mut over = 0_u32;
    for k in 0..W {
        over |= u32::from(delta[k] > room[k]);
    }
    over == 0
}

#[inline(always)]
fn without<const W: usize>(room: &[f32; W], delta: &[f32; W]) -> [f32; W] {
    let mut left = [0.0; W];
    for k in 0..W {
        left[k] = room[k] - delta[k];
    }
    left
}

#[inline(always)]
fn singles<const W: usize>(gains: &[(f32, u32)], deltas: &[[f32; W]], room: &[f32; W], top: &mut Top) {
    for (n, ((gain, _), delta)) in gains.iter().zip(deltas).enumerate() {
        if *gain <= top.0 {
            return;
        }
        if fits(delta, room) {
            *top = (*gain, [index(n), u32::MAX, u32::MAX]);
            return; // the list falls
        }
    }
}

#[inline(always)]
fn pairs<const W: usize>(
    gains: &[(f32, u32)],
    deltas: &[[f32; W]],
    owner: &[u32],
    room: &[f32; W],
    top: &mut Top,
) -> u64 {
    let mut tried = 0;
    for a in 0..gains.len() {
        let gain = gains[a].0;
        if gains.get(a + 1).is_none_or(|next| gain + next.0 <= top.0) {
            break;
        }
        let left = without(room, &deltas[a]);
        for b in a + 1..gains.len() {
            let both = gain + gains[b].0;
            if both <= top.0 {
                break;
            }
            tried += 1;
            if fits(&deltas[b], &left) && owner[gains[a].1 as usize] != owner[gains[b].1 as usize] {
                *top = (both, [index(a), index(b), u32::MAX]);
                break; // later partners gain less
            }
        }
    }
    tried
}

#[inline(always)]
fn triples<const W: usize>(
    chosen: &[usize],
    gains: &[(f32, u32)],
    deltas: &[[f32; W]],
    owner: &[u32],
    room: &[f32; W],
    top: &mut Top,
) -> u64 {
    let gain = |n: usize| gains[chosen[n]].0;
    let of = |n: usize| owner[gains[chosen[n]].1 as usize];
    let mut tried = 0;
    for a in 0..chosen.len().saturating_sub(2) {
        if gain(a) + gain(a + 1) + gain(a + 2) <= top.0 {
            break;
        }
        let first = without(room, &deltas[chosen[a]]);
        for b in a + 1..chosen.len() - 1 {
            let both = gain(a) + gain(b);
            if both + gain(b + 1) <= top.0 {
                break;
            }
            if of(a) == of(b) {
                continue;
            }
            let left = without(&first, &deltas[chosen[b]]);
            for c in b + 1..chosen.len() {
                if both + gain(c) <= top.0 {
                    break;
                }
                tried += 1;
                if fits(&deltas[chosen[c]], &left) && of(c) != of(a) && of(c) != of(b) {
                    *top = (both + gain(c), [index(chosen[a]), index(chosen[b]), index(chosen[c])]);
                    break;
                }
            }
        }
    }
    tried
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
