//! The part of an assignment that refers to things that exist.

use ecomap_instances::ids::{DeviceIx, ModeIx};
use ecomap_instances::instance::{Choice, Host, Instance, InstanceTenant};

/// A tenant that is served by an option that exists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Served<'a> {
    /// Whom.
    pub(super) tenant: &'a InstanceTenant,
    /// By what.
    pub(super) option: &'a Choice,
    /// Where; `None` for options without a host.
    pub(super) place: Option<Place<'a>>,
}

/// A host on a device of its class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// What it uses there.
    pub(super) host: &'a Host,
    /// The device.
    pub(super) device: DeviceIx,
}

/// A plan whose references are valid; rows may still be broken.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The instance.
    pub(super) instance: &'a Instance,
    /// Per tenant of the instance.
    pub(super) picks: Vec<Option<Served<'a>>>,
    /// Per device of the instance.
    pub(super) modes: Vec<Option<ModeIx>>,
}

impl<'a> Plan<'a> {
    /// Tenants that are served.
    pub(super) fn served(&self) -> impl Iterator<Item = &Served<'a>> {
        self.picks.iter().flatten()
    }

    /// Tenants that run on a device, in any mode.
    pub(super) fn hosted(&self) -> impl Iterator<Item = (&'a InstanceTenant, Place<'a>)> {
        self.picks.iter().flatten().filter_map(|s| Some((s.tenant, s.place?)))
    }

    /// Tenants that run on a device in the mode that it is in. The others break (2a), and are that
    /// row's affair alone: rows (3), (5) and (6a) of a mode count only what runs in it.
    pub(super) fn in_mode(&self) -> impl Iterator<Item = Place<'a>> {
        self.hosted().map(|(_, place)| place).filter(|p| self.modes[p.device.at()] == Some(p.host.mode))
    }

    /// Tenants that are shed.
    pub(super) fn shed(&self) -> impl Iterator<Item = &'a InstanceTenant> {
        self.instance.tenants.iter().zip(&self.picks).filter(|(_, pick)| pick.is_none()).map(|(t, _)| t)
    }
}
