//! The checker on a plan made by hand: figures computed on paper, then one break for each row
//! family, which exactly that row must report.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::by_hand::{A, B, C, affinity, parts, pick, plan};
use common::{close, draw::Draw, hosted, hostless, objectives};
use ecomap_instances::Objective;
use ecomap_instances::ids::{DeviceIx, ModeIx, OptionIx, TenantIx};
use ecomap_instances::instance::{Instance, InstanceParts, Sense};
use ecomap_instances::objective::{EcomapWeights, Term};
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_instances::scenario::{AffinityKind, Quantile, Scope, Segment, Slo};
use ecomap_instances::units::{Bytes, BytesPerSecond, Millis, Watts};
use ecomap_solver::checker::{Verdict, check};

fn verdict(parts: InstanceParts, plan: &Assignment, objective: &Objective) -> Verdict {
    check(&Instance::try_new(parts).unwrap(), plan, objective)
}

fn value(plan: &Assignment, objective: &Objective) -> f64 {
    verdict(parts(), plan, objective).evaluation.value
}

/// Families that a verdict reports as broken; the violations must say the same.
fn broken(verdict: &Verdict) -> Vec<&'static str> {
    let rows: Vec<_> = verdict.rows.iter().filter(|r| r.violated > 0).map(|r| r.row).collect();
    let mut named: Vec<_> = verdict.violations.iter().map(|v| v.row).collect();
    named.sort_unstable();
    named.dedup();
    let mut sorted = rows.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, named);
    assert_eq!(verdict.passes(), rows.is_empty());
    rows
}

#[test]
fn the_plan_passes_and_every_family_was_checked() {
    let verdict = verdict(parts(), &plan(), &Objective::default());
    assert!(verdict.passes(), "{}", verdict.summary());
    let counts: Vec<(&str, u64)> = verdict.rows.iter().map(|r| (r.row, r.checked)).collect();
    let expected = [
        ("1 choice", 3),          // a tenant each
        ("2 mode", 6),            // a device each, a placement each
        ("3 load", 3),            // two units of n0, one of s0
        ("4 memory", 3),          // a device each
        ("5 bandwidth", 2),       // a device that is on
        ("6a device power", 2),   // likewise
        ("6b site power", 1),     // north
        ("7 latency", 1),         // a
        ("8a accuracy floor", 1), // a
        ("8b fleet accuracy", 1),
        ("9 capacity", 1),
        ("10a pinning", 1), // a
        ("10b together", 1),
        ("10c apart", 2),
        ("11a moves", 0),
        ("11b frozen", 0), // two scopes with a member
    ];
    assert_eq!(counts, expected);
}

#[test]
fn use_is_what_paper_says() {
    let evaluation = verdict(parts(), &plan(), &Objective::default()).evaluation;
    let n0 = &evaluation.devices[0];
    assert!(close(n0.load[0], 0.7) && close(n0.load[1], 0.2), "{n0:?}");
    assert_eq!(n0.memory.get(), 30.0 + 10.0 + 20.0, "shared weights once");
    assert_eq!(n0.bandwidth.get(), 50.0);
    assert_eq!(n0.power.get(), 6.0 + 6.0 + 3.0);
    assert_eq!(evaluation.devices[1].power.get(), 1.0, "off, not nothing");
    assert_eq!(evaluation.devices[1].mode, None);
    let powers: Vec<f64> = evaluation.sites.iter().map(|s| s.power.get()).collect();
    assert_eq!(powers, [16.0, 4.0]);
    assert!(close(evaluation.sites[0].carbon.get(), 3.2) && close(evaluation.sites[1].carbon.get(), 0.4));
    assert_eq!(evaluation.capacities, [5.0]);
    // a meets 0.3 of b on the GPU; b meets 0.4 of a there, and nobody on the DLA; c is alone.
    let p50: Vec<f64> = evaluation.predicted.iter().map(|q| q.unwrap().p50.get()).collect();
    for (value, expected) in p50.iter().zip([2.0 + 13.0 * 1.15, 2.0 + 8.0 * 1.2, 8.0]) {
        assert!(close(*value, expected), "{p50:?}");
    }
}

