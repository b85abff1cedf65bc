//! The solvers, by name. Adding one is one line here.

use crate::baselines;
use crate::error::SolverError;
use crate::exact::Exact;
use crate::solve::Solver;

/// Every solver, the default first.
#[must_use]
pub fn solvers() -> &'static [&'static dyn Solver] {
    const EXACT: Exact = Exact::new();
    &[
        &EXACT,
        &baselines::Greedy,
        &baselines::GpuOnly,
        &baselines::RoundRobin,
        &baselines::LocalSearch,
        &baselines::Annealing,
        &baselines::EcomapLoop,
        &baselines::OmniBoost,
        &baselines::RankMap,
        &baselines::Mosaic,
        &baselines::Odmdef,
        &baselines::HaxConn,
        &baselines::Herald,
        &baselines::H2h,
        &baselines::Band,
        &baselines::Magma,
        &baselines::Clover,
        &baselines::Proteus,
    ]
}

/// The solver named `name`.
///
/// # Errors
/// [`SolverError::UnknownSolver`] with the names known.
pub fn by_name(name: &str) -> Result<&'static dyn Solver, SolverError> {
    solvers().iter().copied().find(|s| s.name() == name).ok_or_else(|| SolverError::UnknownSolver {
        name: name.chars().take(64).collect(),
        known: solvers().iter().map(|s| s.name()).collect::<Vec<_>>().join(", "),
    })
}
