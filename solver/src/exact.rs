//! `exact`: the MILP of `docs/src/formulation.md` solved with a proof.
//!
//! Small models go to HiGHS whole. Larger ones are bounded first by the pool relaxation
//! (`crate::relax`): with a plan of value U and a bound L, a column whose slack exceeds U − L is
//! in no better plan, so the core left over is all that HiGHS must see. Where even the core is too
//! large it is cut to the columns of least slack, and the certificate says so through its bound:
//!
//! any plan either uses core columns only, so it is no better than the core's bound, or it uses a
//! column left out, so it is no better than L + the least slack left out.

use crate::agents::Agents;
use crate::baselines::{Problem, above_floor, best_of_ladder, local, staying};
use crate::cdp;
use crate::checker::{self, Verdict};
use crate::columns::{self, Column};
use crate::contention::cut::Cut;
use crate::enumerate;
use crate::error::SolverError;
use crate::formulation::{Formulation, LevelRow, Shape};
use crate::highs::{self, Settings};
use crate::lns;
use crate::prices::{self, Effort};
use crate::pricing::Costs;
use crate::reduce;
use crate::relax::{Bound, Relaxation};
use crate::solution::{Certificate, Level, Solution, instance_hash};
use crate::solve::{Incumbent, Observer, SolveOptions, Solver};
use ecomap_instances::ids::TenantIx;
use ecomap_instances::instance::{Instance, Sense};
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::{Assignment, Status, Termination, relative_gap};
use std::collections::BTreeMap;
use std::time::Duration;

/// Columns up to which rows (2a) are written.
const DISAGGREGATE: usize = 12_000;
/// Columns of a core from which neighbourhoods come first.
const NEIGHBOURHOODS: usize = 300;
/// Relative slack granted to earlier levels of a lexicographic objective.
const LEVEL_SLACK: f64 = 1e-6;

/// When the exact solver changes its way of working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strategy {
    /// Columns up to which the whole model goes to HiGHS at once.
    pub direct: usize,
    /// Columns of the largest core that HiGHS gets.
    pub core: usize,
    /// Whether small problems under global capacities only are enumerated.
    pub enumerate: bool,
    /// Whether problems under global capacities only are priced first.
    pub prices: bool,
    /// Whether problems whose capacity rows split by agent are solved by knapsacks.
    pub agents: bool,
}

impl Strategy {
    /// What the registered solver uses.
    pub const DEFAULT: Self =
        Self { direct: 2_000, core: 20_000, enumerate: true, prices: true, agents: true };
}

/// Columns open after pricing, beyond one a tenant, from which on the time goes to moves first.
const OPEN: usize = 150;

/// The exact solver.
#[derive(Debug, Clone, Copy)]
pub struct Exact {
    strategy: Strategy,
}

impl Exact {
    /// The solver with its usual strategy.
    #[must_use]
    pub const fn new() -> Self {
        Self { strategy: Strategy::DEFAULT }
    }

    /// The solver with another strategy, to study or test one of its ways.
    #[must_use]
    pub const fn with_strategy(strategy: Strategy) -> Self {
        Self { strategy }
    }
}

impl Default for Exact {
    fn default() -> Self {
        Self::new()
    }
}

impl Solver for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn summary(&self) -> &'static str {
        "mixed-integer program by HiGHS, with a proven bound; column generation and a restricted core when large"
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        Run::new(instance, options, self.strategy, observer).solve(self.name())
    }
}

/// What one level gave, in minimised units with the constant included.
pub(crate) struct Reached {
    pub(crate) plan: Option<(Assignment, f64)>,
    pub(crate) dual: Option<f64>,
    pub(crate) nodes: u64,
    pub(crate) termination: Termination,
    pub(crate) method: &'static str,
}

/// What the columns of a program stand for, and so what its bound is worth.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    /// Every column: the bound is the bound.
    Whole,
    /// The columns near the relaxation's bound.
    Core {
        /// Bound of the relaxation over all columns.
        relaxed: f64,
        /// Least slack of the columns left out.
        outside: f64,
        /// Whether only columns that no better plan can use were left out.
        complete: bool,
    },
    /// A neighbourhood of a plan: its bound says nothing of the whole.
    Part {
        /// Bound of the relaxation over all columns.
        relaxed: f64,
    },
}

impl Scope {
    /// The bound on all plans, from the bound of the program.
    fn bound(self, dual: Option<f64>) -> Option<f64> {
        match self {
            Self::Whole => dual,
            Self::Core { relaxed, outside, .. } => {
                Some(dual.map_or(relaxed, |d| d.min(relaxed + outside).max(relaxed)))
            }
            Self::Part { relaxed } => Some(relaxed),
        }
    }

