//! Plans in time for a promise: without a proof, without waiting.

use super::{BudgetChange, Known, Resolver};
use crate::baselines::{Problem, local};
use crate::checker::{self, Verdict};
use crate::columns;
use crate::error::SolverError;
use crate::reduce;
use crate::solution::Solution;
use crate::solve::SolveOptions;
use crate::state::State;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, ModeIx, OptionIx, TenantIx};
use ecomap_instances::plan::Assignment;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A plan that the checker accepts at the present budgets and intensities.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The plan.
    pub plan: Assignment,
    /// What the checker says of it.
    pub verdict: Verdict,
    /// No plan is better, in the objective's sense; `None` where nothing is proven.
    pub bound: Option<f64>,
    /// Whether it was made from another plan, not found in the store.
    pub repaired: bool,
}

impl Resolver {
    /// A standing plan as a solution. The hash of the instance is left empty: it takes longer to print a large problem than
    /// to answer a drop; whoever shows the certificate fills it in ([`crate::solution::instance_hash`]).
    #[must_use]
    pub fn solution(&self, standing: &Standing) -> Solution {
        let value = standing.verdict.evaluation.value;
        let known = Known { plan: None, value: Some(value), bound: standing.bound, infeasible: false };
        let method = if standing.repaired { "repair" } else { "pool" };
        self.unnamed(Some((standing.plan.clone(), standing.verdict.clone())), &known, method)
    }

    /// Takes new budgets over and returns, without a solve, the better of two plans: the cheapest stored one that fits,
    /// and `running` with as little taken from it as makes it fit. `None` when neither passes the checker.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve) for the change.
    pub fn at_once(
        &mut self,
        change: &BudgetChange,
        running: &Assignment,
    ) -> Result<Option<Standing>, SolverError> {
        self.set_budgets(change)?;
        let budgets = self.budgets();
        let stored = self.checked(&budgets);
        let repaired = self.repaired(running).map(|plan| {
            let verdict = checker::check(&self.instance, &plan, &self.objective);
            (plan, verdict)
        });
        let repaired = repaired.filter(|(_, verdict)| verdict.passes());
        if let Some((plan, _)) = &repaired {
            self.keep(plan);
        }
        let worth = |found: &Option<(Assignment, Verdict)>| {
            found.as_ref().map_or(f64::INFINITY, |(_, v)| v.evaluation.value * self.sign)
        };
        let by_repair = worth(&repaired) < worth(&stored);
        let bound = self.known(&budgets).bound;
        let found = if by_repair { repaired } else { stored };
        Ok(found.map(|(plan, verdict)| Standing { plan, verdict, bound, repaired: by_repair }))
    }

    /// Works out ahead of time what [`at_once`](Self::at_once) needs of the problem alone, so that a drop need not.
    pub fn make_ready(&mut self) {
        if self.linear() && !self.instance.classes.is_empty() {
            self.admissible();
        }
    }

    /// The best stored plan at the present budgets, after a local search from it that `kicks` times starts anew beside
    /// it; 0 only looks it up. Deterministic by the seed. `None` when no stored plan fits, or for objectives whose plans are not
    /// pooled.
    pub fn refine(&mut self, kicks: usize) -> Option<Standing> {
        let budgets = self.budgets();
        let (mut plan, mut verdict) = self.checked(&budgets)?;
        let mut repaired = false;
        if kicks > 0
            && self.linear()
            && !self.instance.classes.is_empty()
            && let Some(better) = self.searched_from(&plan, kicks)
        {
            let after = checker::check(&self.instance, &better, &self.objective);
            if after.passes() && (after.evaluation.value - verdict.evaluation.value) * self.sign < 0.0 {
                self.keep(&better);
                (plan, verdict, repaired) = (better, after, true);
            }
        }
        let bound = self.known(&budgets).bound;
        let bound = bound.map(|b| {
            let value = verdict.evaluation.value;
            if (b - value) * self.sign > 0.0 { value } else { b }
        });
        Some(Standing { plan, verdict, bound, repaired })
    }

    fn searched_from(&mut self, plan: &Assignment, kicks: usize) -> Option<Assignment> {
        let menu = self.admissible();
        let columns = columns::expand(&self.instance, &self.costs, &menu.kept);
        let problem = Problem::new(&self.instance, &self.costs, columns);
        let state = state_of(&problem, plan)?;
        let options = SolveOptions { work_limit: None, ..self.options.clone() };
        Some(local::iterate(&problem, state, &options, None, kicks).assignment())
    }

    /// Options that no budget excludes, found once.
    pub(super) fn admissible(&mut self) -> Arc<Menu> {
        if let Some(menu) = &self.admissible {
            return Arc::clone(menu);
        }
        let menu = Arc::new(Menu::new(&self.instance, reduce::admissible(&self.loosened()).kept));
        self.admissible = Some(Arc::clone(&menu));
        menu
    }
}

/// Options that rows (7), (8a) and (10a) admit.
#[derive(Debug)]
pub(super) struct Menu {
    /// By tenant.
    pub(super) kept: Vec<Vec<OptionIx>>,
    /// By tenant: class, mode and the options there.
    at: Vec<BTreeMap<(ClassIx, ModeIx), Vec<OptionIx>>>,
}

impl Menu {
    fn new(instance: &Instance, kept: Vec<Vec<OptionIx>>) -> Self {
        let at = instance.tenants.iter().zip(&kept).map(|(tenant, options)| {
            let mut at: BTreeMap<(ClassIx, ModeIx), Vec<OptionIx>> = BTreeMap::new();
            for option in options {
                if let Some(host) = tenant.options.get(option.at()).and_then(|o| o.host.as_ref()) {
                    at.entry((host.class, host.mode)).or_default().push(*option);
                }
            }
            at
        });
        Self { at: at.collect(), kept }
    }

    /// Options of a tenant on boards of a class in a mode.
    pub(super) fn at(&self, tenant: TenantIx, class: ClassIx, mode: ModeIx) -> &[OptionIx] {
        self.at.get(tenant.at()).and_then(|at| at.get(&(class, mode))).map_or(&[], Vec::as_slice)
    }
}

/// A plan as a state; `None` where one of its picks is not a column.
pub(super) fn state_of<'a>(problem: &Problem<'a>, plan: &Assignment) -> Option<State<'a>> {
    let mut state = State::new(problem.instance);
    for (i, pick) in plan.picks.iter().enumerate() {
        let Some(pick) = pick else { continue };
        let column = problem.columns.get(i)?.iter().find(|c| c.pick == *pick)?;
        debug_assert_eq!(column.tenant, TenantIx::new(i));
        state.place(*column);
    }
    Some(state)
}
