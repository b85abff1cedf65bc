//! Power over idle of a unit that is always busy.

use super::sample::{Group, Place};
use ecomap_instances::profile::UnitKind;

/// Exponent of a busy GPU's dynamic power over its clock, as in the hardware profiles.
const GPU_POWER_EXPONENT: f64 = 1.4;

/// Predicted and measured power over idle at the wall.
#[derive(Debug, Clone)]
pub struct PowerRow {
    /// Unit kind and runtime.
    pub group: Group,
    /// Board and mode.
    pub device: String,
    /// Network.
    pub network: String,
    /// Watts: the profile's figure for a unit that is always busy.
    pub predicted: f64,
    /// Watts under load less watts before it.
    pub measured: f64,
}

impl Place {
    /// The profile's dynamic power in the mode; a GPU at a clock that no mode has is scaled from
    /// the profile's top clock by the law that the profiles state.
    pub(super) fn dynamic_w(&self) -> f64 {
        let named = self
            .mode
            .units
            .iter()
            .zip(&self.profile.units)
            .any(|(s, u)| u.kind == self.unit.kind && s.is_some_and(|s| s.clock == self.setting.clock));
        if named || self.unit.kind != UnitKind::Gpu {
            return self.setting.dynamic.get();
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
        top.map_or(self.setting.dynamic.get(), |(clock, watts)| {
            watts.get() * (self.setting.clock / clock).powf(GPU_POWER_EXPONENT)
        })
    }
}
