//! Long solves: what was asked, how far it is, and the best answer so far.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

/// A job. The words for its state are the caller's, but for [`Job::OPEN`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name, hard to guess.
    pub id: String,
    /// Who asked.
    pub owner: String,
    /// The owner's own key for the question (`Idempotency-Key`), under which it is asked only once.
    pub dedup: Option<String>,
    /// Tells the question from another one under the same key.
    pub fingerprint: String,
    /// Higher ones first.
    pub priority: i64,
    /// The question, as JSON.
    pub request: String,
    /// How far it is.
    pub state: String,
    /// The best answer so far, as JSON.
    pub best: Option<String>,
    /// When it was asked.
    pub created: Timestamp,
    /// When it changed last.
    pub changed: Timestamp,
    /// When it may be forgotten, once it has ended.
    pub expires: Timestamp,
}

impl Job {
    /// The states of jobs that have not ended: a service that starts takes them up again. `ending`: it runs, and was
    /// asked to end early.
    pub const OPEN: [&str; 3] = ["queued", "running", "ending"];
}

impl Tx<'_> {
    /// Stores a new job; ended ones that have expired go first.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is a job of this id, or of this owner and key; [`StoreError::Full`];
    /// SQLite's.
    pub fn add_job(&self, job: &Job, now: Timestamp) -> Result<(), StoreError> {
        self.expire_jobs(now)?;
        let count: i64 = self.sql.query_row("SELECT count(*) FROM jobs", [], |r| r.get(0))?;
        if count >= signed(self.bounds.jobs) {
            return Err(StoreError::Full(self.bounds.jobs));
        }
        let added = self
            .sql
            .prepare_cached(
                "INSERT OR IGNORE INTO jobs
                 (id, owner, dedup, fingerprint, priority, request, state, best, created, changed, expires, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
                         octet_length(?6) + octet_length(coalesce(?8, '')))",
            )?
            .execute(params![
                job.id,
                job.owner,
                job.dedup,
                job.fingerprint,
                job.priority,
                job.request,
                job.state,
                job.best,
                micros(job.created),
                micros(job.changed),
                micros(job.expires)
            ])?;
        if added == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// Says how far a job is; `best` replaces the answer where there is one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; SQLite's.
    pub fn update_job(
        &self,
        id: &str,
        state: &str,
        best: Option<&str>,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let changed = self
            .sql
            .prepare_cached(
                "UPDATE jobs SET state = ?2, best = coalesce(?3, best), expires = ?4, changed = ?5,
                 bytes = octet_length(request) + octet_length(coalesce(?3, best, '')) WHERE id = ?1",
            )?
            .execute(params![id, state, best, micros(expires), micros(now)])?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound) }
    }

    /// Forgets ended jobs that have expired; returns how many.
    ///
    /// # Errors
    /// SQLite's.
    pub fn expire_jobs(&self, now: Timestamp) -> Result<usize, StoreError> {
        let [queued, running, ending] = Job::OPEN;
        Ok(self
            .sql
            .prepare_cached("DELETE FROM jobs WHERE expires <= ?1 AND state NOT IN (?2, ?3, ?4)")?
            .execute(params![micros(now), queued, running, ending])?)
    }

    /// Forgets a job.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; SQLite's.
    pub fn delete_job(&self, id: &str) -> Result<(), StoreError> {
        let gone = self.sql.prepare_cached("DELETE FROM jobs WHERE id = ?1")?.execute([id])?;
        if gone == 1 { Ok(()) } else { Err(StoreError::NotFound) }
    }
}

impl View<'_> {
    /// The job of this id.
    ///
    /// # Errors
    /// SQLite's.
    pub fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        let mut query = self.sql.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?;
        Ok(query.query_row([id], read).optional()?)
    }

    /// The job that this owner asked for under this key.
    ///
    /// # Errors
    /// SQLite's.
    pub fn job_of(&self, owner: &str, dedup: &str) -> Result<Option<Job>, StoreError> {
        let mut query = self.sql.prepare_cached("SELECT * FROM jobs WHERE owner = ?1 AND dedup = ?2")?;
        Ok(query.query_row([owner, dedup], read).optional()?)
    }

    /// Up to `most` jobs that have not ended, in the order in which they are to be run.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open_jobs(&self, most: u64) -> Result<Vec<Job>, StoreError> {
        let [queued, running, ending] = Job::OPEN;
        let rows = self
            .sql
            .prepare_cached(
                "SELECT * FROM jobs WHERE state IN (?1, ?2, ?3) ORDER BY priority DESC, seq LIMIT ?4",
            )?
            .query_map(params![queued, running, ending, signed(most)], read)?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get("id")?,
        owner: row.get("owner")?,
        dedup: row.get("dedup")?,
        fingerprint: row.get("fingerprint")?,
        priority: row.get("priority")?,
        request: row.get("request")?,
        state: row.get("state")?,
        best: row.get("best")?,
        created: time(row, "created")?,
        changed: time(row, "changed")?,
        expires: time(row, "expires")?,
    })
}
