//! Row (4): memory of a device, weights that tenants share counted once.

use super::plan::Plan;
use super::tally::{Row, Tally};
use ecomap_instances::ids::WeightIx;
use ecomap_instances::units::Bytes;
use std::collections::BTreeSet;

/// Checks the row; returns the memory per device.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) -> Vec<Bytes> {
    let instance = plan.instance;
    let mut own = vec![Bytes::ZERO; instance.devices.len()];
    let mut weights: Vec<BTreeSet<WeightIx>> = vec![BTreeSet::new(); instance.devices.len()];
    for (_, place) in plan.hosted() {
        own[place.device.at()] += place.host.memory;
        weights[place.device.at()].extend(&place.host.weights);
    }
    let used: Vec<Bytes> = own
        .into_iter()
        .zip(&weights)
        .map(|(own, sets)| own + sets.iter().map(|w| instance.weights[w.at()].bytes).sum())
        .collect();
    for (device, used) in instance.devices.iter().zip(&used) {
        let limit = instance.classes[device.class.at()].memory;
        tally.at_most(Row::Memory, used.get(), limit.get(), || format!("device {}", device.id));
    }
    used
}
