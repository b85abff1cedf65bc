//! Row (6): power of a device within its mode's budget (6a), of a site within its cap (6b).

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::units::Watts;

/// Power by device and by site.
#[derive(Debug)]
pub(super) struct Power {
    /// Per device: idle or off draw, plus the draw of its tenants.
    pub(super) devices: Vec<Watts>,
    /// Per site: S_s, the left-hand side of (6b).
    pub(super) sites: Vec<Watts>,
}

/// Checks the rows.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) -> Power {
    let instance = plan.instance;
    let mut in_mode = vec![Watts::ZERO; instance.devices.len()];
    for place in plan.in_mode() {
        in_mode[place.device.at()] += place.host.dynamic;
    }
    let mut devices = Vec::with_capacity(instance.devices.len());
    for ((device, mode), dynamic) in instance.devices.iter().zip(&plan.modes).zip(&in_mode) {
        let class = &instance.classes[device.class.at()];
        devices.push(match mode {
            None => class.off,
            Some(mode) => {
                let mode = &class.modes[mode.at()];
                let room = mode.budget - mode.idle;
                tally.at_most(Row::DevicePower, dynamic.get(), room.get(), || {
                    format!("device {}, draw of its tenants in mode {}", device.id, mode.id)
                });
                mode.idle
            }
        });
    }
    // (6b) sums over every x, in whichever mode.
    for (_, place) in plan.hosted() {
        devices[place.device.at()] += place.host.dynamic;
    }
    let mut sites = vec![Watts::ZERO; instance.sites.len()];
    for (device, watts) in instance.devices.iter().zip(&devices) {
        sites[instance.classes[device.class.at()].site.at()] += *watts;
    }
    for (site, watts) in instance.sites.iter().zip(&sites) {
        if let Some(cap) = site.cap {
            tally.at_most(Row::SitePower, watts.get(), cap.get(), || format!("site {}", site.id));
        }
    }
    Power { devices, sites }
}