#[test]
fn objectives_are_what_paper_says() {
    let soft = 0.2 * 4.0;
    let cases = [
        // (12): 2 points lost by c; 2·20/50 + 14/10 of the SLOs; 3.6 g/h at 0.1.
        (Objective::default(), 2.0 + 2.2 + 0.36 + soft),
        (Objective::Ecomap(EcomapWeights { latency: 0.5, carbon: 1.0 }), 2.0 + 1.1 + 3.6 + soft),
        (Objective::Single(Term::Carbon), 3.6 + soft),
        (Objective::Single(Term::Energy), 20.0 + soft),
        (Objective::Single(Term::Latency), (10.0 * 20.0 + 30.0 * 14.0 + 20.0 * 8.0) / 60.0 + soft),
        (Objective::Single(Term::Accuracy), 2.0 + soft),
        (Objective::Single(Term::Value), 16.5 + soft),
        (Objective::Weighted(vec![(Term::Carbon, 2.0), (Term::Latency, 0.5)]), 7.2 + 6.5 + soft),
        (Objective::Lexicographic(vec![Term::Accuracy, Term::Energy]), 2.0 + soft),
    ];
    for (objective, expected) in cases {
        let found = value(&plan(), &objective);
        assert!(close(found, expected), "{objective:?}: {found}, on paper {expected}");
    }
}

#[test]
fn a_value_to_maximise_has_prices_subtracted() {
    let mut parts = parts();
    parts.sense = Sense::Maximize;
    parts.objective = Objective::Single(Term::Value);
    let found = verdict(parts.clone(), &plan(), &parts.objective).evaluation;
    assert!(close(found.value, 16.5 - 0.8), "{found:?}");
    assert_eq!(found.term("value"), Some(16.5));

    // (18): costs are −9, −9 for a, −5 + 0.8 for b, −2.5 for c; none is above 0.
    let costs = (0.0 + 9.0) + (0.0 + 4.2) + (0.0 + 2.5);
    let most = 1.0 + costs + 3.0;
    let mut shed = plan();
    shed.picks[A] = None;
    let found = verdict(parts.clone(), &shed, &parts.objective).evaluation.value;
    assert!(close(found, 7.5 - 0.8 - 3.0 - 2.0 * most), "{found}");
}

#[test]
fn shedding_costs_its_price() {
    let energy = Objective::Single(Term::Energy);
    // b has a price of its own.
    let mut shed = plan();
    shed.picks[B] = None;
    let found = value(&shed, &energy);
    assert!(close(found, 17.0 + 7.0), "{found}");

    // a has not: (18) from the dearest option of each (b's with its soft price), the dearest mode
    // of each board and the one switching price that can be paid; a has the highest priority.
    let most = 1.0 + (6.0 + 3.8 + 2.0) + (6.0 + 6.0 + 2.0) + 3.0;
    let mut shed = plan();
    shed.picks[A] = None;
    let found = verdict(parts(), &shed, &energy);
    assert!(found.passes(), "{}", found.summary());
    assert!(close(found.evaluation.value, 14.0 + 0.8 + 3.0 + 2.0 * most), "{:?}", found.evaluation.terms);
    assert!(close(found.evaluation.term("shed").unwrap(), 2.0 * most));
    assert!(found.evaluation.predicted[A].is_none());

    // Under (12), carbon counts a tenth and the idle draw with it; the latency part is b's 1.4.
    let a: f64 = (0.8f64 + 0.1 * 1.2).max(10.0 + 0.8 + 0.1 * 0.6);
    let b = 1.4 + 0.1 * 0.6 + 0.8;
    let c = 2.0 + 0.1 * 0.2;
    let most = 1.0 + (a + b + c) + 0.1 * (1.2 + 1.2 + 0.2) + 3.0;
    let found = verdict(parts(), &shed, &Objective::default()).evaluation.term("shed").unwrap();
    assert!(close(found, 2.0 * most), "{found}, on paper {}", 2.0 * most);

    // With b also without a price: half of a's priority, hence 1.5 U against 2 U.
    let mut open = parts();
    open.tenants[B].shedding.price = None;
    let mut shed = plan();
    shed.picks[B] = None;
    let found = verdict(open, &shed, &Objective::default()).evaluation.term("shed").unwrap();
    assert!(close(found, 1.5 * most), "{found}, on paper {}", 1.5 * most);
}

