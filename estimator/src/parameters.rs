//! Fitted parameters of the analytic model: `estimator/data/roofline.json`, embedded.
//!
//! The file names its source and the command that wrote it. Efficiencies are dimensionless shares
//! of a profile's peaks, so that one set serves every power mode of a board and every board of a
//! generation.

use crate::activity::Activity;
use crate::error::EstimatorError;
use ecomap_instances::family::OpKind;
use ecomap_instances::profile::{Profile, UnitKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Format tag.
pub const FORMAT: &str = "ecomap.roofline/v1";

/// Generation whose parameters serve profiles that the file does not name.
pub const GENERIC: &str = "generic";

/// Operations of one layer at which the efficiencies of convolutions hold.
pub const REFERENCE_LAYER: f64 = 1e7;

/// Most that a growing efficiency may reach, assumed: dense kernels rarely pass four fifths of a peak.
pub const EFFICIENCY_CAP: f64 = 0.8;

static EMBEDDED: &[u8] = include_bytes!("../data/roofline.json");

/// The parameters file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// `ecomap.roofline/v1`.
    pub format: String,
    /// Version of the values; part of a predictor's version.
    pub version: String,
    /// Command that writes this file.
    pub command: String,
    /// Key → where values come from.
    pub sources: BTreeMap<String, String>,
    /// Profile id → hardware generation.
    pub generations: BTreeMap<String, String>,
    /// Share of the unfused memory traffic that is left after fusion, by operator class.
    pub fused_traffic: BTreeMap<OpKind, f64>,
    /// Efficiencies per unit kind and generation.
    pub units: Vec<UnitParameters>,
    /// Interference, by unit kind.
    pub contention: BTreeMap<UnitKind, Contention>,
}

/// Efficiencies of one kind of unit in one hardware generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitParameters {
    /// Unit kind.
    pub kind: UnitKind,
    /// Hardware generation, or `generic`.
    pub generation: String,
    /// Runtime that the measurements were made with.
    pub runtime: String,
    /// Key of [`Parameters::sources`].
    pub source: String,
    /// Share of the peak arithmetic rate reached, by operator class.
    pub compute: BTreeMap<OpKind, f64>,
    /// Share of the usable memory bandwidth reached; above 1 when caches serve part of the traffic.
    pub memory: f64,
    /// Fixed cost of one operator of a class that launches work of its own, in µs at the unit's
    /// highest clock.
    pub op_overhead_us: f64,
    /// Bytes that one core of the unit moves in a clock cycle, in series with memory; `None` where
    /// memory alone sets the pace.
    pub core_bytes_per_cycle: Option<f64>,
    /// Exponent of the arithmetic rate over the clock: 1 where the rate follows the clock.
    pub clock_exponent: f64,
    /// Exponent of the efficiency of convolutions over the arithmetic of one layer: efficiencies
    /// hold at [`REFERENCE_LAYER`] and grow with larger layers up to [`EFFICIENCY_CAP`]; 0 where
    /// they do not.
    pub layer_exponent: f64,
    /// Cost of taking in a request, in µs for each MB of its fp32 input tensor at the unit's
    /// highest clock.
    pub input_us_per_mb: f64,
    /// Power by what keeps the unit busy.
    pub power: Activity,
    /// Memory that the runtime keeps for one loaded segment, besides tensors.
    pub context_bytes: f64,
    /// Spread of service times.
    pub dispersion: Dispersion,
}

/// Spread of service times: quantile over median of repeated runs without co-runners.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispersion {
    /// p95 / p50.
    pub p95: f64,
    /// p99 / p50.
    pub p99: f64,
}

/// Linear interference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contention {
    /// Relative delay of a segment per unit of other tenants' load on its own unit.
    pub queue: f64,
    /// Relative delay of memory-bound time per unit of load on *this* kind of unit elsewhere on
    /// the board.
    pub bandwidth: f64,
}

