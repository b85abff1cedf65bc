//! A bar for each method with its 95 % interval.

use super::Group;
use super::canvas::{LABEL, colour, svg, told};
use crate::stats::{Interval, interval, number};
use crate::table::Row;
use plotters::prelude::*;

pub(super) fn draw(groups: &[Group<'_>], label: &str, of: impl Fn(&Row) -> f64) -> Result<String, String> {
    let bars: Vec<(&str, Interval)> = groups.iter().map(|g| (g.name, interval(&g.by_scene(&of)))).collect();
    let most = bars.iter().map(|(_, i)| i.high).fold(0.0, f64::max).max(f64::MIN_POSITIVE) * 1.1;
    svg(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(160)
            .build_cartesian_2d(0.0..most, number(bars.len())..0.0)
            .map_err(told)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(label)
            .label_style(LABEL)
            .draw()
            .map_err(told)?;
        for (index, (name, bar)) in bars.iter().enumerate() {
            let top = number(index);
            let middle = top + 0.5;
            let whisker = |x: f64| PathElement::new([(x, top + 0.35), (x, top + 0.65)], BLACK);
            chart
                .draw_series([Rectangle::new(
                    [(0.0, top + 0.15), (bar.mean, top + 0.85)],
                    colour(index).filled(),
                )])
                .map_err(told)?;
            chart
                .draw_series([
                    PathElement::new([(bar.low, middle), (bar.high, middle)], BLACK),
                    whisker(bar.low),
                    whisker(bar.high),
                ])
                .map_err(told)?;
            let (_, y) = chart.backend_coord(&(0.0, middle));
            area.draw(&Text::new((*name).to_owned(), (16, y - 7), LABEL)).map_err(told)?;
        }
        Ok(())
    })
}
