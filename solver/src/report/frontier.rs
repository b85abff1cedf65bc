//! The wire form of a frontier, `ecomap.frontier/v1`.

use super::plan_of;
use crate::checker::check;
use crate::frontier::{Frontier, FrontierPoint};
use ecomap_instances::Objective;
use ecomap_instances::format::frontier_v1::{
    AxisDto, CornerDto, FORMAT, FrontierDto, FrontierPointDto, HalfPlaneDto,
};
use ecomap_instances::instance::Instance;
use ecomap_instances::objective::Term;
use std::collections::BTreeMap;

/// The wire form of `frontier`, found in `instance` with `seed`. `versions`: of what took part, but for
/// Ecomap and HiGHS.
#[must_use]
pub fn to_frontier(
    instance: &Instance,
    frontier: &Frontier,
    name: &str,
    seed: u64,
    mut versions: BTreeMap<String, String>,
) -> FrontierDto {
    versions.insert("ecomap".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    versions.insert("highs".to_owned(), crate::highs::version());
    let axis = |term: Term| AxisDto { term: term.as_str().to_owned(), unit: term.unit().to_owned() };
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    FrontierDto {
        format: FORMAT.to_owned(),
        name: name.to_owned(),
        axes: frontier.axes.as_str().to_owned(),
        x: axis(frontier.axes.x()),
        y: axis(frontier.axes.y()),
        status: frontier.status,
        termination: frontier.termination,
        supported_complete: frontier.supported_complete,
        complete: frontier.complete,
        gap: finite(frontier.gap),
        shed_proven: frontier.shed_proven,
        points: frontier.points.iter().map(|p| point(instance, frontier, p)).collect(),
        outer: frontier.outer.iter().map(|[x, y]| CornerDto { x: *x, y: *y }).collect(),
        half_planes: frontier
            .half_planes
            .iter()
            .map(|h| HalfPlaneDto { x: h.x, y: h.y, at_least: h.at_least })
            .collect(),
        solves: frontier.solves,
        nodes: frontier.nodes,
        seed,
        versions,
        instance_hash: frontier.instance_hash.clone(),
        notes: frontier.notes.clone(),
    }
}

fn point(instance: &Instance, frontier: &Frontier, point: &FrontierPoint) -> FrontierPointDto {
    let verdict = check(instance, &point.plan, &Objective::Single(frontier.axes.x()));
    let tenants = instance.tenants.iter().zip(&point.plan.picks);
    FrontierPointDto {
        x: point.x,
        y: point.y,
        supported: point.supported,
        weights: CornerDto { x: point.weights[0], y: point.weights[1] },
        value: point.value,
        bound: point.bound.filter(|b| b.is_finite()),
        shed: tenants.filter(|(_, pick)| pick.is_none()).map(|(t, _)| t.id.to_string()).collect(),
        plan: plan_of(instance, &point.plan, &verdict),
    }
}
