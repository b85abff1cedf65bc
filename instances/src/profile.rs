//! Hardware profiles: what a board can do, in which power mode, at what cost.

use crate::family::OpKind;
use crate::ids::{ModeId, ProfileId, UnitId};
use crate::units::{Bytes, BytesPerSecond, Hertz, Millis, OpsPerSecond, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Kind of compute unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum UnitKind {
    Gpu,
    Dla,
    Cpu,
}

impl UnitKind {
    /// Lower-case name, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Dla => "dla",
            Self::Cpu => "cpu",
        }
    }
}

/// Number format of weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Precision {
    Fp32,
    Fp16,
    Int8,
}

impl Precision {
    /// Bytes of one element.
    #[must_use]
    pub const fn element_bytes(self) -> f64 {
        match self {
            Self::Fp32 => 4.0,
            Self::Fp16 => 2.0,
            Self::Int8 => 1.0,
        }
    }

    /// Lower-case name, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }

    /// Size of an fp32 tensor in this format.
    #[must_use]
    pub fn resize(self, fp32: Bytes) -> Bytes {
        fp32 * (self.element_bytes() / 4.0)
    }
}

/// One compute unit at its highest clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Name, unique in the profile.
    pub id: UnitId,
    /// Kind.
    pub kind: UnitKind,
    /// The precision that tenants run at on this unit.
    pub precision: Precision,
    /// Cores, for CPU clusters.
    pub cores: Option<u32>,
    /// Clock at which [`Unit::peak`] holds.
    pub max_clock: Hertz,
    /// Dense peak arithmetic rates.
    pub peak: BTreeMap<Precision, OpsPerSecond>,
    /// Operators it runs natively; a block with another operator cannot be placed here.
    pub ops: BTreeSet<OpKind>,
    /// Launch cost of one segment.
    pub fixed_overhead: Millis,
}

/// A compute unit within a power mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModeUnit {
    /// Clock in this mode.
    pub clock: Hertz,
    /// Extra draw at full utilisation, the memory traffic it causes included.
    pub dynamic: Watts,
    /// Cores online, where fewer than the unit has.
    pub cores: Option<u32>,
}

/// A documented power mode (`nvpmodel`).
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// Name, unique in the profile.
    pub id: ModeId,
    /// Number that `nvpmodel -m` takes.
    pub nvpmodel: Option<u32>,
    /// Power budget of the mode, for the module.
    pub budget: Watts,
    /// Part of [`Mode::idle`] that lies outside the module, and so outside its budget: carrier
    /// board, fan, supply loss. The budget of the whole board is `budget + carrier`.
    pub carrier: Watts,
    /// Draw of the whole board with nothing running.
    pub idle: Watts,
    /// Memory bandwidth in this mode.
    pub memory_bandwidth: BytesPerSecond,
    /// Per unit of the profile, in its order; `None` when the mode switches it off.
    pub units: Vec<Option<ModeUnit>>,
}

/// Cost of handing a tensor from one unit to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Fixed part.
    pub latency: Millis,
    /// Copy rate.
    pub bandwidth: BytesPerSecond,
}

/// A board type.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Name, unique in the catalogue.
    pub id: ProfileId,
    /// Human name.
    pub name: String,
    /// `jetson` or `host`.
    pub kind: String,
    /// Memory shared by all units.
    pub memory: Bytes,
    /// Part of it that the system keeps.
    pub reserved: Bytes,
    /// Share of the peak memory bandwidth that streams reach.
    pub usable_bandwidth: f64,
    /// Compute units.
    pub units: Vec<Unit>,
    /// Cost of crossing units.
    pub transfer: Transfer,
    /// Power modes.
    pub modes: Vec<Mode>,
}

impl Mode {
    /// Power budget of the whole board: the module's, and what lies outside the module.
    #[must_use]
    pub fn board_budget(&self) -> Watts {
        self.budget + self.carrier
    }
}

impl Profile {
    /// Memory that models may use.
    #[must_use]
    pub fn available_memory(&self) -> Bytes {
        self.memory - self.reserved
    }

    /// Position of the mode named `id`.
    #[must_use]
    pub fn mode_position(&self, id: &str) -> Option<usize> {
        self.modes.iter().position(|m| m.id.as_str() == id)
    }

    /// Position of the unit named `id`.
    #[must_use]
    pub fn unit_position(&self, id: &str) -> Option<usize> {
        self.units.iter().position(|u| u.id.as_str() == id)
    }
}
