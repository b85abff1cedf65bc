//! The policies behind the workspace's `Solver` trait.

use crate::check::check;
use crate::error::AcceleratorError;
use crate::mapa::{self, Policy};
use crate::problem::Problem;
use crate::state::{Free, Placement};
use crate::synergy::{Mechanism, share_out};
use ecomap_instances::Instance;
use ecomap_instances::accelerators::Question;
use ecomap_instances::ids::JobIx;
use ecomap_instances::plan::{Status, Termination};
use ecomap_solver::solution::instance_hash;
use ecomap_solver::{Certificate, Observer, Solution, SolveOptions, Solver, SolverError, checker};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A policy, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// MAPA.
    Mapa(Policy),
    /// Synergy, jobs in the order of their arrival.
    Synergy(Mechanism),
}

/// Every name: the methods', and `mapa` and `synergy` for the one that its paper proposes.
#[must_use]
pub fn methods() -> &'static [(&'static str, &'static str, Method)] {
    const P: [Policy; 4] = Policy::ALL;
    const M: [Mechanism; 5] = Mechanism::ALL;
    &[
        ("mapa", "jobs for accelerators: mapa:preserve", Method::Mapa(P[3])),
        ("mapa:baseline", "jobs for accelerators: lowest free numbers", Method::Mapa(P[0])),
        ("mapa:topo-aware", "jobs for accelerators: inside one block when it fits", Method::Mapa(P[1])),
        ("mapa:greedy", "jobs for accelerators: highest aggregated bandwidth", Method::Mapa(P[2])),
        ("mapa:preserve", "jobs for accelerators: bandwidth for those that need it", Method::Mapa(P[3])),
        ("synergy", "jobs for accelerators: synergy:tune", Method::Synergy(M[1])),
        ("synergy:proportional", "jobs for accelerators: CPUs and memory by GPUs", Method::Synergy(M[0])),
        ("synergy:tune", "jobs for accelerators: CPUs and memory by sensitivity", Method::Synergy(M[1])),
        ("synergy:opt", "jobs for accelerators: MILP, fractional placement, rounding", Method::Synergy(M[2])),
        ("synergy:drf", "jobs for accelerators: dominant resource fairness", Method::Synergy(M[3])),
        ("synergy:tetris", "jobs for accelerators: packing by alignment", Method::Synergy(M[4])),
    ]
}

impl Method {
    /// The method of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        methods().iter().find(|(known, ..)| *known == name).map(|(.., method)| *method)
    }

    /// Its full name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let own = methods().iter().rev().find(|(.., method)| *method == self);
        own.map_or("mapa", |(name, ..)| name)
    }

    /// What it decides.
    #[must_use]
    pub const fn question(self) -> Question {
        match self {
            Self::Mapa(_) => Question::Topology,
            Self::Synergy(_) => Question::Resources,
        }
    }
}

/// A method on a problem. It solves that problem's instance, none else.
#[derive(Debug, Clone)]
pub struct Scheduler {
    problem: Arc<Problem>,
    method: Method,
}

impl Scheduler {
    /// A scheduler.
    ///
    /// # Errors
    /// [`AcceleratorError::Question`] when the method answers the other question.
    pub fn new(problem: Arc<Problem>, method: Method) -> Result<Self, AcceleratorError> {
        let (takes, asked) = (method.question(), problem.workload().question());
        if takes != asked {
            return Err(AcceleratorError::Question {
                method: method.name(),
                takes: takes.as_str(),
                asked: asked.as_str(),
            });
        }
        Ok(Self { problem, method })
    }

    /// Places the jobs, and remarks on it.
    fn place(&self) -> Result<(Placed, Vec<String>), AcceleratorError> {
        let workload = self.problem.workload();
        let queue: Vec<JobIx> = (0..workload.jobs().len()).map(JobIx::new).collect();
        match self.method {
            Method::Mapa(policy) => {
                let mut free = Free::new(workload);
                let mut placed = Vec::new();
                for job in queue {
                    let own = workload.job(job);
                    if let Some(p) = mapa::place(policy, workload, self.problem.table(), &free, own) {
                        free.take(&p);
                        placed.push((job, p));
                    }
                }
                Ok((placed, Vec::new()))
            }
            Method::Synergy(mechanism) => {
                let round = share_out(mechanism, workload, self.problem.demands(), &queue)?;
                let notes = round.bound.map(|bound| {
                    format!(
                        "phase 1: sum of speeds at most {bound:.6} for the jobs chosen, {:.6} after placement; \
                         phase 2 split {} jobs",
                        round.speed(),
                        round.fragmented
                    )
                });
                Ok((round.placements(workload), notes.into_iter().collect()))
            }
        }
    }
}

/// Who is placed, and where.
type Placed = Vec<(JobIx, Placement)>;

impl Solver for Scheduler {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn summary(&self) -> &'static str {
        methods().iter().find(|(.., m)| *m == self.method).map_or("", |(_, summary, _)| summary)
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        _: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        let unsupported = |what: String| SolverError::Unsupported { solver: self.name(), what };
        let begun = options.clock.now();
        let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
        if instance != self.problem.instance() {
            return Err(unsupported("instances other than that of its workload".to_owned()));
        }
        let (placed, mut notes) = self.place().map_err(|error| match error {
            AcceleratorError::Solver(error) => error,
            other => unsupported(other.to_string()),
        })?;
        let broken = check(self.problem.workload(), &placed);
        notes.extend(broken.iter().map(|b| format!("not kept: {b}")));
        let assignment = self.problem.assignment(&placed).filter(|_| broken.is_empty());
        let verdict = assignment.as_ref().map(|plan| checker::check(instance, plan, &objective));
        let verdict = verdict.filter(checker::Verdict::passes);
        let assignment = assignment.filter(|_| verdict.is_some());
        notes.push(format!(
            "{} of {} jobs run, the others wait",
            placed.len(),
            self.problem.workload().jobs().len()
        ));
        Ok(Solution {
            solver: self.name(),
            status: if verdict.is_some() { Status::Feasible } else { Status::TimeoutNoSolution },
            objective,
            certificate: Certificate {
                primal: verdict.as_ref().map(|v| v.evaluation.value),
                dual: None,
                termination: Termination::HeuristicEnd,
                nodes: 0,
                cuts: 0,
                seed: options.seed,
                instance_hash: instance_hash(instance),
                method: "heuristic",
                levels: Vec::new(),
            },
            assignment,
            verdict,
            reduction: None,
            timings: BTreeMap::from([("solve", options.clock.now().saturating_sub(begun))]),
            notes,
        })
    }
}
