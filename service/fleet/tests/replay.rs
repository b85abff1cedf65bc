//! The loop over days of a synthetic trace: promises kept, histories equal, allowances spent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ecomap_carbon::policy::{Allowance, Range};
use ecomap_carbon::source::trace::{Foresight, Trace};
use ecomap_carbon::{Chain, Damper, Signal, Source};
use ecomap_estimator::Roofline;
use ecomap_estimator::pricing::price;
use ecomap_fleet::history::{Names, csv};
use ecomap_fleet::replay::left_of_day;
use ecomap_fleet::{Budgets, Cause, Cells, Controller, Effort, FleetError, Group, Replay, Settings, Summary};
use ecomap_instances::Catalog;
use ecomap_instances::format::scenario_v1;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_instances::{Objective, Scenario};
use ecomap_solver::{SolveOptions, checker};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

/// One board and three tenants, its cap a line from 600 g/kWh down to 100.
fn scenario(least: f64, most: f64) -> Scenario {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../instances/data/scenarios/xavier-3.json"),
    )
    .unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for site in value["sites"].as_array_mut().unwrap() {
        site["budget"] = serde_json::json!({
            "policy": "linear", "clean_g_per_kwh": 100, "dirty_g_per_kwh": 600, "max_w": most, "min_w": least
        });
    }
    scenario_v1::read(value.to_string().as_bytes(), Catalog::embedded().unwrap()).unwrap()
}

/// Clean noons, dirty evenings, every day a little different. Synthetic.
fn trace(days: i64) -> Trace {
    let mut text = "timestamp,gco2_per_kwh\n".to_owned();
    for hour in 0..days * 24 {
        let (day, of_day) = (hour / 24, (hour % 24) as f64);
        let sun = (1.0 - ((of_day - 13.0) / 5.0).powi(2)).max(0.0);
        let evening = (1.0 - ((of_day - 19.0) / 3.0).powi(2)).max(0.0);
        let grams = 380.0 + 12.0 * (day * 7 % 5) as f64 - 300.0 * sun + 140.0 * evening;
        text.push_str(&format!("{},{grams:.1}\n", start() + SignedDuration::from_hours(hour)));
    }
    Trace::read(&text, "grid", Signal::Average, start(), Foresight::Perfect(24)).unwrap()
}

fn controller(scenario: &Scenario, budgets: Budgets) -> Controller {
    let (instance, _) = price(scenario, &Roofline::embedded().unwrap()).unwrap();
    let zones = scenario.sites.iter().map(|s| s.zone.at()).collect();
    let objective = Some(scenario.objective.clone());
    let options = SolveOptions { gap: 1e-3, time_limit: None, objective, ..SolveOptions::default() };
    Controller::new(instance, zones, budgets, Settings { options, gain: 0.02, effort: Effort::Every })
}

fn replay(scenario: &Scenario, controller: Controller, days: i64, turns: usize) -> Replay {
    let zones = scenario
        .zones
        .iter()
        .map(|_| {
            let source: Box<dyn Source> = Box::new(trace(days));
            let names = [(Arc::clone(source.name()), Signal::Average)];
            let fresh = SignedDuration::from_hours(1);
            (source, Chain::new(&names, fresh, GramsPerKwh::new(900.0), false).unwrap())
        })
        .collect();
    let every = SignedDuration::from_hours(1);
    Replay { controller, zones, start: start(), every, turns, days: TimeZone::UTC }
}

fn own(scenario: &Scenario) -> Budgets {
    Budgets::of(scenario, Watts::new(0.0), SignedDuration::ZERO).unwrap()
}

