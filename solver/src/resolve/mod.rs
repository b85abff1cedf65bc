//! One problem kept solved while its budgets move.
//!
//! A budget change alters right-hand sides only: caps of sites, capacities of rows. So what was found before goes on
//! being worth something, and [`Resolver::resolve`] takes the first of three ways that proves the gap asked for:
//!
//! 1. **Lookup**: the cheapest stored plan that fits, against the best stored proof ([`Resolver::lookup`] alone
//!    takes microseconds and never waits).
//! 2. **Search**, where only capacity rows tie tenants together: prices from the nearest stored ones, then moves
//!    of least regret (`ecomap_mmkp`).
//! 3. **Proof**: the exact solver, started from the best stored plan that fits.
//!
//! [`Resolver::set_intensities`] moves the carbon intensities of sites: plans are priced anew, and proofs go on at a
//! discount. [`Resolver::at_once`] answers a cap that must be kept now, with a stored plan or by taking from the one that
//! runs, and [`Resolver::refine`] searches from there without a proof.
//!
//! Whatever is found is stored, in bounded memory. [`Resolver::preparation`] fills the store ahead of time, on another
//! thread if wanted: it works on a copy, and [`Resolver::absorb`] takes over what it has found so far. When tenants
//! come and go, [`Resolver::rebase`] re-prices proofs and patches plans instead of starting anew.

mod intensity;
mod prepare;
mod quick;
mod rebase;
mod repair;
mod store;

pub use prepare::{Preparation, Progress};
pub use quick::Standing;

use crate::checker::{self, Verdict};
use crate::columns;
use crate::error::SolverError;
use crate::exact::{Exact, plan_value};
use crate::highs::Settings;
use crate::prices::Knapsack;
use crate::pricing::Costs;
use crate::reduce;
use crate::relax::Relaxation;
use crate::solution::{Certificate, Solution, instance_hash};
use crate::solve::{SolveOptions, Solver};
use ecomap_instances::ids::{CapacityIx, SiteIx};
use ecomap_instances::instance::{Instance, Sense};
use ecomap_instances::issue::Issues;
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::{Assignment, Status, Termination, relative_gap};
use ecomap_instances::scenario::Stability;
use ecomap_instances::units::Watts;
use ecomap_mmkp::Limits;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use store::{Plane, Store, Stored};

/// Vectors that a search compares for each column before the exact solver has its turn.
const SEARCH: u64 = 2_000;
/// A plane is sought where the best stored proof is farther from the plan than this.
const LOOSE: f64 = 1e-3;

/// New right-hand sides; what is not named stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BudgetChange {
    /// Caps of sites; `None` lifts the cap.
    pub caps: Vec<(SiteIx, Option<Watts>)>,
    /// Capacities of rows (9), in the row's unit.
    pub capacities: Vec<(CapacityIx, f64)>,
}

/// What is known without solving, in the objective's own sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The best stored plan that fits; `None` when none does.
    pub plan: Option<Arc<Assignment>>,
    /// What it is worth.
    pub value: Option<f64>,
    /// No plan under these budgets is better; `None` when nothing is proven.
    pub bound: Option<f64>,
    /// Whether it is proven that no plan exists.
    pub infeasible: bool,
}

impl Known {
    /// Relative gap, when both sides are known.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        Some(relative_gap(self.value?, self.bound?))
    }
}

/// A problem with its present budgets, and all that is known about others.
#[derive(Debug, Clone)]
pub struct Resolver {
    instance: Instance,
    objective: Objective,
    costs: Costs,
    sign: f64,
    options: SolveOptions,
    store: Store,
    knapsack: Option<Knapsack>,
    /// Counts changes after which stored things of a copy no longer fit.
    epoch: u64,
    /// Options that rows (7), (8a) and (10a) admit, by tenant; once somebody asks.
    admissible: Option<Arc<quick::Menu>>,
    prover: Prover,
}

