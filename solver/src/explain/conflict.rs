//! An irreducible conflict: demands that cannot all hold, while any fewer of them can.
//!
//! `QuickXplain` (Junker 2004): the demands are halved, and what one half leaves to be explained is
//! sought in the other; each question is a mixed-integer program with no objective, which ends at
//! the first plan. A conflict of k among n demands takes about k·log(n/k) questions.

use super::demand::{Demand, only};
use crate::error::SolverError;
use crate::exact::Exact;
use crate::solve::{SolveOptions, Solver};
use ecomap_instances::instance::Instance;
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::Status;
use std::collections::BTreeSet;
use std::time::Duration;

/// A set of demands that cannot all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The demands, in their own order.
    pub demands: Vec<Demand>,
    /// Whether it is proven that none can be left out; not when a limit ended a question.
    pub irreducible: bool,
    /// Programs solved.
    pub questions: usize,
}

/// What the search for a conflict found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// All demands can hold together.
    None,
    /// Not even without any demand is there a plan: what the boards must do contradicts itself.
    Hardware,
    /// These cannot.
    Conflict(Conflict),
    /// A limit ended the search before it was known whether there is a conflict.
    Unknown,
}

struct Asker<'a> {
    instance: &'a Instance,
    options: &'a SolveOptions,
    deadline: Option<Duration>,
    questions: usize,
    unsure: bool,
}

impl Asker<'_> {
    /// Whether there is a plan within the demands; `None` when a limit came first.
    fn possible(&mut self, kept: &BTreeSet<Demand>) -> Result<Option<bool>, SolverError> {
        self.questions += 1;
        let left = self.deadline.map(|d| d.saturating_sub(self.options.clock.now()));
        if left.is_some_and(|l| l.is_zero()) || self.options.cancel.is_cancelled() {
            return Ok(None);
        }
        let variant = only(self.instance, kept).map_err(SolverError::Plan)?;
        let options = SolveOptions {
            objective: Some(Objective::Weighted(vec![(Term::Energy, 0.0)])),
            time_limit: left,
            gap: 1.0,
            warm_start: None,
            ..self.options.clone()
        };
        let solution = Exact::new().solve(&variant, &options, &mut ())?;
        Ok(match solution.status {
            Status::Optimal | Status::Feasible => Some(true),
            Status::Infeasible => Some(false),
            Status::TimeoutNoSolution => None,
        })
    }

    /// Whether `kept` is in conflict; when unknown, no, and the answer is not proven irreducible.
    fn conflicts(&mut self, kept: &BTreeSet<Demand>) -> Result<bool, SolverError> {
        let answer = self.possible(kept)?;
        self.unsure |= answer.is_none();
        Ok(answer == Some(false))
    }

    fn explain(
        &mut self,
        base: &BTreeSet<Demand>,
        fresh: bool,
        list: &[Demand],
    ) -> Result<BTreeSet<Demand>, SolverError> {
        if fresh && self.conflicts(base)? {
            return Ok(BTreeSet::new());
        }
        if let [one] = list {
            return Ok(BTreeSet::from([*one]));
        }
        let (first, second) = list.split_at(list.len() / 2);
        let with = |base: &BTreeSet<Demand>, more: &[Demand]| {
            base.iter().chain(more).copied().collect::<BTreeSet<Demand>>()
        };
        let late = self.explain(&with(base, first), !first.is_empty(), second)?;
        let early_base: BTreeSet<Demand> = base.union(&late).copied().collect();
        let early = self.explain(&early_base, !late.is_empty(), first)?;
        Ok(early.union(&late).copied().collect())
    }
}

/// Finds an irreducible conflict among the demands of `instance`.
///
/// `everyone`: with the demand that each tenant is served, whether or not it may be shed.
/// `options` gives limits, seed and clock; its objective and gap are not used.
///
/// # Errors
/// As the exact solver.
pub fn find(instance: &Instance, everyone: bool, options: &SolveOptions) -> Result<Found, SolverError> {
    let deadline = options.time_limit.map(|limit| options.clock.now() + limit);
    let mut asker = Asker { instance, options, deadline, questions: 0, unsure: false };
    let all = Demand::all(instance, everyone);
    let missing = all.iter().find(|d| match d {
        Demand::Serve(t) => instance.tenants.get(t.at()).is_some_and(|t| t.options.is_empty()),
        _ => false,
    });
    if let Some(one) = missing {
        return Ok(Found::Conflict(Conflict { demands: vec![*one], irreducible: true, questions: 0 }));
    }
    match asker.possible(&all.iter().copied().collect())? {
        Some(true) => return Ok(Found::None),
        None => return Ok(Found::Unknown),
        Some(false) => {}
    }
    if all.is_empty() || asker.conflicts(&BTreeSet::new())? {
        return Ok(Found::Hardware);
    }
    let demands = asker.explain(&BTreeSet::new(), false, &all)?;
    Ok(Found::Conflict(Conflict {
        demands: demands.into_iter().collect(),
        irreducible: !asker.unsure,
        questions: asker.questions,
    }))
}