#[test]
fn switching_is_paid_on_leaving_device_tier_or_placement_but_not_mode() {
    let switching = |parts: InstanceParts, plan: &Assignment| {
        verdict(parts, plan, &Objective::default()).evaluation.term("switching").unwrap()
    };
    assert_eq!(switching(parts(), &plan()), 0.0);
    let moved = Assignment { picks: vec![pick(0, 1), pick(0, 0), pick(0, 2)], ..plan() };
    assert_eq!(switching(parts(), &moved), 3.0, "another device");
    let smaller = Assignment { picks: vec![pick(1, 0), pick(0, 0), pick(0, 2)], ..plan() };
    assert_eq!(switching(parts(), &smaller), 3.0, "another tier");
    let gone = Assignment { picks: vec![None, pick(0, 0), pick(0, 2)], ..plan() };
    assert_eq!(switching(parts(), &gone), 3.0, "shed");

    let with = |segments: Option<Vec<Segment>>| {
        let mut parts = parts();
        parts.tenants[A].running.as_mut().unwrap().segments = segments;
        parts
    };
    let other = Some(vec![Segment { from: 0, to: 4, unit: 1 }]);
    assert_eq!(switching(with(other), &plan()), 3.0, "another placement");
    assert_eq!(switching(with(None), &plan()), 0.0, "any placement");

    let mut slower = parts();
    slower.tenants[A].options[0].host.as_mut().unwrap().mode = ModeIx::new(0);
    assert_eq!(switching(slower, &plan()), 0.0, "another mode is no switch");
}

/// A change to the instance or the plan.
type Change = fn(&mut InstanceParts, &mut Assignment);

/// Each limit moved just below what the plan uses: the row, that breaks it, and that does not.
const BREAKS: [(&str, Change, Change); 16] = [
    (
        "1 choice",
        |_, plan| plan.picks[C] = None,
        |parts, plan| {
            plan.picks[C] = None;
            parts.tenants[C].shedding.allowed = true;
        },
    ),
    (
        "2 mode",
        |_, plan| plan.modes[0] = Some(ModeIx::new(0)),
        |_, plan| plan.modes[1] = Some(ModeIx::new(0)),
    ),
    (
        "3 load",
        |parts, _| parts.classes[0].modes[1].load_cap[1] = 0.19,
        |parts, _| parts.classes[0].modes[1].load_cap = vec![0.7, 0.2],
    ),
    (
        "4 memory",
        |parts, _| parts.classes[0].memory = Bytes::new(59.0),
        |parts, _| parts.classes[0].memory = Bytes::new(60.0),
    ),
    (
        "5 bandwidth",
        |parts, _| parts.classes[0].modes[1].bandwidth = BytesPerSecond::new(49.0),
        |parts, _| parts.classes[0].modes[1].bandwidth = BytesPerSecond::new(50.0),
    ),
    (
        "6a device power",
        |parts, _| parts.classes[0].modes[1].budget = Watts::new(14.9),
        |parts, _| parts.classes[0].modes[1].budget = Watts::new(15.0),
    ),
    (
        "6b site power",
        |parts, _| parts.sites[0].cap = Some(Watts::new(15.9)),
        |parts, _| parts.sites[0].cap = Some(Watts::new(16.0)),
    ),
    (
        "7 latency",
        |parts, _| parts.tenants[A].slo.as_mut().unwrap().latency = Millis::new(29.9),
        |parts, _| parts.tenants[A].slo.as_mut().unwrap().latency = Millis::new(30.0),
    ),
    (
        "8a accuracy floor",
        |parts, _| parts.tenants[A].accuracy_floor = Some(80.1),
        |parts, _| parts.tenants[A].accuracy_floor = Some(80.0),
    ),
    // (2·80 + 78 + 74) / 4 = 78.
    (
        "8b fleet accuracy",
        |parts, _| parts.fleet_accuracy_floor = Some(78.1),
        |parts, _| parts.fleet_accuracy_floor = Some(78.0),
    ),
    (
        "9 capacity",
        |parts, _| parts.capacities[0].capacity = 4.9,
        |parts, _| parts.capacities[0].capacity = 5.0,
    ),
    (
        "10a pinning",
        |parts, _| parts.tenants[A].devices = Some(vec![DeviceIx::new(1)]),
        |parts, _| parts.tenants[A].devices = Some(vec![DeviceIx::new(0)]),
    ),
    (
        "10b together",
        |parts, _| parts.affinities.push(affinity(AffinityKind::Together, Scope::Site, &[B, C])),
        |parts, _| parts.affinities.push(affinity(AffinityKind::Together, Scope::Device, &[B, A])),
    ),
    (
        "10c apart",
        |parts, _| parts.affinities.push(affinity(AffinityKind::Apart, Scope::Device, &[B, A])),
        |parts, _| parts.affinities.push(affinity(AffinityKind::Apart, Scope::Site, &[B, C])),
    ),
    (
        "11a moves",
        |parts, _| {
            parts.tenants[A].running.as_mut().unwrap().tier = 1;
            parts.stability.max_moves = Some(0);
        },
        |parts, _| {
            parts.tenants[A].running.as_mut().unwrap().tier = 1;
            parts.stability.max_moves = Some(1);
        },
    ),
    (
        "11b frozen",
        |parts, _| {
            parts.tenants[A].running.as_mut().unwrap().tier = 1;
            parts.stability.frozen.insert(TenantIx::new(A));
        },
        |parts, _| {
            parts.stability.frozen.insert(TenantIx::new(A));
        },
    ),
];

