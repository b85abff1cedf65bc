//! `gpu-only`: every tenant whole on a GPU, first come first served by priority. What a fleet does
//! when nobody maps it; common practice and the reference of most mapping papers.

use super::common::{Offer, needs_devices};
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
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        needs_devices(self.name(), instance)?;
        let on_gpu = |column: &crate::columns::Column| {
            column.host(instance).is_some_and(|(host, _)| {
                let units = &instance.classes[host.class.at()].units;
                host.segments.iter().all(|s| units[s.unit].as_str().starts_with("gpu"))
            })
        };
        finish(self, instance, options, observer, Offer::Undominated, on_gpu, |problem, watch| {
            Ok(best_of_ladder(problem, options, watch.deadline()).assignment())
        })
    }
}
