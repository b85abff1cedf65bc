//! MLPerf Inference results v0.5 to v2.1 on Jetson boards (MLCommons): SingleStream latency of
//! whole networks, and wall power.
//!
//! - Latency is the median of a run; for BERT the 99th percentile, because NVIDIA's engine skips
//!   padding, so that only the longest questions cost what the catalogue's 384 tokens cost.
//! - NVIDIA's runs are INT8 and on the GPU alone. They are predicted at INT8 peaks; the parameters
//!   are shared with FP16 runs of other sources.
//! - Power modes: MAXN runs are taken at the profile's top mode, MaxQ runs at the clocks of the
//!   submission's configuration files; runs whose clocks are not in them are left out.
//! - CPU runs of Krai and dividiti: the number of threads is not published; all cores are assumed.

use super::super::networks;
use super::super::sample::{Group, Half, Place, Sample};
use super::super::table::{Row, rows};
use super::super::{Measurements, PowerRow};
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::family::Block;
use ecomap_instances::profile::{Precision, UnitKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const VERSIONS: [&str; 6] = ["v0.5", "v0.7", "v1.0", "v1.1", "v2.0", "v2.1"];

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let folder = root.join("mlperf");
    let clocks = clocks(&rows(&folder.join("nvidia_jetson_run_configs.csv"))?);
    for version in VERSIONS {
        for row in rows(&folder.join(format!("mlperf_jetson_{version}.csv")))? {
            let single = row.text("measured_as") == "singlestream" && row.text("valid") == "VALID";
            if !single || row.text("unique_run") != "1" {
                continue;
            }
            match row.text("engine") {
                "tensorrt_gpu_dla" if !row.text("system").contains("Triton") => gpu(&row, &clocks, all),
                "cpu_tflite" | "cpu_armnn_neon" => cpu(&row, all),
                _ => {}
            }
        }
    }
    Ok(())
}

