//! Power that a busy unit draws, by what keeps it busy.
//!
//! A profile states one figure for a unit at full load, `W`. What the unit really draws depends on
//! what it waits for. A block's time splits into a part bound by arithmetic, a part bound by
//! memory, and the overhead of starting operators (clocks on, little switching); its energy over
//! idle is
//!
//! ```text
//! E = W · ( α_c · t_compute + α_m · t_memory + α_o · t_overhead ) + ε · bytes
//! ```
//!
//! with shares `α` fitted for each kind of unit, generation and runtime, and `ε` the energy of
//! moving a byte through memory. The sum is additive over blocks, and no term is negative.

use ecomap_instances::units::{Bytes, Joules, Millis, Watts};
use serde::{Deserialize, Serialize};

/// Shares of a unit's full-load power, and the energy of memory traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// Share while arithmetic sets the pace.
    pub compute: f64,
    /// Share while memory does.
    pub memory: f64,
    /// Share while operators and segments are started.
    pub overhead: f64,
    /// Joules for each byte moved to or from memory, at the wall.
    pub joules_per_byte: f64,
}

impl Activity {
    /// Full power whenever the unit is busy.
    pub const FULL: Self = Self { compute: 1.0, memory: 1.0, overhead: 1.0, joules_per_byte: 0.0 };

    /// Energy over idle; `full` is the unit's power at full load.
    #[must_use]
    pub fn energy(
        &self,
        full: Watts,
        compute: Millis,
        memory: Millis,
        overhead: Millis,
        traffic: Bytes,
    ) -> Joules {
        full * (compute * self.compute + memory * self.memory + overhead * self.overhead)
            + Joules::new(self.joules_per_byte * traffic.get())
    }

    /// Whether every number is in range: shares from 0 to 4, at most 1 nJ a byte.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let share = |x: f64| (0.0..=4.0).contains(&x);
        share(self.compute)
            && share(self.memory)
            && share(self.overhead)
            && (0.0..=1e-9).contains(&self.joules_per_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_by_hand() {
        let a = Activity { compute: 1.2, memory: 0.5, overhead: 0.25, joules_per_byte: 1e-10 };
        // 20 W · (2.4 + 0.5 + 0.5) ms + 1e8 B · 1e-10 J/B.
        let ms = Millis::new;
        let e = a.energy(Watts::new(20.0), ms(2.0), ms(1.0), ms(2.0), Bytes::new(1e8));
        assert!((e.get() - (20.0 * 3.4e-3 + 0.01)).abs() < 1e-12);
    }

    #[test]
    fn full_activity_is_power_times_time() {
        let ms = Millis::new;
        let e = Activity::FULL.energy(Watts::new(3.0), ms(1.0), ms(2.0), ms(3.0), Bytes::new(1e9));
        assert!((e.get() - 0.018).abs() < 1e-12);
    }

    #[test]
    fn refuses_negative_shares_and_nan() {
        assert!(Activity::FULL.is_sound());
        assert!(!Activity { memory: -0.1, ..Activity::FULL }.is_sound());
        assert!(!Activity { joules_per_byte: f64::NAN, ..Activity::FULL }.is_sound());
    }
}
