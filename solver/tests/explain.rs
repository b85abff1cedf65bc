//! Conflicts are irreducible, and the cheapest relaxation serves everyone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{exact, hosted, oracle, slack};
use ecomap_instances::ids::{ClassIx, SiteIx, TenantIx};
use ecomap_instances::instance::Instance;
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::units::Watts;
use ecomap_solver::SolveOptions;
use ecomap_solver::checker::check;
use ecomap_solver::exact::Exact;
use ecomap_solver::explain::demand::{Demand, only};
use ecomap_solver::explain::forced::{Held, Hold, held};
use ecomap_solver::explain::marginal;
use ecomap_solver::explain::what_if::{Change, gain};
use ecomap_solver::explain::{Found, Prices, conflict, relaxation};
use std::collections::{BTreeSet, HashSet};

fn options() -> SolveOptions {
    SolveOptions { time_limit: None, gap: 1e-9, ..SolveOptions::default() }
}

fn possible(instance: &Instance) -> bool {
    oracle::best(instance, &[Objective::Single(Term::Energy)]).is_some()
}

#[test]
fn conflicts_are_irreducible_by_enumeration() {
    let (mut conflicts, mut clear, mut kinds) = (0, 0, HashSet::new());
    for seed in 0..150 {
        let instance = hosted::instance(seed);
        if let Some(t) = instance.tenants.iter().position(|t| t.options.is_empty()) {
            let found = conflict::find(&instance, true, &options()).unwrap();
            let Found::Conflict(found) = found else { panic!("seed {seed}: {found:?}") };
            assert_eq!(found.demands, [Demand::Serve(TenantIx::new(t))], "seed {seed}");
            assert_eq!(relaxation::cheapest(&instance, Prices::default(), &options()).unwrap(), None);
            continue;
        }
        for everyone in [false, true] {
            let all: BTreeSet<Demand> = Demand::all(&instance, everyone).into_iter().collect();
            let whole = only(&instance, &all).unwrap();
            match conflict::find(&instance, everyone, &options()).unwrap() {
                Found::None => {
                    assert!(possible(&whole), "seed {seed}");
                    clear += 1;
                }
                Found::Hardware => assert!(!possible(&only(&instance, &BTreeSet::new()).unwrap())),
                Found::Unknown => panic!("no limit was set"),
                Found::Conflict(found) => {
                    assert!(found.irreducible, "seed {seed}");
                    let set: BTreeSet<Demand> = found.demands.iter().copied().collect();
                    assert!(!possible(&only(&instance, &set).unwrap()), "seed {seed}: {set:?}");
                    for one in &set {
                        let fewer = set.iter().copied().filter(|d| d != one).collect();
                        assert!(possible(&only(&instance, &fewer).unwrap()), "seed {seed}: {set:?} {one:?}");
                        kinds.insert(std::mem::discriminant(one));
                        assert!(!one.describe(&instance).is_empty());
                    }
                    conflicts += 1;
                }
            }
        }
    }
    println!("{conflicts} conflicts, {clear} clear, {} kinds", kinds.len());
    assert!(conflicts > 60 && clear > 30 && kinds.len() >= 6);
}

/// What a plan gives in, summed over sites and tenants, at the default prices.
fn price(instance: &Instance, plan: &ecomap_instances::plan::Assignment, prices: Prices) -> f64 {
    let evaluation = check(instance, plan, &Objective::default()).evaluation;
    let sites = instance.sites.iter().zip(&evaluation.sites);
    let watts: f64 =
        sites.map(|(site, used)| site.cap.map_or(0.0, |cap| (used.power - cap).get().max(0.0))).sum();
    let mut total = prices.watt * watts;
    for (tenant, pick) in instance.tenants.iter().zip(&plan.picks) {
        let Some(host) = pick.and_then(|p| tenant.options[p.option.at()].host.as_ref()) else { continue };
        if let Some(slo) = tenant.slo.filter(|s| s.soft_price.is_none()) {
            total += prices.ms * (host.latency.at(slo.quantile) - slo.latency).get().max(0.0);
        }
        if let Some(floor) = tenant.accuracy_floor {
            total += prices.point * (floor - tenant.tiers[host.tier].accuracy).max(0.0);
        }
    }
    total
}

