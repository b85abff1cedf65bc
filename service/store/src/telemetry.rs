//! What executors report.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time, unsigned};
use jiff::Timestamp;
use rusqlite::{Row, params};

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Rises; 0 until stored.
    pub id: u64,
    /// Of which fleet.
    pub fleet: Option<String>,
    /// Of which device.
    pub device: Option<String>,
    /// When it was taken.
    pub at: Timestamp,
    /// What it says, as JSON.
    pub body: String,
}

impl Tx<'_> {
    /// Stores a report and returns its id. The oldest ones beyond the bound go.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_telemetry(&self, row: &Telemetry) -> Result<u64, StoreError> {
        self.sql
            .prepare_cached("INSERT INTO telemetry (fleet, device, at, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![row.fleet, row.device, micros(row.at), row.body])?;
        let id = self.sql.last_insert_rowid();
        self.sql
            .prepare_cached("DELETE FROM telemetry WHERE id <= ?1")?
            .execute([id.saturating_sub(signed(self.bounds.telemetry))])?;
        Ok(u64::try_from(id).unwrap_or(0))
    }
}

impl View<'_> {
    /// Up to `most` reports of a fleet after `after`, oldest first; of one device, or of all.
    ///
    /// # Errors
    /// SQLite's.
    pub fn telemetry(
        &self,
        fleet: &str,
        device: Option<&str>,
        after: u64,
        most: u64,
    ) -> Result<Vec<Telemetry>, StoreError> {
        let rows = self
            .sql
            .prepare_cached(
                "SELECT * FROM telemetry WHERE fleet = ?1 AND (?2 IS NULL OR device = ?2) AND id > ?3
                 ORDER BY id LIMIT ?4",
            )?
            .query_map(params![fleet, device, signed(after), signed(most)], read)?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Telemetry> {
    Ok(Telemetry {
        id: unsigned(row, "id")?,
        fleet: row.get("fleet")?,
        device: row.get("device")?,
        at: time(row, "at")?,
        body: row.get("body")?,
    })
}
