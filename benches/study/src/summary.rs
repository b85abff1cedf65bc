//! The figures by method, over all cells. Every figure is recomputed from the table alone.

use crate::table::Row;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One method over all its hours. Means are over hours, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Hours played.
    pub hours: usize,
    /// Mean carbon an hour, g. Simulated, as the next five.
    pub carbon_g: f64,
    /// Mean latency, ms.
    pub mean_ms: f64,
    /// 95th percentile of latency, mean over hours, ms.
    pub p95_ms: f64,
    /// Carbon of an hour × mean latency, g·ms.
    pub cdp: f64,
    /// Share of requests late, dropped or shed.
    pub late: f64,
    /// Accuracy, percent.
    pub accuracy: f64,
    /// Hours in which a site was above its cap.
    pub above_cap: usize,
    /// Time of a solve, mean over the hours solved, ms. Measured on the machine of the study.
    pub solve_ms: f64,
    /// Relative gap to the exact bound, mean over hours with both.
    pub gap: Option<f64>,
}

/// The figures of each method, in the order in which methods appear.
#[must_use]
pub fn by_method(rows: &[Row]) -> Vec<(String, Figures)> {
    let mut order: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        if !groups.contains_key(row.method.as_str()) {
            order.push(&row.method);
        }
        groups.entry(&row.method).or_default().push(row);
    }
    order.into_iter().filter_map(|m| groups.get(m).map(|rows| (m.to_owned(), figures(rows)))).collect()
}

fn figures(rows: &[&Row]) -> Figures {
    let mean = |values: Vec<f64>| {
        let count = u32::try_from(values.len()).map_or(f64::MAX, f64::from);
        if values.is_empty() { None } else { Some(values.iter().sum::<f64>() / count) }
    };
    let over = |f: &dyn Fn(&Row) -> f64| mean(rows.iter().map(|r| f(r)).collect()).unwrap_or(0.0);
    Figures {
        hours: rows.len(),
        carbon_g: over(&|r| r.carbon_g),
        mean_ms: over(&|r| r.mean_ms),
        p95_ms: over(&|r| r.p95_ms),
        cdp: over(&|r| r.cdp),
        late: over(&|r| r.late),
        accuracy: over(&|r| r.accuracy),
        above_cap: rows.iter().filter(|r| r.above_cap > 0).count(),
        solve_ms: mean(rows.iter().filter(|r| r.solved).map(|r| r.solve_ms).collect()).unwrap_or(0.0),
        gap: mean(rows.iter().filter_map(|r| r.gap).collect()),
    }
}

/// A Markdown table.
#[must_use]
pub fn markdown(figures: &[(String, Figures)]) -> String {
    let mut text = "| method | carbon, g/h | mean latency, ms | p95, ms | CDP, g·ms | late, % | accuracy, % | hours above cap | \
                    solve, ms | gap to bound, % |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for (method, f) in figures {
        let gap = f.gap.map_or_else(|| "-".to_owned(), |g| format!("{:.2}", g * 100.0));
        let _ = writeln!(
            text,
            "| `{method}` | {:.3} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} of {} | {:.1} | {gap} |",
            f.carbon_g,
            f.mean_ms,
            f.p95_ms,
            f.cdp,
            f.late * 100.0,
            f.accuracy,
            f.above_cap,
            f.hours,
            f.solve_ms
        );
    }
    text
}
