//! Solves with the estimator in the loop: against enumeration, and as a user calls them.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)] // tests

use ecomap_instances::format::Format;
use ecomap_instances::ids::{DeviceIx, ModeIx, OptionIx};
use ecomap_instances::plan::{Assignment, Pick, Status};
use ecomap_service::contention::{Contention, boards};
use ecomap_service::pipeline::{self, Priced, Request, Sizes};
use ecomap_solver::checker::check;
use ecomap_solver::clock::SystemClock;
use ecomap_solver::contention::accepts;
use serde_json::{Value, json};

/// The first `tenants` of an embedded scenario, with few placements each, and its caps scaled.
fn small(name: &str, tenants: usize, cap: f64, contention: Contention) -> Priced {
    let bytes = ecomap_instances::scenarios::embedded(name).expect("embedded");
    let mut document: Value = serde_json::from_slice(bytes).expect("JSON");
    document["tenants"].as_array_mut().expect("a list").truncate(tenants);
    document["pricing"] = json!({ "max_segments": 1, "max_placements": 2 });
    if let Some(o) = document.as_object_mut() {
        o.remove("affinities");
    }
    for device in document["devices"].as_array_mut().expect("a list") {
        device["modes"] = json!(["MAXN"]);
    }
    for site in document["sites"].as_array_mut().expect("a list") {
        site["budget"] = json!({ "policy": "fixed", "cap_w": cap });
    }
    let clock = SystemClock::new();
    let bytes = document.to_string().into_bytes();
    let loaded = pipeline::load(name, &bytes, Some(Format::Scenario), Sizes::UNBOUNDED, &clock)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    pipeline::price_for(loaded, contention, Sizes::UNBOUNDED, &clock).expect("priced")
}

/// Value of the best plan that the checker and the joint predictor accept; one board, one mode.
fn enumerated(priced: &Priced) -> Option<f64> {
    let instance = &priced.instance;
    let predictor = boards(priced, &priced.instance).expect("loads");
    let lists: Vec<Vec<Option<Pick>>> = instance
        .tenants
        .iter()
        .map(|t| {
            let options = (0..t.options.len()).map(OptionIx::new);
            let picks = options.map(|option| Some(Pick { option, device: Some(DeviceIx::new(0)) }));
            std::iter::once(None).chain(picks).collect()
        })
        .collect();
    let mut at = vec![0; lists.len()];
    let mut best: Option<f64> = None;
    loop {
        let picks: Vec<Option<Pick>> = lists.iter().zip(&at).map(|(l, n)| l[*n]).collect();
        let mode = picks.iter().any(Option::is_some).then(|| ModeIx::new(0));
        let plan = Assignment { picks, modes: vec![mode] };
        let verdict = check(instance, &plan, &instance.objective);
        let value = verdict.evaluation.value;
        if verdict.passes() && best.is_none_or(|b| value < b) {
            let told = accepts(instance, &predictor, &plan).expect("predicts");
            if told.accepted() {
                best = Some(value);
            }
        }
        let Some(k) = (0..lists.len()).rev().find(|k| at[*k] + 1 < lists[*k].len()) else { return best };
        at[k] += 1;
        at[k + 1..].fill(0);
    }
}

#[test]
fn the_estimator_in_the_loop_agrees_with_enumeration() {
    let mut broken = 0;
    for contention in [Contention::Auto, Contention::Roofline] {
        for tenants in [2, 3] {
            for cap in [12.0, 16.0, 40.0] {
                let priced = small("xavier-5", tenants, cap, contention);
                let best = enumerated(&priced).expect("everybody may be shed");
                let request = Request { gap: Some(1e-9), ..Request::default() };
                let answer = pipeline::solve(&priced, &request, &mut ()).expect("solves");
                assert_eq!(answer.solution.status, Status::Optimal);
                let value = answer.solution.certificate.primal.expect("a plan");
                assert!((value - best).abs() <= 1e-6 * best.abs().max(1.0), "{value} and not {best}");
                let told = answer.result.contention.as_ref().expect("a section");
                assert!(told.accepted);
                broken += told.without_contention.slos + told.without_contention.caps;
                // The check prices on the same basis and asks the predictor again.
                let recheck = pipeline::recheck(&priced, &answer.result, None, None).expect("checks");
                assert!(recheck.pass, "{:?}", recheck.findings);
            }
        }
    }
    assert!(broken > 0, "contention never mattered");
}

#[test]
fn a_plan_made_without_regard_to_contention_is_found_out() {
    // All that the program alone asks: objectives kept by every tenant alone on its board.
    let alone = small("xavier-5", 5, 40.0, Contention::Auto);
    let off = Priced { contention: Contention::Off, ..small("xavier-5", 5, 40.0, Contention::Auto) };
    let mut answer = pipeline::solve(&off, &Request::default(), &mut ()).expect("solves");
    assert!(answer.result.contention.is_none());
    let honest = pipeline::solve(&alone, &Request::default(), &mut ()).expect("solves");
    let told = honest.result.contention.expect("a section");
    // Claim that the predictor accepted it: the check disagrees where it breaks something.
    answer.result.contention = Some(told);
    let recheck = pipeline::recheck(&alone, &answer.result, None, None).expect("checks");
    assert!(!recheck.pass);
    assert!(recheck.findings.iter().any(|f| f.contains("predicted")), "{:?}", recheck.findings);
}

#[test]
fn an_instance_has_nothing_to_predict_from() {
    let priced = small("xavier-5", 2, 40.0, Contention::Off);
    let dto = ecomap_instances::format::instance_v1::InstanceDto::raise(&priced.instance);
    let bytes = serde_json::to_vec(&dto).expect("JSON");
    let clock = SystemClock::new();
    let loaded =
        pipeline::load("x", &bytes, Some(Format::Instance), Sizes::UNBOUNDED, &clock).expect("valid");
    let error =
        pipeline::price_for(loaded, Contention::Roofline, Sizes::UNBOUNDED, &clock).expect_err("refused");
    assert!(error.to_string().contains("scenario"), "{error}");
}
