//! Fitting efficiencies to measurements.
//!
//! Five numbers for each group: compute efficiency of convolutions, of depthwise convolutions and
//! of matrix products (attention included), memory efficiency, and overhead of an operator. They
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

use super::sample::{Group, Half, Sample};
use super::{Measurements, round, spread};
use crate::parameters::{Contention, Dispersion, FORMAT, GENERIC, Parameters, UnitParameters};
use ecomap_instances::family::OpKind;
use ecomap_instances::profile::UnitKind;
use std::collections::{BTreeMap, BTreeSet};

/// Command that writes the embedded file.
pub const COMMAND: &str = "cargo run --release -p ecomap-estimator --bin ecomap-validate -- --data DIR --fit";

/// Pull to the starting values.
const PULL: f64 = 0.002;

/// Log ratio at which the loss turns from quadratic to linear.
const KNEE: f64 = 0.2;

const STEPS: [f64; 6] = [2.0, 1.4, 1.15, 1.05, 1.02, 1.005];

/// Bounds of the five numbers.
const BOUNDS: [(f64, f64); 5] = [(0.005, 1.0), (0.0005, 1.0), (0.002, 1.0), (0.02, 2.0), (0.01, 200.0)];

/// Starting values by kind.
const fn start(kind: UnitKind) -> [f64; 5] {
    match kind {
        UnitKind::Gpu => [0.5, 0.1, 0.4, 0.8, 5.0],
        UnitKind::Dla => [0.4, 0.03, 0.1, 0.5, 5.0],
        UnitKind::Cpu => [0.4, 0.15, 0.3, 0.5, 5.0],
    }
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
        let best = search(&parameters, &group, &samples);
        let measured = spread(all, &group);
        parameters.units.push(unit(&group, best, measured));
    }
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
        version: "1".to_owned(),
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

fn unit(group: &Group, x: [f64; 5], spread: Option<Dispersion>) -> UnitParameters {
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
        context_bytes: context_bytes(group.kind),
        dispersion: spread.unwrap_or(Dispersion { p95: 1.02, p99: 1.05 }),
    }
}

/// Pseudo-Huber: quadratic for errors well below [`KNEE`], linear beyond.
fn robust(log_ratio: f64) -> f64 {
    KNEE * ((1.0 + (log_ratio / KNEE).powi(2)).sqrt() - 1.0)
}

fn search(shell: &Parameters, group: &Group, samples: &[&Sample]) -> [f64; 5] {
    let origin = start(group.kind);
    let mut classes: BTreeMap<(&str, &str, &str), Vec<&Sample>> = BTreeMap::new();
    for s in samples {
        let network = s.network.split('@').next().unwrap_or_default();
        classes.entry((&s.device, network, s.precision.as_str())).or_default().push(s);
    }
    let loss = |x: &[f64; 5]| -> f64 {
        let unit = unit(group, *x, None);
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
        let pull: f64 = x.iter().zip(origin).map(|(a, b)| (a / b).ln().abs()).sum();
        sum / count + PULL * pull
    };
    let mut best = origin;
    let mut least = loss(&best);
    for step in STEPS {
        let mut improved = true;
        while improved {
            improved = false;
            for pair in 0..BOUNDS.len() * BOUNDS.len() {
                let (i, j) = (pair / BOUNDS.len(), pair % BOUNDS.len());
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