fn play(scenario: &Scenario, turns: usize) -> (Summary, String) {
    let mut replay = replay(scenario, controller(scenario, own(scenario)), 30, turns);
    let mut rows = Vec::new();
    let summary = replay
        .run(|turn, row, controller| {
            // Every plan that runs passes the checker at the caps and intensities of its turn.
            let running = controller.running().unwrap();
            let instance = controller.instance();
            for (site, cap) in instance.sites.iter().zip(&turn.caps) {
                assert_eq!(site.cap, *cap);
            }
            assert_eq!(instance.sites[0].carbon, turn.intensity[0]);
            let verdict = checker::check(instance, &running.plan, &instance.objective);
            assert!(verdict.passes(), "{:?}", verdict.violations);
            assert!((verdict.evaluation.value - running.value).abs() < 1e-9);
            assert!(running.bound.is_none_or(|b| b <= running.value + 1e-9));
            rows.push(row.clone());
        })
        .unwrap();
    let names = Names {
        zones: scenario.zones.iter().map(|z| z.id.to_string()).collect(),
        sites: scenario.sites.iter().map(|s| s.id.to_string()).collect(),
    };
    (summary, csv(&names, &rows))
}

#[test]
fn no_interval_is_above_its_cap_and_the_history_repeats() {
    let scenario = scenario(11.0, 22.0);
    let (summary, history) = play(&scenario, 72);
    assert_eq!((summary.turns, summary.above_cap), (72, 0));
    assert!(summary.cap_changes > 40, "{summary:?}");
    assert!(summary.plans >= 6 && summary.plans < 72, "caps move, plans follow where it pays: {summary:?}");
    assert_eq!(summary.unproven, 0);
    assert_eq!(history.lines().count(), 73);
    let (again, same) = play(&scenario, 72);
    assert_eq!((summary, &history), (again, &same));
}

/// A cap that the running plan breaks is kept in the same turn, by a plan with a cause.
#[test]
fn a_cap_drop_is_kept_at_once() {
    let scenario = scenario(11.0, 22.0);
    let mut controller = controller(&scenario, own(&scenario));
    let hour = |n: i64| start() + SignedDuration::from_hours(n);
    let day = SignedDuration::from_hours(12);
    let at = |grams: f64| vec![vec![GramsPerKwh::new(grams); 26]; scenario.zones.len()];
    let first = controller.step(hour(0), &at(100.0), day).unwrap();
    assert_eq!(first.published[0].cause, Cause::First);
    let drawn: f64 = first.published[0].power.iter().map(|p| p.get()).sum();
    let drop = controller.step(hour(1), &at(600.0), day).unwrap();
    let cap = drop.caps[0].unwrap().get();
    assert!(drawn > cap, "the test needs a drop that bites: {drawn} W under {cap} W");
    assert_eq!(drop.published[0].cause, Cause::Cap);
    for published in &drop.published {
        assert!(published.power[0].get() <= cap + 1e-9, "no plan in between is above the cap");
    }
    // The clean grid again: what was stored answers, and it pays to go back.
    let back = controller.step(hour(2), &at(100.0), day).unwrap();
    assert_eq!(back.published.last().unwrap().cause, Cause::Gain);
    assert_eq!(back.published.last().unwrap().plan, first.published[0].plan);
    assert!(matches!(controller.step(hour(2), &at(100.0), day), Err(FleetError::Time)));
    assert!(matches!(controller.step(hour(3), &[], day), Err(FleetError::Zones { .. })));
    assert_eq!(controller.running().unwrap().number, back.published.last().unwrap().number);
}

/// A cap that nobody can keep is an error that changes nothing, and the next turn goes on.
#[test]
fn an_impossible_cap_is_an_error_and_not_a_plan() {
    let scenario = scenario(0.5, 22.0);
    let mut controller = controller(&scenario, own(&scenario));
    let at = |grams: f64| vec![vec![GramsPerKwh::new(grams); 26]; scenario.zones.len()];
    let day = SignedDuration::from_hours(12);
    controller.step(start(), &at(100.0), day).unwrap();
    let before = controller.running().unwrap().clone();
    let refused = controller.step(start() + SignedDuration::from_hours(1), &at(600.0), day);
    match refused {
        Err(FleetError::Infeasible { caps }) => assert!(caps.contains("0.5"), "{caps}"),
        // Shedding everyone and switching the board off may be allowed: then the turn says so.
        Ok(turn) => {
            assert!(turn.published.last().unwrap().power[0].get() <= 0.5 && !turn.forced_off.is_empty());
        }
        Err(other) => panic!("{other}"),
    }
    let next = controller.step(start() + SignedDuration::from_hours(2), &at(100.0), day).unwrap();
    assert!(controller.running().unwrap().value <= before.value + 1e-9, "{next:?}");
}