#[test]
fn each_family_alone_reports_its_own_break() {
    for (row, breaks, keeps) in BREAKS {
        let (mut parts_, mut plan_) = (parts(), plan());
        breaks(&mut parts_, &mut plan_);
        let found = verdict(parts_, &plan_, &Objective::default());
        assert_eq!(broken(&found), [row]);
        assert!(found.summary().contains(row), "{}", found.summary());
        assert!(found.evaluation.value.is_finite());

        let (mut parts_, mut plan_) = (parts(), plan());
        keeps(&mut parts_, &mut plan_);
        let found = verdict(parts_, &plan_, &Objective::default());
        assert!(found.passes(), "at the limit of {row}: {}", found.summary());
    }
    // The table names every family there is.
    let families: Vec<_> =
        verdict(parts(), &plan(), &Objective::default()).rows.iter().map(|r| r.row).collect();
    assert_eq!(families, BREAKS.map(|b| b.0));
}

#[test]
fn a_board_that_must_stay_on_may_not_be_off() {
    let mut parts = parts();
    parts.tenants[C].shedding.allowed = true;
    let mut plan = plan();
    plan.picks[C] = None;
    assert_eq!(broken(&verdict(parts.clone(), &plan, &Objective::default())), [""; 0]);
    plan.modes[2] = None;
    assert_eq!(broken(&verdict(parts, &plan, &Objective::default())), ["2 mode"]);
}

#[test]
fn every_unit_device_site_and_quantile_counts_for_itself() {
    // The second class and the second site, where nothing is tight in the plan above.
    let changes: [(&str, Change); 6] = [
        ("3 load", |parts, _| parts.classes[1].modes[0].load_cap[0] = 0.39),
        ("4 memory", |parts, _| parts.classes[1].memory = Bytes::new(24.0)),
        ("5 bandwidth", |parts, _| parts.classes[1].modes[0].bandwidth = BytesPerSecond::new(9.0)),
        ("6a device power", |parts, _| parts.classes[1].modes[0].budget = Watts::new(3.9)),
        ("6b site power", |parts, _| parts.sites[1].cap = Some(Watts::new(3.9))),
        ("7 latency", |parts, _| {
            parts.tenants[A].slo =
                Some(Slo { quantile: Quantile::P99, latency: Millis::new(39.0), soft_price: None });
        }),
    ];
    for (row, change) in changes {
        let (mut parts, mut plan) = (parts(), plan());
        change(&mut parts, &mut plan);
        assert_eq!(broken(&verdict(parts, &plan, &Objective::default())), [row]);
    }
}

#[test]
fn together_is_about_any_two_served_members() {
    // Served: the first and the third of four, at different sites; those between them are shed.
    let mut parts = parts();
    for (id, of) in [("d", B), ("e", B)] {
        let mut tenant = parts.tenants[of].clone();
        tenant.id = id.into();
        parts.tenants.push(tenant);
    }
    parts.affinities = vec![affinity(AffinityKind::Together, Scope::Site, &[A, B, C, 3])];
    let plan = Assignment { picks: vec![pick(0, 0), None, pick(0, 2), None, None], ..plan() };
    assert_eq!(broken(&verdict(parts, &plan, &Objective::default())), ["10b together"]);
}

#[test]
fn a_member_named_twice_is_one_member() {
    let mut parts = parts();
    parts.affinities = vec![affinity(AffinityKind::Apart, Scope::Device, &[A, A, C])];
    assert_eq!(broken(&verdict(parts, &plan(), &Objective::default())), [""; 0]);
}

