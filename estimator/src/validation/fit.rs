//! Fitting efficiencies to measurements.
//!
//! Five numbers for each group: compute efficiency of convolutions, of depthwise convolutions and
//! of matrix products (attention included), memory efficiency, and overhead of an operator. GPUs
//! have one more, the bytes that a core moves in a cycle; CPUs two, growth of the efficiency with a
//! layer's size (DLAs too) and intake of the request, and a clock exponent for each generation. They
//! minimise
//!
//! ```text
//! Σ_g mean_{s∈g} ρ(ln(predicted_s / measured_s)) / G  +  w · Σ_k |ln(x_k / x̂_k)|
//! ```
//!
//! over the fit half, ρ being the pseudo-Huber loss and `g` running over (device, network, precision) so that a network that was run
//! fifty times or at eight input sizes counts once, with a weak pull `w` to starting values `x̂`, which keeps what the data
//! cannot tell where it started. The search moves one or two coordinates at a time with
//! shrinking steps: deterministic, no gradients.

use super::power_fit;
use super::sample::{Group, Half, Sample};
use super::{Measurements, round, spread};
use crate::activity::Activity;
use crate::parameters::{Contention, Dispersion, FORMAT, GENERIC, Parameters, UnitParameters};
use ecomap_instances::family::OpKind;
use ecomap_instances::profile::UnitKind;
use std::collections::{BTreeMap, BTreeSet};

/// Command that writes the embedded file.
pub const COMMAND: &str = "cargo run --release -p ecomap-estimator --bin ecomap-validate -- --data DIR --fit";

/// Pull to the starting values: weaker for CPUs, which have tens of networks.
const fn pull(kind: UnitKind) -> f64 {
    match kind {
        UnitKind::Gpu | UnitKind::Dla => 0.002,
        UnitKind::Cpu => 0.0005,
    }
}

/// Log ratio at which the loss turns from quadratic to linear.
const KNEE: f64 = 0.2;

const STEPS: [f64; 6] = [2.0, 1.4, 1.15, 1.05, 1.02, 1.005];

/// The fitted numbers: efficiency of convolutions, of depthwise convolutions, of matrix products,
/// of memory; overhead of an operator; bytes a core moves in a cycle (GPU); growth of the
/// efficiency with a layer's size (CPU, DLA), intake of the request, clock exponent (CPU). All are
/// searched as factors, so the growth is kept plus one.
type Point = [f64; 9];

const BOUNDS: [(f64, f64); 9] = [
    (0.005, 1.0),
    (0.0005, 1.0),
    (0.002, 1.0),
    (0.02, 2.0),
    (0.01, 2000.0),
    (0.5, 1000.0),
    (1.0, 1.9),
    (1.0, 50_000.0),
    (1.0, 3.0),
];

const CORE_BYTES: usize = 5;
const GROWTH: usize = 6;
const INTAKE: usize = 7;
const EXPONENT: usize = 8;

/// Starting values by kind.
const fn start(kind: UnitKind) -> Point {
    match kind {
        UnitKind::Gpu => [0.5, 0.1, 0.4, 0.8, 5.0, 8.0, 1.0, 0.0, 1.0],
        UnitKind::Dla => [0.4, 0.03, 0.1, 0.5, 5.0, 0.0, 1.1, 0.0, 1.0],
        UnitKind::Cpu => [0.4, 0.15, 0.3, 0.5, 5.0, 0.0, 1.1, 300.0, 1.0],
    }
}

/// Networks or layers below which no growth of the efficiency is fitted.
const ENOUGH: usize = 10;

/// Positions that are searched: growth only with enough networks, a clock exponent only where the
/// samples were run at several clocks.
fn searched(kind: UnitKind, samples: &[&Sample]) -> Vec<usize> {
    let mut list: Vec<usize> = (0..CORE_BYTES).collect();
    let networks: BTreeSet<(&str, &str)> =
        samples.iter().map(|s| (s.device.as_str(), s.network.as_str())).collect();
    if kind == UnitKind::Gpu {
        list.push(CORE_BYTES);
    } else if networks.len() >= ENOUGH {
        list.push(GROWTH);
    }
    if kind == UnitKind::Cpu {
        list.push(INTAKE);
        if samples.windows(2).any(|w| w[0].setting.clock != w[1].setting.clock) {
            list.push(EXPONENT);
        }
    }
    list
}

/// Runtime context of a loaded segment, estimated.
const fn context_bytes(kind: UnitKind) -> f64 {
    match kind {
        UnitKind::Gpu => 33_554_432.0,
        UnitKind::Dla => 16_777_216.0,
        UnitKind::Cpu => 8_388_608.0,
    }
}

