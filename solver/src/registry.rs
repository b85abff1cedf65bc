//! The solvers, by name. Adding a baseline is one line in [`baselines`].

use crate::baselines;
use crate::error::SolverError;
use crate::exact::Exact;
use crate::solve::Solver;
use std::sync::OnceLock;

/// Every solver, the default first.
#[must_use]
pub fn solvers() -> &'static [&'static dyn Solver] {
    static EXACT: Exact = Exact::new();
    static ALL: OnceLock<Vec<&'static dyn Solver>> = OnceLock::new();
    ALL.get_or_init(|| std::iter::once(&EXACT as &dyn Solver).chain(baselines::ALL.iter().copied()).collect())
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
