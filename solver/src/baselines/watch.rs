//! What every heuristic watches while it works: the limits of its caller, and the trace it leaves.

use crate::checker;
use crate::solve::{Incumbent, Observer, SolveOptions};
use ecomap_instances::plan::{Assignment, Termination};
use ecomap_instances::{Instance, Objective};
use std::time::Duration;

/// Most entries of a trace; a plan is checked for each.
const MOST_REPORTS: u32 = 200;

/// A heuristic at work.
pub(crate) struct Watch<'a, 'o> {
    instance: &'a Instance,
    options: &'a SolveOptions,
    objective: &'a Objective,
    observer: &'o mut dyn Observer,
    begun: Duration,
    deadline: Option<Duration>,
    work: u64,
    ended: Option<Termination>,
    reports: u32,
    last: Option<f64>,
    /// Remarks for the reader of the solution.
    pub(crate) notes: Vec<String>,
}

impl<'a, 'o> Watch<'a, 'o> {
    pub(crate) fn new(
        instance: &'a Instance,
        options: &'a SolveOptions,
        objective: &'a Objective,
        observer: &'o mut dyn Observer,
    ) -> Self {
        let begun = options.clock.now();
        Self {
            instance,
            options,
            objective,
            observer,
            begun,
            deadline: options.time_limit.map(|limit| begun + limit),
            work: 0,
            ended: None,
            reports: 0,
            last: None,
            notes: Vec::new(),
        }
    }

    /// The caller's wishes.
    pub(crate) fn options(&self) -> &'a SolveOptions {
        self.options
    }

    /// When to stop, on the caller's clock.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Iterations so far.
    pub(crate) fn work(&self) -> u64 {
        self.work
    }

    /// Why the search was cut short, if it was.
    pub(crate) fn ended(&self) -> Option<Termination> {
        let cancelled = self.options.cancel.is_cancelled().then_some(Termination::Cancelled);
        self.ended.or(cancelled)
    }

    /// Iterations that the caller still allows; `None`: as many as the method wants.
    pub(crate) fn left(&self) -> Option<u64> {
        self.options.work_limit.map(|limit| limit.saturating_sub(self.work))
    }

    /// Whether the caller wants an end; asks cancellation and time.
    pub(crate) fn over(&mut self) -> bool {
        if self.ended.is_none() {
            if self.options.cancel.is_cancelled() {
                self.ended = Some(Termination::Cancelled);
            } else if self.deadline.is_some_and(|d| self.options.clock.now() >= d) {
                self.ended = Some(Termination::TimeLimit);
            }
        }
        matches!(self.ended, Some(Termination::Cancelled | Termination::TimeLimit))
    }

    /// Counts one iteration. `false` when it may not be made: a limit is reached.
    pub(crate) fn step(&mut self) -> bool {
        if self.over() {
            return false;
        }
        if self.left() == Some(0) {
            self.ended = Some(Termination::NodeLimit);
            return false;
        }
        self.work += 1;
        true
    }

    /// Counts iterations that were made elsewhere within [`left`](Self::left).
    pub(crate) fn count(&mut self, iterations: u64) {
        self.work += iterations;
    }

    /// Whether the trace has room for another entry.
    pub(crate) fn traces(&self) -> bool {
        self.reports < MOST_REPORTS
    }

    /// Adds a plan to the trace if it passes the checker. A method that follows a measure of its own
    /// offers the plans that are better by that measure.
    pub(crate) fn offer(&mut self, plan: &Assignment) {
        if !self.traces() {
            return;
        }
        let verdict = checker::check(self.instance, plan, self.objective);
        if !verdict.passes() {
            return;
        }
        self.reports += 1;
        self.report(verdict.evaluation.value);
        self.observer.plan(plan);
    }

    /// Ends the trace with the value of the plan that is returned.
    pub(crate) fn close(&mut self, primal: Option<f64>) {
        if let Some(value) = primal.filter(|p| self.last != Some(*p)) {
            self.report(value);
        }
    }

    fn report(&mut self, value: f64) {
        self.last = Some(value);
        self.observer.progress(&Incumbent {
            primal: Some(value),
            dual: None,
            nodes: self.work,
            elapsed: self.options.clock.now().saturating_sub(self.begun),
        });
    }
}
