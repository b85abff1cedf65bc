//! Power modes of an emulated board: those of its profile, set at once.

use crate::emulate::runtime::lock;
use crate::emulate::world::World;
use crate::power::{PowerError, PowerModes};
use std::sync::{Arc, Mutex};

/// Sets the mode that the simulator runs in.
#[derive(Debug, Clone)]
pub struct EmulatedModes(pub(super) Arc<Mutex<World>>);

impl PowerModes for EmulatedModes {
    fn known(&self) -> Result<Vec<String>, PowerError> {
        Ok(lock(&self.0).profile.modes.iter().map(|m| m.id.to_string()).collect())
    }

    fn current(&self) -> Result<String, PowerError> {
        let world = lock(&self.0);
        let mode = world.profile.modes.get(world.mode);
        mode.map(|m| m.id.to_string()).ok_or(PowerError::Absent { what: "power mode" })
    }

    fn set(&mut self, mode: &str) -> Result<(), PowerError> {
        let mut world = lock(&self.0);
        let known = || world.profile.modes.iter().map(|m| m.id.to_string()).collect::<Vec<_>>().join(", ");
        let position = world
            .profile
            .mode_position(mode)
            .ok_or_else(|| PowerError::UnknownMode { mode: mode.to_owned(), known: known() })?;
        world.mode = position;
        Ok(())
    }
}
