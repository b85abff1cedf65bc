//! `proteus`: Ahmad, Guan, Friedman, Williams, Sitaraman, Woo, "Proteus: A High-Throughput
//! Inference-Serving System with Accuracy Scaling", ASPLOS 2024.
//!
//! Followed: an integer program decides which model variant each worker hosts and which share of each
//! query type's demand goes to it, so that all demand is served within the workers' throughput and
//! accuracy over the demand is the largest; when that is infeasible, the demand to be served is
//! lowered in steps of 0.05 until it is feasible. The product of hosting and share is linearised
//! exactly: share ≤ hosted. It optimises accuracy, and knows no power.
//!
//! Adapted: workers are the compute units of the boards in their standing modes, variants the tiers
//! whole on one unit (those on offer within the latency objective, in place of the paper's batch
//! sizes). A worker hosts at most one tier *of each tenant* and shares its time, since boards host
//! more tenants than they have units, where the paper hosts one variant a device. A tenant runs at
//! one place here, so it goes where its largest share is; the common repair does the rest.

use super::board::standing_modes;
use super::common::{Offer, Problem, finish, needs_devices};
use super::repair::repair;
use super::watch::Watch;
use crate::columns::Column;
use crate::error::SolverError;
use crate::highs::{self, Settings};
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx};
use ecomap_instances::plan::Termination;
use good_lp::solvers::highs::highs;
use good_lp::{Expression, ProblemVariables, SolverModel, variable};
use std::collections::BTreeMap;

/// By how much the demand is lowered at a time: one part in so many.
const STEPS: u32 = 20;
/// Most pairs of variant and worker.
const MOST: usize = 100_000;

/// The Proteus baseline.
#[derive(Debug, Clone, Copy)]
pub struct Proteus;

impl Solver for Proteus {
    fn name(&self) -> &'static str {
        "proteus"
    }

    fn summary(&self) -> &'static str {
        "accuracy scaling by an integer program without power (Proteus, ASPLOS 2024); no bound"
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
        finish(
            self,
            instance,
            options,
            observer,
            Offer::Admissible,
            |_| true,
            |problem, watch| {
                let variants = variants(problem);
                let count: usize = variants.iter().map(Vec::len).sum();
                if count > MOST {
                    let what = format!("{count} pairs of variant and worker, at most {MOST}");
                    return Err(SolverError::Unsupported { solver: self.name(), what });
                }
                let wanted = scaled(problem, &variants, watch)?;
                let (state, change) = repair(problem, &wanted, watch);
                watch.notes.push(change.note());
                Ok(state.assignment())
            },
        )
    }
}

/// By tenant, the columns that are a tier whole on one unit of a board in its standing mode. A tenant
/// without any is offered all its columns in standing modes.
fn variants(problem: &Problem<'_>) -> Vec<Vec<Column>> {
    let instance = problem.instance;
    let standing: Vec<Option<ModeIx>> = standing_modes(problem);
    problem
        .columns
        .iter()
        .map(|list| {
            let stands =
                |c: &&Column| c.host(instance).is_some_and(|(h, _)| standing[h.class.at()] == Some(h.mode));
            let whole = |c: &&Column| c.host(instance).is_some_and(|(h, _)| h.segments.len() == 1);
            let all: Vec<Column> = list.iter().filter(stands).copied().collect();
            let single: Vec<Column> = all.iter().filter(whole).copied().collect();
            if single.is_empty() { all } else { single }
        })
        .collect()
}

