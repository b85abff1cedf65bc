//! Fleets: their documents, and where they were when the service stopped.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time, unsigned};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

/// A fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Never used twice, so that a fleet deleted and put again is another one.
    pub uid: i64,
    /// Its name.
    pub id: String,
    /// Rises by one with every change of the document, from 1.
    pub version: u64,
    /// What it is, as JSON.
    pub document: String,
    /// Where its controller was, as JSON.
    pub state: Option<String>,
    /// When it was put first.
    pub created: Timestamp,
    /// When the document changed last.
    pub changed: Timestamp,
}

/// What must be there for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything or nothing.
    Any,
    /// No fleet of this id.
    Absent,
    /// Some fleet of this id.
    Present,
    /// This one, in this version.
    Version(i64, u64),
}

impl Expect {
    fn check(self, present: Option<&Fleet>) -> Result<(), StoreError> {
        let fits = match self {
            Self::Any => true,
            Self::Absent => present.is_none(),
            Self::Present => present.is_some(),
            Self::Version(uid, version) => present.is_some_and(|f| (f.uid, f.version) == (uid, version)),
        };
        if fits { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

impl Tx<'_> {
    /// Stores the document of a new fleet, or the next version of one that is there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where `expect` does not hold; [`StoreError::Full`]; SQLite's.
    pub fn put_fleet(
        &self,
        id: &str,
        document: &str,
        expect: Expect,
        now: Timestamp,
    ) -> Result<Fleet, StoreError> {
        let present = self.fleet(id)?;
        expect.check(present.as_ref())?;
        match present {
            Some(mut fleet) => {
                fleet.version += 1;
                fleet.changed = now;
                document.clone_into(&mut fleet.document);
                self.sql
                    .prepare_cached(
                        "UPDATE fleets SET version = ?2, document = ?3, changed = ?4 WHERE uid = ?1",
                    )?
                    .execute(params![fleet.uid, signed(fleet.version), document, micros(now)])?;
                Ok(fleet)
            }
            None => {
                let count: i64 = self.sql.query_row("SELECT count(*) FROM fleets", [], |r| r.get(0))?;
                if count >= signed(self.bounds.fleets) {
                    return Err(StoreError::Full(self.bounds.fleets));
                }
                self.sql
                    .prepare_cached(
                        "INSERT INTO fleets (id, version, document, created, changed) VALUES (?1, 1, ?2, ?3, ?3)",
                    )?
                    .execute(params![id, document, micros(now)])?;
                self.fleet(id)?.ok_or(StoreError::NotFound)
            }
        }
    }

    /// Deletes a fleet with its plans, turns and samples. Its events stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] where `expect` does not hold; SQLite's.
    pub fn delete_fleet(&self, id: &str, expect: Expect) -> Result<Fleet, StoreError> {
        let present = self.fleet(id)?;
        if present.is_some() || expect == Expect::Any {
            let fleet = present.ok_or(StoreError::NotFound)?;
            expect.check(Some(&fleet))?;
            self.sql.prepare_cached("DELETE FROM fleets WHERE uid = ?1")?.execute([fleet.uid])?;
            return Ok(fleet);
        }
        Err(StoreError::NotFound)
    }

    /// Stores where a fleet's controller is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; SQLite's.
    pub fn set_state(&self, uid: i64, state: &str) -> Result<(), StoreError> {
        let changed = self
            .sql
            .prepare_cached("UPDATE fleets SET state = ?2 WHERE uid = ?1")?
            .execute(params![uid, state])?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound) }
    }
}

impl View<'_> {
    /// The fleet of this id.
    ///
    /// # Errors
    /// SQLite's.
    pub fn fleet(&self, id: &str) -> Result<Option<Fleet>, StoreError> {
        let mut query = self.sql.prepare_cached("SELECT * FROM fleets WHERE id = ?1")?;
        Ok(query.query_row([id], read).optional()?)
    }

    /// All fleets, by id.
    ///
    /// # Errors
    /// SQLite's.
    pub fn fleets(&self) -> Result<Vec<Fleet>, StoreError> {
        let mut query = self.sql.prepare_cached("SELECT * FROM fleets ORDER BY id")?;
        let rows = query.query_map([], read)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Fleet> {
    Ok(Fleet {
        uid: row.get("uid")?,
        id: row.get("id")?,
        version: unsigned(row, "version")?,
        document: row.get("document")?,
        state: row.get("state")?,
        created: time(row, "created")?,
        changed: time(row, "changed")?,
    })
}
