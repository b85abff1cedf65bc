//! Time of one block on one compute unit: a roofline per operator class.
//!
//! For operator class k of a block, with `F_k` operations, `B_k` bytes of unfused fp32 traffic and
//! `n_k` operators, on a unit with peak `P`, usable memory bandwidth `B` and element size `e`:
//!
//! ```text
//! t_k = max( F_k / (η_k · P · (f/f_max)^γ · n/N),  m_k / (μ · B) + m_k / (q · n · f) ) + n_k · o · f_max/f
//! m_k = φ_k · B_k · e/4
//! ```
//!
//! To this the first block adds the cost of taking in the request, by the bytes of its tensor (CPUs).
//!
//! `η_k` (compute efficiency), `μ` (memory efficiency), `q` (bytes a core moves in a cycle, GPUs
//! only), `γ` (clock exponent, CPUs only; there `η_k` also grows with a layer's operations) and `o` (operator overhead) are fitted, `φ_k` (traffic
//! left after fusion) is assumed; `f/f_max` and `n/N` are the mode's clock and cores against the
//! unit's (for a GPU, cores are streaming multiprocessors). The second memory term is the way
//! between memory and the cores, which runs at their clock: the same network waits longer for the
//! same memory on a GPU with few or slow multiprocessors. The roofline is that
//! of Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009; the sum over operator
//! classes says that they do not overlap within one request.

use crate::parameters::{Parameters, UnitParameters, launches};
use ecomap_instances::family::Block;
use ecomap_instances::profile::{Mode, ModeUnit, Precision, Profile, Unit};
use ecomap_instances::units::{Bytes, BytesPerSecond, Joules, Millis, OpsPerSecond, Watts};
use std::ops::AddAssign;

/// What one block costs on one unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BlockCost {
    /// Busy time.
    pub time: Millis,
    /// Part of it that waits for memory.
    pub memory_bound: Millis,
    /// Part of it that starts operators.
    pub overhead: Millis,
    /// Bytes moved to and from memory.
    pub traffic: Bytes,
    /// Energy over idle.
    pub energy: Joules,
}

impl AddAssign for BlockCost {
    fn add_assign(&mut self, other: Self) {
        self.time += other.time;
        self.memory_bound += other.memory_bound;
        self.overhead += other.overhead;
        self.traffic += other.traffic;
        self.energy += other.energy;
    }
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
    dynamic: Watts,
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
        let stream = mode.memory_bandwidth * (profile.usable_bandwidth * fitted.memory);
        let bandwidth = match (fitted.core_bytes_per_cycle, setting.cores.or(unit.cores)) {
            (Some(bytes), Some(cores)) => {
                let cores = bytes * f64::from(cores) * setting.clock.get();
                BytesPerSecond::new(1.0 / (1.0 / stream.get() + 1.0 / cores))
            }
            _ => stream,
        };
        Some(Self {
            parameters,
            unit: fitted,
            precision,
            peak: peak * (clock_share.powf(fitted.clock_exponent) * core_share),
            bandwidth,
            clock_share,
            dynamic: setting.dynamic,
        })
    }

    /// Cost of one block.
    #[must_use]
    pub fn block(&self, block: &Block) -> BlockCost {
        let mut cost = BlockCost::default();
        let mut computing = Millis::ZERO;
        for op in &block.ops {
            let traffic = self.precision.resize(op.traffic) * self.parameters.fused(op.kind);
            let compute = op.flops
                / (self.peak * self.unit.compute_at(op.kind, op.flops.get() / f64::from(op.count.max(1))));
            let memory = traffic / self.bandwidth;
            if memory > compute {
                cost.memory_bound += memory;
            } else {
                computing += compute;
            }
            if launches(op.kind) {
                let each = self.unit.op_overhead_us / 1000.0 / self.clock_share;
                cost.overhead += Millis::new(f64::from(op.count) * each);
            }
            cost.traffic += traffic;
        }
        cost.time = computing + cost.memory_bound + cost.overhead;
        let power = &self.unit.power;
        cost.energy = power.energy(self.dynamic, computing, cost.memory_bound, cost.overhead, cost.traffic);
        cost
    }

    /// Cost of taking in a request whose fp32 input has `input` bytes, on the unit that runs the
    /// first block.
    #[must_use]
    pub fn intake(&self, input: Bytes) -> BlockCost {
        let time = Millis::new(self.unit.input_us_per_mb * input.get() / 1e9 / self.clock_share);
        BlockCost { time, overhead: time, energy: self.starting(time), ..BlockCost::default() }
    }

    /// Energy over idle of a time in which the unit only starts work.
    #[must_use]
    pub fn starting(&self, time: Millis) -> Joules {
        self.unit.power.energy(self.dynamic, Millis::ZERO, Millis::ZERO, time, Bytes::ZERO)
    }

    /// Energy over idle of handing `bytes` on for a time: they are read and written once.
    #[must_use]
    pub fn sending(&self, time: Millis, bytes: Bytes) -> Joules {
        self.unit.power.energy(self.dynamic, Millis::ZERO, time, Millis::ZERO, bytes * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;
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
    fn the_way_to_the_cores_is_in_series_with_memory() {
        let mut parameters = flat_parameters(0.5, 0.5, 0.0);
        for u in &mut parameters.units {
            u.core_bytes_per_cycle = Some(1.0);
            u.clock_exponent = 2.0;
        }
        let profile = toy_profile();
        let roof = |mode: usize| {
            let mode = &profile.modes[mode];
            Roof::new(&parameters, &profile, &profile.units[0], mode, mode.units[0].unwrap()).unwrap()
        };
        // 16 MB at 4 GB/s of memory and 1 B · 8 cores · 1 GHz: 4 + 2 ms.
        assert!((roof(0).block(&block(1e6, 32e6)).time.get() - 6.0).abs() < 1e-9);
        // Half the clock and half the cores: 4 + 8 ms.
        assert!((roof(1).block(&block(1e6, 32e6)).time.get() - 12.0).abs() < 1e-9);
        // Arithmetic falls with the square of the clock: 2 ms · 2 · 4.
        assert!((roof(1).block(&block(1e9, 4e3)).time.get() - 16.0).abs() < 1e-9);
    }

    #[test]
    fn energy_follows_what_the_time_is_spent_on() {
        let mut parameters = flat_parameters(0.5, 0.5, 10.0);
        for u in &mut parameters.units {
            u.power = Activity { compute: 1.0, memory: 0.5, overhead: 0.25, joules_per_byte: 1e-10 };
        }
        let profile = toy_profile();
        let mode = &profile.modes[0];
        let roof = Roof::new(&parameters, &profile, &profile.units[0], mode, mode.units[0].unwrap()).unwrap();
        // 2 ms of arithmetic and 10 µs of overhead at 20 W, 2 MB.
        let compute = roof.block(&block(1e9, 4e6));
        assert!((compute.energy.get() - (20.0 * (2e-3 + 0.25e-5) + 2e-4)).abs() < 1e-9);
        // 4 ms of memory, 16 MB.
        let memory = roof.block(&block(1e9, 32e6));
        assert!((memory.energy.get() - (20.0 * (2e-3 + 0.25e-5) + 1.6e-3)).abs() < 1e-9);
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
