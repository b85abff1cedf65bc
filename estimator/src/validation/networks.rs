//! Networks that were measured: tiers of the catalogue, the same at other input sizes, and a few
//! published architectures that the catalogue lacks.

use ecomap_instances::Catalog;
use ecomap_instances::family::{Block, OpKind, OpWork};
use ecomap_instances::units::{Bytes, Ops};
use std::sync::Arc;

/// Blocks of a tier of the catalogue.
pub(super) fn tier(family: &str, tier: &str) -> Option<Arc<Vec<Block>>> {
    let family = Catalog::embedded().ok()?.family(family)?;
    Some(Arc::new(family.tiers.get(family.tier_position(tier)?)?.blocks.clone()))
}

/// The same network at another input size: arithmetic and activations of the convolutional part
/// grow with the area; weights and matrix products after global pooling do not.
pub(super) fn resized(blocks: &[Block], from_px: f64, to_px: f64) -> Arc<Vec<Block>> {
    let area = (to_px / from_px).powi(2);
    let heavy = |k: OpKind| matches!(k, OpKind::Conv | OpKind::DepthwiseConv | OpKind::Gemm);
    let scaled = blocks.iter().map(|b| {
        let carriers: f64 = b.ops.iter().filter(|o| heavy(o.kind)).map(|o| o.traffic.get()).sum();
        let ops = b.ops.iter().map(|o| {
            let traffic = o.traffic.get();
            let share = if heavy(o.kind) && carriers > 0.0 { traffic / carriers } else { 0.0 };
            let weights = (b.weights.get() * share).min(traffic);
            let flops = if o.kind == OpKind::Gemm { 1.0 } else { area };
            OpWork { flops: o.flops * flops, traffic: Bytes::new(weights + (traffic - weights) * area), ..*o }
        });
        Block {
            ops: ops.collect(),
            flops: b.flops * area,
            input: b.input * area,
            output: b.output * area,
            ..b.clone()
        }
    });
    Arc::new(scaled.collect())
}

/// Counts one layer after another, as the catalogue counts them: two operations a
/// multiply-accumulate, fp32 inputs, outputs and weights as if nothing were fused.
#[derive(Debug, Default)]
pub(super) struct Layers {
    ops: Vec<OpWork>,
    weights: f64,
}

impl Layers {
    /// A convolution of a square input of side `side`; returns the side of its output.
    pub(super) fn conv(&mut self, cin: f64, cout: f64, kernel: f64, stride: f64, side: f64) -> f64 {
        let out = (side / stride).ceil();
        let weights = cin * cout * kernel * kernel;
        self.push(
            OpKind::Conv,
            2.0 * weights * out * out,
            cin * side * side + cout * out * out + weights,
            weights,
        );
        out
    }

    /// A depthwise convolution.
    pub(super) fn depthwise(&mut self, channels: f64, kernel: f64, stride: f64, side: f64) -> f64 {
        let out = (side / stride).ceil();
        let weights = channels * kernel * kernel;
        let moved = channels * (side * side + out * out) + weights;
        self.push(OpKind::DepthwiseConv, 2.0 * weights * out * out, moved, weights);
        out
    }

    /// A matrix product with constant weights.
    pub(super) fn gemm(&mut self, cin: f64, cout: f64) {
        self.push(OpKind::Gemm, 2.0 * cin * cout, cin + cout + cin * cout, cin * cout);
    }

    /// An operator that reads and writes elements.
    pub(super) fn pass(&mut self, kind: OpKind, read: f64, written: f64) {
        self.push(kind, read.max(written), read + written, 0.0);
    }

    fn push(&mut self, kind: OpKind, flops: f64, elements: f64, weights: f64) {
        self.weights += weights;
        self.ops.push(OpWork { kind, count: 1, flops: Ops::new(flops), traffic: Bytes::new(4.0 * elements) });
    }

    /// All layers as one block.
    pub(super) fn finish(self) -> Arc<Vec<Block>> {
        self.finish_from(0.0)
    }

    /// All layers as one block that takes in a tensor of `elements`.
    pub(super) fn finish_from(self, elements: f64) -> Arc<Vec<Block>> {
        Arc::new(vec![Block {
            name: "all".to_owned(),
            flops: self.ops.iter().map(|o| o.flops).sum(),
            weights: Bytes::new(4.0 * self.weights),
            input: Bytes::new(4.0 * elements),
            output: Bytes::ZERO,
            ops: self.ops,
        }])
    }
}

/// MobileNetV1 (Howard et al., arXiv 1704.04861, table 1).
pub(super) fn mobilenet_v1(width: f64, px: f64) -> Arc<Vec<Block>> {
    const BODY: [(f64, f64); 13] = [
        (64.0, 1.0),
        (128.0, 2.0),
        (128.0, 1.0),
        (256.0, 2.0),
        (256.0, 1.0),
        (512.0, 2.0),
        (512.0, 1.0),
        (512.0, 1.0),
        (512.0, 1.0),
        (512.0, 1.0),
        (512.0, 1.0),
        (1024.0, 2.0),
        (1024.0, 1.0),
    ];
    let mut layers = Layers::default();
    let mut channels = 32.0 * width;
    let mut side = layers.conv(3.0, channels, 3.0, 2.0, px);
    for (out, stride) in BODY {
        side = layers.depthwise(channels, 3.0, stride, side);
        layers.conv(channels, out * width, 1.0, 1.0, side);
        channels = out * width;
    }
    layers.pass(OpKind::Pool, channels * side * side, channels);
    layers.gemm(channels, 1000.0);
    layers.finish_from(3.0 * px * px)
}

