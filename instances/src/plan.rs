//! Answers: who runs what where, and how good that is.

use crate::ids::{DeviceIx, ModeIx, OptionIx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An option taken, on a device when the option has a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pick {
    /// The option, index into the tenant's list.
    pub option: OptionIx,
    /// The device; `None` for options without a host.
    pub device: Option<DeviceIx>,
}

/// A plan in indices of its instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// Per tenant: what it runs, or `None` when it is shed.
    pub picks: Vec<Option<Pick>>,
    /// Per device: its mode, or `None` when it is off.
    pub modes: Vec<Option<ModeIx>>,
}

/// What is known about the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Proven best within the gap asked for.
    Optimal,
    /// A plan, with a bound, but the proof is not finished.
    Feasible,
    /// Proven that no plan exists.
    Infeasible,
    /// A limit was reached before any plan was found.
    TimeoutNoSolution,
}

impl Status {
    /// Name as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optimal => "optimal",
            Self::Feasible => "feasible",
            Self::Infeasible => "infeasible",
            Self::TimeoutNoSolution => "timeout_no_solution",
        }
    }
}

/// Why the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Termination {
    /// The gap asked for was reached.
    GapReached,
    /// Infeasibility was proven.
    Infeasible,
    /// The time limit ended it.
    TimeLimit,
    /// The node limit ended it.
    NodeLimit,
    /// The caller cancelled it.
    Cancelled,
    /// A heuristic ran to its end; it proves nothing.
    HeuristicEnd,
}

/// Relative gap between a primal and a dual bound, `|p − d| / max(|p|, 1e-9)`; 0 when equal.
#[must_use]
pub fn relative_gap(primal: f64, dual: f64) -> f64 {
    let distance = (primal - dual).abs();
    if distance <= 1e-9 { 0.0 } else { distance / primal.abs().max(1e-9) }
}
