//! A frontier as a drawing: axes with units, points, and the outer line. No program outside is
//! needed.

use ecomap_instances::format::frontier_v1::{AxisDto, FrontierDto};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 64.0;
/// About as many marks on each axis.
const MARKS: f64 = 6.0;

/// Text that markup cannot mistake for its own; control characters are shown as a dot.
fn escaped(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What stands beside an axis.
fn label(axis: &AxisDto) -> String {
    let name = match axis.term.as_str() {
        "accuracy" => "accuracy lost, priority-weighted",
        "carbon" => "carbon",
        "latency" => "latency, rate-weighted p50",
        other => other,
    };
    format!("{name} ({})", axis.unit)
}

/// A range of values with round marks.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| v.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = if high > low { high - low } else { low.abs().max(1.0) * 0.2 };
        let (low, high) = (low - 0.06 * span, high + 0.06 * span);
        let rough = (high - low) / MARKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * power).find(|s| *s >= rough);
        Self { low, high, step: step.unwrap_or(rough) }
    }

    /// Where a value lies, 0 to 1.
    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Marks with their texts.
    fn marks(&self) -> Vec<(f64, String)> {
        let digits = (-self.step.log10().floor()).clamp(0.0, 9.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 9
        let digits = digits as usize;
        let mut list = Vec::new();
        let mut at = (self.low / self.step).ceil() * self.step;
        while at <= self.high && list.len() < 20 {
            // No minus before a zero that rounding left over.
            let value = if at.abs() < self.step * 1e-6 { 0.0 } else { at };
            list.push((value, format!("{value:.digits$}")));
            at += self.step;
        }
        list
    }
}

/// The drawing.
#[must_use]
pub fn render(frontier: &FrontierDto) -> String {
    let corners = || frontier.outer.iter();
    let points = || frontier.points.iter();
    let across = Scale::new(points().map(|p| p.x).chain(corners().map(|c| c.x)));
    let up = Scale::new(points().map(|p| p.y).chain(corners().map(|c| c.y)));
    let x = |value: f64| LEFT + across.share(value) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - up.share(value) * (HEIGHT - TOP - BOTTOM);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let title = format!("{}: {} frontier, computed by the model, not measured", frontier.name, frontier.axes);
    let state = match (frontier.complete, frontier.supported_complete) {
        (true, _) => "all points",
        (false, true) => "all supported points",
        (false, false) => "part of the frontier: a limit ended the search",
    };
    let _ = write!(
        text,
        "<title>{0}</title>\n<text x=\"{LEFT}\" y=\"26\" font-size=\"15\">{0}</text>\n\
         <text x=\"{LEFT}\" y=\"46\" fill=\"#555555\">{1} points ({state}; filled: supported); no plan lies below the line</text>\n",
        escaped(&title),
        frontier.points.len()
    );
    for (value, mark) in across.marks() {
        let at = x(value);
        let (bottom, below) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM + 18.0);
        let _ = write!(
            text,
            "<path d=\"M{at:.2} {TOP} V{bottom}\" stroke=\"#e6e6e6\"/>\n\
             <text x=\"{at:.2}\" y=\"{below}\" text-anchor=\"middle\">{mark}</text>\n"
        );
    }
    for (value, mark) in up.marks() {
        let at = y(value);
        let (right, beside, middle) = (WIDTH - RIGHT, LEFT - 8.0, at + 4.0);
        let _ = write!(
            text,
            "<path d=\"M{LEFT} {at:.2} H{right}\" stroke=\"#e6e6e6\"/>\n\
             <text x=\"{beside}\" y=\"{middle:.2}\" text-anchor=\"end\">{mark}</text>\n"
        );
    }
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let _ = writeln!(text, "<path d=\"M{LEFT} {TOP} V{bottom} H{right}\" fill=\"none\" stroke=\"#333333\"/>");
    let (middle, foot) = (f64::midpoint(LEFT, right), HEIGHT - 20.0);
    let centre = f64::midpoint(TOP, bottom);
    let _ = write!(
        text,
        "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>\n\
         <text x=\"22\" y=\"{centre}\" text-anchor=\"middle\" transform=\"rotate(-90 22 {centre})\">{}</text>\n",
        escaped(&label(&frontier.x)),
        escaped(&label(&frontier.y))
    );
    if frontier.outer.len() > 1 {
        let way: Vec<String> = corners().map(|c| format!("{:.2},{:.2}", x(c.x), y(c.y))).collect();
        let _ = writeln!(
            text,
            "<polyline class=\"outer\" points=\"{}\" fill=\"none\" stroke=\"#b45f06\" stroke-dasharray=\"5 3\"/>",
            way.join(" ")
        );
    }
    for p in points() {
        let (fill, kind) = if p.supported { ("#1c4587", "supported") } else { ("#ffffff", "other") };
        let tip = format!("{} {}, {} {}: {kind}", p.x, frontier.x.unit, p.y, frontier.y.unit);
        let _ = writeln!(
            text,
            "<circle class=\"point\" cx=\"{:.2}\" cy=\"{:.2}\" r=\"4\" fill=\"{fill}\" stroke=\"#1c4587\">\
             <title>{}</title></circle>",
            x(p.x),
            y(p.y),
            escaped(&tip)
        );
    }
    text.push_str("</svg>\n");
    text
}