fn group(policy: Allowance, range: Range) -> Group {
    Group {
        zone: 0,
        sites: vec![(SiteIx::new(0), 1.0)],
        policy: Some(Box::new(policy)),
        damper: Damper::new(Watts::ZERO, SignedDuration::ZERO),
        frontier: Vec::new(),
        traced: Some(range),
    }
}

/// The allowance of what the line emits, spent along the frontier: no more carbon, less quality lost.
#[test]
fn an_allowance_loses_less_than_the_line_at_its_carbon() {
    // What carbon may be spent is the allowance's business: with a price on carbon too, less would be spent.
    let objective = Objective::parse("ecomap:carbon=0").unwrap();
    let scenario = scenario(11.0, 22.0).with_objective(objective);
    let (days, turns) = (4, 24 * 4);
    let mut line = replay(&scenario, controller(&scenario, own(&scenario)), days, turns + 1);
    let line = line.run(|_, _, _| ()).unwrap();

    let range = Range::new(Watts::new(11.0), Watts::new(22.0)).unwrap();
    let policy = Allowance::new(range, line.carbon_g / 4.0).unwrap();
    let budgets = Budgets::new(&scenario, vec![group(policy, range)]).unwrap();
    let mut controller = controller(&scenario, budgets);
    controller.trace(&[GramsPerKwh::new(380.0)]).unwrap();
    let frontier = controller.budgets().groups()[0].frontier.clone();
    assert!(frontier.len() > 8);
    assert!(
        frontier.windows(2).all(|p| p[0].loss >= p[1].loss - 0.05),
        "less watts, more loss: {frontier:?}"
    );
    let spent = replay(&scenario, controller, days, turns + 1).run(|_, _, _| ()).unwrap();
    assert_eq!(spent.above_cap, 0);
    assert!(spent.carbon_g <= line.carbon_g * 1.01, "{spent:?} against {line:?}");
    assert!(spent.loss_hours < line.loss_hours, "{spent:?} against {line:?}");
}

/// An allowance is planned over 23 hours on one day and 25 on another, and begins anew at local midnight.
#[test]
fn an_allowance_counts_the_days_of_its_time_zone() {
    let objective = Objective::parse("ecomap:carbon=0").unwrap();
    let scenario = scenario(11.0, 22.0).with_objective(objective);
    let range = Range::new(Watts::new(11.0), Watts::new(22.0)).unwrap();
    // No frontier is traced, so the rest is spread evenly: the cap tells how many hours are left.
    let grams = 150.0;
    let policy = Allowance::new(range, grams).unwrap();
    let budgets = Budgets::new(&scenario, vec![group(policy, range)]).unwrap();
    let mut replay = replay(&scenario, controller(&scenario, budgets), 30, 72);
    replay.start = "2026-03-28T00:00:00+01:00".parse().unwrap();
    replay.days = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let mut text = "timestamp,gco2_per_kwh\n".to_owned();
    for hour in 0..80 {
        text.push_str(&format!("{},400\n", replay.start + SignedDuration::from_hours(hour)));
    }
    for (source, _) in &mut replay.zones {
        *source =
            Box::new(Trace::read(&text, "grid", Signal::Average, replay.start, Foresight::None).unwrap());
    }
    let mut firsts = Vec::new();
    let mut before = 0.0;
    replay
        .run(|turn, row, controller| {
            let today = controller.meter().today_g(0);
            if today == 0.0 {
                firsts.push((turn.at, turn.caps[0].unwrap().get(), row.carbon_g - before));
                before = row.carbon_g;
            }
        })
        .unwrap();
    let midnights: Vec<String> = firsts.iter().map(|f| f.0.to_string()).collect();
    // 24, 23 and 24 hours, and the first of the next day.
    let expected =
        ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"];
    assert_eq!(midnights, expected);
    // W = g / (kg/kWh · hours): the day of 23 hours has more for each.
    let even = |hours: f64| (1_000.0 * grams / (400.0 * hours)).clamp(11.0, 22.0);
    assert!((firsts[0].1 - even(24.0)).abs() < 1e-9 && (firsts[1].1 - even(23.0)).abs() < 1e-9, "{firsts:?}");
    assert!(firsts[1].1 > firsts[0].1);
    assert!(
        firsts[1..].iter().all(|f| f.2 <= grams * (1.0 + 1e-9)),
        "no day spends more than it has: {firsts:?}"
    );
}

