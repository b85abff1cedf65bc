//! One measurement and the prediction that belongs to it.

use crate::parameters::{Parameters, UnitParameters};
use crate::roofline::{BlockCost, Roof};
use ecomap_instances::Catalog;
use ecomap_instances::family::Block;
use ecomap_instances::profile::{Mode, ModeUnit, Precision, Profile, Unit, UnitKind};
use ecomap_instances::units::{BytesPerSecond, Hertz};
use std::fmt;
use std::sync::Arc;

/// Samples that share one set of parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Hardware generation, as in the parameters file.
    pub generation: &'static str,
    /// Unit kind.
    pub kind: UnitKind,
    /// Runtime.
    pub runtime: &'static str,
}

impl Group {
    /// The group's own parameters.
    #[must_use]
    pub fn unit<'a>(&self, parameters: &'a Parameters) -> Option<&'a UnitParameters> {
        parameters
            .units
            .iter()
            .find(|u| u.kind == self.kind && u.generation == self.generation && u.runtime == self.runtime)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.generation, self.kind.as_str(), self.runtime)
    }
}

/// Which half of the data a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Parameters are fitted on it.
    Fit,
    /// Errors are shown on it.
    Check,
}

impl Half {
    /// By the lowest bit of the 64-bit FNV-1a hash of a name, so that the split depends on nothing
    /// else.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The lowest bit of FNV-1a is a parity of the input; a higher one is better mixed.
        if (hash >> 17) & 1 == 0 { Self::Fit } else { Self::Check }
    }
}

/// A measured latency of one request.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Parameters that apply.
    pub group: Group,
    /// Board, as in the catalogue.
    pub profile: Arc<Profile>,
    /// Board and mode for people.
    pub device: String,
    /// Network, for people and for the split.
    pub network: String,
    /// Precision that was run.
    pub precision: Precision,
    /// What was run.
    pub blocks: Arc<Vec<Block>>,
    /// The unit, possibly several clusters taken together.
    pub unit: Unit,
    /// The setting.
    pub setting: ModeUnit,
    /// Mode with the memory bandwidth that applied.
    pub mode: Mode,
    /// Whether launching a segment is part of what was measured.
    pub launch: bool,
    /// Milliseconds.
    pub measured: f64,
    /// Half of the data.
    pub half: Half,
}

impl Sample {
    /// Predicted milliseconds; `None` when the parameters lack the unit or precision.
    #[must_use]
    pub fn predict(&self, parameters: &Parameters) -> Option<f64> {
        self.predict_with(parameters, self.group.unit(parameters)?)
    }

    /// The same with the unit parameters given.
    #[must_use]
    pub fn predict_with(&self, parameters: &Parameters, unit: &UnitParameters) -> Option<f64> {
        Some(self.cost_with(parameters, unit)?.time.get())
    }

    /// The whole cost of the request, launch included; the clock and cores are those of the sample.
    #[must_use]
    pub fn cost_with(&self, parameters: &Parameters, unit: &UnitParameters) -> Option<BlockCost> {
        let roof = Roof::fitted(
            parameters,
            unit,
            &self.profile,
            &self.unit,
            &self.mode,
            self.setting,
            self.precision,
        )?;
        let mut sum = self.blocks.first().map_or_else(BlockCost::default, |b| roof.intake(b.input));
        for block in self.blocks.iter() {
            sum += roof.block(block);
        }
        if self.launch {
            let launch = self.unit.fixed_overhead;
            sum.time += launch;
            sum.overhead += launch;
            sum.energy += roof.starting(launch);
        }
        Some(sum)
    }
}

/// A unit of a board as a measurement ran it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) profile: Arc<Profile>,
    pub(super) unit: Unit,
    pub(super) setting: ModeUnit,
    pub(super) mode: Mode,
}

impl Place {
    /// The first unit of a kind in a mode of a profile; for CPUs all clusters that the mode keeps
    /// on, taken as one.
    pub(super) fn new(profile: &str, mode: &str, kind: UnitKind) -> Option<Self> {
        let profile = Catalog::embedded().ok()?.profile(profile)?.clone();
        let mode = profile.modes.get(profile.mode_position(mode)?)?.clone();
        let mut on = profile
            .units
            .iter()
            .zip(&mode.units)
            .filter(|(u, _)| u.kind == kind)
            .filter_map(|(u, s)| s.map(|s| (u.clone(), s)));
        let (mut unit, mut setting) = on.next()?;
        if kind == UnitKind::Cpu {
            for (more, also) in on {
                for (precision, peak) in &mut unit.peak {
                    if let Some(extra) = more.peak.get(precision) {
                        *peak += *extra;
                    }
                }
                let online = setting.cores.or(unit.cores).zip(also.cores.or(more.cores));
                setting.cores = online.map(|(a, b)| a + b);
                unit.cores = unit.cores.zip(more.cores).map(|(a, b)| a + b);
                setting.dynamic += also.dynamic;
            }
        }
        Some(Self { profile, unit, setting, mode })
    }

    /// The same at another clock and, if given, memory clock.
    pub(super) fn clocked(mut self, clock_hz: f64, memory_share: Option<f64>) -> Self {
        self.setting.clock = Hertz::new(clock_hz);
        self.setting.dynamic = self.dynamic();
        if let Some(share) = memory_share {
            let top = self.profile.modes.iter().map(|m| m.memory_bandwidth.get()).fold(0.0, f64::max);
            self.mode.memory_bandwidth = BytesPerSecond::new(top * share);
        }
        self
    }

    /// The same with another number of cores online.
    pub(super) fn with_cores(mut self, cores: u32) -> Self {
        self.setting.cores = Some(cores);
        self
    }

    /// A sample here.
    pub(super) fn sample(
        &self,
        group: &Group,
        device: impl Into<String>,
        network: impl Into<String>,
        precision: Precision,
        blocks: &Arc<Vec<Block>>,
        measured: f64,
    ) -> Sample {
        let network = network.into();
        Sample {
            group: group.clone(),
            profile: self.profile.clone(),
            device: device.into(),
            half: Half::of(&network),
            network,
            precision,
            blocks: blocks.clone(),
            unit: self.unit.clone(),
            setting: self.setting,
            mode: self.mode.clone(),
            launch: true,
            measured,
        }
    }
}

impl Sample {
    /// In a stated half.
    pub(super) fn in_half(mut self, half: Half) -> Self {
        self.half = half;
        self
    }
}
