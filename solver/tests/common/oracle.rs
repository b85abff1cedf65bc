//! Brute force: every pick of every tenant, every mode of every device, each plan judged by the
//! checker.

use ecomap_instances::Objective;
use ecomap_instances::ids::{DeviceIx, ModeIx, OptionIx};
use ecomap_instances::instance::{Instance, InstanceTenant, Sense};
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_solver::checker::{Evaluation, check};
use std::collections::BTreeSet;

/// The best plan of an instance under one objective.
#[derive(Debug, Clone)]
pub struct Best {
    /// Value of each level; one level unless the objective is lexicographic.
    pub levels: Vec<f64>,
    /// A plan that reaches it.
    pub assignment: Assignment,
}

/// The best plan under each of `objectives`, or `None` when no plan keeps every row.
pub fn best(instance: &Instance, objectives: &[Objective]) -> Option<Vec<Best>> {
    search(instance, objectives, true)
}

/// The families that matter: without that one row family alone, `objective` would reach a better
/// value than `best`.
pub fn binding(instance: &Instance, objective: &Objective, best: f64) -> BTreeSet<&'static str> {
    let sign = if maximizes(instance, objective) { -1.0 } else { 1.0 };
    let mut families = BTreeSet::new();
    each_plan(instance, true, &mut |plan| {
        let verdict = check(instance, plan, objective);
        let mut broken = verdict.rows.iter().filter(|r| r.violated > 0).map(|r| r.row);
        let better = sign * verdict.evaluation.value < sign * best - super::slack(best);
        if let (Some(row), None, true) = (broken.next(), broken.next(), better) {
            families.insert(row);
        }
    });
    families
}

/// As [`best`], without presuming row (2a): a device in use tries every mode and off, too.
pub fn best_without_shortcut(instance: &Instance, objectives: &[Objective]) -> Option<Vec<Best>> {
    search(instance, objectives, false)
}

/// Value of the best plan that keeps every row and that `accept` takes.
pub fn best_accepted(
    instance: &Instance,
    objective: &Objective,
    accept: &mut dyn FnMut(&Assignment) -> bool,
) -> Option<f64> {
    let sign = if maximizes(instance, objective) { -1.0 } else { 1.0 };
    let mut best: Option<f64> = None;
    each_plan(instance, true, &mut |plan| {
        let verdict = check(instance, plan, objective);
        let value = sign * verdict.evaluation.value;
        if verdict.passes() && best.is_none_or(|b| value < b) && accept(plan) {
            best = Some(value);
        }
    });
    best.map(|value| value * sign)
}

fn search(instance: &Instance, objectives: &[Objective], forced: bool) -> Option<Vec<Best>> {
    let mut plans: Vec<(Assignment, Vec<Vec<f64>>)> = Vec::new();
    each_plan(instance, forced, &mut |plan| {
        let Some((first, rest)) = objectives.split_first() else { return };
        let verdict = check(instance, plan, first);
        if !verdict.passes() {
            return;
        }
        let mut values = vec![levels(first, &verdict.evaluation)];
        values.extend(rest.iter().map(|o| levels(o, &check(instance, plan, o).evaluation)));
        plans.push((plan.clone(), values));
    });
    if plans.is_empty() {
        return None;
    }
    Some((0..objectives.len()).map(|n| select(instance, &objectives[n], &plans, n)).collect())
}

fn each_plan(instance: &Instance, forced: bool, visit: &mut dyn FnMut(&Assignment)) {
    let lists: Vec<Vec<Option<Pick>>> = instance.tenants.iter().map(|t| picks(instance, t)).collect();
    product(&lists, &mut |picks| {
        let Some(modes) = modes(instance, picks, forced) else { return };
        product(&modes, &mut |modes| visit(&Assignment { picks: picks.to_vec(), modes: modes.to_vec() }));
    });
}

