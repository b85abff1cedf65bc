//! Row (2): a tenant runs in the mode that its device is in; a device is in at most one mode, and
//! in exactly one when it must stay on.

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::ids::ModeIx;
use ecomap_instances::instance::Instance;
use ecomap_instances::plan::Assignment;

/// The modes that exist, per device of the instance; (2b).
pub(super) fn read(instance: &Instance, assignment: &Assignment, tally: &mut Tally) -> Vec<Option<ModeIx>> {
    let count = instance.devices.len();
    let mut modes = Vec::with_capacity(count);
    for (d, device) in instance.devices.iter().enumerate() {
        let class = &instance.classes[device.class.at()];
        let read = match assignment.modes.get(d).copied() {
            None => Err("is missing from the plan"),
            Some(Some(mode)) if mode.at() >= class.modes.len() => Err("is in a mode that it does not have"),
            Some(None) if class.always_on => Err("is off and must stay on"),
            Some(mode) => Ok(mode),
        };
        tally.holds(Row::Mode, read.is_ok(), || {
            format!("device {} {}", device.id, read.err().unwrap_or_default())
        });
        modes.push(read.ok().flatten());
    }
    for extra in count..assignment.modes.len() {
        tally.holds(Row::Mode, false, || format!("mode {extra} is for no device"));
    }
    modes
}

/// (2a).
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) {
    for (tenant, place) in plan.hosted() {
        let mode = plan.modes[place.device.at()];
        tally.holds(Row::Mode, mode == Some(place.host.mode), || {
            let device = &plan.instance.devices[place.device.at()];
            let modes = &plan.instance.classes[device.class.at()].modes;
            let actual = mode.map_or("off", |m| modes[m.at()].id.as_str());
            let needed = &modes[place.host.mode.at()].id;
            format!("tenant {} needs device {} in mode {needed}; it is {actual}", tenant.id, device.id)
        });
    }
}