/// The first half of a turn keeps a cap that no stored plan fits, by taking from what runs; the second improves.
#[test]
fn a_deep_drop_is_answered_without_a_solve() {
    let scenario = scenario(6.0, 22.0);
    let mut controller = controller(&scenario, own(&scenario));
    let day = SignedDuration::from_hours(12);
    let at = |grams: f64| vec![vec![GramsPerKwh::new(grams); 26]; scenario.zones.len()];
    let first = controller.step(start(), &at(100.0), day).unwrap();
    for (n, grams) in [(1, 350.0), (2, 600.0)] {
        let mut copy = controller.fork(own(&scenario));
        let mut turn = copy.begin(start() + SignedDuration::from_hours(n), &at(grams), day).unwrap();
        let cap = turn.caps[0].unwrap();
        assert!(first.published[0].power[0] > cap, "the drop bites");
        let [answer] = &turn.published[..] else { panic!("{grams} g/kWh: {:?}", turn.published) };
        assert!(answer.cause == Cause::Cap && answer.power[0].get() <= cap.get() + 1e-9);
        assert!(checker::check(copy.instance(), &answer.plan, &copy.instance().objective).passes());
        assert_eq!(turn.solves, 0);
        let (quick, bound) = (answer.value, answer.bound);
        copy.finish(&mut turn).unwrap();
        let best = copy.running().unwrap();
        assert!(best.value <= quick + 1e-9 && bound.is_none_or(|b| b <= best.value + 1e-9));
    }
    assert_eq!(controller.running().unwrap().number, 1, "a fork leaves the original alone");
}

/// Boards are named where the caps cannot feed all of them idling, and only then.
#[test]
fn boards_that_caps_turn_off_are_named() {
    let scenario = scenario(1.0, 22.0);
    let mut controller = controller(&scenario, own(&scenario));
    let at = |grams: f64| vec![vec![GramsPerKwh::new(grams); 26]; scenario.zones.len()];
    let day = SignedDuration::from_hours(12);
    let clean = controller.step(start(), &at(100.0), day).unwrap();
    assert!(clean.forced_off.is_empty(), "all boards may idle under {:?}", clean.caps);
    let instance = controller.instance();
    let idle: f64 = instance
        .devices
        .iter()
        .map(|d| {
            let class = &instance.classes[d.class.at()];
            class.modes.iter().map(|m| m.idle.get()).fold(f64::INFINITY, f64::min)
        })
        .sum();
    let dirty = controller.step(start() + SignedDuration::from_hours(1), &at(600.0), day).unwrap();
    assert!(dirty.caps[0].unwrap().get() < idle, "the test needs a cap below {idle} W");
    let off: Vec<usize> = dirty.forced_off.iter().map(|d| d.at()).collect();
    let modes = &controller.running().unwrap().plan.modes;
    let really: Vec<usize> = (0..modes.len()).filter(|d| modes[*d].is_none()).collect();
    assert!(!off.is_empty() && off == really, "{off:?} against {really:?}");
}

