//! Numbered steps from an empty file to the present tables.
//!
//! A step is a file in `migrations/`, named by its number, and a line in [`STEPS`]. It is never changed once released;
//! the next change is the next number. `user_version` of the file is the number of the last step taken.

use crate::error::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// Marks a SQLite file as this program's ("EcMp").
const APPLICATION_ID: i64 = 0x4563_4d70;

/// The steps: number and SQL, numbers rising.
pub const STEPS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001_begin.sql")),
    (2, include_str!("../migrations/0002_jobs.sql")),
    (3, include_str!("../migrations/0003_calibrations.sql")),
];

/// Whose file this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Nobodys,
    Ours,
    Foreign,
}

pub(crate) fn whose(connection: &Connection) -> Result<Whose, StoreError> {
    let id: i64 = connection.query_row("PRAGMA application_id", [], |r| r.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    Ok(match (id, tables) {
        (APPLICATION_ID, _) => Whose::Ours,
        (0, 0) => Whose::Nobodys,
        _ => Whose::Foreign,
    })
}

/// The number of the last step known.
#[must_use]
pub fn known() -> i64 {
    STEPS.last().map_or(0, |(number, _)| *number)
}

/// Takes the steps that are missing, each in a transaction of its own; returns how many.
///
/// # Errors
/// [`StoreError::Newer`]; SQLite's.
pub fn migrate(connection: &mut Connection) -> Result<usize, StoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    if found > known() {
        return Err(StoreError::Newer { found, known: known() });
    }
    let mut taken = 0;
    for (number, sql) in STEPS.iter().filter(|(number, _)| *number > found) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", number)?;
        tx.commit()?;
        taken += 1;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_step_and_numbers_rise() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let numbers: Vec<i64> = files.iter().map(|f| f[..4].parse().unwrap()).collect();
        assert_eq!(numbers, STEPS.iter().map(|(n, _)| *n).collect::<Vec<_>>());
        assert!(numbers.is_sorted_by(|a, b| a < b));
        for (file, (_, sql)) in files.iter().zip(STEPS) {
            assert_eq!(std::fs::read_to_string(format!("{folder}/{file}")).unwrap(), *sql, "{file}");
        }
    }

    #[test]
    fn steps_are_taken_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut connection).unwrap(), STEPS.len());
        assert_eq!(migrate(&mut connection).unwrap(), 0);
        assert_eq!(whose(&connection).unwrap(), Whose::Ours);
    }
}
