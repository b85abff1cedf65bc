//! Charts of named lines.

use super::canvas::{LABEL, colour, svg, told};
use plotters::prelude::*;

/// A named line.
pub(super) type Line = (String, Vec<(f64, f64)>);

/// What an axis says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    text: &'a str,
    /// Values are logarithms to the base 10, and are shown as what they are the logarithms of.
    decades: bool,
}

impl<'a> Axis<'a> {
    pub(super) fn linear(text: &'a str) -> Self {
        Self { text, decades: false }
    }

    pub(super) fn decades(text: &'a str) -> Self {
        Self { text, decades: true }
    }

    fn shown(self, value: f64) -> String {
        if !self.decades {
            // As the library writes numbers, without the noise of binary fractions.
            return format!("{}", (value * 1e6).round() / 1e6);
        }
        let value = 10_f64.powf(value);
        if value >= 100.0 {
            format!("{value:.0}")
        } else {
            let text = format!("{value:.6}");
            let digits = text.bytes().position(|b| (b'1'..=b'9').contains(&b)).unwrap_or(0);
            let to = text.find('.').map_or(text.len(), |dot| (dot + 2).max(digits + 2)).min(text.len());
            text.get(..to).map_or(text.clone(), |t| t.trim_end_matches('0').trim_end_matches('.').to_owned())
        }
    }
}

/// Draws lines in the order of their colours; the one that is named `cap` is black.
pub(super) fn chart(lines: &[Line], across: Axis<'_>, up: Axis<'_>) -> Result<String, String> {
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
        chart
            .configure_mesh()
            .x_desc(across.text)
            .y_desc(up.text)
            .x_label_formatter(&|x| across.shown(*x))
            .y_label_formatter(&|y| up.shown(*y))
            .label_style(LABEL)
            .draw()
            .map_err(told)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_the_number_itself() {
        let axis = Axis::decades("x");
        for (value, shown) in
            [(0.0, "1"), (1.0, "10"), (3.0, "1000"), (-2.0, "0.01"), (0.5, "3.1"), (-4.0, "0.0001")]
        {
            assert_eq!(axis.shown(value), shown);
        }
        assert_eq!(Axis::linear("x").shown(0.1 + 0.2), "0.3");
    }
}
