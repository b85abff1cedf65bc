//! Local search on a plan: move one tenant, change the mode of a device, empty a device, bring a
//! shed tenant in by moving another. First improvement, seeded order, bounded work.

use super::common::Problem;
use crate::columns::Column;
use crate::solve::SolveOptions;
use crate::state::State;
use ecomap_instances::ids::{DeviceIx, ModeIx, TenantIx};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Passes over all moves without a limit from the caller.
const PASSES: u64 = 40;
/// Smallest improvement that counts, relative.
const GAIN: f64 = 1e-9;

/// Improves `state` until a local optimum, the work limit, `deadline` or cancellation.
pub(crate) fn improve<'a>(
    problem: &Problem<'a>,
    state: State<'a>,
    options: &SolveOptions,
    deadline: Option<Duration>,
) -> State<'a> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut best = problem.value(&state);
    let mut state = state;
    let stop = || options.cancel.is_cancelled() || deadline.is_some_and(|d| options.clock.now() >= d);
    for _ in 0..options.work_limit.unwrap_or(PASSES).min(PASSES) {
        let before = best;
        let mut tenants: Vec<usize> = (0..problem.columns.len()).collect();
        tenants.shuffle(&mut rng);
        for i in tenants {
            if stop() {
                return state;
            }
            move_tenant(problem, &mut state, TenantIx::new(i));
        }
        best = problem.value(&state);
        let mut devices: Vec<usize> = (0..problem.instance.devices.len()).collect();
        devices.shuffle(&mut rng);
        for d in devices {
            let device = DeviceIx::new(d);
            let modes = problem.instance.class_of(device).modes.len();
            for mode in (0..modes).map(|m| Some(ModeIx::new(m))).chain([None]) {
                if stop() {
                    return state;
                }
                if mode == state.mode(device) || (mode.is_none() && state.tenants_on(device) == 0) {
                    continue;
                }
                let trial = rebuild(problem, &state, device, mode);
                let value = problem.value(&trial);
                if value < best - GAIN * best.abs().max(1.0) {
                    (state, best) = (trial, value);
                }
            }
        }
        for i in 0..problem.columns.len() {
            if stop() {
                return state;
            }
            if state.pick(TenantIx::new(i)).is_none() {
                bring_in(problem, &mut state, TenantIx::new(i));
            }
        }
        best = problem.value(&state);
        if best >= before - GAIN * before.abs().max(1.0) {
            break;
        }
    }
    state
}

/// Local search with restarts: kicks the best plan and improves it again, `kicks` times.
pub(crate) fn iterate<'a>(
    problem: &Problem<'a>,
    state: State<'a>,
    options: &SolveOptions,
    deadline: Option<Duration>,
    kicks: usize,
) -> State<'a> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ 0x006b_6963_6b00);
    let mut best = improve(problem, state, options, deadline);
    let mut value = problem.value(&best);
    for _ in 0..kicks {
        if options.cancel.is_cancelled() || deadline.is_some_and(|d| options.clock.now() >= d) {
            break;
        }
        let kicked = kick(problem, &best, &mut rng);
        let trial = improve(problem, kicked, options, deadline);
        let this = problem.value(&trial);
        if this < value - GAIN * value.abs().max(1.0) {
            (best, value) = (trial, this);
        }
    }
    best
}

/// Empties a board, or switches its mode, and takes a few tenants off; all go back in random order.
fn kick<'a>(problem: &Problem<'a>, state: &State<'a>, rng: &mut ChaCha8Rng) -> State<'a> {
    let mut trial = state.clone();
    let mut loose: Vec<TenantIx> = Vec::new();
    let mut banned = None;
    if !problem.instance.devices.is_empty() {
        let device = DeviceIx::new(rng.random_range(0..problem.instance.devices.len()));
        banned = Some((device, trial.mode(device)));
        loose.extend(
            (0..problem.columns.len())
                .map(TenantIx::new)
                .filter(|t| trial.pick(*t).is_some_and(|c| c.pick.device == Some(device))),
        );
    }
    for _ in 0..3 {
        loose.push(TenantIx::new(rng.random_range(0..problem.columns.len())));
    }
    loose.sort_unstable();
    loose.dedup();
    for tenant in &loose {
        trial.remove(*tenant);
    }
    loose.shuffle(rng);
    for tenant in loose {
        // Not back into the mode that the board had: that is what the kick is for.
        let keep =
            |c: &Column| c.host(problem.instance).is_none_or(|(h, d)| banned != Some((d, Some(h.mode))));
        let found =
            cheapest(problem, &trial, tenant, keep).or_else(|| cheapest(problem, &trial, tenant, |_| true));
        if let Some((_, column)) = found {
            trial.place(column);
        }
    }
    trial
}

