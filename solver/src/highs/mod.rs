//! HiGHS with what its wrappers hide: bounds, node count, the reason it stopped, progress and
//! interruption from callbacks, and named model files.

mod ffi;

use crate::error::SolverError;
use crate::solve::{CancelToken, Incumbent};
use ::highs::{HighsModelStatus, HighsStatus, Model, SolvedModel};
use ecomap_instances::plan::Termination;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
pub use ffi::version;
pub(crate) use ffi::{set_bounds, set_coefficient, set_offset, write_named};

/// Limits and settings of one run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Relative gap.
    pub gap: f64,
    /// Time left; HiGHS' own limit and the callback's deadline.
    pub time_limit: Option<Duration>,
    /// Branch-and-bound nodes.
    pub node_limit: Option<u64>,
    /// Seed.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// Cancellation.
    pub cancel: CancelToken,
    /// Time source.
    pub clock: Arc<dyn Clock>,
}

/// What a MIP run gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Column values of the final solution; `None` without one.
    pub columns: Option<Vec<f64>>,
    /// Best bound, in the model's own units (no offset); `None` when infinite.
    pub dual: Option<f64>,
    /// Branch-and-bound nodes.
    pub nodes: u64,
    /// Why it ended.
    pub termination: Termination,
}

/// Feasibility and integrality tolerance asked of HiGHS, ten times tighter than the checker's.
const TOLERANCE: f64 = 1e-7;

/// Heuristics of HiGHS that solve a smaller mixed-integer program.
const SUB_PROGRAMS: [&str; 3] =
    ["mip_heuristic_run_rens", "mip_heuristic_run_rins", "mip_heuristic_run_root_reduced_cost"];

/// HiGHS' `kSolutionStatusFeasible`.
const FEASIBLE: i64 = 2;

/// Solves a MIP.
///
/// `progress` is called from the solving thread with bounds in the model's units, `improved` with the column
/// values of each better solution.
///
/// # Errors
/// [`SolverError::Highs`] when HiGHS refuses a call.
pub fn solve_mip(
    mut model: Model,
    start: Option<&[f64]>,
    settings: &Settings,
    progress: &mut dyn FnMut(&Incumbent),
    improved: &mut dyn FnMut(&[f64]),
) -> Result<Outcome, SolverError> {
    set(&mut model, "output_flag", false)?;
    set(&mut model, "mip_rel_gap", settings.gap)?;
    set(&mut model, "mip_abs_gap", 1e-9)?;
    set(&mut model, "mip_feasibility_tolerance", TOLERANCE)?;
    set(&mut model, "primal_feasibility_tolerance", TOLERANCE)?;
    set(&mut model, "random_seed", i32::try_from(settings.seed & 0x7fff_ffff).unwrap_or(0))?;
    set(&mut model, "threads", i32::try_from(settings.threads.max(1)).unwrap_or(1))?;
    set(&mut model, "parallel", if settings.threads > 1 { "on" } else { "off" })?;
    if let Some(nodes) = settings.node_limit {
        set(&mut model, "mip_max_nodes", i32::try_from(nodes).unwrap_or(i32::MAX))?;
    }
    if let Some(limit) = settings.time_limit {
        set(&mut model, "time_limit", limit.as_secs_f64().max(0.0))?;
    }
    set(&mut model, "mip_allow_restart", false)?;
    if let Some(start) = start {
        // In presolve, its own or that of its heuristics' smaller programs, HiGHS 1.16 was seen to stay in
        // `HPresolve::strengthenInequalities` for more than twenty minutes, out of reach of limits and callbacks. Programs
        // that come with a start are reduced already, and their start is better than what those heuristics find: they are
        // solved sooner without (`docs/src/performance.md`).
        set(&mut model, "presolve", "off")?;
        for heuristic in SUB_PROGRAMS {
            set(&mut model, heuristic, false)?;
        }
        model.try_set_solution(Some(start), None, None, None).map_err(refused("Highs_setSolution"))?;
    }
    ffi::match_threads(settings.threads.max(1));
    let deadline = settings.time_limit.map(|limit| settings.clock.now() + limit);
    let begun = settings.clock.now();
    let mut watch = ffi::Watch {
        stop: &|| settings.cancel.is_cancelled() || deadline.is_some_and(|d| settings.clock.now() >= d),
        progress: &mut |primal, dual, nodes| {
            progress(&Incumbent { primal, dual, nodes, elapsed: settings.clock.now().saturating_sub(begun) });
        },
        improved,
    };
    let solved = ffi::run_watched(model, &mut watch)?;
    outcome(&solved, settings)
}

