//! Large problems: plans guided by the relaxation's prices, and neighbourhoods of a few boards
//! solved exactly, all else fixed.

use crate::columns::Column;
use crate::error::SolverError;
use crate::exact::{Run, Scope, plan_value};
use crate::formulation::LevelRow;
use crate::pricing::Costs;
use crate::relax::Bound;
use ecomap_instances::ids::DeviceIx;
use ecomap_instances::plan::{Assignment, relative_gap};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Boards in a neighbourhood: small ones first, since their programs are solved in a blink; larger
/// ones once a whole sweep over the boards brings nothing.
const BOARDS: [usize; 4] = [2, 3, 4, 6];
/// Options of least slack that a free tenant may take in a neighbourhood.
const OPTIONS: usize = 40;
/// Longest time for one neighbourhood.
const SECONDS: f64 = 2.0;

/// Construction and local search over the columns that the relaxation finds promising.
pub(crate) fn guided(
    run: &Run<'_, '_>,
    costs: &Costs,
    columns: &[Vec<Column>],
    bound: &Bound,
) -> Option<(Assignment, f64)> {
    let promising: Vec<Vec<Column>> =
        columns.iter().enumerate().map(|(i, list)| least_slack(list, &bound.slack[i], OPTIONS)).collect();
    let plan = run.searched(costs, &promising, 0.1, 20)?;
    let value = plan_value(run.instance, costs, &plan)?;
    Some((plan, value))
}

/// The columns of the `most` options of least slack.
fn least_slack(list: &[Column], slack: &[f64], most: usize) -> Vec<Column> {
    let of = |c: &Column| slack[c.pick.option.at()];
    let mut options: Vec<(f64, usize)> = list.iter().map(|c| (of(c), c.pick.option.at())).collect();
    options.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    options.dedup();
    let Some((limit, _)) = options.get(most.min(options.len()).saturating_sub(1)).copied() else {
        return Vec::new();
    };
    list.iter().filter(|c| of(c) <= limit).copied().collect()
}

/// Frees the tenants of a few boards (and the shed ones) at a time and solves the rest exactly.
/// Gives the best plan and the nodes spent.
pub(crate) fn improve(
    run: &mut Run<'_, '_>,
    costs: &Costs,
    columns: &[Vec<Column>],
    bound: &Bound,
    rows: &[LevelRow],
    start: Option<(Assignment, f64)>,
    share: f64,
) -> Result<(Option<(Assignment, f64)>, u64), SolverError> {
    let Some((mut plan, mut value)) = start else { return Ok((None, 0)) };
    let instance = run.instance;
    let clock = run.options.clock.clone();
    let until = run.left().map(|left| clock.now() + left.mul_f64(share));
    let mut rng = ChaCha8Rng::seed_from_u64(run.options.seed ^ 0x6c6e_7300);
    let (mut nodes, mut sweeps) = (0, 0);
    let (mut size, mut gained) = (0, false);
    let mut order: Vec<usize> = Vec::new();
    loop {
        let over = until.is_some_and(|u| clock.now() >= u) || run.options.cancel.is_cancelled();
        if over || relative_gap(value, bound.value.min(value)) <= run.options.gap {
            break;
        }
        if order.is_empty() {
            if sweeps > 0 && !gained {
                size += 1;
            }
            if size >= BOARDS.len() {
                break;
            }
            sweeps += 1;
            gained = false;
            order = (0..instance.devices.len()).collect();
            order.shuffle(&mut rng);
        }
        let Some(centre) = order.pop() else { break };
        let boards = neighbourhood(run, &plan, columns, centre, BOARDS[size], &mut rng);
        let list = free_columns(&plan, columns, bound, &boards);
        let here = run.left().map_or(1.0, |left| (SECONDS / left.as_secs_f64().max(SECONDS)).min(0.2));
        let scope = Scope::Part { relaxed: bound.value };
        let reached = run.mip(costs, &list, rows, Some(&(plan.clone(), value)), scope, here)?;
        nodes += reached.nodes;
        if let Some((better, now)) = reached.plan.filter(|(_, v)| *v < value - 1e-9 * value.abs().max(1.0)) {
            (plan, value) = (better, now);
            gained = true;
            run.report(Some(value), Some(bound.value), nodes);
            run.hand_over(&plan);
        }
    }
    Ok((Some((plan, value)), nodes))
}

/// Boards that share tenants' choices with `centre`: those at its site first, then others that
/// its tenants could use.
fn neighbourhood(
    run: &Run<'_, '_>,
    plan: &Assignment,
    columns: &[Vec<Column>],
    centre: usize,
    size: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<DeviceIx> {
    let instance = run.instance;
    let centre = DeviceIx::new(centre);
    let site = instance.class_of(centre).site;
    let mut near: Vec<DeviceIx> = (0..instance.devices.len())
        .map(DeviceIx::new)
        .filter(|d| *d != centre && instance.class_of(*d).site == site)
        .collect();
    near.shuffle(rng);
    let mut far: Vec<DeviceIx> = plan
        .picks
        .iter()
        .zip(columns)
        .filter(|(pick, _)| pick.is_some_and(|p| p.device == Some(centre)))
        .flat_map(|(_, list)| list.iter().filter_map(|c| c.pick.device))
        .filter(|d| instance.class_of(*d).site != site)
        .collect();
    far.sort_unstable();
    far.dedup();
    far.shuffle(rng);
    let mut boards = vec![centre];
    boards.extend(near.into_iter().take(size.div_ceil(2)));
    boards.extend(far);
    boards.truncate(size);
    boards
}

/// Free tenants (on `boards`, or shed) get their promising columns on `boards`; the others keep
/// the one they have.
fn free_columns(
    plan: &Assignment,
    columns: &[Vec<Column>],
    bound: &Bound,
    boards: &[DeviceIx],
) -> Vec<Column> {
    let mut list = Vec::new();
    for (i, (pick, all)) in plan.picks.iter().zip(columns).enumerate() {
        let here = |d: Option<DeviceIx>| d.is_some_and(|d| boards.contains(&d));
        let free = pick.is_none_or(|p| here(p.device));
        if free {
            let reachable: Vec<Column> = all.iter().filter(|c| here(c.pick.device)).copied().collect();
            let mut chosen = least_slack(&reachable, &bound.slack[i], OPTIONS);
            let current = all.iter().find(|c| Some(c.pick) == *pick);
            if let Some(current) = current.filter(|c| !chosen.iter().any(|x| x.pick == c.pick)) {
                chosen.push(*current);
            }
            list.extend(chosen);
        } else {
            list.extend(all.iter().find(|c| Some(c.pick) == *pick).copied());
        }
    }
    list
}
