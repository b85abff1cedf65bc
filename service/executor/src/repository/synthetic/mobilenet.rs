//! MobileNetV2 (Sandler et al. 2018, table 2), with a width multiplier.

use super::net::{Conv, Net, Value};
use ecomap_graph::Model;
use ecomap_instances::Issues;
use ecomap_instances::generate::Seed;

/// Expansion, channels, repetitions, first stride.
const ROWS: [(i64, i64, usize, i64); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// A MobileNetV2.
#[derive(Debug, Clone, Copy)]
pub struct MobilenetV2 {
    /// Width multiplier, in hundredths.
    pub percent: i64,
    /// Height and width of the input; 224 as published.
    pub size: i64,
    /// Classes; 1000 as published.
    pub classes: i64,
}

/// Channels are multiples of 8, and never more than a tenth below what the multiplier asks for.
fn scaled(channels: i64, percent: i64) -> i64 {
    let exact = channels * percent; // hundredths
    let rounded = ((exact + 400) / 800 * 8).max(8);
    if 100 * rounded * 10 < 9 * exact { rounded + 8 } else { rounded }
}

impl MobilenetV2 {
    /// The model, with weights drawn from `seed`.
    ///
    /// # Errors
    /// When it is larger than models may be.
    pub fn build(&self, name: &str, seed: Seed) -> Result<Model, Issues> {
        let (mut net, input) = Net::new(name, 3, self.size);
        let stem = Conv { channels: scaled(32, self.percent), kernel: 3, stride: 2, depthwise: false };
        let x = net.conv("stem.conv", &input, stem);
        let mut x = net.relu6("stem.relu", &x);
        for (row, (expansion, channels, repetitions, first)) in ROWS.into_iter().enumerate() {
            for n in 0..repetitions {
                let stride = if n == 0 { first } else { 1 };
                let name = format!("b{}.{n}", row + 1);
                x = inverted(&mut net, &name, &x, expansion, scaled(channels, self.percent), stride);
            }
        }
        // The head is not made narrower.
        let head =
            Conv { channels: scaled(1280, self.percent.max(100)), kernel: 1, stride: 1, depthwise: false };
        let x = net.conv("head.conv", &x, head);
        let x = net.relu6("head.relu", &x);
        net.classify(&x, self.classes, seed)
    }
}

/// An inverted residual block.
fn inverted(net: &mut Net, name: &str, x: &Value, expansion: i64, channels: i64, stride: i64) -> Value {
    let pointwise = |channels| Conv { channels, kernel: 1, stride: 1, depthwise: false };
    let wide = x.channels() * expansion;
    let mut y = x.clone();
    if expansion > 1 {
        y = net.conv(&format!("{name}.expand"), &y, pointwise(wide));
        y = net.relu6(&format!("{name}.relu1"), &y);
    }
    let depthwise = Conv { channels: wide, kernel: 3, stride, depthwise: true };
    y = net.conv(&format!("{name}.depth"), &y, depthwise);
    y = net.relu6(&format!("{name}.relu2"), &y);
    y = net.conv(&format!("{name}.project"), &y, pointwise(channels));
    if stride == 1 && x.channels() == channels { net.add(&format!("{name}.add"), x, &y) } else { y }
}
