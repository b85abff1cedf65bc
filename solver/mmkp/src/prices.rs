//! Nearly the best prices: a growing sample, then the options that can still be best.

use crate::core::Core;
use crate::dual::Schedule;
use crate::problem::{LANES, Problem};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Blocks of the first sample, at least; and for each row.
const FIRST: usize = 6;
const FIRST_PER_ROW: f64 = 0.6;
/// Factor between sample sizes.
const GROWTH: usize = 8;
/// Smoothing relative to the spread of a class's values: first and last of a sample, last of all.
const COARSE: f64 = 0.1;
const SAMPLED: f64 = 0.01;
const FINE: f64 = 1e-4;
/// Regret kept in the core, relative to the spread, times √(rows / classes sampled).
const REACH: f64 = 0.5;
/// Regret kept in the core, in multiples of the smoothing to come.
const NEAR: f64 = 10.0;
/// Predicted decrease over μ that ends the steps: for each class while μ is large, at the end, and at
/// the end where the gap asked for allows a large μ.
const SLOPPY: f64 = 0.003;
const EXACT: f64 = 0.05;
const CLOSE: f64 = 1.0;
/// Regret kept about prices that were good for other capacities, relative to the spread.
const WARM: f64 = 0.05;
/// and at most, and how much of it for each unit of score that the first step is expected to move.
const FARTHEST: f64 = 0.3;
const AHEAD: f64 = 0.25;
/// First smoothing there, relative to the spread.
const TEPID: f64 = 3e-3;
/// Last smoothing relative to the spread, for each unit of the gap asked for and class for each row:
/// it costs about 1 % of that gap (0.7 % at the median, 2.4 % at most, over 400 problems of 1000 classes
/// and 10 rows at a gap of 0.1 %).
const ENOUGH: f64 = 0.05;
/// Largest last smoothing relative to the spread, times the classes: beyond, the best options at these
/// prices are too far from any plan for a search among few.
const MOVED: f64 = 5.0;
/// Rounds of gathering a core about newer prices.
const ROUNDS: usize = 12;
/// Factors of the reach from one core to the next, and after a core that was too narrow.
const NARROWER: f64 = 0.15;
const WIDER: f64 = 5.0;
/// Factor of the smoothing after a core that was too narrow.
const SMOOTHER: f64 = 20.0;
/// Relative improvement after which the smoothing stays as it is.
const FAR: f64 = 1e-4;
/// Least reach after a core that was too narrow, relative to the spread.
const WIDE: f64 = 0.1;
/// Relative distance between the dual of the core and of everything that ends the rounds.
const AGREE: f64 = 1e-7;

/// Prices and the options near the best at them.
#[derive(Debug, Clone)]
pub(crate) struct Priced<const W: usize> {
    pub(crate) prices: Vec<f64>,
    pub(crate) core: Core<W>,
    /// Regret up to which options are in the core.
    pub(crate) reach: f64,
}

/// Prices λ ≥ 0 that make L(λ) nearly least, starting from `start` or from nothing.
///
/// Any result certifies; a better one certifies more. Deterministic.
#[must_use]
pub fn prices(problem: &Problem, start: Option<&[f64]>) -> Vec<f64> {
    match problem.rows() {
        0..=8 => find::<8>(problem, start, 0.0).prices,
        9..=16 => find::<16>(problem, start, 0.0).prices,
        17..=32 => find::<32>(problem, start, 0.0).prices,
        _ => find::<64>(problem, start, 0.0).prices,
    }
}

pub(crate) fn find<const W: usize>(problem: &Problem, start: Option<&[f64]>, gap: f64) -> Priced<W> {
    let spread = problem.spread;
    let classes = ratio(problem.classes(), 1);
    let enough = (ENOUGH * gap * classes / ratio(problem.rows(), 1)).min(MOVED / classes);
    let last = spread * enough.max(FINE);
    if let Some(start) = start {
        let mu = last.max(TEPID * spread);
        let shift =
            Core::<W>::gather(problem, None, start, WARM * spread).shift(start, &problem.capacity, mu);
        let reach = (AHEAD * shift).clamp(WARM * spread, FARTHEST * spread);
        return settle(problem, start.to_vec(), reach, mu, last);
    }
    let mut prices = vec![0.0; problem.rows()];
    let mut order: Vec<usize> = (0..problem.blocks()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let mut size = sampled(problem.rows());
    let mut reach = f64::INFINITY;
    let mut from = COARSE * spread;
    while size * 2 <= order.len() {
        let mut blocks = order[..size].to_vec();
        blocks.sort_unstable();
        let core = Core::<W>::gather(problem, Some(&blocks), &prices, reach);
        let share = ratio(core.covered, problem.classes());
        let capacity: Vec<f64> = problem.capacity.iter().map(|c| c * share).collect();
        let to = (SAMPLED * spread).min(from);
        let slackness = SLOPPY * ratio(core.covered, 1);
        let schedule = Schedule { from, to, factor: 0.2, steps: 30, slackness };
        prices = core.newton(&prices, &capacity, schedule).0;
        reach = REACH * spread * ratio(problem.rows(), size * LANES).sqrt();
        from = SAMPLED * spread;
        size *= GROWTH;
    }
    settle(problem, prices, reach, from, last)
}

/// Gathers the core of the whole problem and finds its prices, with less and less smoothing over
/// ever smaller cores, until the core and the whole agree.
fn settle<const W: usize>(
    problem: &Problem,
    mut prices: Vec<f64>,
    mut reach: f64,
    mut from: f64,
    last: f64,
) -> Priced<W> {
    let mut core = Core::<W>::gather(problem, None, &prices, reach);
    let mut known = core.gathered(&prices, &problem.capacity);
    for round in 1.. {
        let to = (0.1 * from).max(last);
        let at_last = if last > FINE * problem.spread { CLOSE } else { EXACT };
        let slackness = if to > last { SLOPPY * ratio(core.open(), 1) } else { at_last };
        let schedule = Schedule { from, to, factor: 0.15, steps: 40, slackness };
        let (found, within) = core.newton(&prices, &problem.capacity, schedule);
        let next = (NEAR * to).max(NARROWER * reach.min(problem.spread));
        let candidate = Core::gather(problem, None, &found, next);
        let whole = candidate.gathered(&found, &problem.capacity);
        if whole > known + AGREE * known.abs() {
            // The core was too narrow: within it the settled classes may even break a capacity.
            reach = (reach * WIDER).max(WIDE * problem.spread);
            from = (from * SMOOTHER).min(SAMPLED * problem.spread);
            core = Core::gather(problem, None, &prices, reach);
        } else {
            let close = AGREE * whole.abs().max(1e-30);
            let agree = whole - within <= close && (known - whole <= close || from <= last);
            let far = known - whole > FAR * whole.abs();
            (prices, core, known, reach) = (found, candidate, whole, next);
            if to <= last && agree {
                break;
            }
            from = if far && round > 1 { from } else { to };
        }
        if round == ROUNDS {
            break;
        }
    }
    Priced { prices, core, reach }
}

fn sampled(rows: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 64 rows")]
    let by_rows = (ratio(rows, 1) * FIRST_PER_ROW).ceil() as usize;
    by_rows.max(FIRST)
}

#[allow(clippy::cast_precision_loss)] // counts below 2^32
fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}
