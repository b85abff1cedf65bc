//! The loop: master, joint prediction, cuts, repair.

use super::cut::{Cut, Evidence};
use super::lift::Lifter;
use super::menu::Menu;
use super::oracle::{Oracle, PlanVerdict};
use super::pool::CutPool;
use super::port::{Board, JointPredictor};
use super::search::Search;
use super::states;
use crate::checker;
use crate::columns;
use crate::error::SolverError;
use crate::exact::{Run, Strategy};
use crate::highs;
use crate::pricing::Costs;
use crate::reduce;
use crate::solution::Solution;
use crate::solve::{Incumbent, Observer, SolveOptions};
use ecomap_instances::ids::{DeviceIx, TenantIx};
use ecomap_instances::instance::{Instance, Sense};
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::{Assignment, Status, Termination, relative_gap};
use std::rc::Rc;
use std::time::Duration;

/// Relative distance at which two latencies count as one.
const SAME: f64 = 1e-9;

/// How plans are searched and bounds proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// Columns per board where the predictor is monotone, then cuts.
    #[default]
    Auto,
    /// The cut loop alone.
    Cuts,
}

/// Limits of the loop, beside those of [`SolveOptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How to search and prove.
    pub method: Method,
    /// Most rounds of the loop.
    pub rounds: u64,
    /// Neighbourhoods of the first search for accepted plans.
    pub search: usize,
    /// Most configurations of a site's boards that columns per board tell apart.
    pub configurations: usize,
    /// Neighbourhoods around the repaired plan of each round.
    pub polish: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { method: Method::Auto, rounds: 1_000, search: 4_000, configurations: 128, polish: 60 }
    }
}

/// What the loop did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What predicted.
    pub source: String,
    /// Its version.
    pub version: String,
    /// Whether the predictor accepts the plan returned; `false` only when there is none.
    pub accepted: bool,
    /// Masters solved.
    pub rounds: u64,
    /// Lifted cuts that rest on the predictor's guarantee.
    pub cuts_guaranteed: u64,
    /// Lifted cuts that rest on the prediction of everything that they exclude.
    pub cuts_exhaustive: u64,
    /// Plain no-goods on a board's or a site's whole state.
    pub no_goods: u64,
    /// Of all of these, cuts that stem from a site's cap.
    pub cuts_of_caps: u64,
    /// Of all of these, cuts of earlier solves.
    pub cuts_reused: u64,
    /// Boards predicted, repetitions left out.
    pub boards_judged: u64,
    /// Batches in which they were predicted.
    pub batches: u64,
    /// Hard SLOs that the plan of the first master, without cuts, breaks under joint prediction.
    pub first_slos_broken: u64,
    /// Mode budgets that it breaks.
    pub first_budgets_broken: u64,
    /// Caps of sites that it breaks.
    pub first_caps_broken: u64,
    /// Plans of masters that were repaired into accepted ones.
    pub repaired: u64,
    /// Board states in the master of the columns per board; 0 where cuts alone were used.
    pub states: u64,
    /// Cuts on caps and on tenants in that master.
    pub state_cuts: u64,
}

/// A solution that the joint predictor accepts, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Plan and certificate. The bound holds for every plan that the predictor accepts.
    pub solution: Solution,
    /// What the loop did.
    pub report: Report,
}

/// What `predictor` says of a plan.
///
/// # Errors
/// [`SolverError::Prediction`] and [`SolverError::NotARelaxation`].
pub fn accepts(
    instance: &Instance,
    predictor: &dyn JointPredictor,
    plan: &Assignment,
) -> Result<PlanVerdict, SolverError> {
    Oracle::new(instance, predictor).plan(plan)
}

