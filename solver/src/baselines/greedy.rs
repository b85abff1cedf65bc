//! `greedy`: construction under a ladder of power prices, then local search. Common practice.

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
        _: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        let deadline = options.time_limit.map(|limit| options.clock.now() + limit);
        finish(
            self,
            instance,
            options,
            |_| true,
            |problem, options| {
                local::improve(problem, best_of_ladder(problem, options, deadline), options, deadline)
                    .assignment()
            },
        )
    }
}
