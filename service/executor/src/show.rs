//! Orders for people.

use crate::orders::{Orders, Task};
use std::fmt::Write as _;

/// What a board is to run, a few lines.
#[must_use]
pub fn orders(orders: &Orders) -> String {
    let mut text = format!("{} ({}, site {}): ", orders.device, orders.profile, orders.site);
    let _ = match (&orders.mode, orders.budget_w) {
        (Some(mode), Some(budget)) => {
            writeln!(text, "mode {mode}, {:.2} W of {budget:.2} W", orders.power_w)
        }
        (Some(mode), None) => writeln!(text, "mode {mode}, {:.2} W", orders.power_w),
        (None, _) => writeln!(text, "off, {:.2} W", orders.power_w),
    };
    for task in &orders.tasks {
        let _ = writeln!(text, "  {}", line(task));
    }
    text
}

fn line(task: &Task) -> String {
    let segments: Vec<String> =
        task.segments.iter().map(|s| format!("{} blocks {}..{}", s.unit, s.from_block, s.to_block)).collect();
    let slo = task
        .slo
        .as_ref()
        .map_or_else(String::new, |s| format!(", {} within {:.2} ms", s.quantile, s.latency_ms));
    format!(
        "{}: {}/{} on {}, {:.2} requests/s{slo}, p95 predicted {:.2} ms, {:.3} W",
        task.tenant,
        task.family,
        task.tier,
        segments.join(" then "),
        task.rate_per_s,
        task.predicted_ms[1],
        task.power_w
    )
}