impl Parameters {
    /// The embedded file.
    ///
    /// # Errors
    /// Only if the embedded file is broken, which a test rules out.
    pub fn embedded() -> Result<&'static Self, EstimatorError> {
        static PARAMETERS: OnceLock<Result<Parameters, String>> = OnceLock::new();
        PARAMETERS
            .get_or_init(|| Parameters::read(EMBEDDED).map_err(|e| e.to_string()))
            .as_ref()
            .map_err(|e| EstimatorError::Parameters(e.clone()))
    }

    /// Reads and checks a parameters file.
    ///
    /// # Errors
    /// [`EstimatorError::Parameters`] on bad JSON or a number out of range.
    pub fn read(bytes: &[u8]) -> Result<Self, EstimatorError> {
        let read: Self =
            serde_json::from_slice(bytes).map_err(|e| EstimatorError::Parameters(e.to_string()))?;
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<(), EstimatorError> {
        let bad = |what: String| Err(EstimatorError::Parameters(what));
        if self.format != FORMAT {
            return bad(format!("format `{}` is not {FORMAT}", self.format));
        }
        let share = |x: f64| x.is_finite() && (0.0..=4.0).contains(&x);
        for kind in [UnitKind::Gpu, UnitKind::Dla, UnitKind::Cpu] {
            if !self.units.iter().any(|u| u.kind == kind && u.generation == GENERIC) {
                return bad(format!("no {GENERIC} parameters for {}", kind.as_str()));
            }
            let Some(c) = self.contention.get(&kind) else {
                return bad(format!("no contention for {}", kind.as_str()));
            };
            if !((0.0..=100.0).contains(&c.queue) && (0.0..=100.0).contains(&c.bandwidth)) {
                return bad(format!("contention of {} must be 0 to 100", kind.as_str()));
            }
        }
        for u in &self.units {
            let name = format!("{} {}", u.kind.as_str(), u.generation);
            if !self.sources.contains_key(&u.source) {
                return bad(format!("{name}: no source `{}`", u.source));
            }
            let positive = |x: f64| share(x) && x > 0.0;
            if !(u.compute.values().copied().all(positive) && positive(u.memory)) {
                return bad(format!("{name}: efficiencies must lie above 0 and at most at 4"));
            }
            let d = u.dispersion;
            if !(d.p95 >= 1.0 && d.p99 >= d.p95 && d.p99 <= 10.0) {
                return bad(format!("{name}: dispersion must be 1 <= p95 <= p99 <= 10"));
            }
            if !((0.0..=1e5).contains(&u.op_overhead_us) && (0.0..=1e11).contains(&u.context_bytes)) {
                return bad(format!("{name}: op_overhead_us or context_bytes out of range"));
            }
            if !((0.0..=1e6).contains(&u.input_us_per_mb) && (0.0..1.0).contains(&u.layer_exponent)) {
                return bad(format!("{name}: input_us_per_mb or layer_exponent out of range"));
            }
            if !(1.0..=4.0).contains(&u.clock_exponent) {
                return bad(format!("{name}: clock_exponent must lie between 1 and 4"));
            }
            if !u.core_bytes_per_cycle.is_none_or(|b| (0.1..=1e4).contains(&b)) {
                return bad(format!("{name}: core_bytes_per_cycle must lie between 0.1 and 10000"));
            }
            if !u.power.is_sound() {
                return bad(format!(
                    "{name}: power shares must lie between 0 and 4, joules_per_byte up to 1e-9"
                ));
            }
        }
        if !self.fused_traffic.values().all(|s| share(*s)) {
            return bad("fused_traffic must lie between 0 and 4".to_owned());
        }
        Ok(())
    }

    /// Generation of a profile.
    #[must_use]
    pub fn generation(&self, profile: &Profile) -> &str {
        self.generations.get(profile.id.as_str()).map_or(GENERIC, String::as_str)
    }

    /// Parameters of a unit kind in a profile's generation, else the generic ones.
    #[must_use]
    pub fn unit(&self, profile: &Profile, kind: UnitKind) -> Option<&UnitParameters> {
        let generation = self.generation(profile);
        let find = |g: &str| self.units.iter().find(|u| u.kind == kind && u.generation == g);
        find(generation).or_else(|| find(GENERIC))
    }

    /// Spread of service times of a unit kind in a profile's generation.
    #[must_use]
    pub fn dispersion(&self, profile: &Profile, kind: UnitKind) -> Dispersion {
        self.unit(profile, kind).map_or(Dispersion { p95: 1.0, p99: 1.0 }, |u| u.dispersion)
    }

    /// Interference of a unit kind.
    #[must_use]
    pub fn contention(&self, kind: UnitKind) -> Contention {
        self.contention.get(&kind).copied().unwrap_or(Contention { queue: 0.0, bandwidth: 0.0 })
    }

    /// Share of an operator class' unfused traffic that reaches memory.
    #[must_use]
    pub fn fused(&self, kind: OpKind) -> f64 {
        self.fused_traffic.get(&kind).copied().unwrap_or(1.0)
    }
}

impl UnitParameters {
    /// Share of the peak reached by layers of a class with `ops` operations each.
    #[must_use]
    pub fn compute_at(&self, kind: OpKind, ops: f64) -> f64 {
        let base = self.compute(kind);
        let grows = matches!(kind, OpKind::Conv | OpKind::DepthwiseConv);
        if !grows || self.layer_exponent <= 0.0 || ops <= 0.0 {
            return base;
        }
        (base * (ops / REFERENCE_LAYER).powf(self.layer_exponent)).min(EFFICIENCY_CAP.max(base))
    }

    /// Share of the peak reached by an operator class; classes without a figure of their own run
    /// at the general matrix product's, else at a tenth.
    #[must_use]
    pub fn compute(&self, kind: OpKind) -> f64 {
        self.compute.get(&kind).or_else(|| self.compute.get(&OpKind::Gemm)).copied().unwrap_or(0.1)
    }
}

/// Whether operators of a class launch work of their own. Element-wise sums and products, and
/// concatenations, are taken as fused into a neighbour. (ReLU and batch normalisation are folded in
/// the catalogue already; other activations are a pass of their own in TensorRT and TFLite.)
#[must_use]
pub const fn launches(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Conv
            | OpKind::DepthwiseConv
            | OpKind::Gemm
            | OpKind::Attention
            | OpKind::Norm
            | OpKind::Lrn
            | OpKind::Pool
            | OpKind::Resize
            | OpKind::Embedding
            | OpKind::Softmax
            | OpKind::Silu
            | OpKind::Hardswish
            | OpKind::Gelu
            | OpKind::Sigmoid
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_parameters_are_sound() {
        let p = Parameters::embedded().unwrap();
        assert!(p.units.len() >= 3);
    }

    #[test]
    fn refuses_negative_power_and_a_falling_clock_law() {
        let embedded = Parameters::embedded().unwrap();
        let mut p = embedded.clone();
        p.units[0].power.memory = -0.5;
        assert!(Parameters::read(&serde_json::to_vec(&p).unwrap()).is_err());
        let mut p = embedded.clone();
        p.units[0].clock_exponent = 0.5;
        assert!(Parameters::read(&serde_json::to_vec(&p).unwrap()).is_err());
    }

    #[test]
    fn refuses_an_efficiency_of_zero() {
        let mut p = Parameters::embedded().unwrap().clone();
        p.units[0].memory = 0.0;
        let text = serde_json::to_vec(&p).unwrap();
        assert!(matches!(Parameters::read(&text), Err(EstimatorError::Parameters(_))));
    }
}
