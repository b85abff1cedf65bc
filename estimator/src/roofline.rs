//! Time of one block on one compute unit: a roofline per operator class.
//!
//! For operator class k of a block, with `F_k` operations, `B_k` bytes of unfused fp32 traffic and
//! `n_k` operators, on a unit with peak `P`, usable memory bandwidth `B` and element size `e`:
//!
//! ```text
//! t_k = max( F_k / (η_k · P · f/f_max · n/N),  φ_k · B_k · e/4 / (μ · B) ) + n_k · o · f_max/f
//! ```
//!
//! `η_k` (compute efficiency), `μ` (memory efficiency) and `o` (operator overhead) are fitted,
//! `φ_k` (traffic left after fusion) is assumed; `f/f_max` and `n/N` are the mode's clock and
//! cores against the unit's (for a GPU, cores are streaming multiprocessors). The roofline is that
//! of Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009; the sum over operator
//! classes says that they do not overlap within one request.

use crate::parameters::{Parameters, UnitParameters, launches};
use ecomap_instances::family::Block;
use ecomap_instances::profile::{Mode, ModeUnit, Precision, Profile, Unit};
use ecomap_instances::units::{Bytes, BytesPerSecond, Millis, OpsPerSecond};

/// What one block costs on one unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BlockCost {
    /// Busy time.
    pub time: Millis,
    /// Part of it that waits for memory.
    pub memory_bound: Millis,
    /// Bytes moved to and from memory.
    pub traffic: Bytes,
}

/// A unit as one power mode runs it.
#[derive(Debug, Clone, Copy)]
pub struct Roof<'a> {
    parameters: &'a Parameters,
    unit: &'a UnitParameters,
    precision: Precision,
    peak: OpsPerSecond,
    bandwidth: BytesPerSecond,
    clock_share: f64,
}

impl<'a> Roof<'a> {
    /// The roof of `unit` in `mode` at the unit's own precision; `None` without parameters or peak.
    #[must_use]
    pub fn new(
        parameters: &'a Parameters,
        profile: &Profile,
        unit: &Unit,
        mode: &Mode,
        setting: ModeUnit,
    ) -> Option<Self> {
        let fitted = parameters.unit(profile, unit.kind)?;
        Self::fitted(parameters, fitted, profile, unit, mode, setting, unit.precision)
    }

    /// The same with given efficiencies and at another precision, for comparison with measurements.
    #[must_use]
    pub fn fitted(
        parameters: &'a Parameters,
        fitted: &'a UnitParameters,
        profile: &Profile,
        unit: &Unit,
        mode: &Mode,
        setting: ModeUnit,
        precision: Precision,
    ) -> Option<Self> {
        let peak = *unit.peak.get(&precision)?;
        let clock_share = setting.clock / unit.max_clock;
        let core_share = match (setting.cores, unit.cores) {
            (Some(on), Some(all)) if all > 0 => f64::from(on) / f64::from(all),
            _ => 1.0,
        };
        Some(Self {
            parameters,
            unit: fitted,
            precision,
            peak: peak * (clock_share * core_share),
            bandwidth: mode.memory_bandwidth * profile.usable_bandwidth,
            clock_share,
        })
    }

    /// Cost of one block.
    #[must_use]
    pub fn block(&self, block: &Block) -> BlockCost {
        let mut cost = BlockCost::default();
        for op in &block.ops {
            let traffic = self.precision.resize(op.traffic) * self.parameters.fused(op.kind);
            let compute = op.flops / (self.peak * self.unit.compute(op.kind));
            let memory = traffic / (self.bandwidth * self.unit.memory);
            let overhead = if launches(op.kind) {
                f64::from(op.count) * self.unit.op_overhead_us / 1000.0 / self.clock_share
            } else {
                0.0
            };
            cost.time += compute.max(memory) + Millis::new(overhead);
            if memory > compute {
                cost.memory_bound += memory;
            }
            cost.traffic += traffic;
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{block, flat_parameters, toy_profile};

    /// gpu: 1 Top/s fp16, η = 0.5; 10 GB/s, 0.8 usable, μ = 0.5; no operator overhead.
    #[test]
    fn agrees_with_hand_computed_values() {
        let parameters = flat_parameters(0.5, 0.5, 0.0);
        let profile = toy_profile();
        let mode = &profile.modes[0];
        let roof = Roof::new(&parameters, &profile, &profile.units[0], mode, mode.units[0].unwrap()).unwrap();
        // 1 Gop / (0.5 · 1 Top/s) = 2 ms; 4 MB fp32 = 2 MB fp16 / (0.5 · 8 GB/s) = 0.5 ms.
        let cost = roof.block(&block(1e9, 4e6));
        assert!((cost.time.get() - 2.0).abs() < 1e-12);
        assert_eq!(cost.memory_bound, Millis::ZERO);
        assert_eq!(cost.traffic, Bytes::new(2e6));
        // 32 MB fp32 = 16 MB / 4 GB/s = 4 ms > 2 ms.
        let cost = roof.block(&block(1e9, 32e6));
        assert!((cost.time.get() - 4.0).abs() < 1e-12);
        assert!((cost.memory_bound.get() - 4.0).abs() < 1e-12);
        // Half the clock and half the cores: a quarter of the peak, 8 ms.
        let setting = profile.modes[1].units[0].unwrap();
        let slow = Roof::new(&parameters, &profile, &profile.units[0], &profile.modes[1], setting).unwrap();
        assert!((slow.block(&block(1e9, 4e6)).time.get() - 8.0).abs() < 1e-12);
    }

    #[test]
    fn operator_overhead_counts_launching_operators_at_the_clock() {
        let parameters = flat_parameters(0.5, 0.5, 10.0);
        let profile = toy_profile();
        let mode = &profile.modes[1];
        let roof = Roof::new(&parameters, &profile, &profile.units[0], mode, mode.units[0].unwrap()).unwrap();
        // One convolution at half clock: 8 ms + 10 µs · 2.
        assert!((roof.block(&block(1e9, 4e6)).time.get() - 8.02).abs() < 1e-12);
    }
}