/// A forecast that is revised changes what the rest of the day gets, and the allowance is still kept.
#[test]
fn a_revised_forecast_is_planned_anew() {
    let objective = Objective::parse("ecomap:carbon=0").unwrap();
    let scenario = scenario(11.0, 22.0).with_objective(objective);
    let range = Range::new(Watts::new(11.0), Watts::new(22.0)).unwrap();
    let even = 24.0 * 0.4 * 16.0;
    let policy = Allowance::new(range, even).unwrap();
    let budgets = Budgets::new(&scenario, vec![group(policy, range)]).unwrap();
    let mut controller = controller(&scenario, budgets);
    controller.trace(&[GramsPerKwh::new(400.0)]).unwrap();
    let mut cap = |hour: i64, now: f64, later: f64| {
        let mut ahead = vec![GramsPerKwh::new(later); 26];
        ahead[0] = GramsPerKwh::new(now);
        let left = SignedDuration::from_hours(24 - hour);
        let turn = controller.step(start() + SignedDuration::from_hours(hour), &[ahead], left).unwrap();
        turn.caps[0].unwrap().get()
    };
    let expected = cap(0, 400.0, 400.0);
    let cleaner_later = cap(1, 400.0, 100.0);
    let dirtier_later = cap(2, 400.0, 700.0);
    assert!(cleaner_later > expected + 1.0, "{cleaner_later} W when the rest is clean, {expected} W before");
    assert!(dirtier_later < cleaner_later - 1.0, "{dirtier_later} W when the rest turns dirty");
    assert!(controller.meter().today_g(0) <= even);
}

/// Cells: far fewer solves than turns, every plan checked and certified, no cap broken, the same history again.
#[test]
fn cells_answer_a_day_with_few_solves() {
    let scenario = scenario(11.0, 22.0);
    let play = |effort: Effort| {
        let mut controller = controller(&scenario, own(&scenario));
        controller.set_effort(effort);
        let mut replay = replay(&scenario, controller, 30, 72);
        let mut rows = Vec::new();
        let summary = replay
            .run(|turn, row, controller| {
                let running = controller.running().unwrap();
                let verdict = checker::check(controller.instance(), &running.plan, &scenario.objective);
                assert!(verdict.passes(), "{:?}", verdict.violations);
                assert!(running.bound.is_some_and(|b| b <= running.value + 1e-9), "{:?}", turn.at);
                rows.push(row.clone());
            })
            .unwrap();
        (summary, rows)
    };
    let cells = Effort::Cells(Cells { cap: 0.1, grams: 60.0, kicks: 1 });
    let (every, exact) = play(Effort::Every);
    let (few, rows) = play(cells);
    assert_eq!((few.above_cap, few.unproven), (0, 0));
    assert!(few.solves * 2 < every.solves, "{} against {}", few.solves, every.solves);
    // A bound of the cells is never above what the exact solves found.
    for (cell, exact) in rows.iter().zip(&exact) {
        assert!(cell.bound.unwrap() <= exact.value + 0.02 + 1e-6, "{cell:?} against {exact:?}");
    }
    assert_eq!((few, rows), play(cells));
}

/// Days are 23 and 25 hours long where clocks change.
#[test]
fn days_are_as_long_as_they_are() {
    let fixed = TimeZone::UTC;
    let now: Timestamp = "2026-03-29T00:00:00Z".parse().unwrap();
    assert_eq!(left_of_day(now, &fixed).as_hours(), 24);
    assert_eq!(left_of_day(now + SignedDuration::from_hours(23), &fixed).as_hours(), 1);
    // Europe/Berlin's rule, written out: no database of zones is needed.
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let midnight = |text: &str| left_of_day(text.parse().unwrap(), &berlin).as_hours();
    assert_eq!(midnight("2026-03-28T23:00:00Z"), 23);
    assert_eq!(midnight("2026-10-24T22:00:00Z"), 25);
}
