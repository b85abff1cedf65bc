//! Prices, certificate, rounding: the whole way.

use crate::core::Core;
use crate::prices::{Priced, find};
use crate::problem::Problem;
use crate::search::{Candidate, Field, Found, Search};
use crate::sweep::Certificate;
use rayon::prelude::*;

/// Candidates of the search, for each row, from the smallest field to the largest.
const FIELDS: [usize; 5] = [14, 20, 28, 40, 60];
/// and at least so many.
const LEAST: [usize; 5] = [100, 140, 200, 300, 500];
/// Work of a field in the first round; it doubles.
const SLICE: u64 = 400_000;
/// Regret of the options that a short search is given, relative to the spread, and its work.
const NEARBY: f64 = 0.02;
const SHORT: u64 = 60_000;
/// Searches side by side from the second round on; fixed, so that plans do not depend on threads.
const STREAMS: u64 = 4;

/// When a solve may stop.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Relative gap, |bound − value| / |value|.
    pub gap: f64,
    /// Vectors compared by one stream of the search; makes a run repeatable.
    pub work: u64,
    /// Seed of the search.
    pub seed: u64,
    /// Asked now and then; true ends the search with the best plan so far.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl std::fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits")
            .field("gap", &self.gap)
            .field("work", &self.work)
            .field("seed", &self.seed)
            .finish()
    }
}

/// A plan and how good it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Option of every class; `None` where no plan was found.
    pub choice: Option<Vec<u32>>,
    /// What the plan is worth; −∞ without one.
    pub value: f64,
    /// No plan is worth more.
    pub bound: f64,
    /// Prices that prove the bound.
    pub prices: Vec<f64>,
    /// Vectors compared.
    pub work: u64,
}

impl Answer {
    /// |bound − value| / |value|.
    #[must_use]
    pub fn gap(&self) -> f64 {
        if self.choice.is_none() { f64::INFINITY } else { distance(self.bound, self.value) }
    }
}

fn distance(bound: f64, value: f64) -> f64 {
    (bound - value).max(0.0) / value.abs().max(1e-12)
}

/// Finds a plan within `limits.gap` of a bound on all plans, or the best until a limit strikes.
#[must_use]
pub fn solve(problem: &Problem, limits: &Limits<'_>) -> Answer {
    match problem.rows() {
        0..=8 => whole::<8>(problem, None, limits),
        9..=16 => whole::<16>(problem, None, limits),
        17..=32 => whole::<32>(problem, None, limits),
        _ => whole::<64>(problem, None, limits),
    }
}

/// The same from prices that were good for similar capacities: where they are good for these too, one pass over all
/// options certifies them, a short search rounds, and no new prices are looked for.
#[must_use]
pub fn solve_from(problem: &Problem, prices: &[f64], limits: &Limits<'_>) -> Answer {
    match problem.rows() {
        0..=8 => whole::<8>(problem, Some(prices), limits),
        9..=16 => whole::<16>(problem, Some(prices), limits),
        17..=32 => whole::<32>(problem, Some(prices), limits),
        _ => whole::<64>(problem, Some(prices), limits),
    }
}

fn whole<const W: usize>(problem: &Problem, start: Option<&[f64]>, limits: &Limits<'_>) -> Answer {
    let start = start.filter(|s| s.len() == problem.rows());
    let near = start.map(|prices| as_they_are::<W>(problem, prices, limits));
    if let Some(answer) = near.as_ref().filter(|a| a.gap() <= limits.gap) {
        return answer.clone();
    }
    let priced = find::<W>(problem, start, limits.gap);
    let certificate = problem.certify(&priced.prices);
    let mut answer = round(problem, priced, &certificate, limits);
    if let Some(near) = near {
        if near.value > answer.value {
            (answer.choice, answer.value) = (near.choice, near.value);
        }
        if near.bound < answer.bound {
            (answer.prices, answer.bound) = (near.prices, near.bound);
        }
        answer.work += near.work;
    }
    answer
}

/// A plan about the best options at given prices.
fn as_they_are<const W: usize>(problem: &Problem, prices: &[f64], limits: &Limits<'_>) -> Answer {
    let reach = NEARBY * problem.spread;
    let core = Core::<W>::gather(problem, None, prices, reach);
    let priced = Priced { prices: prices.to_vec(), core, reach };
    let certificate = problem.certify(prices);
    round(problem, priced, &certificate, &Limits { work: limits.work.min(SHORT), ..*limits })
}

