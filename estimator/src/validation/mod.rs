//! Predictions against public measurements, and the fit of the parameters.
//!
//! Measurements live outside the repository; where the folder is missing, callers say *skipped*.
//! The flow: [`load`] reads tables into [`Sample`]s, each one network on one unit of one board in
//! one mode; [`fit`](fit::fit) fits each group of samples on its *fit* half; [`report`](report::markdown)
//! shows the errors on the *check* half, which no parameter has seen.

pub mod contention;
pub mod fit;
mod networks;
mod power;
mod power_fit;
pub mod report;
mod sample;
pub mod simulated;
mod sources;
mod stats;
mod table;

pub use contention::{CoRun, ContentionCurve, Demand};
pub use power::PowerRow;
pub use sample::{Group, Half, Sample};
pub use sources::rails::RailTrace;
pub(crate) use stats::quantile;
pub use stats::{Errors, errors, spearman};

use crate::error::EstimatorError;
use crate::parameters::{Dispersion, Parameters};
use std::path::Path;

/// All measurements that the crate can use.
#[derive(Debug, Clone, Default)]
pub struct Measurements {
    /// Latencies of single requests.
    pub samples: Vec<Sample>,
    /// Quantile over median of repeated runs: group, p90/p50, p99/p50, half.
    pub spreads: Vec<(Group, f64, f64, Half)>,
    /// Power over idle at full utilisation.
    pub power: Vec<PowerRow>,
    /// Rankings only: what is ranked, predicted, measured.
    pub rankings: Vec<Ranking>,
    /// Units that ran beside others.
    pub coruns: Vec<CoRun>,
    /// Power of a module's rails over whole recordings.
    pub rails: Vec<RailTrace>,
    /// The same second by second.
    pub recordings: Vec<simulated::rails::Recording>,
    /// Whole runs of one request at a time, with quantiles.
    pub runs: Vec<simulated::alone::TimedRun>,
    /// Fused layers of whole networks, one by one; judged only.
    pub layers: Vec<Sample>,
    /// Time that a cut adds.
    pub cuts: Vec<simulated::cuts::Cut>,
}

/// Measurements under conditions that are not the model's (unknown clocks, another runtime): only
/// their order is compared.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// What is ranked, and on which source.
    pub name: String,
    /// Unit that the prediction is made for.
    pub group: Group,
    /// Samples; their clocks are guesses.
    pub samples: Vec<Sample>,
}

/// Reads every known table below `data/jetson`.
///
/// # Errors
/// [`EstimatorError::Data`] when a table that is there cannot be read. Tables that are missing are
/// left out.
pub fn load(data: &Path) -> Result<Measurements, EstimatorError> {
    let root = data.join("jetson");
    let mut all = Measurements::default();
    sources::mlperf::load(&root, &mut all)?;
    sources::trtutils::load(&root, &mut all)?;
    sources::haxconn::load(&root, &mut all)?;
    sources::branes::load(&root, &mut all)?;
    sources::nvidia_dla::load(&root, &mut all)?;
    sources::arttrt::load(&root, &mut all)?;
    sources::corun::load(&root, &mut all)?;
    sources::rails::load(&root, &mut all)?;
    Ok(all)
}

/// Spread of a group on its fit half: medians of p90/p50 and p99/p50; p95 by the line through them
/// in −ln(1−q), which an exponential tail follows: `p95 = p90 + (p99 − p90)·ln 2 / ln 10`.
#[must_use]
pub fn spread(all: &Measurements, group: &Group) -> Option<Dispersion> {
    let of = |k: fn(&(Group, f64, f64, Half)) -> f64| {
        let list: Vec<f64> =
            all.spreads.iter().filter(|s| s.0 == *group && s.3 == Half::Fit).map(k).collect();
        stats::quantile(&list, 0.5)
    };
    let p90 = of(|s| s.1)?.max(1.0);
    let p99 = of(|s| s.2)?.max(p90);
    let p95 = p90 + (p99 - p90) * std::f64::consts::LN_2 / std::f64::consts::LN_10;
    Some(Dispersion { p95: round(p95), p99: round(p99) })
}

/// Four significant digits, so that files stay readable.
#[must_use]
pub fn round(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(x)
}

/// Prediction of every sample by `parameters`, with the parameters of its own group.
#[must_use]
pub fn predict(parameters: &Parameters, samples: &[&Sample]) -> Vec<Option<f64>> {
    samples.iter().map(|s| s.predict(parameters)).collect()
}