#[test]
fn the_cheapest_relaxation_serves_everyone_and_none_is_cheaper() {
    let prices = Prices { watt: 1.0, ms: 0.25, point: 2.0 };
    let (mut found, mut free, mut none, mut kinds) = (0, 0, 0, [0; 3]);
    for seed in 0..450 {
        let instance = hosted::instance(seed);
        if instance.tenants.iter().any(|t| t.options.is_empty()) {
            continue;
        }
        // All plans that keep every row but caps, objectives and floors, by enumeration.
        let demands: BTreeSet<Demand> = Demand::all(&instance, true)
            .into_iter()
            .filter(|d| !matches!(d, Demand::Cap(_) | Demand::Slo(_) | Demand::Floor(_)))
            .collect();
        let open = only(&instance, &demands).unwrap();
        let cheapest = oracle::least(&open, &|plan| price(&instance, plan, prices));
        let relaxation = relaxation::cheapest(&instance, prices, &options()).unwrap();
        let (Some(least), Some(relaxation)) = (cheapest, relaxation.as_ref()) else {
            assert!(cheapest.is_none() && relaxation.is_none(), "seed {seed}: {cheapest:?} {relaxation:?}");
            none += 1;
            continue;
        };
        assert!(
            (relaxation.price - least).abs() <= 1e-5 * least.max(1.0),
            "seed {seed}: {relaxation:?} {least}"
        );
        assert!(relaxation.bound.unwrap() <= least + 1e-5 * least.max(1.0), "seed {seed}");
        let relaxed = relaxation.apply(&instance).unwrap();
        let verdict = check(&relaxed, &relaxation.plan, &Objective::default());
        assert!(verdict.passes(), "seed {seed}: {}", verdict.summary());
        assert!(relaxation.plan.picks.iter().all(Option::is_some));
        // And the solver by itself serves everyone there.
        assert_eq!(conflict::find(&relaxed, true, &options()).unwrap(), Found::None, "seed {seed}");
        found += 1;
        free += usize::from(relaxation.price == 0.0);
        let lists = [relaxation.watts.len(), relaxation.delays.len(), relaxation.points.len()];
        kinds.iter_mut().zip(lists).for_each(|(k, n)| *k += n);
    }
    println!("{found} found, {free} free, {none} none, {kinds:?}");
    assert!(found > 80 && free > 10 && free < found && none > 5 && kinds.iter().all(|k| *k > 5));
}

#[test]
fn gains_equal_enumeration() {
    let objective = Objective::default();
    let (mut watts, mut boards, mut helped) = (0, 0, 0);
    for seed in 0..80 {
        let instance = hosted::instance(seed);
        let base = exact(&instance, &objective);
        let Some(best) = oracle::best(&instance, std::slice::from_ref(&objective)) else { continue };
        let mut changes = vec![Change::Power(SiteIx::new(0), Watts::new(3.0))];
        if instance.devices.len() < 3 {
            changes.push(Change::Device(ClassIx::new(0)));
        }
        for change in changes {
            let changed = change.apply(&instance, &objective).unwrap();
            let after = oracle::best(&changed, std::slice::from_ref(&objective));
            let found = gain(&instance, &base, change, &Exact::new(), &options()).unwrap();
            let (Some(after), Some(found)) = (after, found) else {
                assert!(matches!(change, Change::Device(_)), "seed {seed}: more power made it infeasible");
                continue;
            };
            let truth = best[0].levels[0] - after[0].levels[0];
            let room = 3.0 * slack(best[0].levels[0]);
            let context = format!("seed {seed} {change:?}: {found:?} {truth}");
            assert!(found.at_least.unwrap() <= truth + room, "{context}");
            assert!(found.at_most.unwrap() >= truth - room, "{context}");
            assert!(found.at_most.unwrap() - found.at_least.unwrap() <= room, "{context}");
            match change {
                Change::Device(_) => boards += 1,
                _ => {
                    assert!(truth >= -room, "{context}");
                    watts += 1;
                }
            }
            helped += usize::from(truth > room);
        }
    }
    println!("{watts} watts, {boards} boards, {helped} helped");
    assert!(watts > 40 && boards > 10 && helped > 4);
}

