//! Accuracy against carbon: a point for each method, and the line of those that none beats in both.

use super::Group;
use super::canvas::{LABEL, colour, svg, told};
use crate::stats::mean;
use plotters::prelude::*;

pub(super) fn draw(groups: &[Group<'_>]) -> Result<String, String> {
    let points: Vec<(f64, f64)> = groups
        .iter()
        .map(|g| (mean(&g.by_scene(|r| r.carbon_g)), mean(&g.by_scene(|r| r.accuracy))))
        .collect();
    let span = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let low = points.iter().map(of).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let room = ((high - low) * 0.15).max(0.1);
        low - room..high + room
    };
    let mut outer: Vec<(f64, f64)> = points
        .iter()
        .filter(|p| !points.iter().any(|q| q != *p && q.0 <= p.0 && q.1 >= p.1))
        .copied()
        .collect();
    outer.sort_by(|a, b| a.0.total_cmp(&b.0));
    svg(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(span(&|p| p.0), span(&|p| p.1))
            .map_err(told)?;
        chart
            .configure_mesh()
            .x_desc("carbon, g/h (simulated)")
            .y_desc("mean accuracy, %")
            .label_style(LABEL)
            .draw()
            .map_err(told)?;
        chart.draw_series(LineSeries::new(outer, BLACK.mix(0.4))).map_err(told)?;
        for (index, (group, point)) in groups.iter().zip(&points).enumerate() {
            chart
                .draw_series([Circle::new(*point, 5, colour(index).filled())])
                .map_err(told)?
                .label(group.name)
                .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour(index).filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .label_font(LABEL)
            .draw()
            .map_err(told)
    })
}
