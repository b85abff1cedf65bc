//! Price decomposition for problems under global capacities only: `ecomap_mmkp` behind the
//! instance types.
//!
//! With no boards to switch on, only capacity rows tie tenants together, so the prices of
//! `ecomap_mmkp` bound the optimum and their regrets are reduced costs: a column whose regret
//! exceeds the distance between bound and plan is in no better plan.

use crate::columns::Column;
use crate::pricing::Costs;
use crate::solve::SolveOptions;
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_mmkp::{Builder, Limits, Problem};
use std::time::Duration;

/// Most rows that `ecomap_mmkp` takes.
const ROWS: usize = 64;
/// Gap from which the search is given long: below it a proof is another solver's business.
const ROUGH: f64 = 1e-5;
/// Vectors compared per column: for a plan to fix columns by, for a rough gap, and where the search is all there is; and at
/// most.
const SHORT: u64 = 1_000;
const LONG: u64 = 100_000;
const LONGEST: u64 = 2_000_000;
const WORK: u64 = 2_000_000_000;

/// How long to search where the gap is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For a plan to fix columns by.
    Short,
    /// For the plan itself.
    Long,
}

impl Priced {
    /// Columns that a better plan can use.
    pub(crate) fn near(&self) -> usize {
        let Some((_, value)) = &self.best else { return usize::MAX };
        self.regret.iter().flatten().filter(|regret| self.bound + **regret <= *value).count()
    }
}

/// What prices gave, in minimised cost without the constant part.
pub(crate) struct Priced {
    /// A plan and its cost.
    pub best: Option<(Assignment, f64)>,
    /// No plan costs less.
    pub bound: f64,
    /// Per tenant and column: a plan that takes it costs at least `bound` + regret.
    pub regret: Vec<Vec<f64>>,
}

/// Whether the problem has the shape: nothing but choice rows and capacity rows.
pub(crate) fn applies(instance: &Instance) -> bool {
    instance.devices.is_empty()
        && instance.affinities.is_empty()
        && instance.stability.is_free()
        && instance.fleet_accuracy_floor.is_none()
        && (1..=ROWS).contains(&instance.capacities.len())
}

/// An instance as a knapsack: its columns in order, shedding as the last option of a class.
#[derive(Debug, Clone)]
pub(crate) struct Knapsack {
    pub(crate) problem: Problem,
    picks: Vec<Vec<Pick>>,
}

impl Knapsack {
    /// `None` when a number is out of range.
    pub(crate) fn new(instance: &Instance, costs: &Costs, columns: &[Vec<Column>]) -> Option<Self> {
        let mut builder = Builder::new(instance.capacities.iter().map(|c| c.capacity).collect());
        let mut uses = Vec::new();
        for (i, list) in columns.iter().enumerate() {
            builder.class();
            for column in list {
                uses.clear();
                uses.extend(column.choice(instance).uses.iter().map(|(row, amount)| (row.at(), *amount)));
                builder.option(-column.cost, &uses);
            }
            if instance.tenants[i].shedding.allowed {
                builder.option(-costs.shed(i), &[]);
            }
        }
        let picks = columns.iter().map(|list| list.iter().map(|c| c.pick).collect()).collect();
        Some(Self { problem: builder.build().ok()?, picks })
    }

    /// Columns.
    pub(crate) fn len(&self) -> usize {
        self.picks.iter().map(Vec::len).sum()
    }

    /// The plan of a choice.
    pub(crate) fn plan(&self, choice: &[u32]) -> Assignment {
        let picks = self.picks.iter().zip(choice).map(|(list, j)| list.get(*j as usize).copied()).collect();
        Assignment { picks, modes: Vec::new() }
    }
}

/// Bound, plan and regrets within the time until `until`.
pub(crate) fn search(
    instance: &Instance,
    costs: &Costs,
    columns: &[Vec<Column>],
    options: &SolveOptions,
    effort: Effort,
    until: Option<Duration>,
) -> Option<Priced> {
    let knapsack = Knapsack::new(instance, costs, columns)?;
    let problem = &knapsack.problem;
    let clock = &options.clock;
    let stop = || options.cancel.is_cancelled() || until.is_some_and(|at| clock.now() >= at);
    let count = columns.iter().map(Vec::len).sum::<usize>() as u64;
    let each = match effort {
        Effort::Long => LONGEST,
        Effort::Short if options.gap >= ROUGH => LONG,
        Effort::Short => SHORT,
    };
    let work = (each * count).min(WORK);
    let limits = Limits { gap: options.gap, work, seed: options.seed, stop: &stop };
    let answer = ecomap_mmkp::solve(problem, &limits);
    let best = answer.choice.as_ref().map(|choice| (knapsack.plan(choice), -answer.value));
    let certificate = problem.certify(&answer.prices);
    let regret = columns
        .iter()
        .enumerate()
        .map(|(i, list)| {
            (0..list.len()).map(|j| problem.regret(&certificate, &answer.prices, i, j)).collect()
        })
        .collect();
    Some(Priced { best, bound: -certificate.bound, regret })
}
