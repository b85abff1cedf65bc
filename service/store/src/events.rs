//! What happened, and why.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time, unsigned};
use jiff::Timestamp;
use rusqlite::{Row, params};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Rises with every event of the store; 0 until stored.
    pub id: u64,
    /// Whose; `None`: the service's own.
    pub fleet: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What kind, for programs.
    pub kind: String,
    /// Why, for people.
    pub reason: String,
    /// What else is known, as JSON.
    pub body: String,
}

impl Event {
    /// An event to store.
    #[must_use]
    pub fn new(fleet: Option<&str>, kind: &str, reason: &str, body: &str, at: Timestamp) -> Self {
        Self {
            id: 0,
            fleet: fleet.map(str::to_owned),
            at,
            kind: kind.to_owned(),
            reason: reason.to_owned(),
            body: body.to_owned(),
        }
    }
}

impl Tx<'_> {
    /// Stores an event and returns its id. The oldest ones beyond the bound go.
    ///
    /// # Errors
    /// SQLite's.
    pub fn add_event(&self, event: &Event) -> Result<u64, StoreError> {
        self.sql
            .prepare_cached("INSERT INTO events (fleet, at, kind, reason, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![event.fleet, micros(event.at), event.kind, event.reason, event.body])?;
        let id = self.sql.last_insert_rowid();
        self.sql
            .prepare_cached("DELETE FROM events WHERE id <= ?1")?
            .execute([id.saturating_sub(signed(self.bounds.events))])?;
        Ok(u64::try_from(id).unwrap_or(0))
    }
}

impl View<'_> {
    /// Up to `most` events after `after`, oldest first; of one fleet, or of all.
    ///
    /// # Errors
    /// SQLite's.
    pub fn events(&self, fleet: Option<&str>, after: u64, most: u64) -> Result<Vec<Event>, StoreError> {
        let (after, most) = (signed(after), signed(most));
        let rows = match fleet {
            Some(fleet) => self
                .sql
                .prepare_cached("SELECT * FROM events WHERE fleet = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?
                .query_map(params![fleet, after, most], read)?
                .collect::<Result<_, _>>()?,
            None => self
                .sql
                .prepare_cached("SELECT * FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?
                .query_map([after, most], read)?
                .collect::<Result<_, _>>()?,
        };
        Ok(rows)
    }

    /// The last `most` events of a fleet, oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last_events(&self, fleet: &str, most: u64) -> Result<Vec<Event>, StoreError> {
        let mut rows = self
            .sql
            .prepare_cached("SELECT * FROM events WHERE fleet = ?1 ORDER BY id DESC LIMIT ?2")?
            .query_map(params![fleet, signed(most)], read)?
            .collect::<Result<Vec<_>, _>>()?;
        rows.reverse();
        Ok(rows)
    }

    /// The ids of the oldest event still kept and of the last one ever stored; zeros before the first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn event_range(&self) -> Result<(u64, u64), StoreError> {
        let range = self.sql.query_row(
            "SELECT coalesce(min(id), 0) AS first, coalesce(max(id), 0) AS last FROM events",
            [],
            |row| Ok((unsigned(row, "first")?, unsigned(row, "last")?)),
        )?;
        Ok(range)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        id: unsigned(row, "id")?,
        fleet: row.get("fleet")?,
        at: time(row, "at")?,
        kind: row.get("kind")?,
        reason: row.get("reason")?,
        body: row.get("body")?,
    })
}
