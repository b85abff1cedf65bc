//! Distributions of latency, performance profile, and one day.

use super::Group;
use super::lines::{Axis, Line, chart};
use crate::stats::{mean, number};
use crate::table::{Row, Share};
use crate::truth::latencies;
use std::collections::BTreeMap;

/// Largest ratio that a performance profile shows.
const RATIO: f64 = 3.0;
/// Share of requests that a figure tells from none.
const VISIBLE: f64 = 1e-3;

/// Share of hours whose 95th percentile of latency is at most what the axis says.
pub(super) fn tail(groups: &[Group<'_>]) -> Result<String, String> {
    let lines: Vec<Line> = groups
        .iter()
        .map(|g| {
            let values = g.rows.iter().map(|r| r.p95_ms).collect();
            (g.name.to_owned(), steps(values, g.rows.len(), 0.0))
        })
        .collect();
    chart(
        &lines,
        Axis::linear("95th percentile of an hour's latency, ms (simulated)"),
        Axis::linear("share of hours"),
    )
}

/// Share of all requests answered within what the axis says, mean over scenes.
pub(super) fn latency(order: &[&str], shares: &[Share]) -> Result<String, String> {
    let mut lines: Vec<Line> =
        order.iter().map(|method| ((*method).to_owned(), mixed(method, shares))).collect();
    // From where the first line leaves its least to where the last one has reached its greatest.
    let points = latencies().count();
    let ends = |line: &Line| Some((line.1.first()?.1, line.1.last()?.1));
    let spans: Vec<(f64, f64)> = lines.iter().filter_map(ends).collect();
    let apart =
        |at: usize, share: f64, line: &Line| line.1.get(at).is_some_and(|p| (p.1 - share).abs() > VISIBLE);
    let rises = |at: &usize| lines.iter().zip(&spans).any(|(line, (first, _))| apart(*at, *first, line));
    let lasts = |at: &usize| lines.iter().zip(&spans).any(|(line, (_, last))| apart(*at, *last, line));
    let from = (0..points).find(rises).unwrap_or(0);
    let to = (0..points).rfind(lasts).unwrap_or(points);
    for (_, line) in &mut lines {
        line.truncate(to.saturating_add(2));
        line.drain(..from.saturating_sub(1).min(line.len()));
    }
    chart(
        &lines,
        Axis::decades("latency of a request, ms (simulated)"),
        Axis::linear("share of all requests"),
    )
}

/// A method's distribution, mean over its scenes, by the logarithm of latency.
fn mixed(method: &str, shares: &[Share]) -> Vec<(f64, f64)> {
    let mut scenes: BTreeMap<(&str, &str, u64), Vec<&Share>> = BTreeMap::new();
    for share in shares.iter().filter(|s| s.method == method) {
        scenes.entry((&share.scenario, &share.trace, share.seed)).or_default().push(share);
    }
    let at = |latency: f64| {
        // A table's latencies are these, but for the last digit.
        let of = |scene: &Vec<&Share>| {
            scene.iter().rfind(|s| s.latency_ms <= latency * 1.001).map_or(0.0, |s| s.share)
        };
        mean(&scenes.values().map(of).collect::<Vec<_>>())
    };
    latencies().map(|latency| (latency.log10(), at(latency))).collect()
}

/// Share of hours in which a method's carbon is at most so many times the least of all methods in the
/// hour (Dolan and Moré 2002). An hour in which a tenant's objective is broken counts as failed.
pub(super) fn profile(groups: &[Group<'_>]) -> Result<String, String> {
    type Key<'a> = (&'a str, &'a str, u64, u32);
    fn key(row: &Row) -> Key<'_> {
        (&row.scenario, &row.trace, row.seed, row.hour)
    }
    let mut least: BTreeMap<Key<'_>, f64> = BTreeMap::new();
    for row in groups.iter().flat_map(|g| &g.rows).filter(|r| r.slo_broken == 0) {
        let value = least.entry(key(row)).or_insert(f64::INFINITY);
        *value = value.min(row.carbon_g);
    }
    let lines: Vec<Line> = groups
        .iter()
        .map(|g| {
            let ratios = g.rows.iter().filter(|r| r.slo_broken == 0);
            let ratios = ratios.filter_map(|r| least.get(&key(r)).map(|l| r.carbon_g / l));
            let ratios = ratios.filter(|x| *x <= RATIO).collect();
            (g.name.to_owned(), steps(ratios, g.rows.len(), 1.0))
        })
        .collect();
    chart(
        &lines,
        Axis::linear("carbon over the least of all methods that keep all objectives"),
        Axis::linear("share of hours"),
    )
}

/// The first day of the first scene: draw of each method beside the cap.
pub(super) fn day(rows: &[Row], groups: &[Group<'_>]) -> Result<String, String> {
    let Some(first) = rows.first() else { return Err("no rows".to_owned()) };
    let scene = |r: &&&Row| {
        (&r.scenario, &r.trace, r.seed) == (&first.scenario, &first.trace, first.seed) && r.hour < 24
    };
    let line = |g: &Group<'_>, of: &dyn Fn(&Row) -> Option<f64>| -> Vec<(f64, f64)> {
        g.rows.iter().filter(scene).filter_map(|r| of(r).map(|y| (f64::from(r.hour), y))).collect()
    };
    let mut lines: Vec<Line> =
        groups.iter().map(|g| (g.name.to_owned(), line(g, &|r| Some(r.power_w)))).collect();
    if let Some(group) = groups.first() {
        lines.push(("cap".to_owned(), line(group, &|r| r.cap_w)));
    }
    chart(
        &lines,
        Axis::linear(&format!("hour of {} on {}", first.trace, first.scenario)),
        Axis::linear("draw of all sites, W (simulated)"),
    )
}

/// The steps of a distribution: the share of `of` values that are at most x, from x = `from`.
fn steps(mut values: Vec<f64>, of: usize, from: f64) -> Vec<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let mut line = vec![(from, 0.0)];
    for (index, value) in values.iter().enumerate() {
        line.push((*value, number(index) / number(of)));
        line.push((*value, number(index + 1) / number(of)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(trace: &str, latency_ms: f64, share: f64) -> Share {
        Share {
            method: "exact".into(),
            scenario: "tiny".into(),
            trace: trace.into(),
            seed: 0,
            latency_ms,
            share,
        }
    }

    #[test]
    fn a_scene_without_answers_counts() {
        let served = [share("a", 10.0, 0.0), share("a", 100.0, 1.0)];
        let shed = [share("b", 1e5, 0.0)];
        let at = |shares: &[Share], latency: f64| {
            let line = mixed("exact", shares);
            line.iter().find(|p| p.0 >= latency.log10() - 1e-9).map(|p| p.1)
        };
        assert_eq!(at(&served, 100.0), Some(1.0));
        let both = [&served[..], &shed].concat();
        assert_eq!((at(&both, 50.0), at(&both, 100.0)), (Some(0.0), Some(0.5)));
    }
}
