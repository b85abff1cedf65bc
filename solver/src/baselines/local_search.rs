//! `local-search`: iterated local search on the common objective. Common practice.
//!
//! Starts from an insertion in random order; descends by first improvement (move a tenant, change
//! the mode of a board, empty it, bring in a shed tenant); then kicks the best plan and descends
//! again. A descent is one iteration. Optimises the objective asked for, under all rows.

use super::common::{Offer, Problem};
use super::watch::Watch;
use super::{finish, local};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use crate::state::State;
use ecomap_instances::Instance;
use ecomap_instances::ids::TenantIx;
use ecomap_instances::plan::Assignment;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Kicks without a limit from the caller.
const KICKS: u64 = 50;

/// The local search baseline.
#[derive(Debug, Clone, Copy)]
pub struct LocalSearch;

impl Solver for LocalSearch {
    fn name(&self) -> &'static str {
        "local-search"
    }

    fn summary(&self) -> &'static str {
        "iterated local search on the objective from a random start; no bound"
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
    let mut best = inserted(problem, watch.options().seed);
    let mut value = problem.value(&best);
    watch.offer(&best.assignment());
    for round in 0..=watch.options().work_limit.unwrap_or(KICKS) {
        if !watch.step() {
            break;
        }
        // Each descent is its own search, of its own seed; the limit counts descents.
        let options = SolveOptions {
            seed: watch.options().seed.wrapping_add(round),
            work_limit: None,
            ..watch.options().clone()
        };
        let kicks = usize::from(round > 0);
        let trial = local::iterate(problem, best.clone(), &options, watch.deadline(), kicks);
        let now = problem.value(&trial);
        if now < value {
            (best, value) = (trial, now);
            watch.offer(&best.assignment());
        }
    }
    best.assignment()
}

/// Tenants in random order, each in its cheapest choice that fits.
fn inserted<'a>(problem: &Problem<'a>, seed: u64) -> State<'a> {
    let mut order: Vec<TenantIx> = (0..problem.columns.len()).map(TenantIx::new).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut state = State::new(problem.instance);
    for tenant in order {
        if let Some((_, column)) = local::cheapest(problem, &state, tenant, |_| true) {
            state.place(column);
        }
    }
    state
}
