//! What a power source says.

use crate::power::Fault;
use ecomap_instances::units::{Joules, Watts};
use std::time::Duration;

/// How a number came about. It goes with the number wherever that is sent or shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Read from a sensor of this machine.
    Measured,
    /// Computed from the hardware profile and from how long units were busy.
    Modelled,
    /// Computed by the simulator of a board that is not there.
    Emulated,
}

impl Origin {
    /// Lower-case name, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Modelled => "modelled",
            Self::Emulated => "emulated",
        }
    }
}

/// What the total of a source covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The module of a Jetson, without what lies outside it.
    Module,
    /// The whole board.
    Board,
    /// The processors of a host, or all of it where it counts that.
    Packages,
}

impl Scope {
    /// Lower-case name, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Board => "board",
            Self::Packages => "packages",
        }
    }
}

/// A sensor tells power, a counter energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// Draw at the time of the reading.
    Power(Watts),
    /// Energy since the source was opened; never falls.
    Energy(Joules),
}

/// One rail of a reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Rail {
    /// Name, as the board's documentation has it.
    pub name: String,
    /// What it said.
    pub quantity: Quantity,
}

/// Everything that a source said at one time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Rails, in a fixed order. Those that could not be read are absent and have a fault.
    pub rails: Vec<Rail>,
    /// Draw of the whole as far as the source covers it (the module of a Jetson, the packages of a
    /// host). `None` where a rail that belongs to it is missing: a sum that lacks a part is no total.
    pub total: Option<Quantity>,
    /// What was wrong.
    pub faults: Vec<Fault>,
    /// When it was read, where the source keeps the time itself; `None`: when it was asked.
    pub at: Option<Duration>,
}

/// What the board has been doing, for sources that compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity<'a> {
    /// Time since the agent began.
    pub at: Duration,
    /// Busy time of each unit of the profile since the agent began, in its order.
    pub busy: &'a [Duration],
    /// Power mode in force, by its position in the profile; `None`: not known.
    pub mode: Option<usize>,
}
