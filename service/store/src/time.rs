//! Times as SQLite holds them.

use crate::error::StoreError;
use jiff::Timestamp;
use rusqlite::Row;

/// Microseconds since 1970.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time in a column.
pub(crate) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let micros: i64 = row.get(column)?;
    Timestamp::from_microsecond(micros).map_err(|why| {
        let why: Box<dyn std::error::Error + Send + Sync> = Box::new(StoreError::Corrupt(why.to_string()));
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Integer, why)
    })
}

/// A count or number that is never negative, as SQLite's signed integer; beyond its range there is nothing to number.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The same the other way.
pub(crate) fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let n: i64 = row.get(column)?;
    u64::try_from(n).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, n))
}
