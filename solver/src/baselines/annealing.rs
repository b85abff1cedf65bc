//! `annealing`: simulated annealing on the common objective (Kirkpatrick, Gelatt, Vecchi:
//! "Optimization by Simulated Annealing", Science 220, 1983). Common practice.
//!
//! A move takes one tenant, or every tenant of one board, off and puts them back at random: a single
//! tenant into a random choice that fits, a whole board into a random power mode. Worse plans are
//! taken with probability exp(−Δ/T); T falls geometrically from the mean size of a first sample of
//! moves to a thousandth of it. Optimises the objective asked for, under all rows.

use super::board::count;
use super::common::{Offer, Problem};
use super::watch::Watch;
use super::{finish, local};
use crate::columns::Column;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use crate::state::State;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx, TenantIx};
use ecomap_instances::plan::Assignment;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Moves without a limit from the caller, and with one at most.
const MOVES: u64 = 20_000;
/// Moves that set the first temperature.
const SAMPLE: u64 = 50;
/// Last temperature over first.
const COOLING: f64 = 1e-3;
/// One move in so many is of a whole board.
const BOARD_MOVES: u32 = 8;

/// The annealing baseline.
#[derive(Debug, Clone, Copy)]
pub struct Annealing;

impl Solver for Annealing {
    fn name(&self) -> &'static str {
        "annealing"
    }

    fn summary(&self) -> &'static str {
        "simulated annealing on the objective; no bound"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        finish(
            self,
            instance,
            options,
            observer,
            Offer::Undominated,
            |_| true,
            |problem, watch| Ok(search(problem, watch)),
        )
    }
}

fn search(problem: &Problem<'_>, watch: &mut Watch<'_, '_>) -> Assignment {
    let mut rng = ChaCha8Rng::seed_from_u64(watch.options().seed);
    let mut state = State::new(problem.instance);
    for tenant in (0..problem.columns.len()).map(TenantIx::new) {
        if let Some((_, column)) = local::cheapest(problem, &state, tenant, |_| true) {
            state.place(column);
        }
    }
    let mut value = problem.value(&state);
    let (mut best, mut best_value) = (state.clone(), value);
    watch.offer(&best.assignment());
    let moves = watch.left().map_or(MOVES, |left| left.min(MOVES));
    let mut first = sampled(problem, &state, value, moves.min(SAMPLE), &mut rng, watch);
    let step = COOLING.powf(1.0 / as_number(moves.saturating_sub(SAMPLE).max(1)));
    for _ in SAMPLE..moves {
        if !watch.step() {
            break;
        }
        let trial = neighbour(problem, &state, &mut rng);
        let now = problem.value(&trial);
        let worse = now - value;
        if worse <= 0.0 || rng.random::<f64>() < (-worse / first).exp() {
            (state, value) = (trial, now);
            if value < best_value - 1e-9 * best_value.abs().max(1.0) {
                (best, best_value) = (state.clone(), value);
                watch.offer(&best.assignment());
            }
        }
        first *= step;
    }
    if moves < MOVES {
        watch.step(); // says that it was the caller who ended it
    }
    best.assignment()
}

/// Mean size of the differences that moves make; 1 when none makes any.
fn sampled(
    problem: &Problem<'_>,
    state: &State<'_>,
    value: f64,
    moves: u64,
    rng: &mut ChaCha8Rng,
    watch: &mut Watch<'_, '_>,
) -> f64 {
    let mut sizes = Vec::new();
    for _ in 0..moves {
        if !watch.step() {
            break;
        }
        let size = (problem.value(&neighbour(problem, state, rng)) - value).abs();
        if size > 0.0 {
            sizes.push(size);
        }
    }
    if sizes.is_empty() { 1.0 } else { sizes.iter().sum::<f64>() / count(sizes.len()) }
}

/// A plan one move away.
fn neighbour<'a>(problem: &Problem<'a>, state: &State<'a>, rng: &mut ChaCha8Rng) -> State<'a> {
    let mut trial = state.clone();
    let devices = problem.instance.devices.len();
    if devices > 0 && rng.random_ratio(1, BOARD_MOVES) {
        whole_board(problem, &mut trial, DeviceIx::new(rng.random_range(0..devices)), rng);
        return trial;
    }
    let tenant = TenantIx::new(rng.random_range(0..problem.columns.len()));
    trial.remove(tenant);
    let fitting: Vec<Column> =
        problem.columns[tenant.at()].iter().filter(|c| trial.admits(c)).copied().collect();
    if let Some(column) = fitting.choose(rng) {
        trial.place(*column);
    }
    trial
}

/// Empties a board and fills it again in a random mode; who does not fit goes elsewhere.
fn whole_board(problem: &Problem<'_>, trial: &mut State<'_>, device: DeviceIx, rng: &mut ChaCha8Rng) {
    let mut here: Vec<TenantIx> = (0..problem.columns.len())
        .map(TenantIx::new)
        .filter(|t| trial.pick(*t).is_some_and(|c| c.pick.device == Some(device)))
        .collect();
    for tenant in &here {
        trial.remove(*tenant);
    }
    here.shuffle(rng);
    let mode = ModeIx::new(rng.random_range(0..problem.instance.class_of(device).modes.len()));
    for tenant in here {
        let keep = |c: &Column| match c.host(problem.instance) {
            Some((host, d)) if d == device => host.mode == mode,
            _ => true,
        };
        if let Some((_, column)) = local::cheapest(problem, trial, tenant, keep) {
            trial.place(column);
        }
    }
}

/// A number of moves as a number; far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn as_number(n: u64) -> f64 {
    n as f64
}