/// Puts a tenant where it costs least, all others fixed.
fn move_tenant(problem: &Problem<'_>, state: &mut State<'_>, tenant: TenantIx) -> bool {
    let old = state.remove(tenant);
    let reference = match &old {
        Some(column) => problem.added(state, column).unwrap_or(f64::INFINITY),
        None => problem.shed_cost(tenant.at()),
    };
    let best = cheapest(problem, state, tenant, |_| true);
    let better = best.filter(|(cost, _)| *cost < reference - GAIN * reference.abs().max(1.0));
    if let Some(column) = better.map(|(_, c)| c).or(old) {
        state.place(column);
    }
    better.is_some()
}

/// The cheapest admitted column of a tenant that is not placed.
pub(crate) fn cheapest(
    problem: &Problem<'_>,
    state: &State<'_>,
    tenant: TenantIx,
    keep: impl Fn(&Column) -> bool,
) -> Option<(f64, Column)> {
    let mut best: Option<(f64, Column)> = None;
    for column in problem.columns[tenant.at()].iter().filter(|c| keep(c)) {
        let Some(cost) = problem.added(state, column) else { continue };
        if best.is_none_or(|(b, _)| cost < b) && state.admits(column) {
            best = Some((cost, *column));
        }
    }
    best
}

/// The state with `device` emptied and its tenants placed anew: in `mode` there or elsewhere, or
/// only elsewhere when `mode` is `None`.
fn rebuild<'a>(
    problem: &Problem<'a>,
    state: &State<'a>,
    device: DeviceIx,
    mode: Option<ModeIx>,
) -> State<'a> {
    let mut trial = state.clone();
    let here: Vec<TenantIx> = (0..problem.columns.len())
        .map(TenantIx::new)
        .filter(|t| trial.pick(*t).is_some_and(|c| c.pick.device == Some(device)))
        .collect();
    for tenant in &here {
        trial.remove(*tenant);
    }
    for tenant in here {
        let keep = |c: &Column| match c.host(problem.instance) {
            Some((host, d)) if d == device => mode == Some(host.mode),
            _ => true,
        };
        // First on this device, so that the mode is entered at all; then anywhere.
        let there = cheapest(problem, &trial, tenant, |c| keep(c) && c.pick.device == Some(device));
        let anywhere = cheapest(problem, &trial, tenant, keep);
        let found = match (there, anywhere) {
            (Some(t), _) if trial.tenants_on(device) == 0 => Some(t),
            (_, any) => any,
        };
        if let Some((_, column)) = found {
            trial.place(column);
        }
    }
    trial
}

/// Serves a shed tenant by moving one other tenant to a cheaper-to-host choice.
fn bring_in(problem: &Problem<'_>, state: &mut State<'_>, tenant: TenantIx) -> bool {
    let direct = cheapest(problem, state, tenant, |_| true);
    if let Some((_, column)) = direct.filter(|(cost, _)| *cost < problem.shed_cost(tenant.at())) {
        state.place(column);
        return true;
    }
    let before = problem.value(state);
    for other in (0..problem.columns.len()).map(TenantIx::new) {
        if other == tenant || state.pick(other).is_none() || !related(problem, state, tenant, other) {
            continue;
        }
        let Some(old) = state.remove(other) else { continue };
        if let Some((_, column)) = cheapest(problem, state, tenant, |_| true) {
            state.place(column);
            if let Some((_, again)) = cheapest(problem, state, other, |_| true) {
                state.place(again);
                if problem.value(state) < before - GAIN * before.abs().max(1.0) {
                    return true;
                }
                state.remove(other);
            }
            state.remove(tenant);
        }
        state.place(old);
    }
    false
}

/// Whether moving `other` could make room for `tenant`: same site as one of its choices, or a
/// problem without devices.
fn related(problem: &Problem<'_>, state: &State<'_>, tenant: TenantIx, other: TenantIx) -> bool {
    let site =
        |c: &Column| c.host(problem.instance).map(|(h, _)| problem.instance.classes[h.class.at()].site);
    let Some(place) = state.pick(other).and_then(site) else { return true };
    problem.columns[tenant.at()].iter().any(|c| site(c) == Some(place))
}
