//! Row (5): memory traffic stays within the bandwidth of the mode.

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::units::BytesPerSecond;

/// Checks the row; returns the traffic per device.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) -> Vec<BytesPerSecond> {
    let instance = plan.instance;
    let mut traffic = vec![BytesPerSecond::ZERO; instance.devices.len()];
    for place in plan.in_mode() {
        traffic[place.device.at()] += place.host.bandwidth;
    }
    for ((device, mode), sum) in instance.devices.iter().zip(&plan.modes).zip(&traffic) {
        let Some(mode) = mode else { continue };
        let limit = instance.classes[device.class.at()].modes[mode.at()].bandwidth;
        tally.at_most(Row::Bandwidth, sum.get(), limit.get(), || format!("device {}", device.id));
    }
    traffic
}