/// The variant and worker of each tenant, at the largest demand that can be served.
fn scaled(
    problem: &Problem<'_>,
    variants: &[Vec<Column>],
    watch: &mut Watch<'_, '_>,
) -> Result<Vec<Option<Column>>, SolverError> {
    let instance = problem.instance;
    let accuracy = |c: &Column| {
        c.host(instance).map_or(0.0, |(h, _)| instance.tenants[c.tenant.at()].tiers[h.tier].accuracy)
    };
    let fallback = |list: &Vec<Column>| {
        list.iter().max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)).then(b.pick.cmp(&a.pick))).copied()
    };
    for step in (1..=STEPS).rev() {
        if !watch.step() {
            break;
        }
        let demand = f64::from(step) / f64::from(STEPS);
        if let Some(shares) = solve(problem, variants, demand, watch)? {
            watch.notes.push(format!("served {:.0} % of the demand in Proteus' own program", demand * 100.0));
            return Ok(variants
                .iter()
                .zip(shares)
                .map(|(list, shares)| {
                    let by_share = |a: &(&Column, f64), b: &(&Column, f64)| {
                        let more = a.1.total_cmp(&b.1).then(accuracy(a.0).total_cmp(&accuracy(b.0)));
                        more.then(b.0.pick.cmp(&a.0.pick))
                    };
                    list.iter().zip(shares).max_by(by_share).map(|(c, _)| *c)
                })
                .collect());
        }
    }
    watch.notes.push("Proteus' own program gave no answer; every tenant begins at its best tier".to_owned());
    Ok(variants.iter().map(fallback).collect())
}

/// The shares of each tenant's demand by variant, serving `demand` of all; `None` when infeasible or
/// stopped.
fn solve(
    problem: &Problem<'_>,
    variants: &[Vec<Column>],
    demand: f64,
    watch: &mut Watch<'_, '_>,
) -> Result<Option<Vec<Vec<f64>>>, SolverError> {
    let instance = problem.instance;
    let mut vars = ProblemVariables::new();
    let mut objective = Expression::default();
    let mut rows = Vec::new();
    let mut loads: BTreeMap<(DeviceIx, usize), Expression> = BTreeMap::new();
    let mut at = Vec::new();
    let mut next = 0;
    for (tenant, list) in instance.tenants.iter().zip(variants) {
        let mut served = Expression::default();
        let mut hosted: BTreeMap<(DeviceIx, usize), Expression> = BTreeMap::new();
        let mut own = Vec::with_capacity(list.len());
        for column in list {
            let Some((host, device)) = column.host(instance) else { continue };
            let share = vars.add(variable().min(0.0).max(1.0));
            let host_here = vars.add(variable().binary());
            own.push(next);
            next += 2;
            rows.push((share - host_here).leq(0.0));
            served += share;
            let unit = host.segments.first().map_or(0, |s| s.unit);
            *hosted.entry((device, unit)).or_default() += host_here;
            objective += -tenant.rate.get() * tenant.tiers[host.tier].accuracy * share;
            for (unit, load) in &host.load {
                *loads.entry((device, unit.at())).or_default() += *load * share;
            }
        }
        if !list.is_empty() {
            rows.push(served.eq(demand));
        }
        rows.extend(hosted.into_values().map(|sum| sum.leq(1.0)));
        at.push(own);
    }
    let standing = standing_modes(problem);
    for ((device, unit), load) in loads {
        let mode = standing[instance.devices[device.at()].class.at()];
        let cap = mode.map_or(0.0, |m| instance.class_of(device).modes[m.at()].load_cap[unit]);
        rows.push(load.leq(cap));
    }
    if next == 0 {
        return Ok(None);
    }
    let mut model = vars.minimise(objective).using(highs);
    for row in rows {
        model.add_constraint(row);
    }
    let model =
        model.try_into_inner().map_err(|_| SolverError::Highs { call: "Highs_passMip", status: -1 })?;
    let options = watch.options();
    let settings = Settings {
        gap: options.gap,
        time_limit: watch.deadline().map(|d| d.saturating_sub(options.clock.now())),
        node_limit: watch.left(),
        seed: options.seed,
        threads: options.threads,
        cancel: options.cancel.clone(),
        clock: options.clock.clone(),
    };
    let outcome = highs::solve_mip(model, None, &settings, &mut |_| {}, &mut |_| {})?;
    watch.count(outcome.nodes.min(settings.node_limit.unwrap_or(u64::MAX)));
    if outcome.termination == Termination::Infeasible {
        return Ok(None);
    }
    Ok(outcome.columns.map(|values| {
        at.iter().map(|own| own.iter().map(|n| values.get(*n).copied().unwrap_or(0.0)).collect()).collect()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demand_is_lowered_by_twentieths() {
        assert!((1.0 / f64::from(STEPS) - 0.05).abs() < 1e-12);
    }
}
