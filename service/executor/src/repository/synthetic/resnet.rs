//! Residual networks (He et al. 2016, "Deep Residual Learning", table 1), stride in the 3×3 layer of
//! a bottleneck, as torchvision has it.

use super::net::{Conv, Net, Value};
use ecomap_graph::Model;
use ecomap_instances::Issues;
use ecomap_instances::generate::Seed;

/// A residual network.
#[derive(Debug, Clone, Copy)]
pub struct Resnet {
    /// Blocks of each stage.
    pub stages: [usize; 4],
    /// Whether blocks are bottlenecks, which give four times their width.
    pub bottleneck: bool,
    /// Width of the first stage; 64 as published.
    pub width: i64,
    /// Height and width of the input; 224 as published.
    pub size: i64,
    /// Classes; 1000 as published.
    pub classes: i64,
}

impl Resnet {
    /// The published network of so many layers: 18, 34, 50, 101 or 152.
    #[must_use]
    pub fn published(layers: u32) -> Option<Self> {
        let (stages, bottleneck) = match layers {
            18 => ([2, 2, 2, 2], false),
            34 => ([3, 4, 6, 3], false),
            50 => ([3, 4, 6, 3], true),
            101 => ([3, 4, 23, 3], true),
            152 => ([3, 8, 36, 3], true),
            _ => return None,
        };
        Some(Self { stages, bottleneck, width: 64, size: 224, classes: 1000 })
    }

    /// The model, with weights drawn from `seed`.
    ///
    /// # Errors
    /// When it is larger than models may be.
    pub fn build(&self, name: &str, seed: Seed) -> Result<Model, Issues> {
        let (mut net, input) = Net::new(name, 3, self.size);
        let stem = Conv { channels: self.width, kernel: 7, stride: 2, depthwise: false };
        let x = net.conv("stem.conv", &input, stem);
        let x = net.relu("stem.relu", &x);
        let mut x = net.max_pool("stem.pool", &x);
        for (stage, (blocks, factor)) in self.stages.into_iter().zip([1, 2, 4, 8]).enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = self.block(&mut net, &format!("s{}.{block}", stage + 1), &x, self.width * factor, stride);
            }
        }
        net.classify(&x, self.classes, seed)
    }

    fn block(&self, net: &mut Net, name: &str, x: &Value, width: i64, stride: i64) -> Value {
        let plain = |channels, kernel, stride| Conv { channels, kernel, stride, depthwise: false };
        let layers = if self.bottleneck {
            vec![plain(width, 1, 1), plain(width, 3, stride), plain(4 * width, 1, 1)]
        } else {
            vec![plain(width, 3, stride), plain(width, 3, 1)]
        };
        let mut y = x.clone();
        let last = layers.len();
        for (n, layer) in layers.into_iter().enumerate() {
            y = net.conv(&format!("{name}.conv{}", n + 1), &y, layer);
            if n + 1 < last {
                y = net.relu(&format!("{name}.relu{}", n + 1), &y);
            }
        }
        let short = if stride == 1 && x.channels() == y.channels() {
            x.clone()
        } else {
            net.conv(&format!("{name}.short"), x, plain(y.channels(), 1, stride))
        };
        let sum = net.add(&format!("{name}.add"), &y, &short);
        net.relu(&format!("{name}.relu"), &sum)
    }
}
