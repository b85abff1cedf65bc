//! What boards taught about predictions, one row for each fleet.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, time};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

/// What a fleet's boards taught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration {
    /// When it was written.
    pub at: Timestamp,
    /// The newest state, as its own document.
    pub learnt: Vec<u8>,
    /// The state that the fleet's options were last priced with; `None`: never yet.
    pub used: Option<Vec<u8>>,
}

impl Tx<'_> {
    /// Stores what a fleet's boards taught, in place of what was stored before.
    ///
    /// # Errors
    /// SQLite's; a fleet that is not there breaks a foreign key.
    pub fn set_calibration(&self, fleet: i64, calibration: &Calibration) -> Result<(), StoreError> {
        self.sql
            .prepare_cached(
                "INSERT INTO calibrations (fleet, at, learnt, used) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (fleet) DO UPDATE SET at = ?2, learnt = ?3, used = ?4",
            )?
            .execute(params![fleet, micros(calibration.at), calibration.learnt, calibration.used])?;
        Ok(())
    }
}

impl View<'_> {
    /// What a fleet's boards taught, if anything was stored.
    ///
    /// # Errors
    /// SQLite's.
    pub fn calibration(&self, fleet: i64) -> Result<Option<Calibration>, StoreError> {
        let mut query =
            self.sql.prepare_cached("SELECT at, learnt, used FROM calibrations WHERE fleet = ?1")?;
        Ok(query.query_row([fleet], read).optional()?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Calibration> {
    Ok(Calibration { at: time(row, "at")?, learnt: row.get("learnt")?, used: row.get("used")? })
}
