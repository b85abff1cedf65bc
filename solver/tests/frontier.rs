//! Frontiers against enumeration: no supported point is missing, and no plan lies below the line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{hosted, hostless, oracle};
use ecomap_instances::instance::Instance;
use ecomap_instances::objective::Objective;
use ecomap_instances::plan::{Assignment, Status, Termination};
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::checker::check;
use ecomap_solver::frontier::{Axes, Frontier, MOST_POINTS, find};
use ecomap_solver::{CancelToken, SolveOptions, SolverError};

fn options() -> SolveOptions {
    SolveOptions { time_limit: None, gap: 1e-9, ..SolveOptions::default() }
}

/// A generated instance; every second one with fewer limits and with a slower, cleaner and smaller
/// variant of each option, so that there is something to trade.
fn instance(seed: u64) -> Instance {
    if seed.is_multiple_of(2) {
        return hosted::instance(seed);
    }
    let mut parts = hosted::parts(seed);
    parts.affinities.clear();
    parts.fleet_accuracy_floor = None;
    for site in &mut parts.sites {
        site.cap = site.cap.map(|cap| cap + Watts::new(12.0));
        site.carbon = GramsPerKwh::new(site.carbon.get() + 100.0);
    }
    for tenant in &mut parts.tenants {
        tenant.accuracy_floor = None;
        if let Some(slo) = &mut tenant.slo {
            slo.soft_price = Some(1.0);
        }
        let (tiers, first) = (tenant.tiers.len(), tenant.options.clone());
        for (n, mut option) in first.into_iter().enumerate() {
            if let Some(host) = &mut option.host {
                let factor = 1.3 + 0.17 * f64::from(u8::try_from(n).unwrap());
                host.latency = host.latency.scaled(factor);
                host.dynamic = host.dynamic * (0.8 / factor);
                host.tier = (host.tier + 1).min(tiers - 1);
                tenant.options.push(option);
            }
        }
    }
    Instance::try_new(parts).unwrap()
}

/// The plans in question by enumeration: those that shed least, as points.
fn points(instance: &Instance, plans: &[Assignment], axes: Axes) -> Vec<[f64; 2]> {
    let top = instance.tenants.iter().map(|t| t.priority).fold(0.0, f64::max);
    let weight = |plan: &Assignment| -> f64 {
        let shed = instance.tenants.iter().zip(&plan.picks).filter(|(_, pick)| pick.is_none());
        shed.map(|(tenant, _)| 1.0 + tenant.priority / top).sum()
    };
    let least = plans.iter().map(weight).fold(f64::INFINITY, f64::min);
    let values = plans.iter().filter(|plan| weight(plan) <= least + 1e-9).map(|plan| {
        let evaluation = check(instance, plan, &Objective::Cdp).evaluation;
        [axes.x(), axes.y()].map(|term| evaluation.term(term.as_str()).unwrap())
    });
    values.collect()
}

/// Points that no other dominates, x ascending, equal ones once; `near` counts as equal.
fn undominated(mut all: Vec<[f64; 2]>, near: [f64; 2]) -> Vec<[f64; 2]> {
    all.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let mut front: Vec<[f64; 2]> = Vec::new();
    for point in all {
        if let Some(last) = front.last().copied() {
            if point[1] >= last[1] - near[1] {
                continue;
            }
            if point[0] <= last[0] + near[0] {
                front.pop();
            }
        }
        front.push(point);
    }
    front
}

/// Corners of the lower convex hull of points in order.
fn corners(front: &[[f64; 2]], near: [f64; 2]) -> Vec<[f64; 2]> {
    let mut hull: Vec<[f64; 2]> = Vec::new();
    for p in front {
        while let [.., a, b] = hull[..] {
            // b stays where it lies clearly below the line from a to p.
            let share = (b[0] - a[0]) / (p[0] - a[0]);
            let line = a[1] + share * (p[1] - a[1]);
            if b[1] < line - near[1] {
                break;
            }
            hull.pop();
        }
        hull.push(*p);
    }
    hull
}

fn has(frontier: &Frontier, point: [f64; 2], near: [f64; 2]) -> bool {
    frontier.points.iter().any(|p| (p.x - point[0]).abs() <= near[0] && (p.y - point[1]).abs() <= near[1])
}

fn span(points: &[[f64; 2]], n: usize) -> f64 {
    let values = || points.iter().map(|p| p[n]);
    (values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)).max(1.0)
}

