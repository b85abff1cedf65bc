//! Pareto frontiers of a priced problem, as JSON, CSV and SVG.

pub mod csv;
pub mod svg;

use crate::ServiceError;
use crate::pipeline::Priced;
use ecomap_instances::format::frontier_v1::FrontierDto;
use ecomap_solver::SolveOptions;
use ecomap_solver::frontier::{Axes, find};
use ecomap_solver::report::to_frontier;

/// The gap to ask for when the caller does not say.
pub const DEFAULT_GAP: f64 = 1e-3;

/// What to find.
#[derive(Debug, Clone)]
pub struct Question {
    /// The two terms.
    pub axes: Axes,
    /// Points wanted; 0: the supported ones.
    pub points: usize,
    /// Distance from the outer line at which a segment counts as proven, as a share of the axes'
    /// spans; [`DEFAULT_GAP`] when `None`.
    pub gap: Option<f64>,
    /// Limits, seed and clock of the whole.
    pub options: SolveOptions,
}

/// Finds the frontier of `priced`.
///
/// # Errors
/// What the solver refuses.
pub fn find_in(priced: &Priced, question: &Question) -> Result<FrontierDto, ServiceError> {
    let options = SolveOptions { gap: question.gap.unwrap_or(DEFAULT_GAP), ..question.options.clone() };
    let frontier = find(&priced.instance, question.axes, question.points, &options)?;
    Ok(to_frontier(&priced.instance, &frontier, &priced.name, options.seed, priced.versions.clone()))
}
