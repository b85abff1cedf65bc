//! The one rule by which the placement of a method that ignores power becomes a plan of the common
//! model, the same for all of them:
//!
//! 1. Tenants go in by priority, those that must be served first. Each takes, of its choices that
//!    fit beside those already in, the nearest to the one wanted: the tier asked for
//!    before a lighter one, the same board before another, the same placement before another, the
//!    power mode asked for before another, the faster before the slower. A tenant for which nothing fits is
//!    left out.
//! 2. If somebody is left out, power modes are lowered by one step on all boards and the rule starts
//!    again; when all modes were tried, all tiers are lightened by one step, and so on. The first
//!    round that serves everybody counts; if none does, the one that sheds the least, by the price
//!    of shedding.
//!
//! So modes are lowered before quality is, and quality before service.

use super::common::Problem;
use super::watch::Watch;
use crate::columns::Column;
use crate::state::State;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, ModeIx, TenantIx};
use ecomap_instances::instance::Host;
use std::cmp::Ordering;

/// What became of a placement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Tenants placed as wanted.
    pub kept: usize,
    /// In another power mode, else as wanted.
    pub mode: usize,
    /// On the board and at the tier wanted, with another placement.
    pub placement: usize,
    /// At a lighter tier.
    pub lighter: usize,
    /// On another board, at the tier wanted.
    pub moved: usize,
    /// Left out.
    pub shed: usize,
    /// Tenants for which the method had no choice, placed by the rule alone.
    pub unplaced: usize,
}

impl Change {
    /// One sentence for the solution's notes.
    pub(crate) fn note(&self) -> String {
        let Self { kept, mode, placement, lighter, moved, shed, unplaced } = *self;
        let total = kept + mode + placement + lighter + moved + shed + unplaced;
        format!(
            "placed without regard to power, then repaired: of {total} tenants {kept} as placed, {mode} in another \
             power mode, {placement} with another placement, {lighter} at a lighter tier, {moved} on another board, \
             {unplaced} placed by the repair alone, {shed} shed"
        )
    }
}

/// Ranks of tiers and modes: 0 is the most accurate tier, the mode with the largest budget.
pub(crate) struct Ranks {
    tiers: Vec<Vec<usize>>,
    modes: Vec<Vec<usize>>,
}

impl Ranks {
    pub(crate) fn new(instance: &Instance) -> Self {
        let tiers = instance
            .tenants
            .iter()
            .map(|t| ranks(t.tiers.len(), |a, b| t.tiers[b].accuracy.total_cmp(&t.tiers[a].accuracy)))
            .collect();
        let modes = instance
            .classes
            .iter()
            .map(|c| ranks(c.modes.len(), |a, b| c.modes[b].budget.total_cmp(&c.modes[a].budget)))
            .collect();
        Self { tiers, modes }
    }

    pub(crate) fn tier(&self, tenant: TenantIx, host: &Host) -> usize {
        self.tiers[tenant.at()][host.tier]
    }

    pub(crate) fn mode(&self, class: ClassIx, mode: ModeIx) -> usize {
        self.modes[class.at()][mode.at()]
    }
}

/// Position of each item in the order `compare`, ties by index.
fn ranks(count: usize, compare: impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b).then(a.cmp(b)));
    let mut ranks = vec![0; count];
    for (rank, item) in order.into_iter().enumerate() {
        ranks[item] = rank;
    }
    ranks
}

/// Makes a plan of `wanted`, one column a tenant, by the rule above.
pub(crate) fn repair<'a>(
    problem: &Problem<'a>,
    wanted: &[Option<Column>],
    watch: &mut Watch<'_, '_>,
) -> (State<'a>, Change) {
    let ranks = Ranks::new(problem.instance);
    let order = order(problem);
    let most = |list: &[Vec<usize>]| list.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut best: Option<(f64, State<'a>)> = None;
    'rounds: for tier in 0..most(&ranks.tiers) {
        for mode in 0..most(&ranks.modes) {
            let state = insert(problem, &ranks, &order, wanted, Round { tier, mode });
            let price: f64 =
                order.iter().filter(|t| state.pick(**t).is_none()).map(|t| problem.shed_cost(t.at())).sum();
            let served = order.iter().all(|t| state.pick(*t).is_some());
            if best.as_ref().is_none_or(|(b, _)| price < *b) {
                best = Some((price, state));
            }
            if served || watch.over() {
                break 'rounds;
            }
        }
    }
    let state = best.map_or_else(|| State::new(problem.instance), |(_, state)| state);
    let change = compare(problem.instance, &state, wanted);
    (state, change)
}

