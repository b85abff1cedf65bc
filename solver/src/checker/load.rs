//! Row (3): the load of a compute unit stays within the cap of the mode.

use super::plan::Plan;
use super::tally::{Row, Tally};

/// Checks the row; returns the load per device and unit.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) -> Vec<Vec<f64>> {
    let instance = plan.instance;
    let mut loads: Vec<Vec<f64>> =
        instance.devices.iter().map(|d| vec![0.0; instance.classes[d.class.at()].units.len()]).collect();
    for place in plan.in_mode() {
        for (unit, load) in &place.host.load {
            loads[place.device.at()][unit.at()] += load;
        }
    }
    for ((device, mode), load) in instance.devices.iter().zip(&plan.modes).zip(&loads) {
        let Some(mode) = mode else { continue };
        let class = &instance.classes[device.class.at()];
        for ((unit, sum), cap) in class.units.iter().zip(load).zip(&class.modes[mode.at()].load_cap) {
            tally.at_most(Row::Load, *sum, *cap, || format!("unit {unit} of device {}", device.id));
        }
    }
    loads
}