/// Solves `instance`, whose latencies are isolated ones, for plans that `predictor` accepts.
///
/// # Errors
/// [`SolverError::NotARelaxation`] when an option's latency is above its isolated one or a joint
/// prediction below it, [`SolverError::Unsupported`] for lexicographic objectives, the carbon-delay product and
/// instances without devices, [`SolverError::Prediction`] when the predictor fails, and those of a solve.
pub fn solve(
    instance: &Instance,
    predictor: &dyn JointPredictor,
    options: &SolveOptions,
    settings: Settings,
    pool: &mut CutPool,
    observer: &mut dyn Observer,
) -> Result<Answer, SolverError> {
    let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
    supported(instance, &objective)?;
    isolated(instance)?;
    let costs = Costs::new(instance, &objective);
    let kept = reduce::admissible(instance).kept;
    columns::check_count(instance, &kept, "contention")?;
    let columns = columns::expand(instance, &costs, &kept);
    let menu = Menu::new(instance, &kept);
    let maximises = instance.sense == Sense::Maximize && objective == Objective::Single(Term::Value);
    let begun = options.clock.now();
    let mut search = Search::new(instance, &objective, &costs, &columns, options);
    let mut at = Loop {
        instance,
        options,
        settings,
        oracle: Oracle::new(instance, predictor),
        menu: &menu,
        cuts: Vec::new(),
        best: None,
        dual: f64::NEG_INFINITY,
        proved_by: "logic-based Benders",
        sign: if maximises { -1.0 } else { 1.0 },
        begun,
        deadline: options.time_limit.map(|limit| begun + limit),
        nodes: 0,
        report: Report { source: predictor.source(), version: predictor.version(), ..Report::default() },
    };
    let version = predictor.version();
    let reused = pool.cuts(instance, &version, predictor.monotone());
    let last = at.run(&mut search, &reused, observer)?;
    pool.keep(instance, &at.cuts);
    at.answer(last, &objective)
}

fn supported(instance: &Instance, objective: &Objective) -> Result<(), SolverError> {
    let refuse = |what: &str| Err(SolverError::Unsupported { solver: "contention", what: what.to_owned() });
    if matches!(objective, Objective::Lexicographic(_)) {
        return refuse("lexicographic objectives");
    }
    // A product has no coefficients, so the master's bound would be one of another objective.
    if *objective == Objective::Cdp {
        return refuse("the carbon-delay product");
    }
    if instance.devices.is_empty() {
        return refuse("problems without devices");
    }
    Ok(())
}

