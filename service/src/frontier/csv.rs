//! A frontier as comma-separated values: the points, then the corners of the outer line.

use ecomap_instances::format::frontier_v1::{AxisDto, FrontierDto};
use std::fmt::Write as _;

/// Name of a column with its unit.
fn heading(axis: &AxisDto) -> String {
    let unit = axis.unit.replace('/', "_per_");
    match axis.term.as_str() {
        "accuracy" => format!("accuracy_lost_{unit}"),
        term => format!("{term}_{unit}"),
    }
}

/// The text. `kind` is `supported`, `other` (between supported points, or not proven to be one) or
/// `outer` (a corner of the line that no plan lies below; only the first three columns have a value).
#[must_use]
pub fn render(frontier: &FrontierDto) -> String {
    let mut text = format!(
        "kind,{},{},weight_x,weight_y,weighted_value,weighted_bound,tenants_shed\n",
        heading(&frontier.x),
        heading(&frontier.y)
    );
    for p in &frontier.points {
        let kind = if p.supported { "supported" } else { "other" };
        let bound = p.bound.map_or_else(String::new, |b| b.to_string());
        let _ = writeln!(
            text,
            "{kind},{},{},{},{},{},{bound},{}",
            p.x,
            p.y,
            p.weights.x,
            p.weights.y,
            p.value,
            p.shed.len()
        );
    }
    for corner in &frontier.outer {
        let _ = writeln!(text, "outer,{},{},,,,,", corner.x, corner.y);
    }
    text
}