/// (version, device, benchmark) → (GPU Hz, memory Hz) of MaxQ SingleStream runs.
type Clocks = BTreeMap<(String, &'static str, String), (f64, f64)>;

fn clocks(configs: &[Row]) -> Clocks {
    let mut clocks = Clocks::new();
    for row in configs.iter().filter(|r| r.text("scenario") == "singlestream") {
        let device = match row.text("config_class") {
            "AGX_Xavier_MaxQ" => "agx_xavier",
            "Xavier_NX_MaxQ" => "xavier_nx",
            "Orin_MaxQ" => "agx_orin",
            _ => continue,
        };
        let gpu = row.number("soc_gpu_freq").or_else(|| row.number("xavier_gpu_freq"));
        let memory = row.number("soc_emc_freq").or_else(|| row.number("xavier_emc_freq"));
        if let (Some(gpu), Some(memory)) = (gpu, memory) {
            let key = (row.text("version").to_owned(), device, row.text("benchmark").to_owned());
            clocks.insert(key, (gpu, memory));
        }
    }
    clocks
}

/// A board of MLPerf: name there, profile, top mode, generation, highest memory clock.
fn board(device: &str) -> Option<(&'static str, &'static str, &'static str, &'static str, f64)> {
    match device {
        "agx_xavier" => Some(("agx_xavier", "jetson-agx-xavier", "MAXN", "xavier", 2133e6)),
        "xavier_nx" => Some(("xavier_nx", "jetson-xavier-nx", "20W_6CORE", "xavier", 1866e6)),
        "agx_orin" => Some(("agx_orin", "jetson-agx-orin-64gb", "MAXN", "orin", 3199e6)),
        _ => None,
    }
}

fn gpu(row: &Row, clocks: &Clocks, all: &mut Measurements) {
    let Some((device, profile, top, generation, memory_top)) = board(row.text("device")) else { return };
    let (network, blocks) = match row.text("benchmark") {
        "resnet" | "resnet50" => ("resnet50", networks::tier("resnet", "resnet-50")),
        "ssd-small" | "ssd-mobilenet" => ("ssd-mobilenet", networks::tier("ssd", "ssd-mobilenet-v1-300")),
        "bert-99" => ("bert", networks::tier("bert", "bert-large")),
        "ssd-large" | "ssd-resnet34" => ("ssd-resnet34", Some(networks::ssd_resnet34())),
        "mobilenet" => ("mobilenet", Some(networks::mobilenet_v1(1.0, 224.0))),
        _ => return,
    };
    let (Some(blocks), Some(mut place)) = (blocks, Place::new(profile, top, UnitKind::Gpu)) else { return };
    let max_q = row.text("power_mode") == "MaxQ";
    if max_q {
        let key = (row.text("version").to_owned(), device, network.to_owned());
        let Some((gpu_hz, memory_hz)) = clocks.get(&key) else { return };
        // 0 stands for uncapped.
        let share = if *memory_hz > 0.0 { (memory_hz / memory_top).min(1.0) } else { 1.0 };
        place = place.clocked(*gpu_hz, Some(share));
    }
    // Checked: MaxQ clocks, and the MobileNets at any clock.
    let half = if max_q || network.contains("mobilenet") { Half::Check } else { Half::Fit };
    let group = group(generation, UnitKind::Gpu, "tensorrt");
    let column = if network == "bert" { "p99_ms" } else { "p50_ms" };
    let Some(measured) = row.number(column) else { return };
    let label = format!("{} {}", profile, if max_q { "MaxQ" } else { top });
    let sample = place.sample(&group, label, network, Precision::Int8, &blocks, measured).in_half(half);
    if network != "bert" {
        spread(row, &group, half, all);
    }
    power(row, &place, &sample, all);
    all.samples.push(sample);
}

fn cpu(row: &Row, all: &mut Measurements) {
    let Some((_, profile, top, generation, _)) = board(row.text("device")) else { return };
    let mode = match row.text("power_mode") {
        "nvpmodel2:MODE_15W" => "15W",
        "nvpmodel3:MODE_30W_ALL" => "30W_ALL",
        "nvpmodel5:MODE_30W_4CORE" => "30W_4CORE",
        "nvpmodel0:MAXN" | "MAXN_or_MaxP" => top,
        _ => return,
    };
    let int8 = row.text("quant") == "int8";
    let runtime = match (row.text("engine"), int8) {
        ("cpu_tflite", false) => "tflite",
        ("cpu_tflite", true) => "tflite-int8",
        (_, false) => "armnn",
        (_, true) => "armnn-int8",
    };
    let precision = if int8 { Precision::Int8 } else { Precision::Fp32 };
    let (Some((name, blocks)), Some(place), Some(measured)) =
        (cpu_network(row), Place::new(profile, mode, UnitKind::Cpu), row.number("p50_ms"))
    else {
        return;
    };
    // Input sizes of one network stay together; other modes than the top one are all checked.
    let half = if mode == top { Half::of(&name) } else { Half::Check };
    let group = group(generation, UnitKind::Cpu, runtime);
    let sample = place
        .sample(&group, format!("{profile} {mode}"), row.text("benchmark"), precision, &blocks, measured)
        .in_half(half);
    spread(row, &group, half, all);
    if mode == top {
        power(row, &place, &sample, all);
    }
    all.samples.push(sample);
}

/// Name for the split (input size left out) and blocks.
fn cpu_network(row: &Row) -> Option<(String, Arc<Vec<Block>>)> {
    if row.text("benchmark") == "resnet50" {
        return Some(("resnet50".to_owned(), networks::tier("resnet", "resnet-50")?));
    }
    let (width, px) = (row.text("width"), row.number("res")?);
    let family = row.text("family");
    let tier = match (family, width) {
        ("mobilenet_v1", _) => {
            let blocks = networks::mobilenet_v1(row.number("width")?, px);
            return Some((format!("{family}-{width}"), blocks));
        }
        ("mobilenet_v2", "1.4") => "mobilenet-v2-140",
        ("mobilenet_v2", "1.0") => "mobilenet-v2-100",
        ("mobilenet_v2", "0.75") => "mobilenet-v2-075",
        ("mobilenet_v2", "0.5") => "mobilenet-v2-050",
        ("mobilenet_v2", "0.35") => "mobilenet-v2-035",
        ("mobilenet_v3_large", "1.0") => "mobilenet-v3-large-100",
        ("mobilenet_v3_large", "0.75") => "mobilenet-v3-large-075",
        ("mobilenet_v3_small", "1.0") => "mobilenet-v3-small-100",
        ("mobilenet_v3_small", "0.75") => "mobilenet-v3-small-075",
        _ => return None,
    };
    let in_catalogue = if family == "mobilenet_v2" { "mobilenet-v2" } else { "mobilenet-v3" };
    let blocks = networks::tier(in_catalogue, tier)?;
    Some((format!("{family}-{width}"), networks::resized(&blocks, 224.0, px)))
}

fn spread(row: &Row, group: &Group, half: Half, all: &mut Measurements) {
    if let (Some(p50), Some(p90), Some(p99)) =
        (row.number("p50_ms"), row.number("p90_ms"), row.number("p99_ms"))
    {
        all.spreads.push((group.clone(), p90 / p50, p99 / p50, half));
    }
}

fn power(row: &Row, place: &Place, sample: &Sample, all: &mut Measurements) {
    let (Some(load), Some(idle)) = (row.number("wall_power_w"), row.number("pre_load_w")) else { return };
    all.power.push(PowerRow {
        group: sample.group.clone(),
        device: sample.device.clone(),
        network: sample.network.clone(),
        predicted: place.dynamic_w(),
        measured: load - idle,
    });
}
