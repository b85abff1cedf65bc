//! Jobs without their documents: what lists, bounds and a restart need; and the steps of a job's life that depend on
//! the step before.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::jobs::Job;
use crate::time::{micros, signed, time, unsigned};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

/// A job without its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHead {
    /// Rises with the order in which jobs were asked.
    pub seq: u64,
    /// Its name.
    pub id: String,
    /// Who asked.
    pub owner: String,
    /// Higher ones first.
    pub priority: i64,
    /// How far it is.
    pub state: String,
    /// How often it was begun.
    pub attempts: u64,
    /// When it was asked.
    pub created: Timestamp,
    /// When it changed last.
    pub changed: Timestamp,
    /// When it may be forgotten, once it has ended.
    pub expires: Timestamp,
}

/// How much of its bounds is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobUse {
    /// Jobs of one owner that have not ended.
    pub own: u64,
    /// Jobs of all that have not ended.
    pub open: u64,
    /// Bytes of all documents.
    pub bytes: u64,
}

const COLUMNS: &str = "seq, id, owner, priority, state, attempts, created, changed, expires";

impl View<'_> {
    /// Up to `most` jobs of an owner, the newest first, older than `before` where given.
    ///
    /// # Errors
    /// SQLite's.
    pub fn job_heads_of(
        &self,
        owner: &str,
        before: Option<u64>,
        most: u64,
    ) -> Result<Vec<JobHead>, StoreError> {
        // seq counts from 1 and never reaches the largest number there is.
        let before = before.map_or(i64::MAX, signed);
        Ok(self
            .sql
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM jobs WHERE owner = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
            ))?
            .query_map(params![owner, before, signed(most)], read)?
            .collect::<Result<_, _>>()?)
    }

    /// Up to `most` jobs that have not ended, in the order in which they were asked.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_job_heads(&self, most: u64) -> Result<Vec<JobHead>, StoreError> {
        let [queued, running, ending] = Job::OPEN;
        Ok(self
            .sql
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM jobs WHERE state IN (?1, ?2, ?3) ORDER BY seq LIMIT ?4"
            ))?
            .query_map(params![queued, running, ending, signed(most)], read)?
            .collect::<Result<_, _>>()?)
    }

    /// The head of one job.
    ///
    /// # Errors
    /// SQLite's.
    pub fn job_head(&self, id: &str) -> Result<Option<JobHead>, StoreError> {
        let mut query = self.sql.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?;
        Ok(query.query_row([id], read).optional()?)
    }

    /// How much is in use, by `owner` and by all.
    ///
    /// # Errors
    /// SQLite's.
    pub fn job_use(&self, owner: &str) -> Result<JobUse, StoreError> {
        let [queued, running, ending] = Job::OPEN;
        Ok(self
            .sql
            .prepare_cached(
                "SELECT coalesce(sum(owner = ?1 AND state IN (?2, ?3, ?4)), 0) AS own,
                        coalesce(sum(state IN (?2, ?3, ?4)), 0) AS open, coalesce(sum(bytes), 0) AS bytes FROM jobs",
            )?
            .query_row(params![owner, queued, running, ending], |row| {
                Ok(JobUse {
                    own: unsigned(row, "own")?,
                    open: unsigned(row, "open")?,
                    bytes: unsigned(row, "bytes")?,
                })
            })?)
    }
}

impl Tx<'_> {
    /// Begins a job that has not ended, once more if it was begun before: `queued` becomes `running`, `ending` stays.
    /// `None` if it has ended or is not there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn begin_job(&self, id: &str, now: Timestamp) -> Result<Option<JobHead>, StoreError> {
        let [queued, running, ending] = Job::OPEN;
        let begun = self
            .sql
            .prepare_cached(
                "UPDATE jobs SET attempts = attempts + 1, changed = ?2,
                 state = CASE state WHEN ?3 THEN ?4 ELSE state END WHERE id = ?1 AND state IN (?3, ?4, ?5)",
            )?
            .execute(params![id, micros(now), queued, running, ending])?;
        if begun == 1 { self.job_head(id) } else { Ok(None) }
    }

    /// Asks a job to end early: `queued` becomes `as_queued`, a state of those that have ended; `running` becomes
    /// `ending`; another state stays. Returns the state after.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; SQLite's.
    pub fn stop_job(
        &self,
        id: &str,
        as_queued: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let [queued, running, ending] = Job::OPEN;
        self.sql
            .prepare_cached(
                "UPDATE jobs SET changed = ?2, expires = ?3, state = CASE state WHEN ?4 THEN ?5 ELSE ?7 END
                 WHERE id = ?1 AND state IN (?4, ?6)",
            )?
            .execute(params![id, micros(now), micros(expires), queued, as_queued, running, ending])?;
        self.job_head(id)?.map(|head| head.state).ok_or(StoreError::NotFound)
    }

    /// Ends a job: its answer stays, its question goes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; SQLite's.
    pub fn end_job(
        &self,
        id: &str,
        state: &str,
        answer: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ended = self
            .sql
            .prepare_cached(
                "UPDATE jobs SET state = ?2, best = ?3, expires = ?4, changed = ?5, request = '{}',
                 bytes = octet_length(?3) + 2 WHERE id = ?1",
            )?
            .execute(params![id, state, answer, micros(expires), micros(now)])?;
        if ended == 1 { Ok(()) } else { Err(StoreError::NotFound) }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobHead> {
    Ok(JobHead {
        seq: unsigned(row, "seq")?,
        id: row.get("id")?,
        owner: row.get("owner")?,
        priority: row.get("priority")?,
        state: row.get("state")?,
        attempts: unsigned(row, "attempts")?,
        created: time(row, "created")?,
        changed: time(row, "changed")?,
        expires: time(row, "expires")?,
    })
}
