//! The wire form of answers: complete, readable back, and with a reason for every shed tenant.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{hosted, oracle};
use ecomap_instances::Objective;
use ecomap_instances::format::result_v1::{PricingReportDto, ResultDto, read};
use ecomap_instances::instance::Instance;
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Status, Termination};
use ecomap_instances::units::{Millis, Watts};
use ecomap_solver::checker::check;
use ecomap_solver::report::{Extra, to_result};
use ecomap_solver::solution::instance_hash;
use ecomap_solver::{Certificate, Level, Solution};
use std::collections::BTreeMap;
use std::time::Duration;

fn solution(instance: &Instance, objective: Objective, assignment: Option<Assignment>) -> Solution {
    let verdict = assignment.as_ref().map(|a| check(instance, a, &objective));
    let primal = verdict.as_ref().map(|v| v.evaluation.value);
    Solution {
        solver: "exact",
        status: if assignment.is_some() { Status::Feasible } else { Status::Infeasible },
        objective,
        assignment,
        verdict,
        certificate: Certificate {
            primal,
            dual: primal.map(|p| p * 0.9),
            termination: Termination::NodeLimit,
            nodes: 3,
            cuts: 1,
            seed: 7,
            instance_hash: instance_hash(instance),
            method: "direct",
            levels: vec![Level { term: Term::Accuracy, primal: 2.0, dual: Some(f64::NEG_INFINITY) }],
        },
        reduction: None,
        timings: BTreeMap::from([("solve", Duration::from_millis(250)), ("check", Duration::from_millis(1))]),
        notes: vec!["from the solver".to_owned()],
    }
}

fn round_trip(result: &ResultDto) -> ResultDto {
    read(&serde_json::to_vec(result).unwrap()).unwrap_or_else(|issues| panic!("{issues}"))
}

#[test]
fn a_plan_written_down_reads_back_as_the_same_plan() {
    let mut plans = 0;
    for seed in 0..60 {
        let instance = hosted::instance(seed);
        let objective = Objective::default();
        let Some(best) = oracle::best(&instance, std::slice::from_ref(&objective)) else { continue };
        let plan = best[0].assignment.clone();
        let result =
            to_result(&instance, &solution(&instance, objective, Some(plan.clone())), Extra::default());
        let result = round_trip(&result);
        let back = result.plan.as_ref().unwrap().resolve(&instance).unwrap();
        assert_eq!(back.modes, plan.modes, "seed {seed}");
        for ((tenant, one), other) in instance.tenants.iter().zip(&back.picks).zip(&plan.picks) {
            assert_eq!(one, other, "seed {seed}, tenant {}", tenant.id);
        }
        assert_eq!(result.certificate.checker.verdict, "pass");
        let parts: f64 = result.objective.as_ref().unwrap().terms.iter().map(|t| t.contribution).sum();
        assert!(common::close(parts, best[0].levels[0]), "seed {seed}");
        let shed = plan.picks.iter().filter(|p| p.is_none()).count();
        assert_eq!(result.notes.iter().filter(|n| n.contains(" is shed: ")).count(), shed, "seed {seed}");
        plans += 1;
    }
    assert!(plans > 20, "only {plans} feasible cases");
}

#[test]
fn what_the_caller_knows_is_merged_in() {
    let instance = hosted::instance(1);
    let plan =
        Assignment { picks: vec![None; instance.tenants.len()], modes: vec![None; instance.devices.len()] };
    let extra = Extra {
        contention: None,
        name: "campus".to_owned(),
        pricing: Some(PricingReportDto {
            predictor: "analytic".to_owned(),
            placements: 9,
            options: 4,
            left_out: BTreeMap::new(),
            slo_basis: "load_cap".to_owned(),
        }),
        timings_ms: BTreeMap::from([("parse".to_owned(), 2.0), ("check".to_owned(), 9.0)]),
        versions: BTreeMap::from([("highs".to_owned(), "1.2.3".to_owned())]),
        notes: vec!["from the caller".to_owned()],
        stability: None,
    };
    let result =
        round_trip(&to_result(&instance, &solution(&instance, Objective::default(), Some(plan)), extra));
    assert_eq!(result.name, "campus");
    assert_eq!(result.pricing.unwrap().options, 4);
    let expected = [("check", 1.0), ("parse", 2.0), ("solve", 250.0)];
    assert_eq!(result.timings_ms, expected.map(|(k, v)| (k.to_owned(), v)).into());
    assert_eq!(result.certificate.versions["highs"], "1.2.3");
    assert_eq!(result.certificate.versions["ecomap"], env!("CARGO_PKG_VERSION"));
    assert_eq!(result.notes[..2], ["from the solver", "from the caller"]);
    assert!(result.notes[2].starts_with("not proven optimal"), "{:?}", result.notes);
    assert_eq!(result.certificate.levels[0].dual_bound, None, "JSON has no infinity");
    assert_eq!(result.certificate.seed, 7);
}

