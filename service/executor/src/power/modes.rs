//! Power modes of a board.

use crate::power::PowerError;
use std::fmt::Debug;

/// Reads and sets the power mode. Methods block for as long as a command takes.
pub trait PowerModes: Send + Debug {
    /// The modes that this board has.
    ///
    /// # Errors
    /// When they cannot be read.
    fn known(&self) -> Result<Vec<String>, PowerError>;

    /// The mode in force.
    ///
    /// # Errors
    /// When it cannot be read.
    fn current(&self) -> Result<String, PowerError>;

    /// Sets a mode, and makes sure that it is in force.
    ///
    /// # Errors
    /// [`PowerError::UnknownMode`], [`PowerError::NeedsReboot`], or what kept it from being set. Unless the error is
    /// [`PowerError::NotInForce`], the old mode is in force.
    fn set(&mut self, mode: &str) -> Result<(), PowerError>;
}

/// A machine whose power nobody sets: one mode, always in force.
#[derive(Debug, Clone)]
pub struct Fixed(String);

impl Fixed {
    /// The one mode.
    #[must_use]
    pub fn new(mode: impl Into<String>) -> Self {
        Self(mode.into())
    }
}

impl PowerModes for Fixed {
    fn known(&self) -> Result<Vec<String>, PowerError> {
        Ok(vec![self.0.clone()])
    }

    fn current(&self) -> Result<String, PowerError> {
        Ok(self.0.clone())
    }

    fn set(&mut self, mode: &str) -> Result<(), PowerError> {
        if mode == self.0 {
            return Ok(());
        }
        Err(PowerError::UnknownMode { mode: mode.to_owned(), known: self.0.clone() })
    }
}
