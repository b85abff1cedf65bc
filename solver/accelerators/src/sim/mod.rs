//! A discrete-event simulator of a cluster: a method over arrivals. All its figures are simulated.
//!
//! MAPA's policies decide when a job comes or ends: jobs wait in the order of arrival, the first that
//! finds no room holds up all others, and whoever runs keeps its accelerators to its end. Synergy's
//! mechanisms decide every [`ROUND`]: all jobs that have not ended are sorted, shared out to anew,
//! and run at the speed that their share gives until the next round; moving costs nothing, and what a
//! job leaves when it ends within a round stays idle until the next.

mod events;
mod report;
mod rounds;

pub use report::{Finished, Report};

use crate::error::AcceleratorError;
use crate::solver::Method;
use crate::synergy::Order;
use ecomap_instances::accelerators::Workload;

/// Length of a round, s (Synergy).
pub const ROUND: f64 = 300.0;

/// Plays a method over a workload. The same workload gives the same report.
///
/// # Errors
/// [`AcceleratorError::Question`] when the method answers the other question,
/// [`AcceleratorError::FitsNowhere`] for a job that even an empty cluster does not take, or a solver's.
pub fn run(workload: &Workload, method: Method, order: Order) -> Result<Report, AcceleratorError> {
    let (takes, asked) = (method.question(), workload.question());
    if takes != asked {
        return Err(AcceleratorError::Question {
            method: method.name(),
            takes: takes.as_str(),
            asked: asked.as_str(),
        });
    }
    let finished = match method {
        Method::Mapa(policy) => events::run(workload, policy)?,
        Method::Synergy(mechanism) => rounds::run(workload, mechanism, order)?,
    };
    Ok(Report::new(workload, finished))
}

#[cfg(test)]
mod tests;
