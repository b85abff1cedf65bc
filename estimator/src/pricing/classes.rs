//! Device classes: boards that no row of the model can tell apart.

use ecomap_instances::Scenario;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx, SiteIx, is_legal_id};
use ecomap_instances::instance::{ClassMode, DeviceClass, InstanceDevice};
use ecomap_instances::profile::Profile;
use ecomap_instances::units::Watts;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Boards of one profile at one site with the same modes and the same `always_on`.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Name in the instance.
    pub(crate) id: String,
    /// Where they stand.
    pub(crate) site: SiteIx,
    /// What they are.
    pub(crate) profile: Arc<Profile>,
    /// Modes allowed, positions in the profile; a class mode is a position in this list.
    pub(crate) modes: Vec<ModeIx>,
    /// Whether they must stay on.
    pub(crate) always_on: bool,
    /// The boards.
    pub(crate) devices: Vec<DeviceIx>,
}

/// Groups a scenario's devices, in order of first appearance.
pub(crate) fn groups(scenario: &Scenario) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (n, device) in scenario.devices.iter().enumerate() {
        let same = |g: &&mut Group| {
            g.site == device.site
                && g.profile.id == device.profile.id
                && g.modes == device.modes
                && g.always_on == device.always_on
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.devices.push(DeviceIx::new(n)),
            None => groups.push(Group {
                id: String::new(),
                site: device.site,
                profile: device.profile.clone(),
                modes: device.modes.clone(),
                always_on: device.always_on,
                devices: vec![DeviceIx::new(n)],
            }),
        }
    }
    let mut taken = BTreeSet::new();
    for (n, group) in groups.iter_mut().enumerate() {
        let site = scenario.sites.get(group.site.at()).map_or("", |s| s.id.as_str());
        let base = format!("{site}:{}", group.profile.id);
        let id = (1..)
            .map(|k| if k == 1 { base.clone() } else { format!("{base}-{k}") })
            .find(|id| !taken.contains(id))
            .filter(|id| is_legal_id(id))
            // Only names too long for an identifier come here.
            .unwrap_or_else(|| format!("class-{n}"));
        taken.insert(id.clone());
        group.id = id;
    }
    groups
}

/// The instance's device classes.
pub(crate) fn classes(groups: &[Group], load_cap: f64) -> Vec<DeviceClass> {
    groups
        .iter()
        .map(|g| DeviceClass {
            id: g.id.clone(),
            site: g.site,
            profile: g.profile.id.to_string(),
            units: g.profile.units.iter().map(|u| u.id.clone()).collect(),
            memory: g.profile.available_memory(),
            off: Watts::ZERO,
            always_on: g.always_on,
            devices: g.devices.clone(),
            modes: g.modes.iter().filter_map(|m| class_mode(&g.profile, *m, load_cap)).collect(),
        })
        .collect()
}

/// A mode on the basis of the whole board: idle as measured, the module's budget plus what the
/// board draws outside the module.
fn class_mode(profile: &Profile, mode: ModeIx, load_cap: f64) -> Option<ClassMode> {
    let mode = profile.modes.get(mode.at())?;
    Some(ClassMode {
        id: mode.id.clone(),
        idle: mode.idle,
        budget: mode.board_budget(),
        load_cap: mode.units.iter().map(|u| if u.is_some() { load_cap } else { 0.0 }).collect(),
        bandwidth: mode.memory_bandwidth * profile.usable_bandwidth,
    })
}

/// The instance's devices.
pub(crate) fn devices(scenario: &Scenario, groups: &[Group]) -> Vec<InstanceDevice> {
    let mut class_of = vec![ClassIx::new(0); scenario.devices.len()];
    for (c, group) in groups.iter().enumerate() {
        for d in &group.devices {
            if let Some(slot) = class_of.get_mut(d.at()) {
                *slot = ClassIx::new(c);
            }
        }
    }
    scenario
        .devices
        .iter()
        .zip(class_of)
        .map(|(d, class)| InstanceDevice { id: d.id.clone(), class })
        .collect()
}