/// Prices for capacities `at`, between those of two neighbours: (capacities, prices that were good for them).
///
/// Where few best options change between the neighbours, the best prices move about evenly from one to the other; any
/// prices certify.
#[must_use]
pub fn between(one: (&[f64], &[f64]), other: (&[f64], &[f64]), at: &[f64]) -> Vec<f64> {
    let (mut along, mut whole) = (0.0, 0.0);
    for ((c, a), b) in at.iter().zip(one.0).zip(other.0) {
        let unit = c.abs().max(f64::MIN_POSITIVE);
        along += (c - a) / unit * ((b - a) / unit);
        whole += ((b - a) / unit) * ((b - a) / unit);
    }
    let share = if whole > 0.0 { (along / whole).clamp(0.0, 1.0) } else { 0.0 };
    one.1.iter().zip(other.1).map(|(a, b)| a + share * (b - a)).collect()
}

/// Searches around the best options at `priced.prices`.
pub(crate) fn round<const W: usize>(
    problem: &Problem,
    mut priced: Priced<W>,
    certificate: &Certificate,
    limits: &Limits<'_>,
) -> Answer {
    let prices = priced.prices.clone();
    let base = certificate.best.clone();
    let judged = problem.judge(&base);
    let bound = certificate.bound;
    let mut answer =
        Answer { choice: None, value: f64::NEG_INFINITY, bound, prices: prices.clone(), work: 0 };
    if problem.fits(&judged.1) {
        (answer.choice, answer.value) = (Some(base.clone()), judged.0);
    }
    let (mut candidates, mut all_listed) = (Vec::new(), false);
    let goal = bound - limits.gap * bound.abs() / (1.0 + limits.gap);
    let mut fields: Vec<Option<Field<W>>> = FIELDS.iter().map(|_| None).collect();
    let mut slice = SLICE;
    for round in 0_u64.. {
        for (n, slot) in fields.iter_mut().enumerate() {
            if answer.value >= goal || (limits.stop)() || answer.work >= limits.work {
                return answer;
            }
            let field = match slot {
                Some(field) => field,
                None => {
                    let count = wanted(n, problem.rows());
                    if !all_listed {
                        candidates = listed(problem, &mut priced, certificate, count);
                    }
                    all_listed = candidates.len() < count;
                    if candidates.is_empty() {
                        return answer;
                    }
                    let near = &candidates[..count.min(candidates.len())];
                    slot.insert(Field::new(problem, &base, (judged.0, &judged.1), certificate, &prices, near))
                }
            };
            let budget = slice.min(limits.work.saturating_sub(answer.work));
            let one = |stream: u64| {
                let seed =
                    limits.seed ^ (round * 64 + (n as u64) * 8 + stream).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut search = Search::new(field, seed);
                (search.run(goal, budget, limits.stop), search.work)
            };
            let results: Vec<(Option<Found>, u64)> =
                if round == 0 { vec![one(0)] } else { (0..STREAMS).into_par_iter().map(one).collect() };
            answer.work += results.iter().map(|r| r.1).max().unwrap_or(0).max(1);
            for found in results.into_iter().filter_map(|r| r.0) {
                if found.value > answer.value {
                    adopt(problem, &base, &found, &mut answer);
                }
            }
        }
        slice = slice.saturating_mul(2);
    }
    answer
}

/// Takes a plan over if, summed anew, it fits.
fn adopt(problem: &Problem, base: &[u32], found: &Found, answer: &mut Answer) {
    let mut choice = base.to_vec();
    for (class, option) in &found.changes {
        choice[*class as usize] = *option;
    }
    let (value, used) = problem.judge(&choice);
    if problem.fits(&used) && value > answer.value {
        (answer.choice, answer.value) = (Some(choice), value);
    }
}

fn wanted(field: usize, rows: usize) -> usize {
    (FIELDS[field] * rows).max(LEAST[field])
}

/// The `count` options of least regret that are not best, by rising regret.
fn listed<const W: usize>(
    problem: &Problem,
    priced: &mut Priced<W>,
    certificate: &Certificate,
    count: usize,
) -> Vec<Candidate> {
    let available: usize = (0..problem.classes()).map(|i| problem.options(i) - 1).sum();
    while priced.core.option.len() < count.min(available) + priced.core.open()
        && priced.reach < 1e6 * problem.spread
    {
        priced.reach = 4.0 * priced.reach.max(0.005 * problem.spread);
        priced.core = Core::gather(problem, None, &priced.prices, priced.reach);
    }
    let core = &priced.core;
    let mut all = Vec::with_capacity(core.option.len());
    for (n, class) in core.class.iter().enumerate() {
        for at in core.first[n] as usize..core.first[n + 1] as usize {
            let option = core.option[at];
            if certificate.best[*class as usize] != option {
                let regret = problem.regret(certificate, &priced.prices, *class as usize, option as usize);
                all.push(Candidate { class: *class, option, regret });
            }
        }
    }
    let order = |a: &Candidate, b: &Candidate| {
        a.regret.total_cmp(&b.regret).then(a.class.cmp(&b.class)).then(a.option.cmp(&b.option))
    };
    if all.len() > count {
        all.select_nth_unstable_by(count - 1, order);
        all.truncate(count);
    }
    all.sort_by(order);
    all
}
