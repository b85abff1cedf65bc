//! Runs with measured power, and the full-load power of a unit at clocks that no mode has.

use super::sample::{Half, Place, Sample};
use ecomap_instances::profile::UnitKind;
use ecomap_instances::units::Watts;

/// Exponent of a busy GPU's or DLA's dynamic power over its clock, as in the hardware profiles.
const POWER_EXPONENT: f64 = 1.4;

/// A run whose power was measured at the wall.
#[derive(Debug, Clone)]
pub struct PowerRow {
    /// What ran where.
    pub sample: Sample,
    /// Board and round: two boards of one type may idle watts apart.
    pub board: String,
    /// Full-load power of the DLAs that ran beside the sample's unit, which was then busy with
    /// batches; zero when it ran alone.
    pub beside: Watts,
    /// Mean watts at the wall under load.
    pub wall: f64,
    /// Mean watts in the five seconds before the load.
    pub before: f64,
    /// Half of the data, which need not be that of the latency.
    pub half: Half,
}

impl Place {
    /// The profile's dynamic power in the mode; a GPU or DLA at a clock that no mode has is scaled from
    /// the profile's top clock by the law that the profiles state.
    pub(super) fn dynamic(&self) -> Watts {
        let named = self
            .mode
            .units
            .iter()
            .zip(&self.profile.units)
            .any(|(s, u)| u.kind == self.unit.kind && s.is_some_and(|s| s.clock == self.setting.clock));
        if named || self.unit.kind == UnitKind::Cpu {
            return self.setting.dynamic;
        }
        let top = self
            .profile
            .modes
            .iter()
            .filter_map(|m| {
                m.units.iter().zip(&self.profile.units).find(|(_, u)| u.kind == self.unit.kind)?.0.as_ref()
            })
            .map(|s| (s.clock, s.dynamic))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        top.map_or(self.setting.dynamic, |(clock, watts)| {
            watts * (self.setting.clock / clock).powf(POWER_EXPONENT)
        })
    }
}