/// Shed, or each option on each device of its class. What pinning, SLOs and floors forbid is tried
/// as well: the checker must refuse it.
fn picks(instance: &Instance, tenant: &InstanceTenant) -> Vec<Option<Pick>> {
    let mut list = vec![None];
    for (o, choice) in tenant.options.iter().enumerate() {
        let option = OptionIx::new(o);
        match &choice.host {
            None => list.push(Some(Pick { option, device: None })),
            Some(host) => list.extend(
                instance.classes[host.class.at()]
                    .devices
                    .iter()
                    .map(|d| Some(Pick { option, device: Some(*d) })),
            ),
        }
    }
    list
}

/// Modes to try for each device. When `forced`, a device in use has the mode of its tenants, and
/// there is nothing to try when these disagree.
fn modes(instance: &Instance, picks: &[Option<Pick>], forced: bool) -> Option<Vec<Vec<Option<ModeIx>>>> {
    let mut modes: Vec<Vec<Option<ModeIx>>> = (0..instance.devices.len())
        .map(|d| {
            let class = instance.class_of(DeviceIx::new(d));
            std::iter::once(None).chain((0..class.modes.len()).map(|m| Some(ModeIx::new(m)))).collect()
        })
        .collect();
    if forced {
        for (tenant, pick) in instance.tenants.iter().zip(picks) {
            let Some(pick) = pick else { continue };
            let host = &tenant.options[pick.option.at()].host;
            if let (Some(host), Some(device)) = (host, pick.device) {
                modes[device.at()].retain(|m| *m == Some(host.mode));
            }
        }
    }
    modes.iter().all(|list| !list.is_empty()).then_some(modes)
}

/// Calls `visit` with every way to take one item from each list.
fn product<T: Copy>(lists: &[Vec<T>], visit: &mut dyn FnMut(&[T])) {
    let mut at = vec![0; lists.len()];
    loop {
        let items: Vec<T> = lists.iter().zip(&at).map(|(list, n)| list[*n]).collect();
        visit(&items);
        let Some(position) = (0..lists.len()).rev().find(|k| at[*k] + 1 < lists[*k].len()) else { return };
        at[position] += 1;
        at[position + 1..].fill(0);
    }
}

/// What a plan is worth at each level.
pub fn levels(objective: &Objective, evaluation: &Evaluation) -> Vec<f64> {
    match objective {
        Objective::Lexicographic(terms) => terms
            .iter()
            .enumerate()
            .map(|(k, t)| if k == 0 { evaluation.value } else { evaluation.term(t.as_str()).unwrap() })
            .collect(),
        _ => vec![evaluation.value],
    }
}

/// Only `value` alone, in a file that maximises, is maximised.
pub fn maximizes(instance: &Instance, objective: &Objective) -> bool {
    instance.sense == Sense::Maximize && *objective == Objective::Single(Term::Value)
}

/// The best plan: level after level, among the plans within a relative 1e-6 of each earlier level.
fn select(
    instance: &Instance,
    objective: &Objective,
    plans: &[(Assignment, Vec<Vec<f64>>)],
    n: usize,
) -> Best {
    let sign = if maximizes(instance, objective) { -1.0 } else { 1.0 };
    let mut left: Vec<&(Assignment, Vec<Vec<f64>>)> = plans.iter().collect();
    let mut levels = Vec::new();
    for k in 0..plans[0].1[n].len() {
        let best = left.iter().map(|p| sign * p.1[n][k]).fold(f64::INFINITY, f64::min);
        left.retain(|p| sign * p.1[n][k] <= best + super::slack(best));
        levels.push(sign * best);
    }
    Best { levels, assignment: left[0].0.clone() }
}

/// The least of `measure` over the plans that keep every row; `None` without any.
pub fn least(instance: &Instance, measure: &dyn Fn(&Assignment) -> f64) -> Option<f64> {
    let mut least: Option<f64> = None;
    each_plan(instance, true, &mut |plan| {
        if check(instance, plan, &Objective::default()).passes() {
            let value = measure(plan);
            least = Some(least.map_or(value, |l| l.min(value)));
        }
    });
    least
}

/// Every plan that keeps every row.
pub fn kept(instance: &Instance) -> Vec<Assignment> {
    let mut list = Vec::new();
    each_plan(instance, true, &mut |plan| {
        if check(instance, plan, &Objective::default()).passes() {
            list.push(plan.clone());
        }
    });
    list
}