fn outcome(solved: &SolvedModel, settings: &Settings) -> Result<Outcome, SolverError> {
    // The crate's own getter panics where HiGHS has set no status at all.
    let feasible = solved.int_info_value(c"primal_solution_status").is_ok_and(|s| s == FEASIBLE);
    let columns = feasible.then(|| solved.get_solution().columns().to_vec());
    let dual = solved.double_info_value(c"mip_dual_bound").ok().filter(|d| d.is_finite());
    let nodes = ffi::node_count(solved);
    let termination = match solved.status() {
        HighsModelStatus::Optimal | HighsModelStatus::ObjectiveBound | HighsModelStatus::ObjectiveTarget => {
            Termination::GapReached
        }
        HighsModelStatus::ModelEmpty => Termination::GapReached,
        HighsModelStatus::Infeasible | HighsModelStatus::UnboundedOrInfeasible => Termination::Infeasible,
        HighsModelStatus::ReachedInterrupt if settings.cancel.is_cancelled() => Termination::Cancelled,
        HighsModelStatus::ReachedInterrupt | HighsModelStatus::ReachedTimeLimit => Termination::TimeLimit,
        HighsModelStatus::ReachedSolutionLimit | HighsModelStatus::ReachedIterationLimit => {
            Termination::NodeLimit
        }
        other => return Err(SolverError::Highs { call: "Highs_run", status: other as i32 }),
    };
    Ok(Outcome { columns, dual, nodes, termination })
}

/// What an LP run gave.
#[derive(Debug)]
pub struct LpOutcome {
    /// Duals of the rows.
    pub row_duals: Vec<f64>,
    /// The model, to add columns to and solve again from its basis.
    pub model: SolvedModel,
}

/// Solves an LP; `None` when there is no optimum to read: it is infeasible, a limit or cancellation
/// stopped it, or HiGHS gave up on its numbers. The caller goes on with the multipliers it has.
///
/// # Errors
/// [`SolverError::Highs`] when HiGHS refuses a call.
pub fn solve_lp(
    mut model: Model,
    settings: &Settings,
    first: bool,
) -> Result<Option<LpOutcome>, SolverError> {
    set(&mut model, "output_flag", false)?;
    set(&mut model, "threads", i32::try_from(settings.threads.max(1)).unwrap_or(1))?;
    set(&mut model, "parallel", "off")?;
    set(&mut model, "presolve", if first { "choose" } else { "off" })?;
    // No limit of HiGHS' own: its clock runs on over the solves of one model. The callback stops it.
    ffi::match_threads(settings.threads.max(1));
    let deadline = settings.time_limit.map(|limit| settings.clock.now() + limit);
    let mut watch = ffi::Watch {
        stop: &|| settings.cancel.is_cancelled() || deadline.is_some_and(|d| settings.clock.now() >= d),
        progress: &mut |_, _, _| {},
        improved: &mut |_| {},
    };
    let model = match ffi::run_watched(model, &mut watch) {
        Ok(model) => model,
        Err(SolverError::Highs { call: "Highs_run", status }) => {
            tracing::warn!(status, "HiGHS gave up on a linear program");
            return Ok(None);
        }
        Err(other) => return Err(other),
    };
    match model.status() {
        HighsModelStatus::Optimal => {
            let solution = model.get_solution();
            Ok(Some(LpOutcome { row_duals: solution.dual_rows().to_vec(), model }))
        }
        _ => Ok(None),
    }
}

fn set<V: ::highs::HighsOptionValue>(
    model: &mut Model,
    name: &'static str,
    value: V,
) -> Result<(), SolverError> {
    model.try_set_option(name, value).map_err(|_| SolverError::Highs { call: name, status: -1 })
}

fn refused(call: &'static str) -> impl Fn(HighsStatus) -> SolverError {
    move |status| SolverError::Highs { call, status: status as i32 }
}
