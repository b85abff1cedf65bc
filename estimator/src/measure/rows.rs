//! Measured co-runs as rows of a data set.

use super::file::{Measured, RunRecord};
use super::host::{Host, Tuning};
use super::plan::{Case, Half, Kind, Load};
use crate::dataset::{Row, TenantTruth};
use crate::error::EstimatorError;
use crate::features::encode;
use crate::sim::outcome::GRID;
use crate::validation::quantile;
use std::collections::BTreeMap;

/// Name of the split of measured rows.
pub const SPLIT: &str = "measured";

/// One row for each co-run whose tenants are all Poisson streams; closed loops have no rate of their own
/// and are outside what the predictor is trained for. Returns the number left out beside the rows.
///
/// # Errors
/// Only if an embedded file is broken.
pub fn rows(measured: &Measured, tuning: &Tuning) -> Result<(Vec<Row>, usize), EstimatorError> {
    let host = Host::new(measured, Half::Fit)?;
    let mut sets: BTreeMap<usize, Vec<&RunRecord>> = BTreeMap::new();
    for (run, case) in measured.kept().filter(|(_, c)| c.kind != Kind::Isolated) {
        if case.tenants.iter().all(|t| matches!(t.load, Load::Poisson(_))) {
            sets.entry(run.case).or_default().push(run);
        }
    }
    let coruns = measured.cases.iter().filter(|c| c.kind != Kind::Isolated).count();
    let mut all = Vec::new();
    for (at, runs) in sets {
        let Some(case) = measured.cases.get(at) else { continue };
        if let Some(row) = row(measured, &host, tuning, (at, case), &runs) {
            all.push(row);
        }
    }
    let left = coruns.saturating_sub(all.len());
    Ok((all, left))
}

fn row(
    measured: &Measured,
    host: &Host,
    tuning: &Tuning,
    (at, case): (usize, &Case),
    runs: &[&RunRecord],
) -> Option<Row> {
    let rates: Vec<Option<f64>> = runs.first()?.tenants.iter().map(|t| t.rate_per_s).collect();
    let streams = host.streams(measured, case, &rates, tuning)?;
    let truth = (0..case.tenants.len()).map(|k| told(runs, k)).collect::<Option<Vec<_>>>()?;
    let powers: Option<Vec<f64>> = runs.iter().map(|r| r.power_w).collect();
    #[allow(clippy::cast_precision_loss)]
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len().max(1) as f64;
    let busy = (0..measured.units.len())
        .map(|u| mean(&runs.iter().filter_map(|r| r.busy.get(u).copied()).collect::<Vec<_>>()));
    let models = case.tenants.iter().map(|t| measured.models.get(t.model).map(|m| m.id.clone()));
    Some(Row {
        split: SPLIT.to_owned(),
        index: u64::try_from(at).unwrap_or(u64::MAX),
        source: measured.machine.name.clone(),
        profile: "host-cpu".to_owned(),
        mode: "measured".to_owned(),
        jittered: false,
        models: models.collect::<Option<_>>()?,
        features: encode(&host.soc(tuning), &streams),
        truth,
        // Not a number where it was not measured: training leaves it out.
        power_w: powers.map_or(f64::NAN, |p| mean(&p)),
        busy: busy.collect(),
    })
}

/// Latencies of all runs of a tenant together.
fn told(runs: &[&RunRecord], tenant: usize) -> Option<TenantTruth> {
    let of: Vec<_> = runs.iter().filter_map(|r| r.tenants.get(tenant)).collect();
    let all: Vec<f64> = of.iter().flat_map(|t| t.latencies_ms.iter().copied()).collect();
    let mut quantiles = [0.0; GRID.len()];
    for (q, slot) in GRID.iter().zip(&mut quantiles) {
        *slot = quantile(&all, *q)?;
    }
    let arrived: u64 = of.iter().map(|t| t.arrived).sum();
    let dropped: u64 = of.iter().map(|t| t.dropped).sum();
    #[allow(clippy::cast_precision_loss)]
    Some(TenantTruth {
        quantiles,
        mean_ms: all.iter().sum::<f64>() / all.len().max(1) as f64,
        completed: of.iter().map(|t| t.completed).sum(),
        dropped: dropped as f64 / (arrived as f64).max(1.0),
        rate: of.first()?.rate_per_s? / 1000.0,
    })
}