    /// Whether no plan over the program's columns means no plan at all.
    fn proves_infeasible(self) -> bool {
        matches!(self, Self::Whole)
    }

    fn method(self) -> &'static str {
        match self {
            Self::Whole => "direct",
            Self::Core { complete: true, .. } => "reduced-cost fixing",
            Self::Core { .. } => "neighbourhoods and restricted core",
            Self::Part { .. } => "neighbourhood",
        }
    }
}

/// One solve.
pub(crate) struct Run<'a, 'o> {
    pub(crate) instance: &'a Instance,
    pub(crate) options: &'a SolveOptions,
    strategy: Strategy,
    observer: &'o mut dyn Observer,
    objective: Objective,
    begun: Duration,
    deadline: Option<Duration>,
    sign: f64,
    timings: BTreeMap<&'static str, Duration>,
    pub(crate) notes: Vec<String>,
    /// Rows (20) of a solve in a contention loop.
    cuts: Option<&'a [Cut]>,
}

impl<'a, 'o> Run<'a, 'o> {
    pub(crate) fn new(
        instance: &'a Instance,
        options: &'a SolveOptions,
        strategy: Strategy,
        observer: &'o mut dyn Observer,
    ) -> Self {
        let begun = options.clock.now();
        let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
        let maximises = instance.sense == Sense::Maximize && objective == Objective::Single(Term::Value);
        Self {
            instance,
            options,
            strategy,
            observer,
            objective,
            begun,
            deadline: options.time_limit.map(|limit| begun + limit),
            sign: if maximises { -1.0 } else { 1.0 },
            timings: BTreeMap::new(),
            notes: Vec::new(),
            cuts: None,
        }
    }

    /// The master of a contention loop: rows (20), and no dominance, which does not see contention.
    pub(crate) fn with_cuts(mut self, cuts: &'a [Cut]) -> Self {
        self.cuts = Some(cuts);
        self
    }

    /// Whether a plan keeps every row, cuts included.
    fn admits(&self, plan: &Assignment) -> bool {
        self.cuts.is_none_or(|cuts| cuts.iter().all(|cut| cut.keeps(self.instance, plan)))
            && checker::check(self.instance, plan, &self.objective).passes()
    }

    pub(crate) fn solve(mut self, solver: &'static str) -> Result<Solution, SolverError> {
        if self.objective == Objective::Cdp {
            return cdp::solve(self, solver);
        }
        let levels = self.levels();
        let costs: Vec<Costs> = levels.iter().map(|(_, costs)| costs.clone()).collect();
        let at = self.options.clock.now();
        let reduced = match self.cuts {
            Some(_) => reduce::admissible(self.instance),
            None => reduce::reduce(self.instance, &costs, self.options.warm_start.as_ref()),
        };
        self.clocked("reduce", at);
        columns::check_count(self.instance, &reduced.kept, solver)?;

        let mut rows: Vec<LevelRow> = Vec::new();
        let mut reached: Option<Reached> = None;
        let mut nodes = 0;
        let mut certified = Vec::new();
        for (term, costs) in &levels {
            let columns = columns::expand(self.instance, costs, &reduced.kept);
            let start = reached.as_ref().and_then(|r| r.plan.clone()).map(|(plan, _)| plan);
            let level = self.level(costs, &columns, &rows, start)?;
            nodes += level.nodes;
            let failed = level.plan.is_none();
            if let Some((_, value)) = &level.plan {
                let at_most = value + LEVEL_SLACK * value.abs().max(1.0);
                rows.push(LevelRow { costs: costs.clone(), at_most });
                if let Some(term) = term {
                    certified.push(Level { term: *term, primal: *value, dual: level.dual });
                }
            }
            let first = reached.is_none();
            // A cut core ends before the time is up; then the next level still has its turn.
            let out_of_time = self.left().is_some_and(|left| left.is_zero());
            let ended = match level.termination {
                Termination::TimeLimit => out_of_time,
                other => matches!(other, Termination::Cancelled | Termination::NodeLimit),
            };
            if first {
                reached = Some(level);
            } else if let (Some(all), false) = (&mut reached, failed) {
                // The first level's value and bound stay those of the certificate.
                if let (Some(plan), Some((_, value))) = (level.plan, all.plan.as_ref()) {
                    all.plan = Some((plan.0, *value));
                }
                if ended {
                    all.termination = level.termination;
                }
            }
            if failed || ended {
                break;
            }
        }
        let complete = certified.len() == levels.len();
        let reached = reached.unwrap_or(Reached {
            plan: None,
            dual: None,
            nodes: 0,
            termination: Termination::Infeasible,
            method: "direct",
        });
        self.wrap(solver, reached, nodes, certified, complete, reduced.report)
    }

