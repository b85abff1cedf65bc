//! branes-ai/graphs on AGX Orin: single layers and two networks on a DLA (TensorRT 8.5.2), and
//! whole networks in PyTorch eager mode on the GPU, which is another runtime with parameters of its own.

use super::super::Measurements;
use super::super::networks::{Layers, tier};
use super::super::sample::{Half, Place, Sample};
use super::super::table::{Row, rows};
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::family::{Block, OpKind, OpWork};
use ecomap_instances::profile::{Precision, UnitKind};
use ecomap_instances::units::{Bytes, Ops};
use std::path::Path;
use std::sync::Arc;

const ORIN: &str = "jetson-agx-orin-64gb";

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let folder = root.join("branes_orin");
    for row in rows(&folder.join("dla_layer_and_model_latency.csv"))? {
        let Some(measured) = row.number("latency_ms").filter(|x| *x > 0.0) else { continue };
        if row.text("status") != "success" {
            continue;
        }
        let (name, precision) = (row.text("name"), precision(row.text("precision")));
        let whole = match (row.text("kind"), name) {
            ("layer_benchmarks", _) if row.text("on_dla") == "True" => layer(&row),
            ("model_benchmarks", "resnet18") => tier("resnet", "resnet-18"),
            ("model_benchmarks", "mobilenet_v2") => tier("mobilenet-v2", "mobilenet-v2-100"),
            _ => None,
        };
        let Some(place) = Place::new(ORIN, row.text("power_mode"), UnitKind::Dla) else { continue };
        let (Some(blocks), Some(precision)) = (whole, precision) else { continue };
        // INT8 layers reach another share of their peak than FP16 ones: a group of their own.
        let runtime = if precision == Precision::Int8 { "tensorrt-int8" } else { "tensorrt" };
        let sample = place.sample(
            &group("orin", UnitKind::Dla, runtime),
            format!("{ORIN} {}", row.text("power_mode")),
            name,
            precision,
            &blocks,
            measured,
        );
        // Networks (a few of whose layers fell back to the GPU) are all checked.
        let checked = row.text("kind") == "model_benchmarks";
        all.samples.push(if checked { sample.in_half(Half::Check) } else { sample });
    }
    eager(&rows(&folder.join("gpu_model_totals.csv"))?, all);
    for (file, mode) in [("15w", "15W"), ("50w", "50W"), ("maxn", "MAXN")] {
        let name = format!("gpu_subgraph_latency_jetson_orin_agx_{file}.csv");
        all.layers.extend(eager_layers(&rows(&folder.join(name))?, mode));
    }
    Ok(())
}

/// Fused layers in `PyTorch` eager mode, FP16, batch 1, halved by network. The table's bytes are those of
/// fp32 activations at any precision. Its types do not tell a depthwise convolution from a dense
/// one; below five operations a byte no dense one of these networks lies.
fn eager_layers(rows: &[Row], mode: &str) -> Vec<Sample> {
    let Some(place) = Place::new(ORIN, mode, UnitKind::Gpu) else { return Vec::new() };
    let gpu = group("orin", UnitKind::Gpu, "pytorch-eager");
    rows.iter()
        .filter(|r| r.text("precision") == "fp16" && r.text("batch") == "1")
        .filter_map(|r| {
            let measured = r.number("lat_mean_ms").filter(|x| *x > 0.0)?;
            let (flops, bytes) = (r.number("flops")?, r.number("bytes").filter(|b| *b > 0.0)?);
            let kind = match r.text("op_type") {
                "matmul" => OpKind::Gemm,
                kind if kind.starts_with("conv2d") && flops < 5.0 * bytes => OpKind::DepthwiseConv,
                kind if kind.starts_with("conv2d") => OpKind::Conv,
                // Everything else reads and writes elements, with a launch of its own.
                _ => OpKind::Pool,
            };
            let op = OpWork { kind, count: 1, flops: Ops::new(flops), traffic: Bytes::new(bytes) };
            let block = Block {
                name: r.text("subgraph_id").to_owned(),
                flops: op.flops,
                weights: Bytes::ZERO,
                input: Bytes::ZERO,
                output: Bytes::ZERO,
                ops: vec![op],
            };
            let device = format!("{ORIN} {mode}");
            let name = r.text("model");
            let mut sample =
                place.sample(&gpu, device, name, Precision::Fp16, &Arc::new(vec![block]), measured);
            sample.launch = false;
            Some(sample)
        })
        .collect()
}

