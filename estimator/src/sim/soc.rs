//! One board in one power mode, as numbers.

use super::contention::Curve;
use crate::coexecution::Coexecution;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::{Profile, UnitKind};

/// How a unit serves several tenants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Discipline {
    /// One segment after another, in the order of arrival (a DLA runs a loadable to its end).
    Fifo,
    /// Time slices in turn, between tenants that have work (GPU streams, CPU clusters).
    RoundRobin {
        /// Length of a slice, ms.
        quantum_ms: f64,
        /// Cost of turning to another tenant, ms.
        switch_ms: f64,
    },
}

/// A compute unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SocUnit {
    /// Kind.
    pub kind: UnitKind,
    /// How it serves several tenants.
    pub discipline: Discipline,
    /// What others' memory traffic costs it.
    pub curve: Curve,
    /// Share of its dynamic power that it draws while it waits for memory.
    pub stall_power: f64,
}

/// A board in a mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Soc {
    /// Units in the profile's order, those that the mode switches off included.
    pub units: Vec<SocUnit>,
    /// Bandwidth that memory delivers, bytes per ms.
    pub bandwidth: f64,
    /// Draw with nothing running, W.
    pub idle_w: f64,
    /// Draw at which clocks are lowered, W: the mode's budget for the whole board.
    pub limit_w: f64,
}

/// Lowest share of the clock to which the limit throttles.
pub const MIN_THROTTLE: f64 = 0.2;

impl Soc {
    /// The board of `profile`, of hardware generation `generation`, in `mode`; `None` for a mode
    /// that it lacks.
    #[must_use]
    pub fn new(rules: &Coexecution, generation: &str, profile: &Profile, mode: ModeIx) -> Option<Self> {
        let setting = profile.modes.get(mode.at())?;
        let units = profile
            .units
            .iter()
            .map(|u| {
                let rule = rules.unit(generation, u.kind);
                SocUnit {
                    kind: u.kind,
                    discipline: match u.kind {
                        UnitKind::Dla => Discipline::Fifo,
                        UnitKind::Gpu | UnitKind::Cpu => {
                            Discipline::RoundRobin { quantum_ms: rule.quantum_ms, switch_ms: rule.switch_ms }
                        }
                    },
                    curve: rule.curve(),
                    stall_power: rule.stall_power,
                }
            })
            .collect();
        Some(Self {
            units,
            bandwidth: setting.memory_bandwidth.get() * profile.usable_bandwidth / 1000.0,
            idle_w: setting.idle.get(),
            limit_w: setting.board_budget().get().max(setting.idle.get()),
        })
    }

    /// Share of the clock at which a board with `dynamic_w` above idle keeps its limit.
    #[must_use]
    pub fn throttle(&self, dynamic_w: f64) -> f64 {
        if self.idle_w + dynamic_w <= self.limit_w {
            1.0
        } else {
            ((self.limit_w - self.idle_w) / dynamic_w).max(MIN_THROTTLE)
        }
    }
}
