//! Jobs for accelerators in the pipeline: their solvers by name, what a plan means, and the checker
//! of placements.

use crate::ServiceError;
use crate::pipeline::Priced;
use ecomap_accelerators::check::check;
use ecomap_accelerators::solver::Scheduler;
use ecomap_accelerators::{AcceleratorError, Method, Placement, Problem, methods};
use ecomap_instances::ids::JobIx;
use ecomap_instances::plan::Assignment;
use ecomap_solver::{Solution, SolverError};
use std::sync::Arc;

/// Most placements that the notes of a result list.
const MOST_NOTES: usize = 64;

impl From<AcceleratorError> for ServiceError {
    fn from(error: AcceleratorError) -> Self {
        match error {
            AcceleratorError::Invalid(issues) => Self::Invalid(issues),
            AcceleratorError::Solver(error) => Self::Solver(error),
            other => Self::Usage(other.to_string()),
        }
    }
}

/// Whether there is a solver of that name, for whatever kind of problem.
///
/// # Errors
/// [`SolverError::UnknownSolver`] with all names.
pub fn known(name: &str) -> Result<(), SolverError> {
    match (Method::parse(name), ecomap_solver::by_name(name)) {
        (Some(_), _) | (None, Ok(_)) => Ok(()),
        (None, Err(SolverError::UnknownSolver { name, known })) => {
            let own: Vec<&str> = methods().iter().map(|(name, ..)| *name).collect();
            Err(SolverError::UnknownSolver { name, known: format!("{known}, {}", own.join(", ")) })
        }
        (None, Err(other)) => Err(other),
    }
}

/// The scheduler of that name on this problem; `None` when it is another solver's name.
///
/// # Errors
/// [`SolverError::Unsupported`] for problems that are no jobs for accelerators, and for the wrong
/// question.
pub(crate) fn scheduler(priced: &Priced, name: Option<&str>) -> Result<Option<Scheduler>, ServiceError> {
    let Some(method) = name.and_then(Method::parse) else { return Ok(None) };
    let Some(problem) = &priced.accelerators else {
        let what = "problems other than ecomap.accelerator-jobs/v1".to_owned();
        return Err(SolverError::Unsupported { solver: method.name(), what }.into());
    };
    let scheduler = Scheduler::new(Arc::clone(problem), method).map_err(|error| match error {
        AcceleratorError::Question { method, .. } => {
            SolverError::Unsupported { solver: method, what: error.to_string() }.into()
        }
        other => ServiceError::from(other),
    })?;
    Ok(Some(scheduler))
}

/// Who runs where, in words.
pub(crate) fn notes(priced: &Priced, solution: &Solution) -> Vec<String> {
    let (Some(problem), Some(plan)) = (&priced.accelerators, &solution.assignment) else { return Vec::new() };
    let placed = problem.placements(plan);
    let more = placed.len().saturating_sub(MOST_NOTES);
    let mut notes: Vec<String> =
        placed.iter().take(MOST_NOTES).map(|(job, placement)| line(problem, *job, placement)).collect();
    if more > 0 {
        notes.push(format!("and {more} more placements"));
    }
    notes
}

fn line(problem: &Problem, job: JobIx, placement: &Placement) -> String {
    let workload = problem.workload();
    let parts: Vec<String> = placement
        .parts
        .iter()
        .map(|part| {
            let numbers: Vec<String> = part.accelerators.iter().map(ToString::to_string).collect();
            format!("{} accelerators {}", workload.servers()[part.server.at()].id, numbers.join("-"))
        })
        .collect();
    let links = placement.effective.map_or_else(String::new, |e| format!(", {e:.1} GB/s effective"));
    format!(
        "{}: {}{links}, {:.1} CPUs, {:.1} GB, speed {:.3}",
        workload.job(job).id,
        parts.join(" + "),
        placement.cpus,
        placement.memory,
        placement.speed
    )
}

/// What the checker of placements has against a plan.
pub(crate) fn findings(priced: &Priced, plan: &Assignment) -> Vec<String> {
    let problem = priced.accelerators.as_ref();
    problem.map_or_else(Vec::new, |p| check(p.workload(), &p.placements(plan)))
}