/// GoogLeNet (Szegedy et al., CVPR 2015, table 1) in ten groups: stem, nine inception modules, the
/// last one with the classifier. Pooling belongs to the group before it.
pub(super) fn googlenet() -> Vec<Arc<Vec<Block>>> {
    // Input channels, side, 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection.
    const MODULES: [[f64; 8]; 9] = [
        [192.0, 28.0, 64.0, 96.0, 128.0, 16.0, 32.0, 32.0],
        [256.0, 28.0, 128.0, 128.0, 192.0, 32.0, 96.0, 64.0],
        [480.0, 14.0, 192.0, 96.0, 208.0, 16.0, 48.0, 64.0],
        [512.0, 14.0, 160.0, 112.0, 224.0, 24.0, 64.0, 64.0],
        [512.0, 14.0, 128.0, 128.0, 256.0, 24.0, 64.0, 64.0],
        [512.0, 14.0, 112.0, 144.0, 288.0, 32.0, 64.0, 64.0],
        [528.0, 14.0, 256.0, 160.0, 320.0, 32.0, 128.0, 128.0],
        [832.0, 7.0, 256.0, 160.0, 320.0, 32.0, 128.0, 128.0],
        [832.0, 7.0, 384.0, 192.0, 384.0, 48.0, 128.0, 128.0],
    ];
    let mut stem = Layers::default();
    stem.conv(3.0, 64.0, 7.0, 2.0, 224.0);
    stem.pass(OpKind::Pool, 64.0 * 112.0 * 112.0, 64.0 * 56.0 * 56.0);
    stem.pass(OpKind::Lrn, 64.0 * 56.0 * 56.0, 64.0 * 56.0 * 56.0);
    stem.conv(64.0, 64.0, 1.0, 1.0, 56.0);
    stem.conv(64.0, 192.0, 3.0, 1.0, 56.0);
    stem.pass(OpKind::Lrn, 192.0 * 56.0 * 56.0, 192.0 * 56.0 * 56.0);
    stem.pass(OpKind::Pool, 192.0 * 56.0 * 56.0, 192.0 * 28.0 * 28.0);
    let mut groups = vec![stem.finish()];
    for (n, [cin, side, c1, r3, c3, r5, c5, pp]) in MODULES.into_iter().enumerate() {
        let mut l = Layers::default();
        l.conv(cin, c1, 1.0, 1.0, side);
        l.conv(cin, r3, 1.0, 1.0, side);
        l.conv(r3, c3, 3.0, 1.0, side);
        l.conv(cin, r5, 1.0, 1.0, side);
        l.conv(r5, c5, 5.0, 1.0, side);
        l.pass(OpKind::Pool, cin * side * side, cin * side * side);
        l.conv(cin, pp, 1.0, 1.0, side);
        let out = c1 + c3 + c5 + pp;
        l.pass(OpKind::Concat, out * side * side, out * side * side);
        match n {
            1 | 6 => l.pass(OpKind::Pool, out * side * side, out * side * side / 4.0),
            8 => {
                l.pass(OpKind::Pool, out * side * side, out);
                l.gemm(out, 1000.0);
            }
            _ => {}
        }
        groups.push(l.finish());
    }
    groups
}

/// SSD-ResNet-34 at 1200×1200 as MLPerf Inference runs it: 433 GOP, 36.3 M parameters (Reddi et
/// al., "MLPerf Inference Benchmark", ISCA 2020, table I). Only its arithmetic and weights are
/// modelled, as some 50 convolutions; it is bound by arithmetic.
pub(super) fn ssd_resnet34() -> Arc<Vec<Block>> {
    let weights = Bytes::new(4.0 * 36.3e6);
    Arc::new(vec![Block {
        name: "all".to_owned(),
        flops: Ops::new(433e9),
        weights,
        input: Bytes::ZERO,
        output: Bytes::ZERO,
        ops: vec![OpWork { kind: OpKind::Conv, count: 50, flops: Ops::new(433e9), traffic: weights }],
    }])
}

/// Arithmetic and nothing else: stands for work whose time is not modelled but surely bound by it.
pub(super) fn arithmetic() -> Arc<Vec<Block>> {
    let mut layers = Layers::default();
    layers.push(OpKind::Conv, 1e13, 0.0, 0.0);
    layers.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gmacs(blocks: &[Block]) -> f64 {
        let heavy = [OpKind::Conv, OpKind::DepthwiseConv, OpKind::Gemm];
        let ops = blocks.iter().flat_map(|b| &b.ops).filter(|o| heavy.contains(&o.kind));
        ops.map(|o| o.flops.get()).sum::<f64>() / 2e9
    }

    #[test]
    fn published_multiply_accumulates() {
        // Howard et al.: 569 M at width 1, 224 px; 41 M at width 0.25.
        assert!((gmacs(&mobilenet_v1(1.0, 224.0)) - 0.569).abs() < 0.001);
        assert!((gmacs(&mobilenet_v1(0.25, 224.0)) - 0.041).abs() < 0.001);
        // GoogLeNet without auxiliary heads: 1.58 G.
        let all: f64 = googlenet().iter().map(|g| gmacs(g)).sum();
        assert!((all - 1.58).abs() < 0.02, "{all}");
    }

    #[test]
    fn resizing_scales_arithmetic_by_area() {
        let blocks = tier("mobilenet-v2", "mobilenet-v2-100").unwrap();
        let half = resized(&blocks, 224.0, 112.0);
        assert!((gmacs(&blocks) / gmacs(&half) - 4.0).abs() < 0.1);
    }
}