    /// The scalar objectives to solve in order; terms named only for lexicographic ones.
    fn levels(&self) -> Vec<(Option<Term>, Costs)> {
        let first = Costs::new(self.instance, &self.objective);
        match &self.objective {
            Objective::Lexicographic(terms) => terms
                .iter()
                .enumerate()
                .map(|(n, term)| {
                    let costs = if n == 0 { first.clone() } else { Costs::term(self.instance, *term) };
                    (Some(*term), costs)
                })
                .collect(),
            _ => vec![(None, first)],
        }
    }

    /// Options for a solve inside this one: a quarter of the gap, and the time left.
    pub(crate) fn tightened(&self) -> SolveOptions {
        SolveOptions { gap: self.options.gap / 4.0, time_limit: self.left(), ..self.options.clone() }
    }

    /// A solve inside this one, until this one's deadline.
    pub(crate) fn inner<'i, 'p>(
        &self,
        options: &'i SolveOptions,
        observer: &'p mut dyn Observer,
    ) -> Run<'i, 'p>
    where
        'a: 'i,
    {
        let mut run = Run::new(self.instance, options, self.strategy, observer);
        run.objective = self.objective.clone();
        run.deadline = self.deadline;
        run
    }

    /// Times and remarks of an ended solve.
    pub(crate) fn spent(self) -> (BTreeMap<&'static str, Duration>, Vec<String>) {
        (self.timings, self.notes)
    }