#[test]
fn without_a_plan_there_is_no_objective_and_no_verdict() {
    let instance = hosted::instance(1);
    let result = to_result(&instance, &solution(&instance, Objective::default(), None), Extra::default());
    let result = round_trip(&result);
    assert_eq!(result.name, instance.name);
    assert!(result.plan.is_none() && result.objective.is_none());
    assert_eq!(result.certificate.checker.verdict, "no_plan");
    assert_eq!((result.certificate.primal_bound, result.certificate.gap), (None, None));
}

#[test]
fn a_broken_plan_says_fail_and_where() {
    let instance = hosted::instance(1);
    let plan = Assignment { picks: Vec::new(), modes: Vec::new() };
    let result =
        to_result(&instance, &solution(&instance, Objective::default(), Some(plan)), Extra::default());
    assert_eq!(result.certificate.checker.verdict, "fail");
    assert!(result.certificate.checker.violations.iter().any(|v| v.row == "1 choice"));
    assert!(result.certificate.checker.rows.iter().any(|r| r.row == "1 choice" && r.violated > 0));
}

/// Notes on a plan that serves nobody, of an instance made from a seed by `change`.
fn notes_when_all_shed(change: impl Fn(&mut ecomap_instances::instance::InstanceParts)) -> Vec<String> {
    let mut parts = hosted::parts(3);
    for class in &mut parts.classes {
        class.always_on = false;
        class.off = Watts::ZERO;
    }
    for tenant in &mut parts.tenants {
        tenant.shedding.allowed = true;
        tenant.slo = None;
        tenant.accuracy_floor = None;
        tenant.devices = None;
        assert!(!tenant.options.is_empty());
    }
    change(&mut parts);
    let instance = Instance::try_new(parts).unwrap();
    let plan =
        Assignment { picks: vec![None; instance.tenants.len()], modes: vec![None; instance.devices.len()] };
    let mut solution = solution(&instance, Objective::default(), Some(plan));
    solution.notes.clear();
    solution.status = Status::Optimal;
    to_result(&instance, &solution, Extra::default()).notes
}

#[test]
fn a_shed_tenant_comes_with_a_reason() {
    let zero_cap = notes_when_all_shed(|parts| {
        for site in &mut parts.sites {
            site.cap = Some(Watts::ZERO);
        }
    });
    assert!(zero_cap[0].contains("cap 0 W is below the idle draw of every board"), "{zero_cap:?}");
    assert!(
        zero_cap.iter().any(|n| n.contains("power cap 0 W of site") && n.contains("(6b)")),
        "{zero_cap:?}"
    );

    let no_option = notes_when_all_shed(|parts| parts.tenants[0].options.clear());
    assert!(no_option[0].contains("tenant tenant0 is shed: it has no option"), "{no_option:?}");

    let slo = notes_when_all_shed(|parts| {
        parts.tenants[0].slo = Some(ecomap_instances::scenario::Slo {
            quantile: ecomap_instances::scenario::Quantile::P99,
            latency: Millis::new(0.001),
            soft_price: None,
        });
    });
    assert!(slo[0].contains("is admissible: the latency objective (7) excludes"), "{slo:?}");

    let floor = notes_when_all_shed(|parts| parts.tenants[0].accuracy_floor = Some(99.0));
    assert!(floor[0].contains("the accuracy floor (8a) excludes"), "{floor:?}");

    let pinned = notes_when_all_shed(|parts| parts.tenants[0].devices = Some(Vec::new()));
    assert!(pinned[0].contains("the list of devices (10a) excludes"), "{pinned:?}");

    let memory = notes_when_all_shed(|parts| {
        for class in &mut parts.classes {
            class.memory = ecomap_instances::units::Bytes::ZERO;
        }
    });
    assert!(memory[0].contains("memory of device") && memory[0].contains("(4)"), "{memory:?}");

    let room = notes_when_all_shed(|parts| {
        for class in &mut parts.classes {
            class.memory = ecomap_instances::units::Bytes::new(1e12);
            for mode in &mut class.modes {
                mode.budget = Watts::new(1e3);
                mode.load_cap.fill(1.0);
                mode.bandwidth = ecomap_instances::units::BytesPerSecond::new(1e12);
            }
        }
        parts.sites.iter_mut().for_each(|s| s.cap = None);
        parts.capacities.iter_mut().for_each(|c| c.capacity = 1e6);
    });
    assert!(room[0].contains("this plan leaves room for it"), "{room:?}");
}
