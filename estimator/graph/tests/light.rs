//! The nine light graphs of the `onnx` package against published figures.
//!
//! The graphs carry the published topologies (weights made by `ConstantOfShape`). They are not part
//! of the project: `make setup` fetches them into `.tools/onnx-light`, or `ECOMAP_ONNX_LIGHT` names
//! their folder. Without them the tests say `skipped`.
//!
//! Convention of all figures here: multiply-accumulates of convolutions and fully connected layers
//! only; no biases, activations, pools, normalisation (local response or batch). Parameters are
//! trained values: weights, biases, scale and shift of batch normalisation, not its statistics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // tests

use ecomap_graph::{LayerGraph, Model, Options};
use ecomap_instances::Catalog;
use std::path::{Path, PathBuf};

const TOLERANCE: f64 = 0.01;

fn folder() -> Option<PathBuf> {
    let found = std::env::var_os("ECOMAP_ONNX_LIGHT")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/onnx-light"), PathBuf::from);
    if found.join("light_resnet50.onnx").is_file() {
        return Some(found);
    }
    println!("skipped: the light graphs are not in {} (`make setup` fetches them)", found.display());
    None
}

fn light(folder: &Path, name: &str) -> LayerGraph {
    let bytes = std::fs::read(folder.join(format!("light_{name}.onnx"))).unwrap();
    let options = Options::default();
    let model = Model::read(bytes.clone(), &options.limits).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(model.encode().len(), bytes.len(), "{name}: fields were lost in decoding");
    LayerGraph::of(&model, &options).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A convolution: kernel height × width, inputs of a group, outputs, side of the result.
fn conv(kernel: u64, inputs: u64, outputs: u64, side: u64) -> (u64, u64) {
    let weights = kernel * inputs * outputs;
    (weights * side * side, weights + outputs)
}

fn linear(inputs: u64, outputs: u64) -> (u64, u64) {
    (inputs * outputs, inputs * outputs + outputs)
}

fn sum(parts: impl IntoIterator<Item = (u64, u64)>) -> (u64, u64) {
    parts.into_iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012),
/// section 3.5, in Caffe's version (`bvlc_reference`, two groups). The paper's first layer gives
/// 55×55; this file takes 224×224 without padding, which gives 54, 26 and 12.
fn alexnet() -> (u64, u64) {
    sum([
        conv(121, 3, 96, 54),
        conv(25, 48, 256, 26),
        conv(9, 256, 384, 12),
        conv(9, 192, 384, 12),
        conv(9, 192, 256, 12),
        linear(9216, 4096),
        linear(4096, 4096),
        linear(4096, 1000),
    ])
}

/// Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2013), figure 3 and
/// table 2 ("512, 1024, 512" is another variant; this file has three layers of 512 and fully
/// connected layers of 4096 and 1024). No padding: 109, 25, 12.
fn zfnet() -> (u64, u64) {
    sum([
        conv(49, 3, 96, 109),
        conv(25, 96, 256, 25),
        conv(9, 256, 512, 12),
        conv(9, 512, 512, 12),
        conv(9, 512, 512, 12),
        linear(512 * 36, 4096),
        linear(4096, 1024),
        linear(1024, 1000),
    ])
}

/// Szegedy et al., "Going Deeper with Convolutions" (2014), table 1: columns #1×1, #3×3 reduce,
/// #3×3, #5×5 reduce, #5×5, pool proj. The table's maps are 56, 28, 14 and 7; this file's pools
/// round down and give 55, 27, 13 and 6.
fn googlenet() -> (u64, u64) {
    const TABLE: [(u64, u64, [u64; 6]); 9] = [
        (27, 192, [64, 96, 128, 16, 32, 32]),
        (27, 256, [128, 128, 192, 32, 96, 64]),
        (13, 480, [192, 96, 208, 16, 48, 64]),
        (13, 512, [160, 112, 224, 24, 64, 64]),
        (13, 512, [128, 128, 256, 24, 64, 64]),
        (13, 512, [112, 144, 288, 32, 64, 64]),
        (13, 528, [256, 160, 320, 32, 128, 128]),
        (6, 832, [256, 160, 320, 32, 128, 128]),
        (6, 832, [384, 192, 384, 48, 128, 128]),
    ];
    let stem = [conv(49, 3, 64, 112), conv(1, 64, 64, 55), conv(9, 64, 192, 55), linear(1024, 1000)];
    let modules = TABLE.iter().flat_map(|(side, inputs, [a, b, c, d, e, f])| {
        [
            conv(1, *inputs, *a, *side),
            conv(1, *inputs, *b, *side),
            conv(9, *b, *c, *side),
            conv(1, *inputs, *d, *side),
            conv(25, *d, *e, *side),
            conv(1, *inputs, *f, *side),
        ]
    });
    sum(stem.into_iter().chain(modules))
}

/// Ioffe and Szegedy, "Batch Normalization" (2015), figure 5: the same columns with double 3×3
/// instead of 5×5; a module without #1×1 halves the map. The pool projections of 4c and 4d are 96 wide, as
/// their stated outputs of 576 channels ask for. Convolutions have no bias, batch
/// normalisation two values a channel.
fn bn_inception() -> (u64, u64) {
    const TABLE: [(u64, u64, [u64; 6]); 10] = [
        (28, 192, [64, 64, 64, 64, 96, 32]),
        (28, 256, [64, 64, 96, 64, 96, 64]),
        (28, 320, [0, 128, 160, 64, 96, 0]),
        (14, 576, [224, 64, 96, 96, 128, 128]),
        (14, 576, [192, 96, 128, 96, 128, 128]),
        (14, 576, [160, 128, 160, 128, 160, 96]),
        (14, 576, [96, 128, 192, 160, 192, 96]),
        (14, 576, [0, 128, 192, 192, 256, 0]),
        (7, 1024, [352, 192, 320, 160, 224, 128]),
        (7, 1024, [352, 192, 320, 192, 224, 128]),
    ];
    let layer = |kernel, inputs, outputs, side| {
        let (macs, params) = conv(kernel, inputs, outputs, side);
        (macs, params + outputs)
    };
    let stem = [layer(49, 3, 64, 112), layer(1, 64, 64, 56), layer(9, 64, 192, 56), linear(1024, 1000)];
    let modules = TABLE.iter().flat_map(|(side, inputs, [a, b, c, d, e, f])| {
        let half = if *a == 0 { side / 2 } else { *side };
        [
            layer(1, *inputs, *a, *side),
            layer(1, *inputs, *b, *side),
            layer(9, *b, *c, half),
            layer(1, *inputs, *d, *side),
            layer(9, *d, *e, *side),
            layer(9, *e, *e, half),
            layer(1, *inputs, *f, *side),
        ]
    });
    sum(stem.into_iter().chain(modules))
}

/// Zhang et al., "ShuffleNet" (2017), table 1 with four groups at half width (136, 272, 544), with
/// the bottleneck as wide as the result, as this file has it; batch normalisation has two values a
/// channel, convolutions no bias. Stages of 4, 8 and 4 units; the first unit's pointwise layer has
/// four groups too, and its shortcut adds the other channels.
fn shufflenet() -> (u64, u64) {
    let layer = |kernel, inputs, outputs, side| {
        let (macs, params) = conv(kernel, inputs, outputs, side);
        (macs, params + outputs)
    };
    let mut parts = vec![layer(9, 3, 24, 112), linear(544, 1000)];
    for (before, width, units, side) in [(24_u64, 136_u64, 4, 28_u64), (136, 272, 8, 14), (272, 544, 4, 7)] {
        let first = width - before;
        parts.push(layer(1, before / 4, first, 2 * side));
        parts.push(layer(9, 1, first, side));
        parts.push(layer(1, first / 4, first, side));
        for _ in 1..units {
            parts.push(layer(1, width / 4, width, side));
            parts.push(layer(9, 1, width, side));
            parts.push(layer(1, width / 4, width, side));
        }
    }
    sum(parts)
}

struct Published {
    name: &'static str,
    macs: f64,
    params: f64,
    source: &'static str,
}

fn published() -> Vec<Published> {
    let table = |name, (macs, params): (u64, u64), source| Published {
        name,
        macs: macs as f64,
        params: params as f64,
        source,
    };
    let tv = "torchvision 0.29 weights metadata";
    vec![
        table("bvlc_alexnet", alexnet(), "Krizhevsky 2012, at 224 unpadded; Caffe: 60,965,224 parameters"),
        Published { name: "densenet121", macs: 2.834e9, params: 7_978_856.0, source: tv },
        table("inception_v1", googlenet(), "Szegedy 2014, table 1, maps rounded down"),
        table("inception_v2", bn_inception(), "Ioffe 2015, figure 5"),
        Published { name: "resnet50", macs: 4.089e9, params: 25_557_032.0, source: tv },
        table("shufflenet", shufflenet(), "Zhang 2017, table 1, bottleneck of full width"),
        Published { name: "squeezenet", macs: 0.349e9, params: 1_235_496.0, source: tv },
        Published { name: "vgg19", macs: 19.632e9, params: 143_667_240.0, source: tv },
        table("zfnet512", zfnet(), "Zeiler 2013, figure 3, unpadded"),
    ]
}

#[test]
fn counts_agree_with_published_ones() {
    let Some(folder) = folder() else { return };
    let mut wrong = Vec::new();
    println!("{:<14}{:>10}{:>8}{:>13}{:>8}  source", "graph", "MMAC", "diff", "parameters", "diff");
    for p in published() {
        let graph = light(&folder, p.name);
        let (macs, params) = (graph.macs() as f64, graph.params() as f64);
        let (dm, dp) = (macs / p.macs - 1.0, params / p.params - 1.0);
        println!(
            "{:<14}{:>10.1}{:>7.2}%{:>13}{:>7.2}%  {}",
            p.name,
            macs / 1e6,
            100.0 * dm,
            graph.params(),
            100.0 * dp,
            p.source
        );
        if dm.abs() > TOLERANCE || dp.abs() > TOLERANCE {
            wrong.push(p.name);
        }
    }
    assert!(wrong.is_empty(), "more than 1 % off: {wrong:?}");
}

#[test]
fn cuts_are_the_dominators_and_blocks_are_even() {
    let Some(folder) = folder() else { return };
    for p in published() {
        let graph = light(&folder, p.name);
        let cuts = graph.cuts();
        let tensors: Vec<String> = cuts.iter().map(|c| c.tensor.clone()).collect();
        assert_eq!(tensors, graph.dominating_tensors(), "{}", p.name);
        assert!(cuts.iter().all(|c| c.extractable));
        for wanted in [1, 4, 8, 12] {
            let pieces = graph.blocks(wanted);
            assert_eq!(pieces.len(), wanted, "{}", p.name);
            assert_eq!(pieces.iter().map(|b| b.block.flops).sum::<u64>(), graph.flops());
            let chained = pieces.windows(2).all(|w| w[0].block.output_bytes == w[1].block.input_bytes);
            assert!(chained, "{}", p.name);
        }
    }
}

/// The catalogue builds its tiers from the published architectures, without any file; the graphs
/// come to the same. The catalogue's VGG-19 is the one with batch normalisation, 11,008 parameters more.
#[test]
fn counts_agree_with_the_catalogue() {
    let Some(folder) = folder() else { return };
    let catalog = Catalog::embedded().unwrap();
    for (name, family, tier) in [
        ("resnet50", "resnet", "resnet-50"),
        ("vgg19", "vgg", "vgg-19-bn"),
        ("densenet121", "densenet", "densenet-121"),
    ] {
        let graph = light(&folder, name);
        let family = catalog.families().iter().find(|f| f.id.as_str() == family).unwrap();
        let tier = &family.tiers[family.tier_position(tier).unwrap()];
        let flops: f64 = tier.blocks.iter().map(|b| b.flops.get()).sum();
        let traffic: f64 = tier.blocks.iter().flat_map(|b| &b.ops).map(|o| o.traffic.get()).sum();
        let counted: u64 = graph.layers().map(|l| l.traffic_bytes).sum();
        let rows = [
            ("operations", graph.flops() as f64, flops),
            ("parameters", graph.params() as f64, tier.params as f64),
            ("weight bytes", graph.weight_bytes() as f64, tier.weights().get()),
            ("traffic bytes", counted as f64, traffic),
        ];
        for (what, ours, theirs) in rows {
            println!("{name:<12} {what:<14} {:+.3} %", 100.0 * (ours / theirs - 1.0));
            assert!((ours / theirs - 1.0).abs() < 0.03, "{name}: {what} {ours} against {theirs}");
        }
    }
}