    /// Takes over the times of a solve inside this one, and its remarks once each.
    pub(crate) fn absorb(&mut self, (timings, notes): (BTreeMap<&'static str, Duration>, Vec<String>)) {
        for (step, time) in timings {
            *self.timings.entry(step).or_default() += time;
        }
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    pub(crate) fn clocked(&mut self, step: &'static str, since: Duration) {
        let spent = self.options.clock.now().saturating_sub(since);
        *self.timings.entry(step).or_default() += spent;
    }

    pub(crate) fn left(&self) -> Option<Duration> {
        self.deadline.map(|d| d.saturating_sub(self.options.clock.now()))
    }

    pub(crate) fn settings(&self, share: f64) -> Settings {
        Settings {
            gap: self.options.gap,
            time_limit: self.left().map(|left| left.mul_f64(share)),
            node_limit: self.options.work_limit,
            seed: self.options.seed,
            threads: self.options.threads,
            cancel: self.options.cancel.clone(),
            clock: self.options.clock.clone(),
        }
    }

    /// Tells the observer, in the objective's own sense.
    pub(crate) fn report(&mut self, primal: Option<f64>, dual: Option<f64>, nodes: u64) {
        let elapsed = self.options.clock.now().saturating_sub(self.begun);
        let sign = self.sign;
        self.observer.progress(&Incumbent {
            primal: primal.map(|p| p * sign),
            dual: dual.map(|d| d * sign),
            nodes,
            elapsed,
        });
    }

    /// Hands a plan to the observer, if it passes the checker.
    pub(crate) fn hand_over(&mut self, plan: &Assignment) {
        if self.admits(plan) {
            self.observer.plan(plan);
        }
    }

    /// Solves one scalar objective subject to earlier levels.
    pub(crate) fn level(
        &mut self,
        costs: &Costs,
        columns: &[Vec<Column>],
        rows: &[LevelRow],
        start: Option<Assignment>,
    ) -> Result<Reached, SolverError> {
        let at = self.options.clock.now();
        let count: usize = columns.iter().map(Vec::len).sum();
        let must = |i: usize| {
            !self.instance.tenants[i].shedding.allowed
                || self.instance.stability.frozen.contains(&TenantIx::new(i))
        };
        if columns.iter().enumerate().any(|(i, list)| list.is_empty() && must(i)) {
            return Ok(Reached {
                plan: None,
                dual: None,
                nodes: 0,
                termination: Termination::Infeasible,
                method: "reduction",
            });
        }
        if rows.is_empty()
            && self.strategy.agents
            && let Some(agents) = Agents::new(self.instance, costs, columns)
        {
            return Ok(self.by_agents(costs, &agents));
        }
        let priced = (rows.is_empty() && self.strategy.prices && prices::applies(self.instance))
            .then(|| self.priced(costs, columns))
            .flatten();
        if let Some(priced) = &priced
            && self.within_gap(priced.best.as_ref(), Some(priced.bound))
        {
            return Ok(Reached {
                plan: priced.best.clone(),
                dual: Some(priced.bound),
                nodes: 0,
                termination: Termination::GapReached,
                method: "price decomposition",
            });
        }
        // Moves about prices find better plans than a common heuristic does in the same time.
        let moved = priced.as_ref().is_some_and(|p| p.best.is_some());
        let mut start = if moved && start.is_none() && self.options.warm_start.is_none() {
            None
        } else {
            self.start(costs, columns, rows, start, count)
        };
        if let Some(best) = priced.as_ref().and_then(|p| p.best.clone())
            && start.as_ref().is_none_or(|s| best.1 < s.1)
        {
            start = Some(best);
        }
        if let Some((plan, value)) = &start {
            self.report(Some(*value), priced.as_ref().map(|p| p.bound), 0);
            self.hand_over(plan);
        }
        self.clocked("start", at);
        let mut tried = 0;
        if rows.is_empty() && self.strategy.enumerate && enumerate::applies(self.instance, columns) {
            let at = self.options.clock.now();
            let until = self.left().map(|left| at + left.mul_f64(0.5));
            let found = enumerate::search(self.instance, costs, columns, start, self.options, until);
            self.clocked("solve", at);
            tried = found.nodes;
            if found.complete {
                let dual = found.best.as_ref().map(|(_, value)| *value);
                let termination =
                    if dual.is_some() { Termination::GapReached } else { Termination::Infeasible };
                return Ok(Reached {
                    plan: found.best,
                    dual,
                    nodes: tried,
                    termination,
                    method: "enumeration",
                });
            }
            start = found.best;
        }
        if let (Some(priced), Some((_, value))) = (&priced, &start) {
            let mut reached = self.fixed_by_prices(costs, columns, priced, *value, start.as_ref())?;
            reached.nodes += tried;
            return Ok(reached);
        }
        if count <= self.strategy.direct {
            let all: Vec<Column> = columns.iter().flatten().copied().collect();
            let mut reached = self.mip(costs, &all, rows, start.as_ref(), Scope::Whole, 1.0)?;
            reached.nodes += tried;
            return Ok(reached);
        }
        self.with_core(costs, columns, rows, start)
    }

    /// Knapsacks of agents: bounds, fixing and search until done or stopped.
    fn by_agents(&mut self, costs: &Costs, agents: &Agents) -> Reached {
        let at = self.options.clock.now();
        let options = self.options;
        let constant = self.instance.tenants.iter().map(|t| costs.switching(t)).sum::<f64>();
        let deadline = self.deadline;
        let stop = || {
            options.cancel.is_cancelled() || deadline.is_some_and(|deadline| options.clock.now() >= deadline)
        };
        let start = options.warm_start.as_ref().filter(|plan| self.admits(plan));
        let start = start.and_then(|plan| agents.choice(plan));
        let mut told = f64::INFINITY;
        let answer = {
            let mut report = |answer: &ecomap_agents::Answer| {
                let primal = answer.choice.is_some().then_some(answer.value + constant);
                let dual = answer.bound.is_finite().then_some(answer.bound + constant);
                self.report(primal, dual, answer.nodes);
                if answer.value < told {
                    told = answer.value;
                    if let Some(plan) = agents.best(answer) {
                        self.hand_over(&plan);
                    }
                }
            };
            let mut limits = ecomap_agents::Limits {
                gap: options.gap,
                nodes: options.work_limit.unwrap_or(u64::MAX),
                seed: options.seed,
                start: start.as_deref(),
                stop: &stop,
                report: &mut report,
            };
            ecomap_agents::solve(&agents.problem, &mut limits)
        };
        self.clocked("solve", at);
        let plan = agents.best(&answer).filter(|plan| self.admits(plan)).and_then(|plan| {
            let value = plan_value(self.instance, costs, &plan)?;
            Some((plan, value))
        });
        let dual = answer.bound.is_finite().then_some(answer.bound + constant);
        let termination = if answer.infeasible() {
            Termination::Infeasible
        } else if self.within_gap(plan.as_ref(), dual) {
            Termination::GapReached
        } else if options.cancel.is_cancelled() {
            Termination::Cancelled
        } else if options.work_limit.is_some_and(|limit| answer.nodes >= limit) {
            Termination::NodeLimit
        } else {
            Termination::TimeLimit
        };
        Reached { plan, dual, nodes: answer.nodes, termination, method: "knapsacks per agent" }
    }

    /// Prices over the capacity rows; their plan only if it passes the checker.
    fn priced(&mut self, costs: &Costs, columns: &[Vec<Column>]) -> Option<prices::Priced> {
        let at = self.options.clock.now();
        let until = |share: f64| self.left().map(|left| at + left.mul_f64(share));
        let (half, most) = (until(0.5), until(0.6));
        let (instance, options) = (self.instance, self.options);
        let search = |effort, until| prices::search(instance, costs, columns, options, effort, until);
        let mut found = self.settled(costs, search(Effort::Short, half)?);
        self.tell(&found);
        // Where so many columns are left open HiGHS proves nothing in time, but moves still find better plans.
        let open = found.near().saturating_sub(columns.len());
        if open > OPEN && !self.within_gap(found.best.as_ref(), Some(found.bound)) {
            // One that was ended early may have less to show.
            let longer = search(Effort::Long, most).map(|longer| self.settled(costs, longer));
            let value = |priced: &prices::Priced| priced.best.as_ref().map_or(f64::INFINITY, |best| best.1);
            if let Some(longer) = longer.filter(|longer| value(longer) <= value(&found)) {
                found = longer;
                self.tell(&found);
            }
        }
        self.clocked("prices", at);
        Some(found)
    }

    /// With what prices leave out, and without a plan that the checker does not pass.
    fn settled(&self, costs: &Costs, mut found: prices::Priced) -> prices::Priced {
        found.bound += self.instance.tenants.iter().map(|t| costs.switching(t)).sum::<f64>();
        found.best = found.best.and_then(|(plan, _)| {
            let passes = checker::check(self.instance, &plan, &self.objective).passes();
            let value = plan_value(self.instance, costs, &plan)?;
            passes.then_some((plan, value))
        });
        found
    }

    fn tell(&mut self, found: &prices::Priced) {
        self.report(found.best.as_ref().map(|b| b.1), Some(found.bound), 0);
        if let Some((plan, _)) = &found.best {
            self.hand_over(plan);
        }
    }

    /// HiGHS on the columns that a plan better than `value` can use.
    fn fixed_by_prices(
        &mut self,
        costs: &Costs,
        columns: &[Vec<Column>],
        priced: &prices::Priced,
        value: f64,
        start: Option<&(Assignment, f64)>,
    ) -> Result<Reached, SolverError> {
        let mut near: Vec<(f64, Column)> = columns
            .iter()
            .zip(&priced.regret)
            .flat_map(|(list, regret)| list.iter().zip(regret).map(|(c, r)| (*r, *c)))
            .filter(|(regret, _)| priced.bound + regret <= value)
            .collect();
        let mut outside = value - priced.bound;
        let complete = near.len() <= self.strategy.core;
        if !complete {
            near.sort_by(|a, b| a.0.total_cmp(&b.0));
            outside = near[self.strategy.core].0;
            near.truncate(self.strategy.core);
            near.sort_by_key(|(_, c)| (c.tenant, c.pick.option));
        }
        let list: Vec<Column> = near.into_iter().map(|(_, c)| c).collect();
        let scope = Scope::Core { relaxed: priced.bound, outside, complete };
        self.mip(costs, &list, &[], start, scope, 1.0)
    }

    /// The best plan at hand: the caller's, the previous level's, or a heuristic one.
    fn start(
        &mut self,
        costs: &Costs,
        columns: &[Vec<Column>],
        rows: &[LevelRow],
        previous: Option<Assignment>,
        count: usize,
    ) -> Option<(Assignment, f64)> {
        if let Some(plan) = previous {
            let value = plan_value(self.instance, costs, &plan)?;
            return Some((plan, value));
        }
        let mut candidates = Vec::new();
        if let Some(plan) = &self.options.warm_start {
            if self.admits(plan) {
                candidates.push(plan.clone());
            } else {
                self.notes.push("the warm start breaks a row of this instance and was not used".to_owned());
            }
        }
        // Heuristics know nothing of cuts; a contention loop brings its own plans.
        if rows.is_empty() && self.cuts.is_none_or(<[Cut]>::is_empty) {
            // Small models are HiGHS' business; a good start matters when they are large.
            let share = if count <= self.strategy.direct { 0.05 } else { 0.1 };
            candidates.extend(self.searched(costs, columns, share, kicks(count)));
        }
        candidates
            .into_iter()
            .filter_map(|plan| plan_value(self.instance, costs, &plan).map(|value| (plan, value)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// A heuristic plan over `columns` that passes the checker, within a share of the time left.
    pub(crate) fn searched(
        &self,
        costs: &Costs,
        columns: &[Vec<Column>],
        share: f64,
        kicks: usize,
    ) -> Option<Assignment> {
        let until = self.left().map(|left| self.options.clock.now() + left.mul_f64(share));
        let search = |columns: Vec<Vec<Column>>| {
            let problem = Problem::new(self.instance, costs, columns);
            let state = best_of_ladder(&problem, self.options, until);
            let plan = local::iterate(&problem, state, self.options, until, kicks).assignment();
            self.admits(&plan).then_some(plan)
        };
        let floor = self.instance.fleet_accuracy_floor;
        let steady = || self.instance.stability.max_moves.is_some();
        search(columns.to_vec())
            .or_else(|| search(above_floor(self.instance, columns, floor?)))
            .or_else(|| steady().then(|| search(staying(self.instance, columns))).flatten())
    }

    /// Bound first, then HiGHS on the columns that can matter, then neighbourhoods.
    fn with_core(
        &mut self,
        costs: &Costs,
        columns: &[Vec<Column>],
        rows: &[LevelRow],
        start: Option<(Assignment, f64)>,
    ) -> Result<Reached, SolverError> {
        let at = self.options.clock.now();
        let relaxation = Relaxation::new(self.instance, costs, columns, rows);
        let seeds: Vec<(usize, usize)> = start
            .iter()
            .flat_map(|(plan, _)| plan.picks.iter().enumerate())
            .filter_map(|(i, pick)| pick.map(|p| (i, p.option.at())))
            .collect();
        let bound = relaxation.solve(&seeds, &self.settings(0.4))?;
        tracing::debug!(
            options = relaxation.len(),
            rounds = bound.rounds,
            converged = bound.converged,
            bound = bound.value,
            "pool relaxation"
        );
        self.clocked("relax", at);
        let mut start = start;
        if rows.is_empty() && self.cuts.is_none_or(<[Cut]>::is_empty) {
            let at = self.options.clock.now();
            let guided = lns::guided(self, costs, columns, &bound);
            if guided.as_ref().is_some_and(|g| start.as_ref().is_none_or(|s| g.1 < s.1)) {
                start = guided;
            }
            self.clocked("start", at);
        }
        self.report(start.as_ref().map(|s| s.1), Some(bound.value), 0);
        if let Some((plan, _)) = &start {
            self.hand_over(plan);
        }
        let count: usize = columns.iter().map(Vec::len).sum();
        if start.is_none() && count <= self.strategy.core {
            // Nothing to fix columns with: all of them.
            let all: Vec<Column> = columns.iter().flatten().copied().collect();
            let mut reached = self.mip(costs, &all, rows, None, Scope::Whole, 1.0)?;
            reached.dual = tighter(reached.dual, Some(bound.value));
            return Ok(reached);
        }
        if self.within_gap(start.as_ref(), Some(bound.value)) {
            return Ok(Reached {
                plan: start,
                dual: Some(bound.value),
                nodes: 0,
                termination: Termination::GapReached,
                method: "relaxation",
            });
        }
        let mut core = core_columns(columns, &bound, start.as_ref(), self.strategy.core);
        let (mut plan, mut nodes) = (start, 0);
        // Neighbourhoods for most of the time where the core is cut, then the best core that fits
        // for the rest; a short while otherwise, since a better plan makes a smaller core.
        let share = if core.complete { 0.1 } else { 0.6 };
        if core.columns.len() > NEIGHBOURHOODS || !core.complete {
            (plan, nodes) = lns::improve(self, costs, columns, &bound, rows, plan, share)?;
            core = core_columns(columns, &bound, plan.as_ref(), self.strategy.core);
        }
        let scope =
            Scope::Core { relaxed: bound.value, outside: core.least_outside, complete: core.complete };
        let mut reached = self.mip(costs, &core.columns, rows, plan.as_ref(), scope, 1.0)?;
        reached.nodes += nodes;
        let closed = self.within_gap(reached.plan.as_ref(), reached.dual);
        if reached.termination == Termination::GapReached && !closed {
            reached.termination = Termination::TimeLimit;
            self.notes.push(
                "the restricted core was solved; the gap left is that of the relaxation over all columns"
                    .to_owned(),
            );
        }
        Ok(reached)
    }

    /// HiGHS on the program over `list`.
    pub(crate) fn mip(
        &mut self,
        costs: &Costs,
        list: &[Column],
        rows: &[LevelRow],
        start: Option<&(Assignment, f64)>,
        scope: Scope,
        share: f64,
    ) -> Result<Reached, SolverError> {
        let at = self.options.clock.now();
        let shape = Shape { disaggregated_modes: list.len() <= DISAGGREGATE };
        let mut program = Formulation::build(self.instance, costs, list, rows, shape);
        program.cut(self.cuts.unwrap_or_default());
        let vector = start.and_then(|(plan, _)| program.start(plan));
        let reader = program.reader();
        let offset = program.offset;
        let (mut model, _, _) = program.into_highs()?;
        highs::set_offset(&mut model, offset)?;
        self.clocked("formulate", at);
        let at = self.options.clock.now();
        let settings = self.settings(share);
        let known = start.map(|(_, value)| *value);
        let outcome = {
            let this = std::cell::RefCell::new(&mut *self);
            let mut progress = |incumbent: &Incumbent| {
                let primal = match (incumbent.primal, known) {
                    (Some(p), Some(k)) => Some(p.min(k)),
                    (p, k) => p.or(k),
                };
                this.borrow_mut().report(primal, scope.bound(incumbent.dual), incumbent.nodes);
            };
            let mut improved = |values: &[f64]| this.borrow_mut().hand_over(&reader.plan(values));
            highs::solve_mip(model, vector.as_deref(), &settings, &mut progress, &mut improved)?
        };
        self.clocked("solve", at);
        let read = outcome.columns.as_ref().map(|values| reader.plan(values));
        let refused = read.as_ref().is_some_and(|plan| !self.admits(plan));
        let found = read.filter(|_| !refused).and_then(|plan| {
            let value = plan_value(self.instance, costs, &plan)?;
            Some((plan, value))
        });
        let plan = found.into_iter().chain(start.cloned()).min_by(|a, b| a.1.total_cmp(&b.1));
        let claims = outcome.termination == Termination::GapReached && start.is_some();
        if claims && !self.within_gap(plan.as_ref(), outcome.dual) {
            // When presolve alone finishes a model that was given a start, HiGHS 1.16 returns the
            // start instead of the optimum it found. Such models are small: ask again without.
            let mut again = self.mip(costs, list, rows, None, scope, share)?;
            again.plan = again.plan.into_iter().chain(plan).min_by(|a, b| a.1.total_cmp(&b.1));
            again.nodes += outcome.nodes;
            return Ok(again);
        }
        if refused {
            self.notes
                .push("HiGHS returned a plan that does not pass the checker; it was dropped".to_owned());
        }
        let mut termination = outcome.termination;
        if termination == Termination::Infeasible && (plan.is_some() || !scope.proves_infeasible()) {
            if plan.is_some() {
                self.notes.push(
                    "HiGHS reported infeasible beside a checked plan; its verdict was dropped".to_owned(),
                );
            }
            termination = Termination::TimeLimit;
        }
        Ok(Reached {
            plan,
            dual: scope.bound(outcome.dual),
            nodes: outcome.nodes,
            termination,
            method: scope.method(),
        })
    }

    /// Whether a plan is as close to a bound as the caller asked.
    fn within_gap(&self, plan: Option<&(Assignment, f64)>, dual: Option<f64>) -> bool {
        match (plan, dual) {
            (Some((_, value)), Some(dual)) => {
                within_rounding(dual, *value)
                    && relative_gap(*value, dual.min(*value)) <= self.options.gap * (1.0 + 1e-9) + 1e-12
            }
            _ => false,
        }
    }

    pub(crate) fn wrap(
        mut self,
        solver: &'static str,
        reached: Reached,
        nodes: u64,
        levels: Vec<Level>,
        complete: bool,
        reduction: ecomap_instances::format::result_v1::ReductionDto,
    ) -> Result<Solution, SolverError> {
        let at = self.options.clock.now();
        let plan = reached.plan.map(|(plan, _)| plan);
        let verdict: Option<Verdict> =
            plan.as_ref().map(|p| checker::check(self.instance, p, &self.objective));
        self.clocked("check", at);
        if let Some(verdict) = verdict.as_ref().filter(|v| !v.passes()) {
            return Err(SolverError::Rejected(verdict.summary()));
        }
        let primal = verdict.as_ref().map(|v| v.evaluation.value);
        let mut dual = reached.dual.map(|d| {
            // A bound beyond the plan by rounding is the plan's value.
            let rounded =
                primal.filter(|p| within_rounding(d, p * self.sign)).map_or(d, |p| d.min(p * self.sign));
            rounded * self.sign
        });
        if let (Some(p), Some(d)) = (primal, dual) {
            // Beyond rounding, one of the two is wrong. The plan was checked; the bound was not.
            if (d - p) * self.sign > 0.0 {
                self.notes.push(format!(
                    "the bound {d} lies beyond the plan {p} and was withdrawn; please report this"
                ));
                dual = None;
            }
        }
        let levels_close = levels.iter().all(|l| {
            l.dual.is_some_and(|d| {
                relative_gap(l.primal, d.min(l.primal)) <= self.options.gap * (1.0 + 1e-9) + 1e-12
            })
        });
        let lexicographic = matches!(self.objective, Objective::Lexicographic(_));
        let closed = match (primal, dual) {
            _ if lexicographic => complete && levels_close,
            (Some(p), Some(d)) => relative_gap(p, d) <= self.options.gap * (1.0 + 1e-9) + 1e-12,
            _ => false,
        };
        let status = match (&plan, reached.termination) {
            (Some(_), _) if closed => Status::Optimal,
            (Some(_), _) => Status::Feasible,
            (None, Termination::Infeasible) => Status::Infeasible,
            (None, _) => Status::TimeoutNoSolution,
        };
        let termination =
            if status == Status::Optimal { Termination::GapReached } else { reached.termination };
        self.report(primal.map(|p| p * self.sign), dual.map(|d| d * self.sign), nodes);
        Ok(Solution {
            solver,
            status,
            objective: self.objective,
            certificate: Certificate {
                primal,
                dual: if status == Status::Infeasible { None } else { dual },
                termination,
                nodes,
                cuts: 0,
                seed: self.options.seed,
                instance_hash: instance_hash(self.instance),
                method: reached.method,
                levels,
            },
            assignment: plan,
            verdict,
            reduction: Some(reduction),
            timings: self.timings,
            notes: self.notes,
        })
    }
}

/// Whether a bound exceeds a value by no more than the tolerances of HiGHS and the checker explain.
fn within_rounding(bound: f64, value: f64) -> bool {
    bound - value <= 1e-5 * value.abs().max(1.0)
}

/// Value of a plan under `costs`, constant included; `None` when it sheds a tenant that must be
/// served or names a choice that is not there.
pub(crate) fn plan_value(instance: &Instance, costs: &Costs, plan: &Assignment) -> Option<f64> {
    let mut value = 0.0;
    for (i, (tenant, pick)) in instance.tenants.iter().zip(&plan.picks).enumerate() {
        value += costs.switching(tenant);
        match pick {
            None if tenant.shedding.allowed => value += costs.shed(i),
            None => return None,
            Some(pick) => {
                let choice = tenant.options.get(pick.option.at())?;
                value += costs.option(instance, tenant, choice);
                if pick.device.is_some_and(|d| instance.is_running(tenant, choice, d)) {
                    value -= costs.switching(tenant);
                }
            }
        }
    }
    for (device, mode) in instance.devices.iter().zip(&plan.modes) {
        let class = &instance.classes[device.class.at()];
        let draw = mode.map_or(class.off, |m| class.modes[m.at()].idle);
        value += costs.power(instance, class.site, draw);
    }
    Some(value)
}

/// Restarts of the local search: many while a pass is cheap.
fn kicks(columns: usize) -> usize {
    (2_000_000 / columns.max(1)).clamp(5, 200)
}

/// Columns for a restricted program.
struct Core {
    columns: Vec<Column>,
    /// Least slack of the columns left out.
    least_outside: f64,
    /// Whether every column within the distance is in.
    complete: bool,
}

/// The columns that a plan better than `plan` can use: slack at most the plan's distance from the
/// bound. When these are more than `most`, the `most` of least slack. The plan's own columns are
/// always in, so that the core has a solution.
fn core_columns(
    columns: &[Vec<Column>],
    bound: &Bound,
    plan: Option<&(Assignment, f64)>,
    most: usize,
) -> Core {
    let distance = plan.map_or(f64::INFINITY, |(_, value)| value - bound.value);
    let margin = distance + 1e-7 * bound.value.abs().max(1.0);
    let slack = |c: &Column| bound.slack[c.tenant.at()][c.pick.option.at()];
    let own = |c: &Column| plan.is_some_and(|(plan, _)| plan.picks[c.tenant.at()] == Some(c.pick));
    let all: Vec<&Column> = columns.iter().flatten().collect();
    let mut order: Vec<usize> = (0..all.len()).filter(|n| slack(all[*n]) <= margin || own(all[*n])).collect();
    let complete = order.len() <= most;
    if !complete {
        // By slack, then position: among equals some boards, rather than none.
        order.sort_by(|a, b| slack(all[*a]).total_cmp(&slack(all[*b])).then(a.cmp(b)));
        let rest = order.split_off(most);
        order.extend(rest.into_iter().filter(|n| own(all[*n])));
        order.sort_unstable();
    }
    let mut inside = vec![false; all.len()];
    for n in &order {
        inside[*n] = true;
    }
    let least_outside = all
        .iter()
        .zip(&inside)
        .filter(|(_, inside)| !**inside)
        .map(|(c, _)| slack(c))
        .fold(f64::INFINITY, f64::min);
    Core { columns: order.into_iter().map(|n| *all[n]).collect(), least_outside, complete }
}

/// The greater of two bounds.
fn tighter(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(x), Some(y)) => Some(x.max(y)),
        (x, y) => x.or(y),
    }
}