fn precision(text: &str) -> Option<Precision> {
    match text {
        "fp32" => Some(Precision::Fp32),
        "fp16" => Some(Precision::Fp16),
        "int8" => Some(Precision::Int8),
        _ => None,
    }
}

/// `Conv2d(cin,cout,k3,s1)`, `DWConv(c,k3,s1)` or `FC(cin,cout)` with an input of `1xCxHxW`.
fn layer(row: &Row) -> Option<Arc<Vec<Block>>> {
    let (kind, rest) = row.text("name").split_once('(')?;
    let parts: Vec<f64> = rest
        .trim_end_matches(')')
        .split(',')
        .map(|p| p.trim_start_matches(['k', 's']).parse().ok())
        .collect::<Option<_>>()?;
    let side = row.text("input_shape").rsplit('x').next()?.parse::<f64>().ok()?;
    let mut layers = Layers::default();
    match (kind, parts.as_slice()) {
        ("Conv2d", [cin, cout, k, s]) => {
            layers.conv(*cin, *cout, *k, *s, side);
        }
        ("DWConv", [c, k, s]) => {
            layers.depthwise(*c, *k, *s, side);
        }
        ("FC", [cin, cout]) => layers.gemm(*cin, *cout),
        _ => return None,
    }
    Some(layers.finish())
}

/// Whole networks in `PyTorch` eager mode: another runtime, fitted and checked for the page only.
/// Networks are halved by name, all power modes of one together.
fn eager(totals: &[Row], all: &mut Measurements) {
    let gpu = group("orin", UnitKind::Gpu, "pytorch-eager");
    for (id, mode) in
        [("jetson_orin_agx_15w", "15W"), ("jetson_orin_agx_50w", "50W"), ("jetson_orin_agx_maxn", "MAXN")]
    {
        let Some(place) = Place::new(ORIN, mode, UnitKind::Gpu) else { continue };
        let wanted = totals.iter().filter(|r| {
            r.text("hardware_id") == id && r.text("batch") == "1" && r.text("precision") == "fp16"
        });
        all.samples.extend(wanted.filter_map(|r| {
            let blocks = network(r.text("model"))?;
            let measured = r.number("sum_latency_ms")?;
            let device = format!("{ORIN} {mode}");
            Some(place.sample(&gpu, device, r.text("model"), Precision::Fp16, &blocks, measured))
        }));
    }
}

fn network(model: &str) -> Option<Arc<Vec<Block>>> {
    match model {
        "efficientnet_b0" => tier("efficientnet", "efficientnet-b0"),
        "efficientnet_b1" => tier("efficientnet", "efficientnet-b1"),
        "mobilenet_v2" => tier("mobilenet-v2", "mobilenet-v2-100"),
        "mobilenet_v3_large" => tier("mobilenet-v3", "mobilenet-v3-large-100"),
        "mobilenet_v3_small" => tier("mobilenet-v3", "mobilenet-v3-small-100"),
        "resnet18" => tier("resnet", "resnet-18"),
        "resnet34" => tier("resnet", "resnet-34"),
        "resnet50" => tier("resnet", "resnet-50"),
        "resnet101" => tier("resnet", "resnet-101"),
        "vgg11" => tier("vgg", "vgg-11-bn"),
        "vgg16" => tier("vgg", "vgg-16-bn"),
        "vit_b_16" => tier("vit", "vit-base-16"),
        "vit_l_16" => tier("vit", "vit-large-16"),
        _ => None,
    }
}
