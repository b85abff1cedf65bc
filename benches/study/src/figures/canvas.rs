//! What all figures share: size, type, colours, errors as text.

use plotters::prelude::*;

/// Width and height of a figure, px.
pub(super) const SIZE: (u32, u32) = (840, 480);
/// Type of labels.
pub(super) const LABEL: (&str, u32) = ("sans-serif", 13);

/// A colour for each method: hues a golden angle apart, so that neighbours differ.
pub(super) fn colour(index: usize) -> HSLColor {
    let turn = crate::stats::number(index) * 0.381_966;
    HSLColor(turn.fract(), 0.65, if index.is_multiple_of(2) { 0.42 } else { 0.55 })
}

/// An error of the drawing library as text.
pub(super) fn told<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

/// Draws on a white canvas and gives the SVG.
pub(super) fn svg(
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), String>,
) -> Result<String, String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(told)?;
        draw(&area)?;
        area.present().map_err(told)?;
    }
    Ok(text)
}
