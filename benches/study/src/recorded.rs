//! Days of recorded carbon traces, chosen by seed from a folder that stays where it is.

use crate::StudyError;
use crate::config::TraceSpec;
use crate::mix::Mix;
use jiff::civil::Date;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the traces are under the data folder: one file `REGION_YEAR.csv` for each region and year.
const HOURLY: &str = "carbon/hourly";
/// Most traces that a study may choose.
const MOST: usize = 1_000;

/// `[recorded]`: how many region-months, and the seed that chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Region-years drawn without repetition, with a month and a first day of each.
    pub count: usize,
    /// Of the choice.
    pub seed: u64,
}

/// The hours `recorded` chooses under `data`; `None` when the traces are not there.
///
/// Files are taken in the order of their names and shuffled (Fisher and Yates); each of the first
/// `count` then draws a month and, in it, the day at which its `hours` begin.
///
/// # Errors
/// [`StudyError`] when there are too few files, one has another name, or `hours` exceed a month.
pub fn choose(recorded: Recorded, data: &Path, hours: u32) -> Result<Option<Vec<TraceSpec>>, StudyError> {
    let folder = data.join(HOURLY);
    if !folder.is_dir() {
        return Ok(None);
    }
    let failed = |source| StudyError::File { path: folder.clone(), source };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|e| e == "csv") {
            files.push(path);
        }
    }
    files.sort();
    if recorded.count == 0 || recorded.count > MOST.min(files.len()) {
        return Err(StudyError::Value(format!(
            "recorded: count must be from 1 to {}",
            MOST.min(files.len())
        )));
    }
    let mut mix = Mix::new(recorded.seed);
    for i in 0..recorded.count {
        let j = i + mix.below(files.len() - i);
        files.swap(i, j);
    }
    files
        .iter()
        .take(recorded.count)
        .map(|file| day(file, hours, &mut mix))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn day(file: &Path, hours: u32, mix: &mut Mix) -> Result<TraceSpec, StudyError> {
    let wrong = |what: &str| StudyError::Value(format!("{}: {what}", file.display()));
    let stem = file.file_stem().and_then(|s| s.to_str()).ok_or_else(|| wrong("no name"))?;
    let year = stem.rsplit_once('_').and_then(|(_, year)| year.parse::<i16>().ok());
    let year = year.ok_or_else(|| wrong("not named REGION_YEAR.csv"))?;
    let month = i8::try_from(1 + mix.below(12)).map_err(|_| wrong("no month"))?;
    let first = Date::new(year, month, 1).map_err(|_| wrong("no such year"))?;
    let days = u32::try_from(first.days_in_month()).map_err(|_| wrong("no month"))?;
    let room = days.checked_sub(hours.div_ceil(24)).ok_or_else(|| wrong("hours exceed a month"))?;
    let offset = mix.below(usize::try_from(room + 1).map_err(|_| wrong("no month"))?);
    let offset = u32::try_from(offset).map_err(|_| wrong("no month"))?;
    let before = u32::try_from(first.day_of_year() - 1).map_err(|_| wrong("no month"))?;
    Ok(TraceSpec {
        name: format!("{stem}-{month:02}-{:02}", offset + 1),
        file: Some(file.to_owned()),
        skip: 24 * (before + offset),
        seed: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_chooses_distinct_files_and_days_within_their_month() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(choose(Recorded { count: 1, seed: 1 }, data.path(), 24).unwrap(), None);
        let folder = data.path().join(HOURLY);
        std::fs::create_dir_all(&folder).unwrap();
        for region in ["A", "B-C", "D"] {
            std::fs::write(folder.join(format!("{region}_2023.csv")), "").unwrap();
        }
        let chosen = |seed| choose(Recorded { count: 3, seed }, data.path(), 48).unwrap().unwrap();
        let traces = chosen(5);
        assert_eq!(traces, chosen(5));
        assert!((0..20).any(|seed| chosen(seed) != traces));
        let mut files: Vec<_> = traces.iter().map(|t| t.file.clone()).collect();
        files.sort();
        files.dedup();
        assert_eq!(files.len(), 3);
        assert!(traces.iter().all(|t| t.skip % 24 == 0 && t.skip + 48 <= 365 * 24), "{traces:?}");
        assert!(choose(Recorded { count: 4, seed: 1 }, data.path(), 24).is_err());
        assert!(choose(Recorded { count: 1, seed: 1 }, data.path(), 800).is_err());
        std::fs::write(folder.join("E.csv"), "").unwrap();
        assert!((0..20).any(|seed| choose(Recorded { count: 1, seed }, data.path(), 24).is_err()));
    }
}
