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
use super::super::simulated::alone::TimedRun;
use super::super::table::{Row, rows};
use super::super::{Measurements, PowerRow};
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::family::Block;
use ecomap_instances::profile::{Precision, UnitKind};
use ecomap_instances::units::Watts;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const VERSIONS: [&str; 6] = ["v0.5", "v0.7", "v1.0", "v1.1", "v2.0", "v2.1"];

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let folder = root.join("mlperf");
    let clocks = clocks(&rows(&folder.join("nvidia_jetson_run_configs.csv"))?);
    for version in VERSIONS {
        for row in rows(&folder.join(format!("mlperf_jetson_{version}.csv")))? {
            if row.text("valid") != "VALID" || row.text("unique_run") != "1" {
                continue;
            }
            match (row.text("engine"), row.text("measured_as")) {
                ("tensorrt_gpu_dla", _) if row.text("system").contains("Triton") => {}
                ("tensorrt_gpu_dla", "singlestream") => {
                    gpu(&row, &clocks, all);
                    heavy(&row, &clocks, all);
                }
                ("tensorrt_gpu_dla", "offline") => heavy(&row, &clocks, all),
                ("cpu_tflite" | "cpu_armnn_neon", "singlestream") => cpu(&row, all),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Clocks of a MaxQ run in Hz; 0 for memory stands for uncapped.
#[derive(Debug, Clone, Copy)]
struct Clock {
    gpu: f64,
    dla: Option<f64>,
    memory: f64,
}

/// (version, device, benchmark, scenario) → clocks of MaxQ runs.
type Clocks = BTreeMap<(String, &'static str, String, String), Clock>;

fn clocks(configs: &[Row]) -> Clocks {
    let mut clocks = Clocks::new();
    for row in configs {
        let device = match row.text("config_class") {
            "AGX_Xavier_MaxQ" => "agx_xavier",
            "Xavier_NX_MaxQ" => "xavier_nx",
            "Orin_MaxQ" => "agx_orin",
            _ => continue,
        };
        let either = |a, b| row.number(a).or_else(|| row.number(b));
        let gpu = either("soc_gpu_freq", "xavier_gpu_freq");
        let memory = either("soc_emc_freq", "xavier_emc_freq");
        // A DLA takes part where the configuration gives it batches.
        let dla = row.number("dla_batch_size").and(either("soc_dla_freq", "xavier_dla_freq"));
        if let (Some(gpu), Some(memory)) = (gpu, memory) {
            let text = |column| row.text(column).to_owned();
            clocks.insert(
                (text("version"), device, text("benchmark"), text("scenario")),
                Clock { gpu, dla, memory },
            );
        }
    }
    clocks
}

/// Benchmark as the configuration files call it.
fn benchmark(row: &Row) -> &str {
    match row.text("benchmark") {
        "resnet" => "resnet50",
        "ssd-small" => "ssd-mobilenet",
        "ssd-large" => "ssd-resnet34",
        "bert-99" | "bert-99.9" => "bert",
        "3d-unet-99" | "3d-unet-99.9" => "3d-unet",
        other => other,
    }
}

fn at_clock(place: Place, clock: Clock, memory_top: f64) -> Place {
    let share = if clock.memory > 0.0 { (clock.memory / memory_top).min(1.0) } else { 1.0 };
    place.clocked(clock.gpu, Some(share))
}

/// Power of runs whose latency is not modelled: batches (Offline, alone or beside both DLAs) and
/// large networks outside the catalogue. All are taken as bound by arithmetic all the time.
fn heavy(row: &Row, clocks: &Clocks, all: &mut Measurements) {
    let Some((device, profile, top, generation, memory_top)) = board(row.text("device")) else { return };
    let (network, scenario) = (benchmark(row), row.text("measured_as"));
    let known = match scenario {
        "offline" => matches!(network, "bert" | "resnet50" | "ssd-mobilenet" | "ssd-resnet34"),
        _ => matches!(network, "3d-unet" | "retinanet"),
    };
    let key = (row.text("version").to_owned(), device, network.to_owned(), scenario.to_owned());
    let (true, Some(clock)) = (known && row.text("power_mode") == "MaxQ", clocks.get(&key)) else { return };
    let Some(place) = Place::new(profile, top, UnitKind::Gpu) else { return };
    let beside = clock.dla.and_then(|hz| {
        Some(Place::new(profile, top, UnitKind::Dla)?.clocked(hz, None).setting.dynamic * 2.0)
    });
    let kind = if beside.is_some() { UnitKind::Dla } else { UnitKind::Gpu };
    let name = format!("{network}, {}", if scenario == "offline" { "batches" } else { "one at a time" });
    let sample = at_clock(place, *clock, memory_top).sample(
        &group(generation, kind, "tensorrt"),
        format!("{profile} MaxQ"),
        name,
        Precision::Int8,
        &networks::arithmetic(),
        1.0,
    );
    // The DLAs' share is fitted on AGX Xavier alone.
    let half = if beside.is_some() && device != "agx_xavier" { Half::Check } else { power_half(row, device) };
    power(row, &sample, beside.unwrap_or(Watts::ZERO), half, all);
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
    let network = benchmark(row);
    let blocks = match network {
        "resnet50" => networks::tier("resnet", "resnet-50"),
        "ssd-mobilenet" => networks::tier("ssd", "ssd-mobilenet-v1-300"),
        "bert" if row.text("benchmark") == "bert-99" => networks::tier("bert", "bert-large"),
        "ssd-resnet34" => Some(networks::ssd_resnet34()),
        "mobilenet" => Some(networks::mobilenet_v1(1.0, 224.0)),
        _ => return,
    };
    let (Some(blocks), Some(mut place)) = (blocks, Place::new(profile, top, UnitKind::Gpu)) else { return };
    let max_q = row.text("power_mode") == "MaxQ";
    if max_q {
        let key = (row.text("version").to_owned(), device, network.to_owned(), "singlestream".to_owned());
        let Some(clock) = clocks.get(&key) else { return };
        place = at_clock(place, *clock, memory_top);
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
        timed(row, &sample, all);
    }
    power(row, &sample, Watts::ZERO, power_half(row, device), all);
    all.samples.push(sample);
}

/// Power by board: AGX Xavier and the AGX Orin of the v2.0 round are fitted; Xavier NX and the AGX
/// Orin of the v2.1 round, another board, are checked.
fn power_half(row: &Row, device: &str) -> Half {
    let fitted = device == "agx_xavier" || device == "agx_orin" && row.text("version") == "v2.0";
    if fitted { Half::Fit } else { Half::Check }
}

fn cpu(row: &Row, all: &mut Measurements) {
    let Some((_, profile, top, generation, _)) = board(row.text("device")) else { return };
    let mode = match row.text("power_mode") {
        "nvpmodel2:MODE_15W" => "15W",
        "nvpmodel3:MODE_30W_ALL" => "30W_ALL",
        "nvpmodel4:MODE_30W_6CORE" => "30W_6CORE",
        "nvpmodel5:MODE_30W_4CORE" => "30W_4CORE",
        "nvpmodel0:MAXN" | "MAXN_or_MaxP" => top,
        _ => return,
    };
    let int8 = row.text("quant") == "int8";
    // ArmNN 20.08 takes twice as long for MobileNetV2 as later releases: another runtime.
    let old = row.text("system").contains("armnn-v20");
    let runtime = match (row.text("engine"), int8) {
        ("cpu_tflite", false) => "tflite",
        ("cpu_tflite", true) => "tflite-int8",
        (_, false) if old => "armnn-20.08",
        (_, true) if old => "armnn-20.08-int8",
        (_, false) => "armnn",
        (_, true) => "armnn-int8",
    };
    let precision = if int8 { Precision::Int8 } else { Precision::Fp32 };
    let place = if mode == "30W_6CORE" {
        // Not in the profile: 30W_ALL with six cores at 1450 MHz (NVIDIA, Jetson Linux developer
        // guide, power modes of AGX Xavier).
        Place::new(profile, "30W_ALL", UnitKind::Cpu).map(|p| p.with_cores(6).clocked(1450e6, None))
    } else {
        Place::new(profile, mode, UnitKind::Cpu)
    };
    let (Some((name, blocks)), Some(place), Some(measured)) = (cpu_network(row), place, row.number("p50_ms"))
    else {
        return;
    };
    // Input sizes of one network stay together. ResNet-50 alone was run in other modes: ArmNN's
    // runs of it, in all modes, are fitted, all others are checked.
    let half = match (name.as_str(), runtime) {
        ("resnet50", "armnn") => Half::Fit,
        ("resnet50", _) => Half::Check,
        _ => Half::of(&name),
    };
    let group = group(generation, UnitKind::Cpu, runtime);
    let sample = place
        .sample(&group, format!("{profile} {mode}"), row.text("benchmark"), precision, &blocks, measured)
        .in_half(half);
    spread(row, &group, half, all);
    timed(row, &sample, all);
    // Power in other modes than the top one is all checked.
    let half = if mode == top { half } else { Half::Check };
    power(row, &sample, Watts::ZERO, half, all);
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

fn timed(row: &Row, sample: &Sample, all: &mut Measurements) {
    if let (Some(mean), Some(p90), Some(p99)) =
        (row.number("mean_ms"), row.number("p90_ms"), row.number("p99_ms"))
    {
        all.runs.push(TimedRun { sample: sample.clone(), quantiles: [mean, p90, p99] });
    }
}

fn power(row: &Row, sample: &Sample, beside: Watts, half: Half, all: &mut Measurements) {
    if let (Some(wall), Some(before)) = (row.number("wall_power_w"), row.number("pre_load_w")) {
        let board = format!("{}, {} {}", sample.device, row.text("submitter"), row.text("version"));
        all.power.push(PowerRow { sample: sample.clone(), board, beside, wall, before, half });
    }
}
