//! `ecomap`: Paramanayakam, Karatzas, Stamoulis, Anagnostopoulos, "Ecomap: Sustainability-Driven
//! Optimization of Multi-Tenant DNN Execution on Edge Servers", IEEE Transactions on Computers 2025
//! (arXiv 2503.04148): the paper's own loop, beside which the exact model of this project stands.
//!
//! Followed: carbon intensity sets the power threshold; every DNN begins with its best model; a
//! search guided by the estimator looks for the mapping of least latency within the threshold; only
//! where latency constraints break is a DNN replaced by its next lighter alternative, and the search
//! runs again. It optimises latency under a power threshold, and carbon only through the threshold.
//!
//! Adapted: the threshold is the cap of each site (row 6b), which the budget policy derives from
//! carbon intensity; the estimator is the pricing of the instance; constraints break for the tenants
//! for which the search finds no place: there is no choice within their latency objective, or none
//! beside the others. When these are at their lightest model already, the DNN that draws the most is
//! lightened. The search is local search on latency from seeded random insertions, eight a round;
//! each is one iteration.

use super::common::{Offer, Problem, finish, needs_devices};
use super::local;
use super::repair::Ranks;
use super::watch::Watch;
use crate::columns::Column;
use crate::error::SolverError;
use crate::pricing::Costs;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use crate::state::State;
use ecomap_instances::ids::TenantIx;
use ecomap_instances::plan::Assignment;
use ecomap_instances::{Instance, Objective, Term};
use rand::SeedableRng;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Searches for a mapping in each round.
const SEARCHES: usize = 8;

/// The loop of the Ecomap paper.
#[derive(Debug, Clone, Copy)]
pub struct EcomapLoop;

impl Solver for EcomapLoop {
    fn name(&self) -> &'static str {
        "ecomap"
    }

    fn summary(&self) -> &'static str {
        "least latency under the power threshold, lighter models only when latency breaks (Ecomap, TC 2025); no bound"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        needs_devices(self.name(), instance)?;
        let latency = Costs::new(instance, &Objective::Single(Term::Latency));
        finish(
            self,
            instance,
            options,
            observer,
            Offer::Admissible,
            |_| true,
            |problem, watch| Ok(adapt(problem, &latency, watch)),
        )
    }
}

fn adapt<'a>(problem: &Problem<'a>, latency: &'a Costs, watch: &mut Watch<'_, '_>) -> Assignment {
    let instance = problem.instance;
    let ranks = Ranks::new(instance);
    let mut rng = ChaCha8Rng::seed_from_u64(watch.options().seed);
    let mut tiers: Vec<usize> = vec![0; instance.tenants.len()];
    let mut best: Option<(f64, State<'_>)> = None;
    let mut replaced = 0;
    loop {
        let mapping = mapped(problem, latency, &ranks, &tiers, &mut rng, watch);
        let left_out: Vec<usize> =
            (0..tiers.len()).filter(|i| mapping.pick(TenantIx::new(*i)).is_none()).collect();
        let price: f64 = left_out.iter().map(|i| problem.shed_cost(*i)).sum();
        let heaviest = heaviest(instance, &mapping, &tiers);
        if best.as_ref().is_none_or(|(b, _)| price < *b) {
            watch.offer(&mapping.assignment());
            best = Some((price, mapping));
        }
        if left_out.is_empty() || watch.over() || watch.left() == Some(0) {
            break;
        }
        let lighter = |i: usize| tiers[i] + 1 < instance.tenants[i].tiers.len();
        let mut replace: Vec<usize> = left_out.into_iter().filter(|i| lighter(*i)).collect();
        if replace.is_empty() {
            replace.extend(heaviest);
        }
        if replace.is_empty() {
            break;
        }
        replaced += replace.len();
        replace.into_iter().for_each(|i| tiers[i] += 1);
    }
    watch.notes.push(format!("{replaced} replacements by a lighter model"));
    best.map_or_else(|| State::new(instance).assignment(), |(_, state)| state.assignment())
}

/// The mapping of least latency found with every tenant at its tier.
fn mapped<'a>(
    problem: &Problem<'a>,
    latency: &'a Costs,
    ranks: &Ranks,
    tiers: &[usize],
    rng: &mut ChaCha8Rng,
    watch: &mut Watch<'_, '_>,
) -> State<'a> {
    let instance = problem.instance;
    let columns: Vec<Vec<Column>> = problem
        .columns
        .iter()
        .zip(tiers)
        .map(|(list, tier)| {
            list.iter()
                .filter(|c| c.host(instance).is_none_or(|(h, _)| ranks.tier(c.tenant, h) == *tier))
                .map(|c| {
                    let tenant = &instance.tenants[c.tenant.at()];
                    Column { cost: latency.option(instance, tenant, c.choice(instance)), ..*c }
                })
                .collect()
        })
        .collect();
    let guided = Problem::new(instance, latency, columns);
    let mut order: Vec<TenantIx> = (0..tiers.len()).map(TenantIx::new).collect();
    let mut best: Option<(f64, State<'a>)> = None;
    for search in 0..SEARCHES {
        if !watch.step() && search > 0 {
            break;
        }
        order.shuffle(rng);
        let mut state = State::new(instance);
        for tenant in &order {
            if let Some((_, column)) = local::cheapest(&guided, &state, *tenant, |_| true) {
                state.place(column);
            }
        }
        let options = SolveOptions { work_limit: None, ..watch.options().clone() };
        if watch.ended().is_none() {
            state = local::improve(&guided, state, &options, watch.deadline());
        }
        let value = guided.value(&state);
        if best.as_ref().is_none_or(|(b, _)| value < *b) {
            best = Some((value, state));
        }
    }
    best.map_or_else(|| State::new(instance), |(_, state)| state)
}

/// The served tenant that draws the most and has a lighter model.
fn heaviest(instance: &Instance, mapping: &State<'_>, tiers: &[usize]) -> Option<usize> {
    let draw = |i: usize| {
        let column = mapping.pick(TenantIx::new(i))?;
        column.host(instance).map(|(host, _)| host.dynamic.get())
    };
    (0..tiers.len())
        .filter(|i| tiers[*i] + 1 < instance.tenants[*i].tiers.len())
        .filter_map(|i| draw(i).map(|watts| (i, watts)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
        .map(|(i, _)| i)
}
