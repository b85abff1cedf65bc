//! `gpu-only`: every tenant whole on a GPU, first come first served by priority. What a fleet does
//! when nobody maps it; common practice and the reference of most mapping papers.

use super::{best_of_ladder, finish};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The GPU-only baseline.
#[derive(Debug, Clone, Copy)]
pub struct GpuOnly;

impl Solver for GpuOnly {
    fn name(&self) -> &'static str {
        "gpu-only"
    }

    fn summary(&self) -> &'static str {
        "every tenant whole on a GPU, greedy over tiers and boards; no bound"
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
        if instance.classes.is_empty() {
            return Err(SolverError::Unsupported {
                solver: self.name(),
                what: "instances without devices".to_owned(),
            });
        }
        let on_gpu = |column: &crate::columns::Column| {
            column.host(instance).is_some_and(|(host, _)| {
                let units = &instance.classes[host.class.at()].units;
                host.segments.iter().all(|s| units[s.unit].as_str().starts_with("gpu"))
            })
        };
        let deadline = options.time_limit.map(|limit| options.clock.now() + limit);
        finish(self, instance, options, on_gpu, |problem, options| {
            best_of_ladder(problem, options, deadline).assignment()
        })
    }
}