/// Holding a tenant to a tier, to a class and mode, or to being shed: as by enumeration over the plans
/// of the instance itself that keep to it.
#[test]
fn what_a_tenant_is_held_to_equals_enumeration() {
    let objective = Objective::default();
    let (mut possible, mut impossible, mut missing, mut worse) = (0, 0, 0, 0);
    for seed in 0..120 {
        let instance = hosted::instance(seed);
        let plans = oracle::kept(&instance);
        let value = |plan| check(&instance, plan, &objective).evaluation.value;
        let best = plans.iter().map(value).fold(f64::INFINITY, f64::min);
        let tenant = TenantIx::new(usize::try_from(seed).unwrap() % instance.tenants.len());
        let subject = &instance.tenants[tenant.at()];
        for hold in Hold::all(&instance, tenant) {
            let keeps = plans
                .iter()
                .filter(|plan| hold.fits(subject, plan.picks[tenant.at()].map(|pick| pick.option.at())));
            let truth = keeps.map(value).reduce(f64::min);
            let found = held(&instance, &objective, tenant, hold, &options()).unwrap();
            let context = format!("seed {seed} {tenant:?} {hold:?}: {found:?}, by enumeration {truth:?}");
            match found {
                Held::Possible(solution) => {
                    let truth = truth.unwrap_or_else(|| panic!("{context}"));
                    let (primal, dual) =
                        (solution.certificate.primal.unwrap(), solution.certificate.dual.unwrap());
                    assert!((primal - truth).abs() <= 3.0 * slack(truth), "{context}");
                    assert!(dual <= truth + slack(truth) && dual >= truth - 3.0 * slack(truth), "{context}");
                    possible += 1;
                    worse += usize::from(truth > best + slack(best));
                }
                Held::Impossible(conflict) => {
                    assert_eq!(truth, None, "{context}");
                    let conflict = conflict.unwrap_or_else(|| panic!("{context}"));
                    assert!(conflict.irreducible && !conflict.demands.is_empty(), "{context}");
                    impossible += 1;
                }
                Held::NoOption => {
                    assert_eq!(truth, None, "{context}");
                    missing += 1;
                }
                Held::Unknown => panic!("no limit was set: {context}"),
            }
        }
    }
    println!("{possible} possible ({worse} worse), {impossible} impossible, {missing} without option");
    assert!(possible > 100 && worse > 60 && impossible > 60 && missing > 10);
}

/// For any caps, no plan is better than the bound less what the extra watts are worth by the duals;
/// and neither bound nor prices are negative where they must not be.
#[test]
fn marginal_values_bound_every_cap() {
    let (mut asked, mut priced, mut tight) = (0, 0, 0);
    for seed in 0..260 {
        let instance = hosted::instance(seed);
        for objective in [Objective::default(), Objective::Single(Term::Accuracy)] {
            let Some(best) = oracle::best(&instance, std::slice::from_ref(&objective)) else { continue };
            let found = marginal::caps(&instance, &objective, &options()).unwrap().unwrap();
            assert!(found.bound <= best[0].levels[0] + slack(best[0].levels[0]), "seed {seed}: {found:?}");
            assert!(found.converged && found.sites.iter().all(|(_, price)| *price >= 0.0), "{found:?}");
            for (site, price) in &found.sites {
                for extra in [-3.0, 1.0, 4.0, 20.0] {
                    let cap = instance.sites[site.at()].cap.unwrap() + Watts::new(extra);
                    if cap < Watts::ZERO {
                        continue;
                    }
                    let changed =
                        Change::Power(*site, Watts::new(extra)).apply(&instance, &objective).unwrap();
                    let Some(after) = oracle::best(&changed, std::slice::from_ref(&objective)) else {
                        continue;
                    };
                    let after = after[0].levels[0];
                    let bound = found.bound - price * extra;
                    assert!(
                        after >= bound - 3.0 * slack(after),
                        "seed {seed} {site:?} {extra} W: {after} {found:?}"
                    );
                    asked += 1;
                    tight += usize::from(extra == 1.0 && after - bound < 0.3 * after.abs());
                }
                priced += usize::from(*price > 1e-9);
            }
        }
    }
    println!("{asked} caps, {priced} prices above 0, {tight} bounds near");
    assert!(asked > 300 && priced > 20 && tight > 20);
    let refused = marginal::caps(&hosted::instance(1), &Objective::Cdp, &options()).unwrap();
    assert_eq!(refused, None);
}
