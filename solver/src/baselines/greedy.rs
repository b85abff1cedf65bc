//! `greedy`: construction under a ladder of power prices, then local search. Common practice.

use super::common::Offer;
use super::{best_of_ladder, finish, local};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The greedy baseline.
#[derive(Debug, Clone, Copy)]
pub struct Greedy;

impl Solver for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn summary(&self) -> &'static str {
        "greedy construction under a ladder of power prices, then local search; no bound"
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
            |problem, watch| {
                let state = best_of_ladder(problem, options, watch.deadline());
                watch.offer(&state.assignment());
                Ok(local::improve(problem, state, options, watch.deadline()).assignment())
            },
        )
    }
}