/// Groups that have samples in the fit half.
#[must_use]
pub fn groups(all: &Measurements) -> Vec<Group> {
    let fitted = all.samples.iter().filter(|s| s.half == Half::Fit).map(|s| s.group.clone());
    fitted.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Fits every group; the parameters of runtimes that placements use, and of the others for the
/// report.
#[must_use]
pub fn fit(all: &Measurements) -> Parameters {
    let mut parameters = shell();
    for group in groups(all) {
        let samples: Vec<&Sample> =
            all.samples.iter().filter(|s| s.group == group && s.half == Half::Fit).collect();
        let mut fitted = one(&parameters, &group, &samples);
        fitted.dispersion = spread(all, &group).unwrap_or(fitted.dispersion);
        parameters.units.push(fitted);
    }
    activities(all, &mut parameters);
    // A DLA has no run of its own with quantiles: it takes the GPU's spread of its generation.
    let gpu: BTreeMap<String, Dispersion> = parameters
        .units
        .iter()
        .filter(|u| u.kind == UnitKind::Gpu)
        .map(|u| (u.generation.clone(), u.dispersion))
        .collect();
    for u in parameters.units.iter_mut().filter(|u| u.kind == UnitKind::Dla) {
        if let Some(d) = gpu.get(&u.generation) {
            u.dispersion = *d;
        }
    }
    parameters
}

/// Fits one group to samples, whatever their half. A CPU that ran at one clock takes the exponent of
/// its generation's other runtimes in `parameters`.
pub(super) fn one(parameters: &Parameters, group: &Group, samples: &[&Sample]) -> UnitParameters {
    let mut origin = start(group.kind);
    origin[EXPONENT] = parameters
        .units
        .iter()
        .filter(|u| u.kind == group.kind && u.generation == group.generation)
        .map(|u| u.clock_exponent)
        .fold(origin[EXPONENT], f64::max);
    unit(group, search(parameters, group, samples, origin))
}

/// Fits what busy units draw: GPUs of all generations together, each CPU runtime and generation,
/// one share for all DLAs.
fn activities(all: &Measurements, parameters: &mut Parameters) {
    let gpu = power_fit::fit(&power_fit::table(&all.power, parameters, |r| {
        r.half == Half::Fit && r.sample.group.kind == UnitKind::Gpu && power_fit::clocks_known(r)
    }));
    let dla = power_fit::beside(
        &power_fit::table(&all.power, parameters, |r| {
            r.half == Half::Fit && r.sample.group.kind == UnitKind::Dla
        }),
        &gpu,
    );
    let activity: Vec<Activity> = parameters
        .units
        .iter()
        .map(|u| match u.kind {
            UnitKind::Gpu => power_fit::activity(gpu),
            UnitKind::Dla => power_fit::activity([dla, dla, dla, 0.0]),
            UnitKind::Cpu => {
                let own = power_fit::table(&all.power, parameters, |r| {
                    let g = &r.sample.group;
                    r.half == Half::Fit
                        && (g.kind, g.generation, g.runtime) == (u.kind, &*u.generation, &*u.runtime)
                });
                if own.is_empty() { Activity::FULL } else { power_fit::activity(power_fit::fit(&own)) }
            }
        })
        .collect();
    for (u, a) in parameters.units.iter_mut().zip(activity) {
        u.power = a;
    }
}

/// What is shipped: the runtimes that placements run on, and generic copies of the newest
/// generation's figures for profiles that were not measured.
#[must_use]
pub fn shipped(fitted: &Parameters) -> Parameters {
    let mut parameters = fitted.clone();
    parameters.units.retain(|u| u.runtime == "tensorrt" || u.runtime == "tflite");
    let generic: Vec<UnitParameters> = parameters
        .units
        .iter()
        .filter(|u| u.generation == "orin")
        .map(|u| UnitParameters { generation: GENERIC.to_owned(), source: "generic".to_owned(), ..u.clone() })
        .collect();
    parameters.units.extend(generic);
    parameters
}

/// Everything that is assumed rather than fitted.
fn shell() -> Parameters {
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    Parameters {
        format: FORMAT.to_owned(),
        version: "2".to_owned(),
        command: COMMAND.to_owned(),
        sources: text(&[
            (
                "fit",
                "fitted on the fit half of public measurements: MLPerf Inference v0.5 to v2.1 (MLCommons), trtutils, HaX-CoNN, branes-ai/graphs; split, errors and runtimes are in docs/src/validation.md",
            ),
            ("generic", "Orin's figures, for profiles that nobody measured"),
            (
                "fused_traffic",
                "assumed: an element-wise sum or product is an epilogue of the operator before it and reads one more tensor (a third of its traffic); half of the concatenations are written in place",
            ),
            (
                "contention",
                "assumed: queue is the mean wait of an M/D/1 queue at a load of 0.8 over the service time, divided by that load, 1/(2(1-0.8)); bandwidth from concurrent streams on AGX Orin (branes-ai/graphs), where all engines together slow the GPU by 8 % and a DLA by 10 to 13 %",
            ),
            ("context_bytes", "estimate: TensorRT or TFLite context and workspace"),
        ]),
        generations: text(&[
            ("jetson-agx-xavier", "xavier"),
            ("jetson-xavier-nx", "xavier"),
            ("jetson-agx-orin-64gb", "orin"),
            ("jetson-orin-nx-16gb", "orin"),
            ("jetson-orin-nano-8gb", "orin"),
        ]),
        fused_traffic: BTreeMap::from([(OpKind::Elementwise, 0.34), (OpKind::Concat, 0.5)]),
        units: Vec::new(),
        contention: BTreeMap::from([
            (UnitKind::Gpu, Contention { queue: 2.5, bandwidth: 0.1 }),
            (UnitKind::Dla, Contention { queue: 2.5, bandwidth: 0.03 }),
            (UnitKind::Cpu, Contention { queue: 2.5, bandwidth: 0.05 }),
        ]),
    }
}

fn unit(group: &Group, x: Point) -> UnitParameters {
    // Classes that hardly compute are bound by memory; a tenth of the peak keeps them so.
    let light = [
        OpKind::Norm,
        OpKind::Lrn,
        OpKind::Elementwise,
        OpKind::Pool,
        OpKind::Concat,
        OpKind::Resize,
        OpKind::Embedding,
        OpKind::Silu,
        OpKind::Hardswish,
        OpKind::Gelu,
        OpKind::Sigmoid,
        OpKind::Softmax,
    ];
    let mut compute: BTreeMap<OpKind, f64> = light.into_iter().map(|k| (k, 0.1)).collect();
    compute.insert(OpKind::Conv, x[0]);
    compute.insert(OpKind::DepthwiseConv, x[1]);
    compute.insert(OpKind::Gemm, x[2]);
    compute.insert(OpKind::Attention, x[2]);
    UnitParameters {
        kind: group.kind,
        generation: group.generation.to_owned(),
        runtime: group.runtime.to_owned(),
        source: "fit".to_owned(),
        compute,
        memory: x[3],
        op_overhead_us: x[4],
        core_bytes_per_cycle: (group.kind == UnitKind::Gpu).then_some(x[CORE_BYTES]),
        clock_exponent: x[EXPONENT],
        layer_exponent: x[GROWTH] - 1.0,
        input_us_per_mb: x[INTAKE],
        power: Activity::FULL,
        context_bytes: context_bytes(group.kind),
        dispersion: Dispersion { p95: 1.02, p99: 1.05 },
    }
}

/// Pseudo-Huber: quadratic for errors well below [`KNEE`], linear beyond.
fn robust(log_ratio: f64) -> f64 {
    KNEE * ((1.0 + (log_ratio / KNEE).powi(2)).sqrt() - 1.0)
}

fn search(shell: &Parameters, group: &Group, samples: &[&Sample], origin: Point) -> Point {
    let active = searched(group.kind, samples);
    let mut origin = origin;
    if !active.contains(&GROWTH) {
        origin[GROWTH] = 1.0;
    }
    let mut classes: BTreeMap<(&str, &str, &str), Vec<&Sample>> = BTreeMap::new();
    for s in samples {
        let network = s.network.split('@').next().unwrap_or_default();
        classes.entry((&s.device, network, s.precision.as_str())).or_default().push(s);
    }
    let loss = |x: &Point| -> f64 {
        let unit = unit(group, *x);
        let mut sum = 0.0;
        for class in classes.values() {
            let mut part = 0.0;
            for s in class {
                let predicted = s.predict_with(shell, &unit).unwrap_or(f64::INFINITY);
                part += robust((predicted / s.measured).ln());
            }
            #[allow(clippy::cast_precision_loss)]
            let size = class.len() as f64;
            sum += part / size;
        }
        #[allow(clippy::cast_precision_loss)]
        let count = classes.len().max(1) as f64;
        let away: f64 = active.iter().map(|&k| (x[k] / origin[k]).ln().abs()).sum();
        sum / count + pull(group.kind) * away
    };
    let mut best = origin;
    let mut least = loss(&best);
    for step in STEPS {
        let mut improved = true;
        while improved {
            improved = false;
            for (i, j) in active.iter().flat_map(|&i| active.iter().map(move |&j| (i, j))) {
                // One coordinate (i = j), or two in the same or opposite directions: overhead and
                // efficiency trade off against each other.
                for (up, also) in
                    [(step, step), (1.0 / step, 1.0 / step), (step, 1.0 / step), (1.0 / step, step)]
                {
                    let mut next = best;
                    next[i] = (next[i] * up).clamp(BOUNDS[i].0, BOUNDS[i].1);
                    if i != j {
                        next[j] = (next[j] * also).clamp(BOUNDS[j].0, BOUNDS[j].1);
                    }
                    let value = loss(&next);
                    if value < least - 1e-9 {
                        best = next;
                        least = value;
                        improved = true;
                    }
                }
            }
        }
    }
    best.map(round)
}
