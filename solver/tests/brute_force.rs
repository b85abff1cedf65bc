//! Differential test: the exact solver against brute force, on every kind of objective.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::oracle::{self, Best};
use common::{close, exact, hosted, hostless, objectives, slack};
use ecomap_instances::Objective;
use ecomap_instances::ids::{DeviceIx, TenantIx};
use ecomap_instances::instance::{Host, Instance, InstanceTenant, Sense};
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Pick, Status};
use ecomap_instances::scenario::{Affinity, AffinityKind, Scope, Shedding};
use ecomap_solver::checker::check;
use std::collections::{BTreeMap, BTreeSet};

/// Positions in [`objectives`]: one that cares for accuracy, and one that does not.
const ECOMAP: usize = 0;
const ENERGY: usize = 3;

/// How often each kind of case came up, so that a generator gone vacuous is noticed.
#[derive(Default)]
struct Counts(BTreeMap<&'static str, usize>);

impl Counts {
    fn add(&mut self, kind: &'static str, yes: bool) {
        *self.0.entry(kind).or_default() += usize::from(yes);
    }

    fn require(&self, kinds: &[&str], least: usize) {
        println!("{:?}", self.0);
        for kind in kinds {
            let count = self.0.get(kind).copied().unwrap_or(0);
            assert!(count >= least, "only {count} cases of `{kind}`");
        }
    }

    fn plan(&mut self, instance: &Instance, objective: &Objective, best: &Best) {
        let plan = &best.assignment;
        let served = plan.picks.iter().flatten().count();
        self.add("all served", served == plan.picks.len());
        self.add("some shed", served < plan.picks.len());
        self.add("some served, some shed", served > 0 && served < plan.picks.len());
        self.add("second mode in use", plan.modes.iter().flatten().any(|m| m.at() > 0));
        let hosts = hosts(instance, plan);
        let boards = 0..plan.modes.len();
        self.add("a device shared", boards.clone().any(|d| hosts[d].len() > 1));
        self.add(
            "a device on without tenants",
            boards.clone().any(|d| hosts[d].is_empty() && plan.modes[d].is_some()),
        );
        let twice = |d: usize| {
            let sets: Vec<_> = hosts[d].iter().flat_map(|h| &h.weights).collect();
            sets.iter().collect::<BTreeSet<_>>().len() < sets.len()
        };
        self.add("weights shared", boards.into_iter().any(twice));
        let evaluation = check(instance, plan, objective).evaluation;
        self.add("switching price paid", evaluation.term("switching") > Some(0.0));
        self.add("soft SLO price paid", evaluation.term("slo") > Some(0.0));
        let pairs = || instance.tenants.iter().zip(&plan.picks);
        self.add("shed at the open price", pairs().any(|(t, p)| p.is_none() && t.shedding.price.is_none()));
        let kept = |t: &InstanceTenant, p: Pick| {
            p.device.is_some_and(|d| instance.is_running(t, &t.options[p.option.at()], d))
        };
        self.add("running choice kept", pairs().any(|(t, p)| p.is_some_and(|p| kept(t, p))));
    }
}

/// What runs on each device.
fn hosts<'a>(instance: &'a Instance, plan: &Assignment) -> Vec<Vec<&'a Host>> {
    let mut hosts = vec![Vec::new(); plan.modes.len()];
    for (tenant, pick) in instance.tenants.iter().zip(&plan.picks) {
        let Some(pick) = pick else { continue };
        if let (Some(device), Some(host)) = (pick.device, &tenant.options[pick.option.at()].host) {
            hosts[device.at()].push(host);
        }
    }
    hosts
}

/// The exact solver must agree with `expected` in status, value, levels and bound.
fn agree(instance: &Instance, objective: &Objective, expected: Option<&Best>) {
    let context = format!("{} under {objective:?}", instance.name);
    let solution = exact(instance, objective);
    let Some(best) = expected else {
        assert_eq!(solution.status, Status::Infeasible, "{context}");
        assert!(solution.assignment.is_none(), "{context}");
        return;
    };
    assert_eq!(solution.status, Status::Optimal, "{context}: {best:?}");
    let verdict = solution.verdict.as_ref().unwrap();
    assert!(verdict.passes(), "{context}: {}", verdict.summary());

    let primal = solution.certificate.primal.unwrap();
    let dual = solution.certificate.dual.unwrap();
    let target = best.levels[0];
    // Later levels may give up a relative 1e-6 of the first.
    let room = if best.levels.len() > 1 { 2.0 * slack(target) } else { slack(target) };
    assert!((primal - target).abs() <= room, "{context}: primal {primal}, brute force {target}, {best:?}");
    assert!(close(verdict.evaluation.value, primal), "{context}: primal is not the plan's value");
    let sign = if oracle::maximizes(instance, objective) { -1.0 } else { 1.0 };
    assert!(
        sign * dual <= sign * target + slack(target),
        "{context}: dual {dual} beyond the optimum {target}"
    );
    assert!(close(dual, target), "{context}: dual {dual} does not prove {target}");

    if let Objective::Lexicographic(terms) = objective {
        let levels = &solution.certificate.levels;
        assert_eq!(levels.iter().map(|l| l.term).collect::<Vec<_>>(), *terms, "{context}");
        let reached = oracle::levels(objective, &verdict.evaluation);
        for (k, target) in best.levels.iter().enumerate() {
            let room = 2.0 * slack(*target);
            assert!((reached[k] - target).abs() <= room, "{context}: level {k} {reached:?}, {best:?}");
            assert!((levels[k].primal - target).abs() <= room, "{context}: level {k} {levels:?}, {best:?}");
            let dual = levels[k].dual.unwrap();
            assert!(dual <= target + slack(*target), "{context}: level {k}: dual {dual} beyond {target}");
        }
    }
}

