//! What a solver returns.

use crate::checker::Verdict;
use ecomap_instances::format::result_v1::ReductionDto;
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Status, Termination, relative_gap};
use ecomap_instances::{Objective, format::instance_v1};
use std::collections::BTreeMap;
use std::time::Duration;

/// How good a plan is, and how that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// Value of the plan in the objective's sense, recomputed by the checker.
    pub primal: Option<f64>,
    /// No plan is better than this.
    pub dual: Option<f64>,
    /// Why the search ended.
    pub termination: Termination,
    /// Branch-and-bound nodes.
    pub nodes: u64,
    /// Cuts added by Ecomap itself.
    pub cuts: u64,
    /// Seed.
    pub seed: u64,
    /// SHA-256 of the instance.
    pub instance_hash: String,
    /// How the solver got there.
    pub method: &'static str,
    /// Levels of a lexicographic objective.
    pub levels: Vec<Level>,
}

impl Certificate {
    /// Relative gap, when both bounds are known.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        Some(relative_gap(self.primal?, self.dual?))
    }
}

/// One level of a lexicographic objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Term minimised.
    pub term: Term,
    /// Value reached.
    pub primal: f64,
    /// Bound, given the levels above.
    pub dual: Option<f64>,
}

/// The answer of a solver.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Name of the solver.
    pub solver: &'static str,
    /// What is known.
    pub status: Status,
    /// The objective that was optimised.
    pub objective: Objective,
    /// The plan; `None` when infeasible or none was found.
    pub assignment: Option<Assignment>,
    /// The checker's verdict on the plan.
    pub verdict: Option<Verdict>,
    /// How good it is.
    pub certificate: Certificate,
    /// Options dropped before solving.
    pub reduction: Option<ReductionDto>,
    /// Wall-clock time by step.
    pub timings: BTreeMap<&'static str, Duration>,
    /// Remarks for people.
    pub notes: Vec<String>,
}

/// The hash that certificates carry.
#[must_use]
pub fn instance_hash(instance: &ecomap_instances::Instance) -> String {
    instance_v1::hash(instance)
}
