//! Cuts: combinations of choices that the joint predictor refuses.

use super::oracle::boards;
use super::port::Board;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx, OptionIx, SiteIx, TenantIx};
use ecomap_instances::plan::Assignment;

/// How it is known that a lifted cut excludes refused boards only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// The predictor guarantees that one more tenant helps nobody.
    Guaranteed,
    /// Every board that the cut excludes was predicted and refused.
    Exhaustive,
}

/// Choices on one board of a class in one mode: one of the options of every member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) class: ClassIx,
    pub(crate) mode: ModeIx,
    /// Tenants with options, ascending; empty for a board that is on and runs nothing.
    pub(crate) members: Vec<(TenantIx, Vec<OptionIx>)>,
}

impl Group {
    /// The very choices of a board.
    pub(crate) fn of(board: &Board) -> Self {
        Self {
            class: board.class,
            mode: board.mode,
            members: board.picks.iter().map(|(t, o)| (*t, vec![*o])).collect(),
        }
    }

    /// Whether a board makes one of the choices of every member.
    pub(crate) fn within(&self, board: &Board) -> bool {
        self.class == board.class
            && self.mode == board.mode
            && self
                .members
                .iter()
                .all(|(tenant, options)| board.picks.iter().any(|(t, o)| t == tenant && options.contains(o)))
    }
}

/// One cut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cut {
    /// No board of the class in the mode may make a choice of every member, whatever else it runs.
    Lifted { group: Group, evidence: Evidence },
    /// No board of the class may be in exactly this state.
    NoGood(Board),
    /// The groups may not all be at the site at once while its cap is `cap` or lower. `exact`: only
    /// when nothing else is on there; otherwise `evidence` says why more cannot help.
    Site {
        site: SiteIx,
        cap: f64,
        groups: Vec<Group>,
        /// The boards that were seen so; identical ones are meant as well, as far as `tuples` goes.
        devices: Vec<DeviceIx>,
        exact: bool,
        evidence: Evidence,
    },
}

impl Cut {
    /// Whether the cut holds for the caps of `instance`.
    pub(crate) fn applies(&self, instance: &Instance) -> bool {
        match self {
            Self::Lifted { .. } | Self::NoGood(_) => true,
            Self::Site { site, cap, .. } => {
                instance.sites[site.at()].cap.is_some_and(|now| now.get() <= *cap)
            }
        }
    }

    /// Whether a plan keeps it.
    pub(crate) fn keeps(&self, instance: &Instance, plan: &Assignment) -> bool {
        let used = boards(instance, plan);
        match self {
            Self::Lifted { group, .. } => !used.iter().any(|(_, b)| group.within(b)),
            Self::NoGood(board) => !used.iter().any(|(_, b)| b == board),
            Self::Site { site, groups, devices, exact, .. } => {
                let here: Vec<usize> = (0..instance.devices.len())
                    .filter(|d| instance.class_of(DeviceIx::new(*d)).site == *site)
                    .collect();
                tuples(instance, groups, devices).iter().all(|devices| {
                    let matched = groups.iter().zip(devices).all(|(g, d)| fits(g, *d, plan, &used, *exact));
                    let rest = here.iter().filter(|d| !devices.iter().any(|x| x.at() == **d));
                    let quiet = !*exact || rest.into_iter().all(|d| plan.modes[*d].is_none());
                    !(matched && quiet)
                })
            }
        }
    }
}

fn fits(group: &Group, device: DeviceIx, plan: &Assignment, used: &[(DeviceIx, Board)], exact: bool) -> bool {
    let on = plan.modes.get(device.at()).copied().flatten() == Some(group.mode);
    match used.iter().find(|(d, _)| *d == device) {
        None => on && group.members.is_empty(),
        Some((_, board)) => group.within(board) && on && (!exact || board.picks.len() == group.members.len()),
    }
}

/// Most ways to name identical boards that a cut of a site is written for.
const TUPLES: usize = 24;

/// Ways to give each group a board of its class: the one that was seen, then others, at most
/// [`TUPLES`]. A cut over fewer ways than there are is valid; the others wait to be seen.
pub(crate) fn tuples(instance: &Instance, groups: &[Group], seen: &[DeviceIx]) -> Vec<Vec<DeviceIx>> {
    let mut all: Vec<Vec<DeviceIx>> = vec![Vec::new()];
    for group in groups {
        let mut next = Vec::new();
        for chosen in &all {
            for device in &instance.classes[group.class.at()].devices {
                if !chosen.contains(device) && next.len() < TUPLES * TUPLES {
                    let mut more = chosen.clone();
                    more.push(*device);
                    next.push(more);
                }
            }
        }
        all = next;
    }
    all.retain(|devices| devices != seen);
    all.insert(0, seen.to_vec());
    all.truncate(TUPLES);
    all
}