#[test]
fn exact_equals_brute_force_on_instances_with_devices() {
    let mut counts = Counts::default();
    let objectives = objectives();
    for seed in 0..200 {
        let instance = hosted::instance(seed);
        let best = oracle::best(&instance, &objectives);
        counts.add("infeasible", best.is_none());
        if let Some(best) = &best {
            counts.plan(&instance, &objectives[0], &best[0]);
            for n in [ECOMAP, ENERGY] {
                for family in oracle::binding(&instance, &objectives[n], best[n].levels[0]) {
                    counts.add(family, true);
                }
            }
        }
        for (n, objective) in objectives.iter().enumerate() {
            agree(&instance, objective, best.as_ref().map(|b| &b[n]));
        }
    }
    counts.require(
        &[
            "infeasible",
            "all served",
            "some shed",
            "some served, some shed",
            "second mode in use",
            "a device shared",
            "a device on without tenants",
            "weights shared",
            "switching price paid",
            "soft SLO price paid",
            "shed at the open price",
            "running choice kept",
        ],
        5,
    );
    // Each family decides about some optimum: a formulation that drops one is found out.
    let families = [
        "1 choice",
        "2 mode",
        "3 load",
        "4 memory",
        "5 bandwidth",
        "6a device power",
        "6b site power",
        "7 latency",
        "8a accuracy floor",
        "8b fleet accuracy",
        "9 capacity",
        "10a pinning",
        "10b together",
        "10c apart",
    ];
    counts.require(&families, 4);
}

#[test]
fn exact_equals_brute_force_on_instances_without_devices() {
    let mut counts = Counts::default();
    let value = Objective::Single(Term::Value);
    let minimizing = [
        value,
        Objective::Weighted(vec![(Term::Value, 2.0), (Term::Carbon, 1.0)]),
        Objective::Lexicographic(vec![Term::Value, Term::Accuracy]),
    ];
    for seed in 0..100 {
        let instance = hostless::instance(seed);
        let maximize = instance.sense == Sense::Maximize;
        let objectives = if maximize { &minimizing[..1] } else { &minimizing[..] };
        let best = oracle::best(&instance, objectives);
        counts.add("infeasible", best.is_none());
        if let Some(best) = &best {
            counts.plan(&instance, &objectives[0], &best[0]);
            counts.add(if maximize { "maximised" } else { "minimised" }, true);
        }
        for (n, objective) in objectives.iter().enumerate() {
            agree(&instance, objective, best.as_ref().map(|b| &b[n]));
        }
    }
    counts.require(&["infeasible", "all served", "some served, some shed", "maximised", "minimised"], 5);
}

/// Row (10b) speaks of any two served members, also where those between them in the list are shed.
#[test]
fn together_holds_between_members_that_are_not_neighbours_in_the_list() {
    let objective = [Objective::Single(Term::Latency)];
    let value = |instance: &Instance| oracle::best(instance, &objective).map(|b| b[0].levels[0]);
    let mut traps = 0;
    for seed in (0..300).filter(|seed| hosted::parts(*seed).devices.len() > 1) {
        let mut parts = hosted::parts(seed);
        parts.fleet_accuracy_floor = None;
        let template = parts.tenants[0].clone();
        let last = parts.devices.len() - 1;
        // Shedding 1 and 3 is free, shedding 0 and 2 is dear, and these two cannot share a device.
        parts.tenants = (0..4)
            .map(|t| {
                let mut tenant = template.clone();
                tenant.id = format!("tenant{t}").as_str().into();
                tenant.options.truncate(2);
                tenant.shedding =
                    Shedding { allowed: true, price: Some(if t % 2 == 0 { 50.0 } else { 0.0 }) };
                tenant.devices =
                    [Some(vec![DeviceIx::new(0)]), None, Some(vec![DeviceIx::new(last)]), None][t].clone();
                tenant
            })
            .collect();
        let together = |members: &[usize]| Affinity {
            kind: AffinityKind::Together,
            scope: Scope::Device,
            tenants: members.iter().map(|t| TenantIx::new(*t)).collect(),
        };
        parts.affinities = vec![together(&[0, 1, 2, 3])];
        let instance = Instance::try_new(parts.clone()).unwrap();
        parts.affinities = [[0, 1], [1, 2], [2, 3], [3, 0]].map(|pair| together(&pair)).to_vec();
        let neighbours_only = Instance::try_new(parts).unwrap();

        let best = oracle::best(&instance, &objective);
        agree(&instance, &objective[0], best.as_ref().map(|b| &b[0]));
        traps += usize::from(value(&neighbours_only) < value(&instance));
    }
    assert!(traps >= 10, "rows between neighbours alone would do in all but {traps} cases");
}

/// The oracle gives a device in use the mode of its tenants; trying all modes changes nothing.
#[test]
fn the_oracles_shortcut_loses_nothing() {
    let objectives = [Objective::default(), Objective::Single(Term::Energy)];
    let mut feasible = 0;
    for seed in (0..400).filter(|seed| hosted::instance(*seed).devices.len() <= 2).take(25) {
        let instance = hosted::instance(seed);
        let short = oracle::best(&instance, &objectives);
        let long = oracle::best_without_shortcut(&instance, &objectives);
        let values = |b: &Option<Vec<Best>>| {
            b.as_ref().map(|b| b.iter().map(|x| x.levels.clone()).collect::<Vec<_>>())
        };
        assert_eq!(values(&short), values(&long), "seed {seed}");
        feasible += usize::from(short.is_some());
    }
    assert!(feasible >= 10, "only {feasible} feasible cases");
}
