//! Many linear objectives over one reduced instance: what the product (`crate::cdp`) and the
//! frontier (`crate::frontier`) are made of.
//!
//! The options are reduced once, by what is no worse under *every* objective to come, so that all
//! solves speak of the same set of plans. Each solve goes through [`Run`], with its strategies.

use crate::columns;
use crate::error::SolverError;
use crate::exact::{Reached, Run, plan_value};
use crate::formulation::LevelRow;
use crate::pricing::Costs;
use crate::reduce::{self, Reduced};
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, Termination};

/// An instance reduced for several objectives.
pub(crate) struct Scalar<'a> {
    instance: &'a Instance,
    pub(crate) reduced: Reduced,
    /// Branch-and-bound nodes of all solves.
    pub(crate) nodes: u64,
    /// Solves.
    pub(crate) solves: u64,
}

/// One answer: the plan and the bound.
pub(crate) struct Answer {
    pub(crate) plan: Option<Assignment>,
    /// No plan within the rows has a lower value.
    pub(crate) dual: Option<f64>,
    pub(crate) termination: Termination,
}

impl Answer {
    /// Whether it is proven that nothing satisfies the rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.plan.is_none() && self.termination == Termination::Infeasible
    }
}

impl<'a> Scalar<'a> {
    /// Reduces `instance` for every non-negative combination of `objectives`.
    pub(crate) fn new(
        instance: &'a Instance,
        objectives: &[Costs],
        keep: Option<&Assignment>,
        solver: &'static str,
    ) -> Result<Self, SolverError> {
        let reduced = reduce::reduce(instance, objectives, keep);
        columns::check_count(instance, &reduced.kept, solver)?;
        Ok(Self { instance, reduced, nodes: 0, solves: 0 })
    }

    /// Minimises `costs` within `rows`, from `start` where that keeps the rows.
    pub(crate) fn minimise(
        &mut self,
        run: &mut Run<'_, '_>,
        costs: &Costs,
        rows: &[LevelRow],
        start: Option<&Assignment>,
    ) -> Result<Answer, SolverError> {
        let start = start.filter(|plan| {
            rows.iter().all(|row| {
                plan_value(self.instance, &row.costs, plan).is_some_and(|value| value <= row.at_most)
            })
        });
        let columns = columns::expand(self.instance, costs, &self.reduced.kept);
        let Reached { plan, dual, nodes, termination, .. } =
            run.level(costs, &columns, rows, start.cloned())?;
        self.nodes += nodes;
        self.solves += 1;
        let (plan, value) = plan.unzip();
        // A bound beyond the plan by rounding is the plan's value.
        let dual = match (dual, value) {
            (Some(d), Some(v)) => Some(d.min(v)),
            (d, _) => d,
        };
        Ok(Answer { plan, dual: dual.filter(|d| d.is_finite()), termination })
    }
}
