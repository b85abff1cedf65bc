//! Published plans, numbered within their fleet.

use crate::engine::{Tx, View};
use crate::error::StoreError;
use crate::time::{micros, signed, time, unsigned};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

/// A published plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Counts from 1 within the fleet.
    pub number: u64,
    /// When it was published.
    pub at: Timestamp,
    /// Why.
    pub cause: String,
    /// Version of the fleet's document that it was made for.
    pub version: u64,
    /// Caps, intensities, value, bound and the like, as JSON: what lists show.
    pub summary: String,
    /// The whole of it, as JSON.
    pub result: String,
}

impl Tx<'_> {
    /// Stores a plan. The oldest ones of the fleet beyond the bound go.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] unless its number is the next; SQLite's ([`StoreError::NotFound`] without the fleet).
    pub fn add_plan(&self, fleet: i64, plan: &Plan) -> Result<(), StoreError> {
        if plan.number != self.last_plan_number(fleet)? + 1 {
            return Err(StoreError::Conflict);
        }
        let at = micros(plan.at);
        self.sql
            .prepare_cached(
                "INSERT INTO plans (fleet, number, at, cause, version, summary, result)
                 SELECT uid, ?2, ?3, ?4, ?5, ?6, ?7 FROM fleets WHERE uid = ?1",
            )?
            .execute(params![
                fleet,
                signed(plan.number),
                at,
                plan.cause,
                signed(plan.version),
                plan.summary,
                plan.result
            ])
            .and_then(|n| if n == 1 { Ok(()) } else { Err(rusqlite::Error::QueryReturnedNoRows) })
            .map_err(|why| match why {
                rusqlite::Error::QueryReturnedNoRows => StoreError::NotFound,
                other => other.into(),
            })?;
        self.sql
            .prepare_cached("DELETE FROM plans WHERE fleet = ?1 AND number <= ?2")?
            .execute([fleet, signed(plan.number.saturating_sub(self.bounds.plans))])?;
        Ok(())
    }
}

impl View<'_> {
    /// The number of a fleet's last plan; 0 before the first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last_plan_number(&self, fleet: i64) -> Result<u64, StoreError> {
        let mut query =
            self.sql.prepare_cached("SELECT coalesce(max(number), 0) AS last FROM plans WHERE fleet = ?1")?;
        Ok(query.query_row([fleet], |row| unsigned(row, "last"))?)
    }

    /// The plan of this number.
    ///
    /// # Errors
    /// SQLite's.
    pub fn plan(&self, fleet: i64, number: u64) -> Result<Option<Plan>, StoreError> {
        let mut query = self.sql.prepare_cached("SELECT * FROM plans WHERE fleet = ?1 AND number = ?2")?;
        Ok(query.query_row([fleet, signed(number)], read).optional()?)
    }

    /// The last plan.
    ///
    /// # Errors
    /// SQLite's.
    pub fn last_plan(&self, fleet: i64) -> Result<Option<Plan>, StoreError> {
        let number = self.last_plan_number(fleet)?;
        self.plan(fleet, number)
    }

    /// Up to `most` plans with numbers below `before` (`None`: the last ones), newest first, without their results.
    ///
    /// # Errors
    /// SQLite's.
    pub fn plans(&self, fleet: i64, before: Option<u64>, most: u64) -> Result<Vec<Plan>, StoreError> {
        let before = before.map_or(i64::MAX, signed);
        let rows = self
            .sql
            .prepare_cached(
                "SELECT fleet, number, at, cause, version, summary, '' AS result FROM plans
                 WHERE fleet = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )?
            .query_map([fleet, before, signed(most)], read)?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Plan> {
    Ok(Plan {
        number: unsigned(row, "number")?,
        at: time(row, "at")?,
        cause: row.get("cause")?,
        version: unsigned(row, "version")?,
        summary: row.get("summary")?,
        result: row.get("result")?,
    })
}
