//! The trait that every solver implements, and what callers may ask of it.

use crate::clock::{Clock, SystemClock};
use crate::error::SolverError;
use crate::solution::Solution;
use ecomap_instances::plan::Assignment;
use ecomap_instances::{Instance, Objective};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A way to stop a solve from outside. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks every solve that holds a clone to stop soon and keep the best plan it has.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a caller asks of a solver.
#[derive(Debug, Clone)]
pub struct SolveOptions {
    /// Objective; the instance's own when `None`.
    pub objective: Option<Objective>,
    /// Wall-clock limit.
    pub time_limit: Option<Duration>,
    /// Branch-and-bound nodes (exact) or iterations (heuristics); makes a run repeatable.
    pub work_limit: Option<u64>,
    /// Relative gap at which the search may stop.
    pub gap: f64,
    /// Seed of every random choice.
    pub seed: u64,
    /// Threads, at least 1.
    pub threads: u32,
    /// A plan to start from; it is used if it is feasible.
    pub warm_start: Option<Assignment>,
    /// Cancellation.
    pub cancel: CancelToken,
    /// Time source.
    pub clock: Arc<dyn Clock>,
}

/// The gap to ask for when the caller does not say: 1e-4 for priced scenarios, whose figures are
/// predictions; 1e-9 for problems of pure numbers, where the optimum itself is asked for.
#[must_use]
pub fn default_gap(instance: &Instance) -> f64 {
    if instance.classes.is_empty() { 1e-9 } else { 1e-4 }
}

impl Default for SolveOptions {
    fn default() -> Self {
        Self {
            objective: None,
            time_limit: Some(Duration::from_secs(60)),
            work_limit: None,
            gap: 1e-4,
            seed: 0,
            threads: 1,
            warm_start: None,
            cancel: CancelToken::default(),
            clock: SystemClock::shared(),
        }
    }
}

/// Progress: a better plan or a better bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incumbent {
    /// Value of the best plan so far, in the objective's sense.
    pub primal: Option<f64>,
    /// Best bound so far.
    pub dual: Option<f64>,
    /// Branch-and-bound nodes so far.
    pub nodes: u64,
    /// Time since the solve began.
    pub elapsed: Duration,
}

/// Receives progress. Calls come from the solving thread and must return quickly.
pub trait Observer {
    /// A better plan or bound was found.
    fn progress(&mut self, incumbent: &Incumbent);

    /// A plan that passes the checker, on the way; the one that a solve returns is not repeated.
    fn plan(&mut self, plan: &Assignment) {
        let _ = plan;
    }
}

/// Ignores progress.
impl Observer for () {
    fn progress(&mut self, _: &Incumbent) {}
}

impl<F: FnMut(&Incumbent)> Observer for F {
    fn progress(&mut self, incumbent: &Incumbent) {
        self(incumbent);
    }
}

/// A solver.
///
/// Every plan that `solve` returns has passed the [`checker`](crate::checker).
pub trait Solver: Send + Sync {
    /// Stable name, used on the command line and over HTTP.
    fn name(&self) -> &'static str;

    /// One line for people.
    fn summary(&self) -> &'static str;

    /// Whether it can prove optimality.
    fn is_exact(&self) -> bool;

    /// Solves `instance`.
    ///
    /// # Errors
    /// [`SolverError`] when the request cannot be handled. Infeasible problems and limits reached
    /// are statuses of the [`Solution`], not errors.
    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError>;
}
