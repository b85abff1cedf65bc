//! Making whole files.

use super::draw::{Sampler, Split};
use super::parquet::Writer;
use super::row::{Effort, Row, make};
use crate::error::EstimatorError;
use ecomap_instances::Seed;
use rayon::prelude::*;
use std::path::Path;

/// Rows simulated before they are written.
const CHUNK: u64 = 2048;

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    /// Seed.
    pub seed: Seed,
    /// Split.
    pub split: Split,
    /// Number of the first row; files with other ranges of one split are parts of one data set.
    pub first: u64,
    /// Rows.
    pub rows: u64,
    /// Length of the runs.
    pub effort: Effort,
}

/// Simulates rows of a split on all threads of the pool and writes them, then `extra` rows that were
/// measured; `progress` is told how many are simulated.
///
/// # Errors
/// [`EstimatorError`] when a plan cannot be run or the file cannot be written.
pub fn write(
    sampler: &Sampler,
    spec: &Spec,
    extra: &[Row],
    path: &Path,
    mut progress: impl FnMut(u64),
) -> Result<(), EstimatorError> {
    let notes = [
        ("generator", format!("ecomap {}", env!("CARGO_PKG_VERSION"))),
        ("seed", spec.seed.to_string()),
        ("first", spec.first.to_string()),
        ("split", spec.split.as_str().to_owned()),
        ("requests", spec.effort.requests.to_string()),
        ("max_events", spec.effort.max_events.to_string()),
        ("origin", if extra.is_empty() { "simulated" } else { "simulated, measured" }.to_owned()),
    ];
    let mut writer = Writer::create(path, &notes)?;
    let end = spec.first.saturating_add(spec.rows);
    let mut from = spec.first;
    while from < end {
        let to = from.saturating_add(CHUNK).min(end);
        let rows: Vec<Row> = (from..to)
            .into_par_iter()
            .map(|n| make(&sampler.draw(spec.seed, spec.split, n), spec.effort).map(|(row, _)| row))
            .collect::<Result<_, _>>()?;
        for row in rows {
            writer.push(row)?;
        }
        from = to;
        progress(from - spec.first);
    }
    for row in extra {
        writer.push(row.clone())?;
    }
    writer.close()
}

/// Encodes plans of the training split, each followed by itself without one tenant, and writes them
/// without a truth: training asks that nobody who stays becomes slower when somebody leaves. The
/// `index` of the whole plan is 16 times its number; that of the other adds the removed tenant.
///
/// # Errors
/// [`EstimatorError`] when the file cannot be written.
pub fn write_pairs(sampler: &Sampler, seed: Seed, plans: u64, path: &Path) -> Result<(), EstimatorError> {
    let notes = [("seed", seed.to_string()), ("origin", "not simulated".to_owned())];
    let mut writer = Writer::create(path, &notes)?;
    for n in 0..plans {
        let draw = sampler.draw(seed, Split::Train, n);
        let count = draw.streams.len() as u64;
        if count < 2 {
            continue;
        }
        let removed = n % count;
        let mut less = draw.clone();
        let at = usize::try_from(removed).unwrap_or(0);
        less.streams.remove(at);
        less.models.remove(at);
        writer.push(Row::untold(&draw, n * 16))?;
        writer.push(Row::untold(&less, n * 16 + removed))?;
    }
    writer.close()
}
