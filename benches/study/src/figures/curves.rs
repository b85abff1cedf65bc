//! Distribution of latency, performance profile, and one day.

use super::Group;
use super::canvas::{LABEL, colour, svg, told};
use crate::stats::number;
use crate::table::Row;
use plotters::prelude::*;
use std::collections::BTreeMap;

/// Largest ratio that a performance profile shows.
const RATIO: f64 = 3.0;

/// A named line.
type Line = (String, Vec<(f64, f64)>);

/// Share of hours whose 95th percentile of latency is at most what the axis says.
pub(super) fn latency(groups: &[Group<'_>]) -> Result<String, String> {
    let lines: Vec<Line> = groups
        .iter()
        .map(|g| {
            let values = g.rows.iter().map(|r| r.p95_ms).collect();
            (g.name.to_owned(), steps(values, g.rows.len(), 0.0))
        })
        .collect();
    chart(&lines, "95th percentile of an hour's latency, ms (simulated)", "share of hours")
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
    chart(&lines, "carbon over the least of all methods that keep all objectives", "share of hours")
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
        &format!("hour of {} on {}", first.trace, first.scenario),
        "draw of all sites, W (simulated)",
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

fn chart(lines: &[Line], across: &str, up: &str) -> Result<String, String> {
    let all = || lines.iter().flat_map(|(_, line)| line);
    let span = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let low = all().map(of).fold(f64::INFINITY, f64::min);
        let high = all().map(of).fold(f64::NEG_INFINITY, f64::max);
        if low < high { low..high + (high - low) * 0.03 } else { 0.0..1.0 }
    };
    svg(|area| {
        let (plot, legend) = area.split_horizontally(650);
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(span(&|p| p.0), span(&|p| p.1))
            .map_err(told)?;
        chart.configure_mesh().x_desc(across).y_desc(up).label_style(LABEL).draw().map_err(told)?;
        for (index, (name, line)) in lines.iter().enumerate() {
            let last = name == "cap";
            let style = if last { BLACK.stroke_width(2) } else { colour(index).stroke_width(2) };
            chart.draw_series(LineSeries::new(line.iter().copied(), style)).map_err(told)?;
            let y = 20 + 20 * i32::try_from(index).map_err(told)?;
            legend.draw(&PathElement::new([(4, y), (24, y)], style)).map_err(told)?;
            legend.draw(&Text::new(name.clone(), (30, y - 7), LABEL)).map_err(told)?;
        }
        Ok(())
    })
}
