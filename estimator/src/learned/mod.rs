//! The learned predictor: a transformer over the segments of all tenants on a device.
//!
//! 1. [`artifact`] holds the shipped model files and refuses any that are not what they say.
//! 2. [`library`] finds ONNX Runtime; without it the forest serves, and every answer says so.
//! 3. [`setup`] turns a device plan into the board and streams that the simulator would run.
//! 4. [`batch`] pads encoded plans of similar size into tensors; [`network`] runs them.
//! 5. [`forest`] is the fallback; [`finish`] turns factors into latencies with their floors.
//! 6. [`Learned`] is the [`Predictor`](crate::Predictor), with a cache of answers.
//!
//! What the network guarantees by construction (slowdown at least 1, quantiles in order, power at
//! least idle, the order of tenants without effect) is checked on every answer all the same: a
//! number that is not finite or breaks a guarantee is an error, never a plan.

pub mod artifact;
pub mod batch;
mod cache;
pub mod finish;
pub mod forest;
pub mod network;
mod predictor;
pub mod setup;

pub use ecomap_onnxruntime::library;
pub use predictor::{Backend, Learned, Options, Serve};

/// Factors of one plan, before they meet latencies.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Per tenant: p50, p95, p99 of latency over latency alone without waiting or spread.
    pub slowdown: Vec<[f64; 3]>,
    /// Mean draw, W.
    pub power_w: f64,
}

impl Factors {
    /// Checks every guarantee; `tenants` and `idle_w` are those of the plan.
    ///
    /// # Errors
    /// What is broken.
    pub fn check(&self, tenants: usize, idle_w: f64) -> Result<(), String> {
        if self.slowdown.len() != tenants {
            return Err(format!("{} tenants answered, {tenants} asked", self.slowdown.len()));
        }
        for (n, s) in self.slowdown.iter().enumerate() {
            let ordered = s[0] >= 1.0 && s[1] >= s[0] && s[2] >= s[1] && s[2].is_finite();
            if !ordered {
                return Err(format!("slowdown of tenant {n} is {s:?}"));
            }
        }
        // Powers are computed in single precision.
        if !(self.power_w.is_finite() && self.power_w >= idle_w * (1.0 - 1e-5)) {
            return Err(format!("power is {} W, idle {idle_w} W", self.power_w));
        }
        Ok(())
    }
}
