//! Pareto frontiers of two terms: what one costs in the other, plan by plan, with a bound.
//!
//! A frontier is made in two phases (the two-phase method of bi-objective programming), each of
//! linear solves through `crate::scalar`:
//!
//! 1. *Supported points* by dichotomy: the plans at both ends, then for two neighbours on the hull the weighted
//!    sum that makes them worth the same. A better plan is a new supported point between them; none
//!    closes the segment. Every solve, finished or not, proves a [`HalfPlane`] that no plan lies
//!    outside of; together they are the outer line.
//! 2. *Points between them* by ε-constraints: the best weighted sum among the plans that are better
//!    than one neighbour in either term, by rows. A plan there is not dominated; none proves that
//!    the segment hides no further point.
//!
//! The plans in question are those that shed as little as any plan must, weighed as (18) weighs it:
//! else the cleanest plan would be the one that serves nobody. Prices (switching, soft latency
//! objectives) are on neither axis. All rows hold, frozen tenants and limits on moves included.

mod outer;
mod search;

pub use outer::HalfPlane;

use crate::checker;
use crate::error::SolverError;
use crate::exact::{Run, Strategy};
use crate::formulation::LevelRow;
use crate::pricing::Costs;
use crate::scalar::Scalar;
use crate::solution::instance_hash;
use crate::solve::SolveOptions;
use ecomap_instances::Instance;
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::{Assignment, Status, Termination};
use search::Search;

/// Most points that may be asked for.
pub const MOST_POINTS: usize = 1_000;

/// The two terms, both to be minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// Accuracy points lost (16) against gCO2e/h (13).
    AccuracyCarbon,
    /// gCO2e/h (13) against rate-weighted ms (15).
    CarbonDelay,
}

impl Axes {
    /// All pairs.
    pub const ALL: [Self; 2] = [Self::AccuracyCarbon, Self::CarbonDelay];

    /// Name, as on the command line and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccuracyCarbon => "accuracy-carbon",
            Self::CarbonDelay => "carbon-delay",
        }
    }

    /// By name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|axes| axes.as_str() == name)
    }

    /// The first term, ascending along the frontier.
    #[must_use]
    pub const fn x(self) -> Term {
        match self {
            Self::AccuracyCarbon => Term::Accuracy,
            Self::CarbonDelay => Term::Carbon,
        }
    }

    /// The second term, descending along the frontier.
    #[must_use]
    pub const fn y(self) -> Term {
        match self {
            Self::AccuracyCarbon => Term::Carbon,
            Self::CarbonDelay => Term::Latency,
        }
    }
}

/// A plan on the frontier.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontierPoint {
    /// The plan; it has passed the checker.
    pub plan: Assignment,
    /// Its value in the first term.
    pub x: f64,
    /// Its value in the second term.
    pub y: f64,
    /// Whether it is proven to minimise a weighted sum over all plans in question, within the gap.
    pub supported: bool,
    /// Weights of a sum that it minimises, or (where it is not supported) that it was found with, for
    /// the terms in their own units.
    pub weights: [f64; 2],
    /// Its value under these weights.
    pub value: f64,
    /// No plan in question has a lower one; for a point that is not supported, no plan that beats
    /// each of the two points between which it was found in one term. `None` when nothing is known.
    pub bound: Option<f64>,
}

/// A frontier, or the part of it that the limits allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontier {
    /// The terms.
    pub axes: Axes,
    /// What is known: `Optimal` when every supported point is found, within the gap.
    pub status: Status,
    /// Why the search ended.
    pub termination: Termination,
    /// Points, x ascending and y descending; none dominates another.
    pub points: Vec<FrontierPoint>,
    /// No plan in question lies outside of any of these.
    pub half_planes: Vec<HalfPlane>,
    /// Corners of their common border, x ascending, as far as the points reach.
    pub outer: Vec<[f64; 2]>,
    /// How far the outer line lies below the hull of the points, as a share of the axes' spans.
    pub gap: Option<f64>,
    /// Whether every supported point is there, within the gap.
    pub supported_complete: bool,
    /// Whether it is proven that no point is missing at all, supported or not.
    pub complete: bool,
    /// Whether it is proven that no plan sheds less (weighed as (18)) than these may.
    pub shed_proven: bool,
    /// Weighted sums solved.
    pub solves: u64,
    /// Branch-and-bound nodes of all of them.
    pub nodes: u64,
    /// SHA-256 of the instance.
    pub instance_hash: String,
    /// Remarks for people.
    pub notes: Vec<String>,
}

