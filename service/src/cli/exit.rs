//! Exit codes. They are part of the interface.

use crate::ServiceError;
use ecomap_estimator::EstimatorError;
use ecomap_instances::plan::Status;
use ecomap_solver::SolverError;
use std::process::ExitCode;

/// Shown under `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0   fine: a plan was found (optimal or feasible), the check passed, the document is valid
  2   usage: unknown option, file that cannot be read, unknown solver
  3   the input is not valid; every issue is printed with its code and place
  4   proven infeasible
  5   a limit was reached before any plan was found
  6   the check failed
  70  internal error; please report it

A FILE may be `-` for standard input, or the name of an embedded scenario (see `ecomap catalog`).";

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Fine.
    Ok = 0,
    /// Wrong usage, or a file that cannot be read or written.
    Usage = 2,
    /// Invalid input.
    Invalid = 3,
    /// Proven infeasible.
    Infeasible = 4,
    /// A limit before any plan.
    NoPlan = 5,
    /// The check failed.
    CheckFailed = 6,
    /// A bug.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The code for the status of a result.
    #[must_use]
    pub fn of_status(status: Status) -> Self {
        match status {
            Status::Optimal | Status::Feasible => Self::Ok,
            Status::Infeasible => Self::Infeasible,
            Status::TimeoutNoSolution => Self::NoPlan,
        }
    }

    /// The code for an error.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        let Some(error) = error.downcast_ref::<ServiceError>() else {
            return if error.is::<std::io::Error>() { Self::Usage } else { Self::Internal };
        };
        match error {
            ServiceError::Invalid(_)
            | ServiceError::UnknownFormat(_)
            | ServiceError::InputTooLarge { .. }
            | ServiceError::NotAScenario(_)
            | ServiceError::Solver(SolverError::Plan(_)) => Self::Invalid,
            ServiceError::NoTimeLeft => Self::NoPlan,
            ServiceError::Objective { .. }
            | ServiceError::NoSuchInput { .. }
            | ServiceError::Read { .. }
            | ServiceError::Write { .. }
            | ServiceError::Usage(_)
            | ServiceError::Bind { .. }
            | ServiceError::Store(_)
            | ServiceError::KeysNeeded { .. }
            | ServiceError::KeyFile { .. }
            | ServiceError::Estimator(
                EstimatorError::Io { .. } | EstimatorError::Model(_) | EstimatorError::Runtime(_),
            )
            | ServiceError::Solver(
                SolverError::Unsupported { .. }
                | SolverError::UnknownSolver { .. }
                | SolverError::Write { .. },
            ) => Self::Usage,
            _ => Self::Internal,
        }
    }
}
