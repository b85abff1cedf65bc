//! Carbon intensities as they came in.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time};
use jiff::Timestamp;
use rusqlite::{Row, params};

/// A sample. The words for kind and signal are the caller's.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Zone.
    pub zone: String,
    /// Who said so.
    pub source: String,
    /// Observed or forecast.
    pub kind: String,
    /// Average or marginal.
    pub signal: String,
    /// Start of the interval.
    pub from: Timestamp,
    /// Its end, which does not belong to it.
    pub to: Timestamp,
    /// g/kWh.
    pub grams_per_kwh: f64,
    /// Whether the source calls it an estimate.
    pub estimated: bool,
    /// When it was made known.
    pub issued: Timestamp,
    /// When it came in; its age was that less `to`.
    pub received: Timestamp,
}

impl Tx<'_> {
    /// Stores samples of a fleet; one for the same source, kind and start replaces the one there. The oldest ones
    /// beyond the bound go.
    ///
    /// # Errors
    /// SQLite's; a fleet that is not there breaks a foreign key.
    pub fn add_samples(&self, fleet: i64, samples: &[Sample]) -> Result<(), StoreError> {
        let mut insert = self.sql.prepare_cached(
            "INSERT OR REPLACE INTO samples
             (fleet, zone, source, kind, signal, begins, ends, grams, estimated, issued, received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        for s in samples {
            insert.execute(params![
                fleet,
                s.zone,
                s.source,
                s.kind,
                s.signal,
                micros(s.from),
                micros(s.to),
                s.grams_per_kwh,
                s.estimated,
                micros(s.issued),
                micros(s.received)
            ])?;
        }
        if !samples.is_empty() {
            let oldest = self.sql.last_insert_rowid().saturating_sub(signed(self.bounds.samples));
            self.sql.prepare_cached("DELETE FROM samples WHERE id <= ?1")?.execute([oldest])?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// Up to `most` samples of a fleet whose interval ends after `since`, in the order in which they came.
    ///
    /// # Errors
    /// SQLite's.
    pub fn samples(&self, fleet: i64, since: Timestamp, most: u64) -> Result<Vec<Sample>, StoreError> {
        let rows = self
            .sql
            .prepare_cached("SELECT * FROM samples WHERE fleet = ?1 AND ends > ?2 ORDER BY id LIMIT ?3")?
            .query_map([fleet, micros(since), signed(most)], read)?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        zone: row.get("zone")?,
        source: row.get("source")?,
        kind: row.get("kind")?,
        signal: row.get("signal")?,
        from: time(row, "begins")?,
        to: time(row, "ends")?,
        grams_per_kwh: row.get("grams")?,
        estimated: row.get("estimated")?,
        issued: time(row, "issued")?,
        received: time(row, "received")?,
    })
}
