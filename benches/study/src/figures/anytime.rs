//! How far methods are from the bound while they work.

use super::lines::{Axis, Line, chart};
use crate::stats::{mean, number};
use crate::table::Moment;
use ecomap_instances::plan::relative_gap;
use std::collections::BTreeMap;

/// Smallest gap that the figure tells from none.
const LEAST: f64 = 1e-5;
/// Points of a line for each decade of time.
const POINTS: f64 = 24.0;

/// One solve: times, ms, and the gap of the best plan from then on.
type Solve = Vec<(f64, f64)>;

/// Gap of the best plan so far to the bound of the exact method, mean over solves, against time. Until it
/// has a plan, a solve counts as a gap of 100 %.
pub(super) fn draw(order: &[&str], moments: &[Moment]) -> Result<String, String> {
    let solves: Vec<(&str, Vec<Solve>)> = order
        .iter()
        .map(|method| (*method, solves(method, moments)))
        .filter(|(_, s)| !s.is_empty())
        .collect();
    let times = || solves.iter().flat_map(|(_, s)| s).flatten().map(|p| p.0.max(1e-3));
    let (from, to) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    let lines: Vec<Line> =
        solves.iter().map(|(method, solves)| ((*method).to_owned(), line(solves, from, to))).collect();
    chart(
        &lines,
        Axis::decades("time since the solve began, ms (measured)"),
        Axis::decades("gap of the best plan to the exact bound, %"),
    )
}

/// The solves of a method that have a bound.
fn solves(method: &str, moments: &[Moment]) -> Vec<Solve> {
    let mut solves: BTreeMap<(&str, &str, u64, u32), Solve> = BTreeMap::new();
    for at in moments.iter().filter(|m| m.method == method) {
        let Some(bound) = at.bound else { continue };
        let solve = solves.entry((&at.scenario, &at.trace, at.seed, at.hour)).or_default();
        let before = solve.last().map_or(1.0, |p| p.1);
        let gap = at.objective.map_or(1.0, |value| relative_gap(value, bound));
        solve.push((at.elapsed_ms, before.min(gap)));
    }
    solves.into_values().collect()
}

/// Mean gap in percent by time, both as logarithms.
fn line(solves: &[Solve], from: f64, to: f64) -> Vec<(f64, f64)> {
    let at = |time: f64| {
        let gap = |solve: &Solve| solve.iter().rfind(|p| p.0 <= time).map_or(1.0, |p| p.1);
        mean(&solves.iter().map(gap).collect::<Vec<_>>()).max(LEAST)
    };
    let steps = ((to / from).log10() * POINTS).ceil().max(1.0);
    (0..)
        .map(number)
        .take_while(|step| *step <= steps)
        .map(|step| {
            let time = from * (to / from).powf(step / steps);
            (time.log10(), (at(time * (1.0 + 1e-9)) * 100.0).log10())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(elapsed_ms: f64, objective: Option<f64>) -> Moment {
        Moment {
            method: "exact".into(),
            scenario: "tiny".into(),
            trace: "t".into(),
            seed: 0,
            hour: 0,
            elapsed_ms,
            work: 0,
            objective,
            dual: None,
            bound: Some(8.0),
        }
    }

    #[test]
    fn a_line_falls_from_no_plan_to_the_best_one() {
        let moments =
            [moment(1.0, None), moment(10.0, Some(10.0)), moment(100.0, Some(16.0)), moment(1e3, Some(8.0))];
        let line = line(&solves("exact", &moments), 1.0, 1e3);
        let percent: Vec<f64> = line.iter().map(|p| 10_f64.powf(p.1)).collect();
        assert!((percent[0] - 100.0).abs() < 1e-9, "no plan yet");
        assert!((percent[24] - 20.0).abs() < 1e-9, "10 against 8");
        assert!((percent[48] - 20.0).abs() < 1e-9, "a worse plan is not the best one");
        assert!((percent[72] - LEAST * 100.0).abs() < 1e-9, "none left");
        assert!(percent.is_sorted_by(|a, b| a >= b));
        assert!(solves("mosaic", &moments).is_empty());
    }

    #[test]
    fn a_figure_names_its_methods() {
        let svg = draw(&["mosaic", "exact"], &[moment(1.0, Some(9.0)), moment(2.0, Some(8.0))]).unwrap();
        assert!(svg.contains("exact") && !svg.contains("mosaic"));
    }
}