/// Who solves exactly where nothing stored does.
#[derive(Clone)]
struct Prover(Arc<dyn Solver>);

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Resolver {
    /// Nothing is solved yet. `options` hold for every solve to come: gap, limits, seed; their warm start is the
    /// first stored plan if it passes the checker.
    #[must_use]
    pub fn new(instance: Instance, options: SolveOptions) -> Self {
        let objective = options.objective.clone().unwrap_or_else(|| instance.objective.clone());
        let maximises = instance.sense == Sense::Maximize && objective == Objective::Single(Term::Value);
        let mut resolver = Self {
            costs: Costs::new(&instance, &objective),
            sign: if maximises { -1.0 } else { 1.0 },
            knapsack: None,
            store: Store::default(),
            epoch: 0,
            admissible: None,
            prover: Prover(Arc::new(Exact::new())),
            instance,
            objective,
            options,
        };
        resolver.knapsack = resolver.knapsack();
        resolver.reweigh();
        if let Some(plan) = resolver.options.warm_start.clone() {
            resolver.keep(&plan);
        }
        resolver
    }

    /// Lets `solver` do the exact solves, instead of [`Exact`] in this thread: one that runs it in a process which can
    /// be killed, for a caller that must go on whatever HiGHS does.
    #[must_use]
    pub fn with_prover(mut self, solver: Arc<dyn Solver>) -> Self {
        self.prover = Prover(solver);
        self
    }

    /// The problem at the present budgets.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Plans stored.
    #[must_use]
    pub fn plans(&self) -> usize {
        self.store.plans().len()
    }

    /// Proofs stored: steps and planes.
    #[must_use]
    pub fn proofs(&self) -> usize {
        self.store.proofs()
    }

    /// Whether one linear objective is minimised, so that stored plans and bounds compare.
    fn pools(&self) -> bool {
        !matches!(self.objective, Objective::Lexicographic(_))
    }

    fn linear(&self) -> bool {
        self.pools() && self.objective != Objective::Cdp
    }

    /// Watts of every site (+∞ without a cap), then the capacities.
    fn budgets(&self) -> Vec<f64> {
        let caps = self.instance.sites.iter().map(|s| s.cap.map_or(f64::INFINITY, Watts::get));
        caps.chain(self.instance.capacities.iter().map(|c| c.capacity)).collect()
    }

    fn changed(&self, change: &BudgetChange) -> Vec<f64> {
        let mut budgets = self.budgets();
        let sites = self.instance.sites.len();
        let caps = change.caps.iter().map(|(s, cap)| (s.at(), cap.map_or(f64::INFINITY, Watts::get)));
        let rows = change.capacities.iter().map(|(r, c)| (sites + r.at(), *c));
        for (at, value) in caps.chain(rows) {
            if let Some(slot) = budgets.get_mut(at) {
                *slot = value;
            }
        }
        budgets
    }

    /// What is known for the budgets after `change`, without solving and without taking them over. Reads every
    /// stored plan and proof once; sites and rows that do not exist are passed over.
    #[must_use]
    pub fn lookup(&self, change: &BudgetChange) -> Known {
        self.known(&self.changed(change))
    }

    fn known(&self, budgets: &[f64]) -> Known {
        let found = self.pools().then(|| self.store.fitting(budgets).next()).flatten();
        let bound = if self.pools() { self.store.bound(budgets) } else { f64::NEG_INFINITY };
        Known {
            value: found.map(|f| f.cost * self.sign),
            bound: bound.is_finite().then(|| {
                // A proof beyond the plan by rounding is the plan's value.
                self.sign * found.map_or(bound, |f| bound.min(f.cost))
            }),
            infeasible: bound == f64::INFINITY && found.is_none(),
            plan: found.map(|f| Arc::clone(&f.plan)),
        }
    }

    /// Takes new budgets over and returns a plan for them within the gap asked for, or the best that the limits
    /// allow; never a plan that breaks a budget.
    ///
    /// # Errors
    /// [`SolverError::Plan`] for a site or row that does not exist or a budget that is negative or not a number,
    /// which changes nothing; those of the exact solver.
    pub fn resolve(&mut self, change: &BudgetChange) -> Result<Solution, SolverError> {
        self.set_budgets(change)?;
        let begun = self.options.clock.now();
        let budgets = self.budgets();
        if let Some(solution) = self.pooled(&budgets, "pool") {
            return Ok(solution);
        }
        if self.search(&budgets)
            && let Some(solution) = self.pooled(&budgets, "pool search")
        {
            return Ok(solution);
        }
        let mut solution = self.prove(&budgets)?;
        let took = self.options.clock.now().saturating_sub(begun);
        solution.timings.insert("resolve", took);
        Ok(solution)
    }

    /// The stored plan as it stands, however far from proven: for a cap that must be kept at once.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve) for the change; `Ok(None)` when no stored plan fits.
    pub fn resolve_at_once(&mut self, change: &BudgetChange) -> Result<Option<Solution>, SolverError> {
        self.set_budgets(change)?;
        let budgets = self.budgets();
        let known = self.known(&budgets);
        Ok(self.checked(&budgets).map(|(plan, verdict)| self.wrap(Some((plan, verdict)), &known, "pool")))
    }

    /// Takes new budgets over without solving.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve) for the change.
    pub fn set_budgets(&mut self, change: &BudgetChange) -> Result<(), SolverError> {
        self.instance.set_budgets(&change.caps, &change.capacities).map_err(SolverError::Plan)
    }

    /// The plan that runs from now on: leaving it costs what rows (11) say.
    ///
    /// # Errors
    /// [`SolverError::Plan`] for a plan that is not one of the instance.
    pub fn set_running(&mut self, plan: &Assignment) -> Result<(), SolverError> {
        let parts = rebase::running(&self.instance, plan);
        let next = Instance::try_new(parts).map_err(|issues: Issues| SolverError::Plan(issues))?;
        self.epoch += 1;
        self.instance = next;
        let before = std::mem::replace(&mut self.costs, Costs::new(&self.instance, &self.objective));
        self.store.forget_steps();
        for stored in self.store.take_plans() {
            self.keep(&stored.plan);
        }
        // Open shed prices (18) count what leaving a running choice costs.
        if (0..self.instance.tenants.len()).any(|i| before.shed(i) > self.costs.shed(i)) {
            let planes = self.store.take_planes();
            self.reprice(planes, Some);
        }
        Ok(())
    }

    /// The cheapest stored plan that fits and passes the checker.
    fn checked(&self, budgets: &[f64]) -> Option<(Assignment, Verdict)> {
        self.store.fitting(budgets).take(8).find_map(|stored| {
            let verdict = checker::check(&self.instance, &stored.plan, &self.objective);
            verdict.passes().then(|| ((*stored.plan).clone(), verdict))
        })
    }

    /// The answer of the store, when it closes the gap or proves that there is none.
    fn pooled(&self, budgets: &[f64], method: &'static str) -> Option<Solution> {
        let known = self.known(budgets);
        if known.infeasible {
            return Some(self.wrap(None, &known, method));
        }
        if !self.closes(known.gap()) {
            return None;
        }
        let found = self.checked(budgets)?;
        let solution = self.wrap(Some(found), &known, method);
        (solution.status == Status::Optimal).then_some(solution)
    }

    fn closes(&self, gap: Option<f64>) -> bool {
        gap.is_some_and(|gap| gap <= self.options.gap * (1.0 + 1e-9) + 1e-12)
    }

    fn wrap(&self, found: Option<(Assignment, Verdict)>, known: &Known, method: &'static str) -> Solution {
        let mut solution = self.unnamed(found, known, method);
        solution.certificate.instance_hash = instance_hash(&self.instance);
        solution
    }

    /// A solution without the hash of the instance, which takes longer than all else.
    fn unnamed(&self, found: Option<(Assignment, Verdict)>, known: &Known, method: &'static str) -> Solution {
        let (plan, verdict) = found.unzip();
        let primal = verdict.as_ref().map(|v| v.evaluation.value);
        let dual = known.bound.map(|bound| match primal {
            Some(p) if (bound - p) * self.sign > 0.0 => p,
            _ => bound,
        });
        let closed = self.closes(primal.zip(dual).map(|(p, d)| relative_gap(p, d)));
        let (status, termination) = match &plan {
            Some(_) if closed => (Status::Optimal, Termination::GapReached),
            Some(_) => (Status::Feasible, Termination::TimeLimit),
            None => (Status::Infeasible, Termination::Infeasible),
        };
        Solution {
            solver: "exact",
            status,
            objective: self.objective.clone(),
            assignment: plan,
            verdict,
            certificate: Certificate {
                primal,
                dual,
                termination,
                nodes: 0,
                cuts: 0,
                seed: self.options.seed,
                instance_hash: String::new(),
                method,
                levels: Vec::new(),
            },
            reduction: None,
            timings: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Prices and moves over capacity rows; whether anything was done.
    fn search(&mut self, budgets: &[f64]) -> bool {
        let Some(knapsack) = &mut self.knapsack else { return false };
        let capacity = &budgets[self.instance.sites.len()..];
        if knapsack.problem.set_capacity(capacity).is_err() {
            return false;
        }
        let cancel = self.options.cancel.clone();
        let clock = Arc::clone(&self.options.clock);
        let until = self.options.time_limit.map(|limit| clock.now() + limit.mul_f64(0.5));
        let stop = || cancel.is_cancelled() || until.is_some_and(|at| clock.now() >= at);
        let gap = self.options.gap;
        let work = SEARCH * knapsack.len() as u64;
        let limits = Limits { gap, work, seed: self.options.seed, stop: &stop };
        let start = self.store.start(budgets, self.instance.sites.len());
        let answer = match start {
            Some(prices) => ecomap_mmkp::solve_from(&knapsack.problem, &prices, &limits),
            None => ecomap_mmkp::solve(&knapsack.problem, &limits),
        };
        let plan = answer.choice.as_ref().map(|choice| knapsack.plan(choice));
        let priced: f64 = answer.prices.iter().zip(capacity).map(|(p, c)| p * c).sum();
        let mut slope = vec![0.0; self.instance.sites.len()];
        slope.extend(&answer.prices);
        self.store.add_plane(Plane {
            constant: priced - answer.bound,
            slope,
            prices: None,
            carbon: Vec::new(),
            at: budgets.to_vec(),
        });
        if let Some(plan) = plan {
            self.keep(&plan);
        }
        true
    }

    /// The exact solver at the present budgets, from the best stored plan.
    fn prove(&mut self, budgets: &[f64]) -> Result<Solution, SolverError> {
        let warm = self.checked(budgets).map(|(plan, _)| plan);
        let options = SolveOptions {
            warm_start: warm,
            objective: Some(self.objective.clone()),
            ..self.options.clone()
        };
        let mut solution = self.prover.0.solve(&self.instance, &options, &mut ())?;
        if !self.pools() {
            return Ok(solution);
        }
        if solution.status == Status::Infeasible {
            self.store.add_step(budgets.to_vec(), f64::INFINITY);
            return Ok(solution);
        }
        if let Some(plan) = &solution.assignment {
            self.keep(plan);
        }
        if let Some(dual) = solution.certificate.dual {
            self.store.add_step(budgets.to_vec(), dual * self.sign);
        }
        let known = self.known(budgets);
        let (value, bound) = (known.value, known.bound.map(|b| b * self.sign));
        // What was known before may beat what the limits allowed now.
        let better = |a: f64, b: f64| (a - b) * self.sign < -1e-9 * b.abs().max(1.0);
        let pooled = match (value, solution.certificate.primal) {
            (Some(stored), Some(solved)) => better(stored, solved),
            (stored, solved) => stored.is_some() && solved.is_none(),
        };
        let tighter = bound
            .is_some_and(|b| solution.certificate.dual.is_none_or(|d| b > d * self.sign + 1e-9 * b.abs()));
        if (pooled || tighter)
            && let Some(found) = self.checked(budgets)
        {
            let merged = self.wrap(Some(found), &known, solution.certificate.method);
            solution = Solution {
                reduction: solution.reduction.take(),
                timings: std::mem::take(&mut solution.timings),
                notes: std::mem::take(&mut solution.notes),
                ..merged
            };
        }
        Ok(solution)
    }

    /// Stores a plan that passes the checker, whatever the present budgets.
    fn keep(&mut self, plan: &Assignment) {
        if !self.pools() {
            return;
        }
        let verdict = checker::check(&self.instance, plan, &self.objective);
        let broken = |rows: &[&str]| verdict.rows.iter().any(|r| r.violated > 0 && rows.contains(&r.row));
        let passing = [BUDGET_ROWS, MOVE_ROWS].concat();
        let sound = verdict.rows.iter().all(|r| r.violated == 0 || passing.contains(&r.row));
        let cost = match self.linear() {
            true => plan_value(&self.instance, &self.costs, plan),
            false => Some(verdict.evaluation.value * self.sign),
        };
        let Some(cost) = cost.filter(|_| sound) else { return };
        let watts = verdict.evaluation.sites.iter().map(|s| s.power.get());
        let used = watts.chain(verdict.evaluation.capacities.iter().copied()).collect();
        let barred = broken(&MOVE_ROWS);
        self.store.add_plan(Stored { plan: Arc::new(plan.clone()), cost, used, barred });
    }

    /// The problem as a knapsack, where it is one under any budgets.
    fn knapsack(&self) -> Option<Knapsack> {
        if !self.linear() || !crate::prices::applies(&self.instance) {
            return None;
        }
        let kept = reduce::admissible(&self.loosened());
        let columns = columns::expand(&self.instance, &self.costs, &kept.kept);
        Knapsack::new(&self.instance, &self.costs, &columns)
    }

    /// The same problem with budgets that exclude nothing, and without rules on stability: a relaxation under any
    /// budgets and whatever runs.
    fn loosened(&self) -> Instance {
        let mut parts = self.instance.to_parts();
        for site in &mut parts.sites {
            site.cap = None;
        }
        for capacity in &mut parts.capacities {
            capacity.capacity = ecomap_instances::instance::MAX_MAGNITUDE;
        }
        parts.stability = Stability::default();
        for tenant in &mut parts.tenants {
            tenant.running = None;
        }
        Instance::try_new(parts).unwrap_or_else(|_| self.instance.clone())
    }

    /// The problem at the present budgets without rules on stability.
    fn free(&self) -> Instance {
        let mut free = self.loosened();
        let caps: Vec<_> =
            self.instance.sites.iter().enumerate().map(|(s, site)| (SiteIx::new(s), site.cap)).collect();
        let rows = self.instance.capacities.iter().enumerate();
        let rows: Vec<_> = rows.map(|(r, c)| (CapacityIx::new(r), c.capacity)).collect();
        if free.set_budgets(&caps, &rows).is_err() {
            free = self.instance.clone();
        }
        free
    }

    /// Adds the plane of the pool relaxation at the present budgets.
    fn price(&mut self) -> Result<(), SolverError> {
        if !self.linear() || self.instance.classes.is_empty() {
            return Ok(());
        }
        let kept = reduce::admissible(&self.loosened()).kept;
        let free = self.free();
        let columns = columns::expand(&free, &self.costs, &kept);
        let relaxation = Relaxation::new(&free, &self.costs, &columns, &[]);
        let settings = Settings {
            gap: self.options.gap,
            time_limit: self.options.time_limit.map(|limit| limit.mul_f64(0.5)),
            node_limit: None,
            seed: self.options.seed,
            threads: self.options.threads,
            cancel: self.options.cancel.clone(),
            clock: Arc::clone(&self.options.clock),
        };
        let bound = relaxation.solve(&[], &settings)?;
        self.store.add_plane(plane_of(&relaxation, &bound.multipliers, self.store.carbon()));
        Ok(())
    }

    /// Solves at the present budgets for the store alone.
    fn deepen(&mut self) -> Result<(), SolverError> {
        let budgets = self.budgets();
        if self.pooled(&budgets, "pool").is_some() {
            return Ok(());
        }
        if self.search(&budgets) && self.pooled(&budgets, "pool search").is_some() {
            return Ok(());
        }
        self.prove(&budgets)?;
        let known = self.known(&budgets);
        let planes = self.store.tightest(&budgets).map(|p| p.bound(&budgets));
        let far =
            planes.zip(known.value.map(|v| v * self.sign)).is_none_or(|(p, v)| relative_gap(v, p) > LOOSE);
        if far { self.price() } else { Ok(()) }
    }
}

/// What multipliers of the pool relaxation prove for any budgets.
fn plane_of(relaxation: &Relaxation<'_>, multipliers: &[f64], carbon: &[f64]) -> Plane {
    let (value, slope, budgets) = relaxation.plane(multipliers);
    let priced: f64 = slope.iter().zip(&budgets).filter(|(s, _)| **s > 0.0).map(|(s, b)| s * b).sum();
    let prices = Some(relaxation.named(multipliers));
    Plane { constant: value + priced, slope, prices, carbon: carbon.to_vec(), at: Vec::new() }
}

/// Row families whose right-hand sides are budgets.
const BUDGET_ROWS: [&str; 2] = ["6b site power", "9 capacity"];
/// Row families that hang on what runs now.
const MOVE_ROWS: [&str; 2] = ["11a moves", "11b frozen"];