#[test]
fn plans_that_do_not_fit_are_reported_not_trusted() {
    let none = Assignment { picks: Vec::new(), modes: Vec::new() };
    let at = |t: usize, pick: Option<Pick>| {
        let mut plan = plan();
        plan.picks[t] = pick;
        plan
    };
    let cases: Vec<(&str, Vec<&str>, Assignment)> = vec![
        ("nothing", vec!["1 choice", "2 mode"], none),
        ("option out of range", vec!["1 choice"], at(A, pick(99, 0))),
        ("largest index", vec!["1 choice"], at(A, pick(usize::MAX, usize::MAX))),
        ("device out of range", vec!["1 choice"], at(A, pick(0, 99))),
        ("device outside the class", vec!["1 choice"], at(A, pick(0, 2))),
        ("no device", vec!["1 choice"], at(A, Some(Pick { option: OptionIx::new(0), device: None }))),
        ("too many picks", vec!["1 choice"], {
            let mut plan = plan();
            plan.picks.push(pick(0, 0));
            plan
        }),
        ("too few picks", vec!["1 choice"], {
            let mut plan = plan();
            plan.picks.pop();
            plan
        }),
        ("mode out of range", vec!["2 mode"], Assignment { modes: vec![Some(ModeIx::new(7)); 3], ..plan() }),
        ("too few modes", vec!["2 mode"], Assignment { modes: vec![Some(ModeIx::new(1))], ..plan() }),
        ("too many modes", vec!["2 mode"], {
            let mut plan = plan();
            plan.modes.push(None);
            plan
        }),
        ("tenants on a board that is off", vec!["2 mode"], {
            let mut plan = plan();
            plan.modes[0] = None;
            plan
        }),
    ];
    for (case, rows, plan) in cases {
        for objective in objectives() {
            let found = verdict(parts(), &plan, &objective);
            assert_eq!(broken(&found), rows, "{case}");
            assert!(found.evaluation.value.is_finite(), "{case}");
        }
    }
}

#[test]
fn an_option_without_a_host_takes_no_device() {
    let instance = hostless::instance(0);
    let mut plan = Assignment {
        picks: vec![Some(Pick { option: OptionIx::new(0), device: None }); instance.tenants.len()],
        modes: Vec::new(),
    };
    let choice = |plan: &Assignment| check(&instance, plan, &instance.objective).rows[0].violated;
    assert_eq!(choice(&plan), 0);
    plan.picks[0] = pick(0, 0);
    assert_eq!(choice(&plan), 1);
}

/// Random plans, most of them nonsense: no panic, finite figures, and parts that sum up to the
/// whole under every objective.
#[test]
fn nonsense_is_measured_without_panic_and_contributions_sum_up() {
    let mut passed = 0;
    for seed in 0..300 {
        let instance = if seed % 4 == 0 { hostless::instance(seed) } else { hosted::instance(seed) };
        let mut draw = Draw::new(seed);
        for _ in 0..40 {
            let plan = nonsense(&mut draw, &instance);
            let objectives = if instance.sense == Sense::Maximize {
                vec![instance.objective.clone()]
            } else {
                objectives()
            };
            for objective in objectives {
                let found = check(&instance, &plan, &objective);
                let _ = broken(&found);
                passed += usize::from(found.passes());
                let evaluation = &found.evaluation;
                assert!(evaluation.value.is_finite() && evaluation.terms.iter().all(|t| t.value.is_finite()));
                let sum: f64 = evaluation.terms.iter().map(|t| t.contribution).sum();
                assert!(close(sum, evaluation.value), "{:?}", evaluation.terms);
            }
        }
    }
    assert!(passed > 100, "only {passed} of the plans keep every row");
}

fn nonsense(draw: &mut Draw, instance: &Instance) -> Assignment {
    let odd = |draw: &mut Draw, count: usize| if draw.chance(5) { count + 3 } else { draw.between(0, count) };
    let picks = odd(draw, instance.tenants.len()).max(instance.tenants.len() - 1);
    let pick = |draw: &mut Draw| {
        let option = OptionIx::new(odd(draw, 3));
        let device = (!instance.devices.is_empty() || draw.chance(5))
            .then(|| DeviceIx::new(odd(draw, instance.devices.len().max(1) - 1)));
        draw.chance(60).then_some(Pick { option, device })
    };
    let mode = |draw: &mut Draw| draw.chance(80).then(|| ModeIx::new(odd(draw, 1)));
    Assignment {
        picks: (0..picks).map(|_| pick(draw)).collect(),
        modes: (0..instance.devices.len()).map(|_| mode(draw)).collect(),
    }
}
