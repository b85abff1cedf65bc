//! Measured co-runs against what the simulator makes of the runs alone.
//!
//! 1. [`Host`] is built from the even repetitions of the runs alone; the odd ones show how well the
//!    machine repeats itself.
//! 2. [`Tuning`] is fitted on the fit half of the co-runs: least squares of the log ratio of medians,
//!    over a grid.
//! 3. A [`Calibration`] learns from the fit half what is still left, and corrects the check half.

use super::file::{Measured, RunRecord};
use super::host::{Host, Tuning, median_of, simulate};
use super::plan::{Case, Half, Kind};
use crate::calibrate::{Calibration, Latencies, Observation, Placed, Predicted, Settings};
use crate::error::EstimatorError;
use crate::validation::{Errors, errors};
use ecomap_instances::ids::{DeviceId, FamilyId, ProfileId, TierId};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::UnitKind;
use ecomap_instances::units::Millis;
use ecomap_instances::{Code, Issue, Issues};
use std::collections::{BTreeMap, BTreeSet};

/// Requests of the slowest tenant, and events, simulated while the grid is searched and for the answer.
const SEARCH: (f64, u64) = (150.0, 60_000);
const ANSWER: (f64, u64) = (1000.0, 2_000_000);

/// Fewest co-runs of a half.
pub const FEWEST: usize = 3;

const LOSS: [f64; 9] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.9, 1.3];
const SHARED: [f64; 5] = [0.0, 0.15, 0.3, 0.6, 1.0];
const SLICE_MS: [f64; 4] = [1.0, 3.0, 6.0, 24.0];

/// How a prediction was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Alone against alone: how well the machine repeats itself.
    Repeat,
    /// As if alone.
    NoContention,
    /// Simulated, generic rules.
    Generic,
    /// Simulated, fitted.
    Fitted,
    /// Fitted and calibrated.
    Calibrated,
}

impl Stage {
    /// Name for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "alone, other repetitions",
            Self::NoContention => "co-run as if alone",
            Self::Generic => "co-run, simulated",
            Self::Fitted => "co-run, fitted",
            Self::Calibrated => "co-run, calibrated",
        }
    }
}

/// Errors of one stage on one half.
#[derive(Debug, Clone)]
pub struct Line {
    /// Stage.
    pub stage: Stage,
    /// Half.
    pub half: Half,
    /// Kind of case; `None` for all.
    pub kind: Option<Kind>,
    /// Of the median latency.
    pub p50: Errors,
    /// Of the 95th percentile.
    pub p95: Errors,
}

/// One tenant of one co-run.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Case.
    pub case: usize,
    /// Kind.
    pub kind: Kind,
    /// Half.
    pub half: Half,
    /// Model and unit.
    pub what: String,
    /// Measured p50 and p95, ms.
    pub measured: [f64; 2],
    /// Alone, ms.
    pub alone: f64,
    /// Predicted p50 and p95 by the last three stages, ms.
    pub predicted: [[f64; 2]; 3],
}

/// The table.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Errors.
    pub lines: Vec<Line>,
    /// Every tenant of every co-run.
    pub tenants: Vec<Tenant>,
    /// What was fitted.
    pub tuning: Tuning,
    /// Every run of the fit half, then of the check half, as telemetry beside the fitted prediction: what
    /// a [`Calibration`] of this machine observes.
    pub telemetry: [Vec<Observation>; 2],
    /// Runs that count, those of them that were disturbed, and further attempts that do not count.
    pub runs: [usize; 3],
    /// Median share of all cores that others took in runs that count.
    pub foreign_share: f64,
}

/// A co-run with what was measured.
struct CoRun<'a> {
    at: usize,
    case: &'a Case,
    runs: Vec<&'a RunRecord>,
    rates: Vec<Option<f64>>,
}

fn coruns(measured: &Measured) -> Vec<CoRun<'_>> {
    let mut sets: BTreeMap<usize, Vec<&RunRecord>> = BTreeMap::new();
    for (run, case) in measured.kept() {
        if case.kind != Kind::Isolated {
            sets.entry(run.case).or_default().push(run);
        }
    }
    sets.into_iter()
        .filter_map(|(at, runs)| {
            let rates = runs.first()?.tenants.iter().map(|t| t.rate_per_s).collect();
            Some(CoRun { at, case: measured.cases.get(at)?, runs, rates })
        })
        .collect()
}

