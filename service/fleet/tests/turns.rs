//! The two halves of a turn, and going on from a plan of before.
#![allow(clippy::unwrap_used)]

use ecomap_estimator::Roofline;
use ecomap_estimator::pricing::price;
use ecomap_fleet::{Budgets, Cause, Controller, Past, Settings};
use ecomap_instances::Catalog;
use ecomap_instances::format::scenario_v1;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::SolveOptions;
use jiff::{SignedDuration, Timestamp};

fn at(hours: i64) -> Timestamp {
    "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
}

/// One board and three tenants, its cap a line from 11 W at 600 g/kWh to 20 W at 100.
fn controller() -> Controller {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(folder.join("../../instances/data/scenarios/xavier-3.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    for site in value["sites"].as_array_mut().unwrap() {
        site["budget"] = serde_json::json!({
            "policy": "linear", "clean_g_per_kwh": 100, "dirty_g_per_kwh": 600, "max_w": 20, "min_w": 11
        });
    }
    let scenario = scenario_v1::read(value.to_string().as_bytes(), Catalog::embedded().unwrap()).unwrap();
    let (instance, _) = price(&scenario, &Roofline::embedded().unwrap()).unwrap();
    let zones = scenario.sites.iter().map(|s| s.zone.at()).collect();
    let budgets = Budgets::of(&scenario, Watts::ZERO, SignedDuration::ZERO).unwrap();
    let options = SolveOptions { gap: 1e-3, time_limit: None, ..SolveOptions::default() };
    Controller::new(
        instance,
        zones,
        budgets,
        Settings { options, gain: 0.02, effort: ecomap_fleet::Effort::Every },
    )
}

fn grams(value: f64) -> Vec<Vec<GramsPerKwh>> {
    vec![vec![GramsPerKwh::new(value)]]
}

const LEFT: SignedDuration = SignedDuration::from_hours(12);

/// The checker lets a plan draw a millionth more than the cap; what is published does not.
#[test]
fn a_plan_above_its_cap_by_less_than_the_checkers_tolerance_is_not_published() {
    let mut fleet = controller();
    fleet.step(at(0), &grams(100.0), LEFT).unwrap();
    let drawn = fleet.running().unwrap().power[0].get();
    let cap = drawn * (1.0 - 4e-7);
    assert!((11.0..20.0).contains(&cap), "no intensity gives a cap of {cap} W");
    let turn = fleet.step(at(1), &grams(100.0 + (20.0 - cap) * 500.0 / 9.0), LEFT).unwrap();
    let now = turn.caps[0].unwrap().get();
    assert!(now < drawn && drawn - now < 1e-6 * drawn, "the cap is {now} W, the plan drew {drawn} W");
    assert!(fleet.running().unwrap().power[0].get() <= now);
}

#[test]
fn a_fallen_cap_is_answered_by_the_first_half_from_what_is_stored() {
    let mut fleet = controller();
    // Dirty first, so that a plan for the low cap is stored.
    fleet.step(at(0), &grams(600.0), LEFT).unwrap();
    fleet.step(at(1), &grams(100.0), LEFT).unwrap();
    let most = fleet.running().unwrap().power[0];
    assert!(most.get() > 11.0, "the clean plan draws {most:?}, the test shows nothing");
    let mut turn = fleet.begin(at(2), &grams(600.0), LEFT).unwrap();
    assert_eq!(turn.published.len(), 1);
    let at_once = &turn.published[0];
    assert_eq!((at_once.cause, turn.solves), (Cause::Cap, 0));
    assert!(at_once.power[0].get() <= 11.0 * (1.0 + 1e-9) && at_once.solution.is_some());
    let number = at_once.number;
    fleet.finish(&mut turn).unwrap();
    let running = fleet.running().unwrap();
    assert!(running.power[0].get() <= 11.0 * (1.0 + 1e-9) && running.number >= number);
    assert!(running.gap().unwrap() <= 1e-3);
}

#[test]
fn a_controller_goes_on_from_the_plan_of_another() {
    let mut first = controller();
    first.step(at(0), &grams(300.0), LEFT).unwrap();
    let before = first.running().unwrap().clone();
    let past = |changed| Past {
        number: 41,
        at: before.at,
        cause: before.cause,
        plan: Some(before.plan.clone()),
        changed,
    };

    // Nothing changed: the plan stays, with its number.
    let mut same = controller();
    same.resume(past(None));
    assert_eq!(same.running().map(|r| (r.number, r.power.clone())), Some((41, before.power.clone())));
    let turn = same.step(at(1), &grams(300.0), LEFT).unwrap();
    assert!(turn.published.is_empty());

    // The fleet changed, but not what is best: a plan for the fleet as it is now, and nobody moves.
    let mut changed = controller();
    changed.resume(past(Some(Cause::Change)));
    let turn = changed.step(at(1), &grams(300.0), LEFT).unwrap();
    let published = &turn.published[0];
    assert_eq!((published.number, published.cause, published.moves), (42, Cause::Change, 0));
    assert_eq!(published.plan, before.plan);
    assert!(published.gap().unwrap() <= 1e-2 && published.solution.is_some());

    // A lower cap than it was made for: the next number, and why.
    let mut lower = controller();
    lower.resume(past(None));
    let turn = lower.step(at(1), &grams(600.0), LEFT).unwrap();
    assert_eq!(turn.published.first().map(|p| (p.number, p.cause)), Some((42, Cause::Cap)));

    // The fleet changed, so that nothing is left of the plan.
    let mut other = controller();
    other.resume(Past { plan: None, ..past(Some(Cause::Change)) });
    let turn = other.step(at(1), &grams(300.0), LEFT).unwrap();
    assert_eq!(turn.published.first().map(|p| (p.number, p.cause)), Some((42, Cause::First)));

    // Everybody was shed by the change.
    let mut shed = controller();
    let mut nobody = before.plan.clone();
    nobody.picks.fill(None);
    shed.resume(Past { plan: Some(nobody), ..past(Some(Cause::Change)) });
    let turn = shed.step(at(1), &grams(300.0), LEFT).unwrap();
    assert_eq!(turn.published.first().map(|p| (p.number, p.cause)), Some((42, Cause::Change)));
    let turn = shed.step(at(2), &grams(600.0), LEFT).unwrap();
    assert!(turn.published.iter().all(|p| p.cause != Cause::Change), "the change is answered once");
}
