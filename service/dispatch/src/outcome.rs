//! What came of a dispatch.

use ecomap_instances::format::agent_v1::{AgentProblemDto, CommittedDto, PreparedDto};
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::format::scenario_v1::SegmentDto;
use std::time::Duration;

/// What came of a dispatch.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All boards run the plan.
    Committed {
        /// By board, in the order given.
        boards: Vec<Done>,
        /// Until all were prepared.
        prepare: Duration,
        /// From then until all had switched.
        commit: Duration,
    },
    /// No board runs the plan: one refused, or was lost before anything was switched. All run what they ran before.
    RolledBack {
        /// Boards that refused, with what a re-solve should leave out.
        refused: Vec<Refusal>,
        /// Boards that did not answer in time: to be solved without.
        lost: Vec<Lost>,
    },
    /// Some boards run the plan and some do not, because one failed after the switching had begun. No board that would
    /// have drawn more switched after the failure. Solve anew, with this as the running state.
    Partial {
        /// Boards that run the plan.
        committed: Vec<Done>,
        /// Boards that run what they ran before.
        kept: Vec<String>,
        /// Boards that failed.
        failed: Vec<Failed>,
    },
}

/// A board that runs the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Board.
    pub device: String,
    /// What preparing took.
    pub prepared: PreparedDto,
    /// What switching took; a power mode that could not be raised is told here.
    pub committed: CommittedDto,
}

/// A board that refused a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Board.
    pub device: String,
    /// In its own words.
    pub problem: AgentProblemDto,
    /// What to leave out when solving anew; empty where leaving out does not help (a stale version).
    pub exclude: Vec<Exclusion>,
}

/// Something that a re-solve should leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// A way to run a tenant on a board.
    Option {
        /// Board.
        device: String,
        /// Power mode.
        mode: Option<String>,
        /// Tenant.
        tenant: String,
        /// Model family.
        family: String,
        /// Quality tier.
        tier: String,
        /// Placement.
        segments: Vec<SegmentDto>,
    },
    /// A power mode of a board.
    Mode {
        /// Board.
        device: String,
        /// Power mode.
        mode: String,
    },
    /// The board.
    Board {
        /// Board.
        device: String,
    },
}

/// A board that does not answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    /// Board.
    pub device: String,
    /// What is known.
    pub reason: String,
    /// What it may be drawing: what its old plan says; `None`: not known. Its site cannot spend this elsewhere until
    /// the board's budget has expired.
    pub may_draw_w: Option<f64>,
}

/// A board that failed after the switching had begun.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// Board.
    pub device: String,
    /// What is known.
    pub reason: String,
    /// Whether it may have switched: `None`: not known, because it does not answer.
    pub switched: Option<bool>,
    /// The most that it may be drawing, under the old plan or the new one; `None`: not known.
    pub may_draw_w: Option<f64>,
    /// What to leave out when solving anew.
    pub exclude: Vec<Exclusion>,
}

/// What a re-solve should leave out after `problem`, in answer to `orders`.
#[must_use]
pub fn exclusions(orders: &OrdersDto, problem: &AgentProblemDto) -> Vec<Exclusion> {
    let device = || orders.device.clone();
    match problem.code.as_str() {
        // Stale, conflict, not prepared, running, busy, renewal, signature: the plan is not at fault.
        "E1750" | "E1751" | "E1753" | "E1754" | "E1755" | "E1759" | "E1762" => return Vec::new(),
        "E1756" | "E1757" => {
            let modes =
                orders.mode.iter().map(|mode| Exclusion::Mode { device: device(), mode: mode.clone() });
            return modes.collect();
        }
        _ => {}
    }
    let mut found: Vec<Exclusion> = Vec::new();
    let mut whole = problem.refusals.is_empty();
    for refusal in &problem.refusals {
        let task = orders.tasks.iter().find(|t| Some(&t.tenant) == refusal.tenant.as_ref());
        let Some(task) = task else {
            whole = true;
            continue;
        };
        let exclusion = Exclusion::Option {
            device: device(),
            mode: orders.mode.clone(),
            tenant: task.tenant.clone(),
            family: task.family.clone(),
            tier: task.tier.clone(),
            segments: task.segments.clone(),
        };
        if !found.contains(&exclusion) {
            found.push(exclusion);
        }
    }
    // Something that concerns the board as a whole, and nothing narrower that could be left out instead.
    if whole && found.is_empty() {
        found.push(Exclusion::Board { device: device() });
    }
    found
}