/// p50, p95, p99 of each tenant.
fn predict(
    measured: &Measured,
    host: &Host,
    run: &CoRun<'_>,
    tuning: &Tuning,
    (requests, events): (f64, u64),
) -> Result<Option<Vec<[f64; 3]>>, EstimatorError> {
    let Some(streams) = host.streams(measured, run.case, &run.rates, tuning) else { return Ok(None) };
    let out = simulate(&host.soc(tuning), &streams, requests, events)?;
    Ok(out.streams.iter().map(|s| Some([s.at(0.5)?, s.at(0.95)?, s.at(0.99)?])).collect())
}

/// Sum of squared log ratios of medians over the fit half.
fn loss(
    measured: &Measured,
    host: &Host,
    runs: &[CoRun<'_>],
    tuning: &Tuning,
) -> Result<f64, EstimatorError> {
    let mut sum = 0.0;
    for run in runs.iter().filter(|r| r.case.half == Half::Fit) {
        let Some(said) = predict(measured, host, run, tuning, SEARCH)? else { continue };
        for (k, q) in said.iter().enumerate() {
            if let Some(was) = median_of(&run.runs, k, 0.5).filter(|_| q[0] > 0.0) {
                // A case that went wrong in one of the two must not carry the fit.
                sum += (q[0] / was).ln().clamp(-1.0, 1.0).powi(2);
            }
        }
    }
    Ok(sum)
}

/// Coordinate search over the grid, twice around.
fn fit(measured: &Measured, host: &Host, runs: &[CoRun<'_>]) -> Result<Tuning, EstimatorError> {
    let mut best = Tuning::GENERIC;
    let mut least = loss(measured, host, runs, &best)?;
    let mut try_all = |candidates: Vec<Tuning>, best: &mut Tuning| -> Result<(), EstimatorError> {
        for next in candidates {
            let value = loss(measured, host, runs, &next)?;
            if value < least - 1e-9 {
                least = value;
                *best = next;
            }
        }
        Ok(())
    };
    for _ in 0..2 {
        // These two trade off against each other.
        let pairs = LOSS.iter().flat_map(|l| SHARED.iter().map(move |s| (*l, *s)));
        let grid = pairs.map(|(loss, shared)| Tuning { loss, shared, ..best }).collect();
        try_all(grid, &mut best)?;
        let slices = SLICE_MS.iter().map(|s| Tuning { slice_ms: *s, ..best }).collect();
        try_all(slices, &mut best)?;
    }
    Ok(best)
}

/// Compares.
///
/// # Errors
/// Coded [`Issues`] when a half has too few co-runs or the runs alone are missing;
/// [`EstimatorError::Simulation`] never for a checked document.
pub fn compare(measured: &Measured) -> Result<Comparison, EstimatorError> {
    let host = Host::new(measured, Half::Fit)?;
    let again = Host::new(measured, Half::Check)?;
    let runs = coruns(measured);
    for half in [Half::Fit, Half::Check] {
        let count = runs.iter().filter(|r| r.case.half == half).count();
        if count < FEWEST {
            let message = format!("{count} co-runs in the {half:?} half; at least {FEWEST} are needed");
            return Err(Issues::one(Issue::new(Code::TooFewRuns, "/runs", message)).into());
        }
    }
    if host.pairs().next().is_none() || again.pairs().next().is_none() {
        let message = "models were not measured alone in two repetitions";
        return Err(Issues::one(Issue::new(Code::TooFewRuns, "/runs", message)).into());
    }
    let tuning = fit(measured, &host, &runs)?;
    let fitted: Vec<Option<Vec<[f64; 3]>>> =
        runs.iter().map(|r| predict(measured, &host, r, &tuning, ANSWER)).collect::<Result<_, _>>()?;
    let telemetry = [Half::Fit, Half::Check].map(|half| observations(measured, &runs, &fitted, half));
    let calibration = calibrate(&telemetry[0])?;
    let mut tenants = Vec::new();
    for (run, said) in runs.iter().zip(&fitted) {
        let (Some(said), Some(plain)) = (said, predict(measured, &host, run, &Tuning::GENERIC, ANSWER)?)
        else {
            continue;
        };
        for (k, (t, (fitted, generic))) in run.case.tenants.iter().zip(said.iter().zip(&plain)).enumerate() {
            let (Some(p50), Some(p95)) = (median_of(&run.runs, k, 0.5), median_of(&run.runs, k, 0.95)) else {
                continue;
            };
            let (Some(model), Some(unit), Some(alone)) =
                (measured.models.get(t.model), measured.units.get(t.unit), host.alone(t.model, t.unit))
            else {
                continue;
            };
            let corrected = calibration.predict(&placed(measured, &model.id), &predicted(fitted))?;
            tenants.push(Tenant {
                case: run.at,
                kind: run.case.kind,
                half: run.case.half,
                what: format!("{} on {}", model.id, unit.id),
                measured: [p50, p95],
                alone: alone.p50,
                predicted: [
                    [generic[0], generic[1]],
                    [fitted[0], fitted[1]],
                    [corrected.p50.get(), corrected.p95.get()],
                ],
            });
        }
    }
    Ok(Comparison {
        lines: table(&host, &again, &tenants),
        tenants,
        tuning,
        telemetry,
        runs: [
            measured.kept().count(),
            measured.kept().filter(|(r, _)| r.noisy).count(),
            measured.runs.iter().filter(|r| !r.kept).count(),
        ],
        foreign_share: crate::validation::quantile(
            &measured.kept().map(|(r, _)| r.foreign_share + r.steal_share).collect::<Vec<_>>(),
            0.5,
        )
        .unwrap_or(0.0),
    })
}

fn table(host: &Host, again: &Host, tenants: &[Tenant]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut push = |stage, half, kind, list: &[([f64; 2], [f64; 2])]| {
        let of = |k: usize| errors(&list.iter().map(|(p, m)| (p[k], m[k])).collect::<Vec<_>>());
        if let (Some(p50), Some(p95)) = (of(0), of(1)) {
            lines.push(Line { stage, half, kind, p50, p95 });
        }
    };
    let repeats: Vec<_> = host
        .pairs()
        .filter_map(|(m, u)| {
            let (a, b) = (host.alone(m, u)?, again.alone(m, u)?);
            Some(([a.p50, a.p95], [b.p50, b.p95]))
        })
        .collect();
    push(Stage::Repeat, Half::Check, None, &repeats);
    let kinds: BTreeSet<Kind> = tenants.iter().map(|t| t.kind).collect();
    let kinds: Vec<Option<Kind>> = std::iter::once(None).chain(kinds.into_iter().map(Some)).collect();
    for half in [Half::Fit, Half::Check] {
        for kind in &kinds {
            let of = || tenants.iter().filter(|t| t.half == half && kind.is_none_or(|k| k == t.kind));
            let alone: Vec<_> = of().map(|t| ([t.alone, t.alone], t.measured)).collect();
            push(Stage::NoContention, half, *kind, &alone);
            for (n, stage) in [Stage::Generic, Stage::Fitted, Stage::Calibrated].into_iter().enumerate() {
                let list: Vec<_> = of().map(|t| (t.predicted[n], t.measured)).collect();
                push(stage, half, *kind, &list);
            }
        }
    }
    lines
}

/// Learns from the fit half, run by run.
fn calibrate(telemetry: &[Observation]) -> Result<Calibration, EstimatorError> {
    let mut calibration = Calibration::new(Settings::default())?;
    for observation in telemetry {
        calibration.observe(observation)?;
    }
    Ok(calibration)
}

fn placed(measured: &Measured, model: &str) -> Placed {
    Placed {
        device: DeviceId::new(measured.machine.name.as_str()),
        profile: ProfileId::new("host-cpu"),
        family: FamilyId::new(model),
        tier: TierId::new(model),
        units: BTreeSet::from([UnitKind::Cpu]),
    }
}

fn predicted([p50, p95, p99]: &[f64; 3]) -> Predicted {
    let latency = Quantiles { p50: Millis::new(*p50), p95: Millis::new(*p95), p99: Millis::new(*p99) };
    Predicted { latency, isolated: None, power: None }
}

/// Telemetry as an executor would send it: one observation a tenant and run.
fn observations(
    measured: &Measured,
    runs: &[CoRun<'_>],
    fitted: &[Option<Vec<[f64; 3]>>],
    half: Half,
) -> Vec<Observation> {
    let mut all = Vec::new();
    for (run, said) in runs.iter().zip(fitted).filter(|(r, _)| r.case.half == half) {
        let Some(said) = said else { continue };
        for record in &run.runs {
            for ((t, q), seen) in run.case.tenants.iter().zip(said).zip(&record.tenants) {
                let Some(model) = measured.models.get(t.model) else { continue };
                if seen.latencies_ms.is_empty() || q[0] <= 0.0 {
                    continue;
                }
                let at_ms = u64::try_from(all.len()).unwrap_or(0) + 1;
                all.push(Observation {
                    placed: placed(measured, &model.id),
                    predicted: predicted(q),
                    latencies: Latencies {
                        count: seen.completed,
                        sample: seen.latencies_ms.iter().map(|x| Millis::new(*x)).collect(),
                    },
                    power: None,
                    at_ms,
                });
            }
        }
    }
    all
}