/// The rows and the objective must count isolated latencies.
fn isolated(instance: &Instance) -> Result<(), SolverError> {
    for tenant in &instance.tenants {
        for host in tenant.options.iter().filter_map(|o| o.host.as_ref()) {
            for (quantile, told, alone) in [
                ("p50", host.latency.p50, host.isolated.p50),
                ("p95", host.latency.p95, host.isolated.p95),
                ("p99", host.latency.p99, host.isolated.p99),
            ] {
                if told.get() > alone.get() + SAME * alone.get().abs().max(1.0) {
                    return Err(SolverError::NotARelaxation {
                        tenant: tenant.id.to_string(),
                        quantile,
                        predicted_ms: alone.get(),
                        isolated_ms: told.get(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// The state of the loop. Values and bounds are minimised ones.
struct Loop<'m, 'a> {
    instance: &'a Instance,
    options: &'m SolveOptions,
    settings: Settings,
    oracle: Oracle<'a>,
    menu: &'m Menu,
    cuts: Vec<Cut>,
    best: Option<(Assignment, f64)>,
    dual: f64,
    /// Method that gave the bound.
    proved_by: &'static str,
    sign: f64,
    begun: Duration,
    deadline: Option<Duration>,
    nodes: u64,
    report: Report,
}

impl<'a> Loop<'_, 'a> {
    /// Runs to the end; gives the last master's answer and why the loop ended.
    fn run(
        &mut self,
        search: &mut Search<'_, 'a>,
        reused: &[Cut],
        observer: &mut dyn Observer,
    ) -> Result<(Solution, Termination), SolverError> {
        if let Some(plan) = &self.options.warm_start {
            let value = search.accept(&mut self.oracle, plan)?;
            self.best = value.map(|value| (plan.clone(), value));
        }
        let mut last = self.master(if self.by_columns() { 0.08 } else { 0.2 }, observer)?;
        self.note_first(&last)?;
        if let Some(end) = self.take(search, &last, true)? {
            return Ok((last, end));
        }
        for cut in reused {
            self.add(cut.clone(), true);
        }
        let (clock, deadline) = (&self.options.clock, self.deadline);
        let over = || deadline.is_some_and(|d| clock.now() >= d);
        let singles = Lifter { menu: self.menu, oracle: &mut self.oracle, over: &over }.singles()?;
        for cut in singles {
            self.add(cut, false);
        }
        self.first_search(search)?;
        self.tell(observer);
        if self.by_columns() && !self.closed() {
            let end = self.by_states(search, observer)?;
            // Nodes that were given up are left to the cuts.
            let given_up = end == Termination::NodeLimit && self.options.work_limit.is_none();
            if !given_up {
                return Ok((last, end));
            }
        }
        while !self.closed() {
            if self.report.rounds >= self.settings.rounds {
                return Ok((last, Termination::NodeLimit));
            }
            if self.options.cancel.is_cancelled() {
                return Ok((last, Termination::Cancelled));
            }
            if self.left().is_some_and(|left| left.is_zero()) {
                return Ok((last, Termination::TimeLimit));
            }
            last = self.master(0.5, observer)?;
            if let Some(end) = self.take(search, &last, false)? {
                return Ok((last, end));
            }
            self.tell(observer);
        }
        Ok((last, Termination::GapReached))
    }

    /// Whether columns per board are to prove the bound.
    fn by_columns(&self) -> bool {
        self.settings.method != Method::Cuts && self.oracle.predictor.monotone()
    }

    /// Columns per board.
    fn by_states(
        &mut self,
        search: &Search<'_, 'a>,
        observer: &mut dyn Observer,
    ) -> Result<Termination, SolverError> {
        let goal = states::Goal {
            gap: self.options.gap,
            nodes: self.options.work_limit,
            settings: highs::Settings {
                gap: self.options.gap,
                time_limit: self.left(),
                node_limit: self.options.work_limit,
                seed: self.options.seed,
                threads: self.options.threads,
                cancel: self.options.cancel.clone(),
                clock: self.options.clock.clone(),
            },
        };
        let (dual, sign, before) = (self.dual, self.sign, self.nodes);
        let (clock, begun) = (&self.options.clock, self.begun);
        let mut accept = |oracle: &mut Oracle<'a>, plan: &Assignment| search.accept(oracle, plan);
        let mut tell = |value: Option<f64>, bound: f64, nodes: u64| {
            let bound = bound.max(dual);
            observer.progress(&Incumbent {
                primal: value.map(|v| v * sign),
                dual: bound.is_finite().then_some(bound * sign),
                nodes: before + nodes,
                elapsed: clock.now().saturating_sub(begun),
            });
        };
        let outcome = states::search(
            self.instance,
            search.costs,
            search.columns,
            &mut self.oracle,
            goal,
            self.best.clone(),
            self.dual,
            self.settings.configurations,
            &mut accept,
            &mut tell,
        )?;
        self.nodes += outcome.nodes;
        self.report.states = outcome.states;
        self.report.state_cuts = outcome.cuts;
        self.best = outcome.best;
        if outcome.bound > self.dual {
            self.dual = outcome.bound;
            self.proved_by = "columns per board";
        }
        Ok(outcome.termination)
    }

    /// Solves the master within a share of the time left.
    fn master(&mut self, share: f64, observer: &mut dyn Observer) -> Result<Solution, SolverError> {
        let options = SolveOptions {
            time_limit: self.left().map(|left| left.mul_f64(share)),
            // Far from the end a rough master will do; its bound is one all the same.
            gap: (self.gap().min(1.0) * 0.1).max(self.options.gap * 0.5),
            warm_start: self.best.as_ref().map(|b| b.0.clone()),
            ..self.options.clone()
        };
        let (best, dual) = (self.best.as_ref().map(|b| b.1 * self.sign), self.dual * self.sign);
        let (clock, begun) = (&self.options.clock, self.begun);
        let mut relay = |inner: &Incumbent| {
            // The master's plans are not accepted yet; its bound counts.
            let bound = inner.dual.map_or(dual, |d| if self.sign > 0.0 { d.max(dual) } else { d.min(dual) });
            observer.progress(&Incumbent {
                primal: best,
                dual: bound.is_finite().then_some(bound),
                nodes: inner.nodes,
                elapsed: clock.now().saturating_sub(begun),
            });
        };
        let run = Run::new(self.instance, &options, Strategy::DEFAULT, &mut relay);
        let solution = run.with_cuts(&self.cuts).solve("exact")?;
        self.report.rounds += 1;
        self.nodes += solution.certificate.nodes;
        Ok(solution)
    }

    /// Takes in a master's bound and plan: an incumbent, or cuts. Says when the loop is over.
    fn take(
        &mut self,
        search: &mut Search<'_, 'a>,
        master: &Solution,
        first: bool,
    ) -> Result<Option<Termination>, SolverError> {
        if let Some(dual) = master.certificate.dual {
            self.dual = self.dual.max(dual * self.sign);
        }
        let Some(plan) = &master.assignment else {
            return Ok(match master.status {
                Status::Infeasible if self.best.is_none() => Some(Termination::Infeasible),
                // No plan within the master's share of the time: the incumbent and the bound stand.
                _ if first => None,
                _ => Some(master.certificate.termination),
            });
        };
        let verdict = self.oracle.plan(plan)?;
        if verdict.accepted() {
            if let Some(value) = search.accept(&mut self.oracle, plan)? {
                let known = self.best.as_ref().is_some_and(|b| b.0 == *plan);
                self.offer((plan.clone(), value));
                if self.closed() {
                    return Ok(Some(Termination::GapReached));
                }
                // A master that ends with the incumbent has nothing left to cut.
                if known && master.status != Status::Optimal {
                    return Ok(Some(master.certificate.termination));
                }
            }
            return Ok(None);
        }
        let before = self.cuts.len();
        self.separate(&verdict)?;
        if self.cuts.iter().skip(before).all(|cut| cut.keeps(self.instance, plan)) {
            return Err(SolverError::Rejected("a refused plan that no cut excludes".to_owned()));
        }
        if let Some((repaired, value)) = search.repair(&mut self.oracle, plan, &verdict)? {
            self.report.repaired += 1;
            let until = self.left().map(|left| self.options.clock.now() + left.mul_f64(0.05));
            let polished =
                search.improve(&mut self.oracle, (repaired, value), self.settings.polish, until)?;
            self.offer(polished);
        }
        Ok(None)
    }

    fn first_search(&mut self, search: &mut Search<'_, 'a>) -> Result<(), SolverError> {
        if let Some(plan) = search.construct(&mut self.oracle)? {
            self.offer(plan);
        }
        // Boards judged here are the first columns, too.
        let share = if self.oracle.predictor.by_parts() { 0.03 } else { 0.1 };
        if let Some(best) = self.best.clone() {
            let until = self.left().map(|left| self.options.clock.now() + left.mul_f64(share));
            let improved = search.improve(&mut self.oracle, best, self.settings.search, until)?;
            self.offer(improved);
        }
        Ok(())
    }

    /// Cuts off a refused plan.
    fn separate(&mut self, verdict: &PlanVerdict) -> Result<(), SolverError> {
        let (clock, deadline, cancel) = (&self.options.clock, self.deadline, &self.options.cancel);
        let over = || cancel.is_cancelled() || deadline.is_some_and(|d| clock.now() >= d);
        let mut fresh = Vec::new();
        for (_, board, judged) in verdict.boards.iter().filter(|(_, _, judged)| !judged.accepted()) {
            fresh.extend(
                Lifter { menu: self.menu, oracle: &mut self.oracle, over: &over }.board(board, judged)?,
            );
        }
        for (site, _, cap) in &verdict.sites {
            let on: Vec<_> = self.on_at(verdict, *site);
            let mut lifter = Lifter { menu: self.menu, oracle: &mut self.oracle, over: &over };
            fresh.push(lifter.site(*site, *cap, &on)?);
        }
        for cut in fresh {
            self.add(cut, false);
        }
        Ok(())
    }

    /// The boards of a site that run something.
    fn on_at(
        &self,
        verdict: &PlanVerdict,
        site: ecomap_instances::ids::SiteIx,
    ) -> Vec<(DeviceIx, Board, Option<Rc<super::oracle::Judged>>)> {
        let here = |d: &DeviceIx| self.instance.class_of(*d).site == site;
        let used = verdict.boards.iter().filter(|(d, _, _)| here(d));
        let mut on: Vec<_> =
            used.map(|(d, board, judged)| (*d, board.clone(), Some(Rc::clone(judged)))).collect();
        on.extend(verdict.empty.iter().filter(|(d, _)| here(d)).map(|(d, mode)| {
            let class = self.instance.devices[d.at()].class;
            (*d, Board { class, mode: *mode, picks: Vec::<(TenantIx, _)>::new() }, None)
        }));
        on
    }

    fn add(&mut self, cut: Cut, reused: bool) {
        if self.cuts.contains(&cut) {
            return;
        }
        let (count, of_cap) = match &cut {
            Cut::NoGood(_) => (&mut self.report.no_goods, false),
            Cut::Site { exact: true, .. } => (&mut self.report.no_goods, true),
            Cut::Lifted { evidence: Evidence::Guaranteed, .. } => (&mut self.report.cuts_guaranteed, false),
            Cut::Lifted { .. } => (&mut self.report.cuts_exhaustive, false),
            Cut::Site { evidence: Evidence::Guaranteed, .. } => (&mut self.report.cuts_guaranteed, true),
            Cut::Site { .. } => (&mut self.report.cuts_exhaustive, true),
        };
        *count += 1;
        self.report.cuts_of_caps += u64::from(of_cap);
        self.report.cuts_reused += u64::from(reused);
        self.cuts.push(cut);
    }

    fn note_first(&mut self, first: &Solution) -> Result<(), SolverError> {
        let Some(plan) = &first.assignment else { return Ok(()) };
        let verdict = self.oracle.plan(plan)?;
        self.report.first_slos_broken = verdict.slos_broken();
        self.report.first_budgets_broken = verdict.budgets_broken();
        self.report.first_caps_broken = verdict.sites.len() as u64;
        Ok(())
    }

    fn offer(&mut self, plan: (Assignment, f64)) {
        if self.best.as_ref().is_none_or(|best| plan.1 < best.1) {
            self.best = Some(plan);
        }
    }

    /// Relative gap; infinite without a plan or a bound.
    fn gap(&self) -> f64 {
        match &self.best {
            Some((_, value)) if self.dual.is_finite() => relative_gap(*value, self.dual.min(*value)),
            _ => f64::INFINITY,
        }
    }

    fn closed(&self) -> bool {
        self.gap() <= self.options.gap * (1.0 + 1e-9) + 1e-12
    }

    fn left(&self) -> Option<Duration> {
        self.deadline.map(|d| d.saturating_sub(self.options.clock.now()))
    }

    fn tell(&self, observer: &mut dyn Observer) {
        tracing::debug!(
            rounds = self.report.rounds,
            cuts = self.cuts.len(),
            predicted = self.oracle.predicted,
            primal = self.best.as_ref().map(|b| b.1),
            dual = self.dual,
            "contention"
        );
        observer.progress(&Incumbent {
            primal: self.best.as_ref().map(|b| b.1 * self.sign),
            dual: self.dual.is_finite().then_some(self.dual * self.sign),
            nodes: self.nodes,
            elapsed: self.options.clock.now().saturating_sub(self.begun),
        });
    }

    /// The certificate of the incumbent.
    fn answer(
        mut self,
        (mut solution, termination): (Solution, Termination),
        objective: &Objective,
    ) -> Result<Answer, SolverError> {
        let verdict = self.best.as_ref().map(|(plan, _)| checker::check(self.instance, plan, objective));
        if let Some(verdict) = verdict.as_ref().filter(|v| !v.passes()) {
            return Err(SolverError::Rejected(verdict.summary()));
        }
        let primal = verdict.as_ref().map(|v| v.evaluation.value);
        let closed = self.closed();
        let dual = self.dual.is_finite().then(|| {
            // A bound beyond the plan by rounding is the plan's value.
            let least = primal.map_or(f64::INFINITY, |p| p * self.sign);
            let over = self.dual - least;
            if over > 0.0 && over <= 1e-5 * least.abs().max(1.0) { least } else { self.dual }
        });
        if let (Some(p), Some(d)) = (primal, dual)
            && d > p * self.sign
        {
            return Err(SolverError::Rejected(format!("the bound {d} lies beyond the plan {p}")));
        }
        solution.status = match (&self.best, termination) {
            (Some(_), _) if closed => Status::Optimal,
            (Some(_), _) => Status::Feasible,
            (None, Termination::Infeasible) => Status::Infeasible,
            (None, _) => Status::TimeoutNoSolution,
        };
        self.report.accepted = self.best.is_some();
        self.report.boards_judged = self.oracle.predicted;
        self.report.batches = self.oracle.batches;
        let certificate = &mut solution.certificate;
        certificate.primal = primal;
        certificate.dual = dual.filter(|_| solution.status != Status::Infeasible).map(|d| d * self.sign);
        certificate.termination = if closed { Termination::GapReached } else { termination };
        certificate.nodes = self.nodes;
        certificate.cuts = self.cuts.len() as u64;
        certificate.method = self.proved_by;
        solution.timings.insert("contention", self.options.clock.now().saturating_sub(self.begun));
        // The steps of the last master are among those of the loop.
        solution.timings.retain(|step, _| *step == "contention");
        solution.assignment = self.best.map(|b| b.0);
        solution.verdict = verdict;
        Ok(Answer { solution, report: self.report })
    }
}
