//! Turns of controllers: one row for every time that caps were worked out, whether a plan came of it or not.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time, unsigned};
use jiff::Timestamp;
use rusqlite::{Row, params};

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Counts from 1 within the fleet.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Intensities, caps, draws and the like, as JSON.
    pub body: String,
}

impl Tx<'_> {
    /// Stores a turn and returns its number. The oldest ones of the fleet beyond the bound go.
    ///
    /// # Errors
    /// SQLite's; a fleet that is not there breaks a foreign key.
    pub fn add_turn(&self, fleet: i64, at: Timestamp, body: &str) -> Result<u64, StoreError> {
        let number = self.last_turn_number(fleet)? + 1;
        self.sql
            .prepare_cached("INSERT INTO turns (fleet, number, at, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![fleet, signed(number), micros(at), body])?;
        self.sql
            .prepare_cached("DELETE FROM turns WHERE fleet = ?1 AND number <= ?2")?
            .execute([fleet, signed(number.saturating_sub(self.bounds.turns))])?;
        Ok(number)
    }
}

impl View<'_> {
    /// The number of a fleet's last turn; 0 before the first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last_turn_number(&self, fleet: i64) -> Result<u64, StoreError> {
        let mut query =
            self.sql.prepare_cached("SELECT coalesce(max(number), 0) AS last FROM turns WHERE fleet = ?1")?;
        Ok(query.query_row([fleet], |row| unsigned(row, "last"))?)
    }

    /// Up to `most` turns after the one of number `after`, oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn turns(&self, fleet: i64, after: u64, most: u64) -> Result<Vec<Turn>, StoreError> {
        let rows = self
            .sql
            .prepare_cached("SELECT * FROM turns WHERE fleet = ?1 AND number > ?2 ORDER BY number LIMIT ?3")?
            .query_map([fleet, signed(after), signed(most)], read)?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The last `most` turns, oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last_turns(&self, fleet: i64, most: u64) -> Result<Vec<Turn>, StoreError> {
        let after = self.last_turn_number(fleet)?.saturating_sub(most);
        self.turns(fleet, after, most)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Turn> {
    Ok(Turn { number: unsigned(row, "number")?, at: time(row, "at")?, body: row.get("body")? })
}