/// Those that must be served first, then by priority.
fn order(problem: &Problem<'_>) -> Vec<TenantIx> {
    let tenants = &problem.instance.tenants;
    let mut order: Vec<usize> = (0..tenants.len()).collect();
    order.sort_by(|a, b| {
        let must = tenants[*a].shedding.allowed.cmp(&tenants[*b].shedding.allowed);
        must.then(tenants[*b].priority.total_cmp(&tenants[*a].priority)).then(a.cmp(b))
    });
    order.into_iter().map(TenantIx::new).collect()
}

/// How far tiers and modes are lowered.
#[derive(Debug, Clone, Copy)]
struct Round {
    tier: usize,
    mode: usize,
}

fn insert<'a>(
    problem: &Problem<'a>,
    ranks: &Ranks,
    order: &[TenantIx],
    wanted: &[Option<Column>],
    round: Round,
) -> State<'a> {
    let instance = problem.instance;
    let mut state = State::new(instance);
    for &tenant in order {
        let mut best: Option<(Distance, Column)> = None;
        for column in &problem.columns[tenant.at()] {
            let Some(distance) = Distance::of(instance, ranks, wanted[tenant.at()].as_ref(), column, round)
            else {
                continue;
            };
            if best.as_ref().is_none_or(|(b, _)| distance.cmp(b) == Ordering::Less) && state.admits(column) {
                best = Some((distance, *column));
            }
        }
        if let Some((_, column)) = best {
            state.place(column);
        }
    }
    state
}

/// How far a column is from the one wanted; smaller is nearer.
#[derive(Debug, Clone, Copy)]
struct Distance {
    tier: usize,
    board: bool,
    placement: bool,
    mode: usize,
    latency: f64,
}

impl Distance {
    /// `None` for tiers above the one asked for.
    fn of(
        instance: &Instance,
        ranks: &Ranks,
        wanted: Option<&Column>,
        column: &Column,
        round: Round,
    ) -> Option<Self> {
        let Some((host, device)) = column.host(instance) else {
            // A choice without a board is no method's wish; it comes last.
            return Some(Self {
                board: true,
                tier: usize::MAX,
                placement: true,
                mode: 0,
                latency: column.cost,
            });
        };
        let wish = wanted.and_then(|w| w.host(instance));
        let lightest = instance.tenants[column.tenant.at()].tiers.len().saturating_sub(1);
        let asked = wish.map_or(0, |(w, _)| ranks.tier(column.tenant, w)) + round.tier;
        let tier = ranks.tier(column.tenant, host).checked_sub(asked.min(lightest))?;
        let slowest = instance.classes[host.class.at()].modes.len().saturating_sub(1);
        let start = match wish {
            Some((w, _)) if w.class == host.class => ranks.mode(w.class, w.mode),
            _ => 0,
        };
        let mode = ranks.mode(host.class, host.mode).abs_diff((start + round.mode).min(slowest));
        Some(Self {
            board: wish.is_some_and(|(_, d)| d != device),
            tier,
            placement: wish.is_some_and(|(w, _)| w.segments != host.segments),
            mode,
            latency: host.latency.p50.get(),
        })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let key = |d: &Self| (d.tier, d.board, d.placement, d.mode);
        key(self).cmp(&key(other)).then(self.latency.total_cmp(&other.latency))
    }
}

fn compare(instance: &Instance, state: &State<'_>, wanted: &[Option<Column>]) -> Change {
    let mut change = Change::default();
    for (i, wish) in wanted.iter().enumerate() {
        let got = state.pick(TenantIx::new(i));
        let slot = match (wish, got) {
            (_, None) => &mut change.shed,
            (None, Some(_)) => &mut change.unplaced,
            (Some(wish), Some(got)) if wish.pick == got.pick => &mut change.kept,
            (Some(wish), Some(got)) => match (wish.host(instance), got.host(instance)) {
                (Some((w, d)), Some((g, e))) => {
                    if w.tier != g.tier {
                        &mut change.lighter
                    } else if d != e {
                        &mut change.moved
                    } else if w.segments != g.segments {
                        &mut change.placement
                    } else {
                        &mut change.mode
                    }
                }
                _ => &mut change.moved,
            },
        };
        *slot += 1;
    }
    change
}