#[test]
fn every_supported_point_is_found_and_no_plan_lies_below_the_line() {
    let (mut infeasible, mut found, mut supported, mut between, mut shedding) = (0, 0, 0, 0, 0);
    for seed in 0..200 {
        let instance = instance(seed);
        let plans = oracle::kept(&instance);
        for axes in Axes::ALL {
            let first = find(&instance, axes, 0, &options()).unwrap();
            let all = find(&instance, axes, MOST_POINTS, &options()).unwrap();
            if plans.is_empty() {
                assert_eq!((first.status, first.points.len()), (Status::Infeasible, 0), "seed {seed}");
                infeasible += 1;
                continue;
            }
            let truth = points(&instance, &plans, axes);
            let near = [0, 1].map(|n| 3e-5 * span(&truth, n));
            let front = undominated(truth.clone(), near);
            let context = format!("seed {seed} {}: {front:?}\n{first:?}\n{all:?}", axes.as_str());
            assert_eq!((first.status, all.status), (Status::Optimal, Status::Optimal), "{context}");
            assert!(first.shed_proven && all.complete && first.supported_complete, "{context}");
            assert!(first.gap.unwrap() <= 1e-5, "{context}");
            for corner in corners(&front, near) {
                assert!(has(&first, corner, near), "{corner:?} is missing: {context}");
            }
            for point in &front {
                assert!(has(&all, *point, near), "{point:?} is missing: {context}");
            }
            for frontier in [&first, &all] {
                assert!(frontier.points.windows(2).all(|w| w[0].x < w[1].x && w[0].y > w[1].y), "{context}");
                for point in &frontier.points {
                    let verdict = check(&instance, &point.plan, &Objective::Cdp);
                    assert!(verdict.passes(), "{context}");
                    let of = |n: usize| verdict.evaluation.term([axes.x(), axes.y()][n].as_str()).unwrap();
                    assert!((of(0) - point.x).abs() < 1e-6 && (of(1) - point.y).abs() < 1e-6, "{context}");
                    let seen = front
                        .iter()
                        .any(|f| (f[0] - of(0)).abs() <= near[0] && (f[1] - of(1)).abs() <= near[1]);
                    assert!(seen, "{point:?} is dominated: {context}");
                    assert!(point.bound.unwrap() <= point.value + 1e-6, "{context}");
                }
                for plane in &frontier.half_planes {
                    for [x, y] in &truth {
                        let room =
                            1e-6 * (plane.x * x).abs().max(plane.y * y).max(plane.at_least.abs()).max(1e-3);
                        assert!(plane.x * x + plane.y * y >= plane.at_least - room, "{plane:?} {context}");
                    }
                }
            }
            found += 1;
            supported += first.points.len();
            between += all.points.iter().filter(|p| !p.supported).count();
            shedding += usize::from(all.points.iter().any(|p| p.plan.picks.iter().any(Option::is_none)));
        }
    }
    println!(
        "{found} frontiers, {infeasible} infeasible, {supported} supported, {between} between, {shedding} shed"
    );
    assert!(found > 200 && infeasible > 5 && supported > found + 100 && between > 20 && shedding > 10);
}

/// The outer line lies below every point and bends where half-planes meet.
#[test]
fn the_outer_line_lies_below_the_points() {
    let mut bent = 0;
    for seed in 0..60 {
        let frontier = find(&instance(seed), Axes::CarbonDelay, 0, &options()).unwrap();
        for pair in frontier.outer.windows(2) {
            let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
            for p in frontier.points.iter().filter(|p| p.x >= x0 && p.x <= x1 && x1 > x0) {
                let line = y0 + (p.x - x0) / (x1 - x0) * (y1 - y0);
                assert!(p.y >= line - 1e-5 * line.abs().max(1.0), "seed {seed}: {p:?} {pair:?}");
            }
        }
        bent += usize::from(frontier.outer.len() > 2);
    }
    assert!(bent > 10, "{bent}");
}

/// Limits leave a part, which says so, and half-planes that still hold.
#[test]
fn a_limit_leaves_an_honest_part() {
    let (mut parts, mut planes) = (0, 0);
    for seed in 0..80 {
        let instance = instance(seed);
        let truth = points(&instance, &oracle::kept(&instance), Axes::CarbonDelay);
        let limited = SolveOptions { work_limit: Some(4), ..options() };
        let frontier = find(&instance, Axes::CarbonDelay, 50, &limited).unwrap();
        if !frontier.complete {
            assert_ne!(frontier.termination, Termination::GapReached, "seed {seed}");
            parts += 1;
        }
        for plane in &frontier.half_planes {
            planes += 1;
            let least = truth.iter().map(|[x, y]| plane.x * x + plane.y * y).fold(f64::INFINITY, f64::min);
            assert!(least >= plane.at_least - 1e-6 * least.abs().max(1.0), "seed {seed} {plane:?} {least}");
        }
    }
    println!("{parts} parts, {planes} half-planes");
    assert!(parts > 5 && planes > 100);
}

#[test]
fn cancellation_ends_it() {
    let mut ended = 0;
    for seed in 0..40 {
        let instance = instance(seed);
        let whole = find(&instance, Axes::CarbonDelay, 0, &options()).unwrap();
        let cancel = CancelToken::default();
        cancel.cancel();
        let part = find(&instance, Axes::CarbonDelay, 9, &SolveOptions { cancel, ..options() }).unwrap();
        if whole.points.len() > 2 {
            assert!(!part.complete && part.points.len() < whole.points.len(), "seed {seed}: {part:?}");
            assert_eq!(part.termination, Termination::Cancelled, "seed {seed}");
            ended += 1;
        }
    }
    assert!(ended > 3, "{ended}");
}

#[test]
fn the_same_question_has_the_same_answer() {
    for seed in [3, 5, 8] {
        let instance = instance(seed);
        let again = || find(&instance, Axes::AccuracyCarbon, 20, &options()).unwrap();
        assert_eq!(again(), again());
    }
}

#[test]
fn a_problem_without_devices_has_none() {
    let refused = find(&hostless::instance(1), Axes::CarbonDelay, 0, &options());
    assert!(matches!(refused, Err(SolverError::Unsupported { .. })), "{refused:?}");
}
