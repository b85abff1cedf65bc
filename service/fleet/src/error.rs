//! What can go wrong with a fleet.

use ecomap_solver::SolverError;
use thiserror::Error;

/// Why a fleet cannot go on, or cannot begin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No plan keeps the caps, whatever is shed and switched off.
    #[error(
        "no plan keeps the caps {caps}: tenants that may not be shed, or boards that may not be off, need more"
    )]
    Infeasible {
        /// The caps, for people.
        caps: String,
    },
    /// The limits ended the solve before any plan was found.
    #[error("no plan was found within the limits")]
    NoPlan,
    /// A plan that the checker refuses: nothing is published.
    #[error("the checker refuses a plan: {0}")]
    Refused(String),
    /// Groups that leave a site out, or hold it twice.
    #[error("site `{0}` must be in one budget group")]
    Site(String),
    /// As many intensities as the fleet has zones are needed.
    #[error("{got} intensities for {zones} zones")]
    Zones {
        /// Given.
        got: usize,
        /// Zones of the fleet.
        zones: usize,
    },
    /// Time runs backwards.
    #[error("a turn must be later than the one before")]
    Time,
    /// The solver refuses.
    #[error(transparent)]
    Solver(#[from] SolverError),
}
