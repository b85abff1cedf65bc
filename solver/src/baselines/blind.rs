//! The way of methods that place DNNs on a board without regard to power, tiers or clusters: deal,
//! place board by board, repair by the common rule.

use super::board::{Board, Deal, boards};
use super::common::{Offer, Problem, finish, needs_devices};
use super::repair::repair;
use super::watch::Watch;
use crate::columns::Column;
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// A method at work on one board: its limits, and where it leaves better placements.
pub(crate) struct Desk<'w, 'a, 'o> {
    watch: &'w mut Watch<'a, 'o>,
    trace: Option<Trace<'w>>,
}

/// Where better placements go.
struct Trace<'w> {
    problem: &'w Problem<'w>,
    /// What is wanted so far, by tenant, on all boards.
    wanted: &'w mut Vec<Option<Column>>,
}

impl Desk<'_, '_, '_> {
    /// Counts one iteration. `false`: stop now and answer with what there is.
    pub(crate) fn step(&mut self) -> bool {
        self.watch.step()
    }

    /// The seed of the solve.
    pub(crate) fn seed(&self) -> u64 {
        self.watch.options().seed
    }

    /// A remark for the reader.
    pub(crate) fn note(&mut self, note: String) {
        if !self.watch.notes.contains(&note) {
            self.watch.notes.push(note);
        }
    }

    /// Leaves a placement, one seat a job, that is better by the method's own measure. Its repaired
    /// form enters the trace.
    pub(crate) fn better(&mut self, board: &Board, seats: &[usize]) {
        let Some(trace) = self.trace.as_mut().filter(|_| self.watch.traces()) else { return };
        for (job, seat) in board.jobs.iter().zip(seats) {
            trace.wanted[job.tenant.at()] = job.seats.get(*seat).map(|s| s.column);
        }
        let (state, _) = repair(trace.problem, trace.wanted, self.watch);
        self.watch.offer(&state.assignment());
    }
}

/// Solves with `place`, which gives each job of a board the position of its seat. It begins with
/// every job on its fastest seat, so that a method that is stopped at once has an answer.
pub(crate) fn solve(
    solver: &dyn Solver,
    instance: &Instance,
    options: &SolveOptions,
    observer: &mut dyn Observer,
    deal: Deal,
    place: impl Fn(&Board, &mut Desk<'_, '_, '_>) -> Vec<usize>,
) -> Result<Solution, SolverError> {
    needs_devices(solver.name(), instance)?;
    finish(
        solver,
        instance,
        options,
        observer,
        Offer::Admissible,
        |_| true,
        |problem, watch| {
            let boards = boards(problem, deal);
            let mut wanted = vec![None; problem.columns.len()];
            for job in boards.iter().flat_map(|b| &b.jobs) {
                wanted[job.tenant.at()] = job.seats.first().map(|s| s.column);
            }
            for board in &boards {
                if watch.over() {
                    break;
                }
                let trace = Some(Trace { problem, wanted: &mut wanted });
                let mut desk = Desk { watch: &mut *watch, trace };
                let seats = place(board, &mut desk);
                for (job, seat) in board.jobs.iter().zip(seats) {
                    wanted[job.tenant.at()] = job.seats.get(seat).map(|s| s.column);
                }
            }
            let (state, change) = repair(problem, &wanted, watch);
            watch.notes.push(change.note());
            Ok(state.assignment())
        },
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ecomap_instances::format::instance_v1;

    /// Runs a method's placement without limits; better placements on the way are dropped.
    pub(crate) fn on_desk<T>(work: impl FnOnce(&mut Desk<'_, '_, '_>) -> T) -> T {
        let text = r#"{"format": "ecomap.instance/v1", "name": "none", "tenants": [
            {"id": "a", "priority": 1, "shed": {"allowed": true}, "options": []}]}"#;
        let instance = instance_v1::read(text.as_bytes()).unwrap();
        let options = SolveOptions { time_limit: None, ..SolveOptions::default() };
        let mut nobody = ();
        let mut watch = Watch::new(&instance, &options, &instance.objective, &mut nobody);
        work(&mut Desk { watch: &mut watch, trace: None })
    }
}