impl Frontier {
    fn empty(instance: &Instance, axes: Axes, termination: Termination) -> Self {
        let status = match termination {
            Termination::Infeasible => Status::Infeasible,
            _ => Status::TimeoutNoSolution,
        };
        Self {
            axes,
            status,
            termination,
            points: Vec::new(),
            half_planes: Vec::new(),
            outer: Vec::new(),
            gap: None,
            supported_complete: status == Status::Infeasible,
            complete: status == Status::Infeasible,
            shed_proven: status == Status::Infeasible,
            solves: 0,
            nodes: 0,
            instance_hash: instance_hash(instance),
            notes: Vec::new(),
        }
    }
}

/// Finds the frontier of `instance`: every supported point, then points between them until there
/// are `points` (at most [`MOST_POINTS`]); none of these for 0.
///
/// `options.gap` is the distance from the outer line at which a segment counts as proven, as a share
/// of the spans of both axes; objective and warm start are not used. The time limit is for the whole.
///
/// # Errors
/// [`SolverError::Unsupported`] without devices; else as the exact solver.
pub fn find(
    instance: &Instance,
    axes: Axes,
    points: usize,
    options: &SolveOptions,
) -> Result<Frontier, SolverError> {
    if instance.classes.is_empty() {
        let what = "frontiers of a problem without devices".to_owned();
        return Err(SolverError::Unsupported { solver: "frontier", what });
    }
    let options = SolveOptions {
        // Only for the remarks of inner solves; every solve has its own coefficients.
        objective: Some(Objective::Single(axes.x())),
        warm_start: None,
        ..options.clone()
    };
    let deadline = options.time_limit.map(|limit| options.clock.now() + limit);
    let shed = Costs::shedding(instance);
    let mut scalar = Scalar::new(instance, std::slice::from_ref(&shed), None, "frontier")?;
    let limited = SolveOptions { time_limit: options.time_limit.map(|t| t.mul_f64(0.3)), ..options.clone() };
    let mut quiet = ();
    let mut run = Run::new(instance, &limited, Strategy::DEFAULT, &mut quiet);
    let answer = scalar.minimise(&mut run, &shed, &[], None)?;
    let (spent_nodes, spent_solves) = (scalar.nodes, scalar.solves);
    let Some(plan) = &answer.plan else {
        return Ok(Frontier::empty(instance, axes, answer.termination));
    };
    let weight: f64 =
        plan.picks.iter().enumerate().filter(|(_, p)| p.is_none()).map(|(i, _)| shed.shed(i)).sum();
    // Serving everyone is a matter of leaving variables out; else it takes a row.
    let strict = if weight == 0.0 { everyone(instance)? } else { None };
    let (subject, rows) = match &strict {
        Some(strict) => (strict, Vec::new()),
        None => (instance, vec![LevelRow { costs: shed, at_most: weight + 1e-6 }]),
    };
    let mut search = Search::new(subject, axes, rows, &options, deadline)?;
    search.run(plan, points.min(MOST_POINTS))?;
    let mut frontier = search.finish(instance);
    frontier.shed_proven = answer.dual.is_some_and(|d| d >= weight - 1e-6);
    frontier.nodes += spent_nodes;
    frontier.solves += spent_solves;
    for point in &frontier.points {
        let verdict = checker::check(instance, &point.plan, &Objective::Single(axes.x()));
        if !verdict.passes() {
            return Err(SolverError::Rejected(verdict.summary()));
        }
    }
    Ok(frontier)
}

/// The instance in which nobody may be shed; `None` when it is that already.
fn everyone(instance: &Instance) -> Result<Option<Instance>, SolverError> {
    if instance.tenants.iter().all(|t| !t.shedding.allowed) {
        return Ok(None);
    }
    let mut parts = instance.to_parts();
    parts.tenants.iter_mut().for_each(|t| t.shedding.allowed = false);
    Instance::try_new(parts).map(Some).map_err(SolverError::Plan)
}
