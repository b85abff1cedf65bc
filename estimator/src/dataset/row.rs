//! One plan with its features and what the simulator measured.

use super::draw::Draw;
use crate::features::{Encoded, encode};
use crate::sim::outcome::GRID;
use crate::sim::soc::Discipline;
use crate::sim::{Outcome, Run, SimError, simulate};

/// How long a plan is simulated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Requests that the slowest tenant should see after the warm-up.
    pub requests: f64,
    /// Most events, warm-up included; lowers the number of requests.
    pub max_events: u64,
}

impl Effort {
    /// For training: many short runs teach more than few long ones.
    pub const TRAIN: Self = Self { requests: 800.0, max_events: 200_000 };
    /// For judging: the sampling error of p95 stays small against the errors to be judged.
    pub const TEST: Self = Self { requests: 4000.0, max_events: 1_000_000 };
}

/// What happened to a tenant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TenantTruth {
    /// Latency at each quantile of the simulator's [`GRID`], ms.
    pub quantiles: [f64; GRID.len()],
    /// Mean latency, ms.
    pub mean_ms: f64,
    /// Requests answered.
    pub completed: u64,
    /// Share of requests dropped.
    pub dropped: f64,
    /// Mean request rate, per ms.
    pub rate: f64,
}

/// A row of the data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Split's name.
    pub split: String,
    /// Number in the split.
    pub index: u64,
    /// `simulated`, or the name of the device that was measured.
    pub source: String,
    /// Board type.
    pub profile: String,
    /// Mode.
    pub mode: String,
    /// Whether the hardware was jittered.
    pub jittered: bool,
    /// `family/tier` of each tenant.
    pub models: Vec<String>,
    /// Features.
    pub features: Encoded,
    /// Per tenant.
    pub truth: Vec<TenantTruth>,
    /// Mean draw, W.
    pub power_w: f64,
    /// Busy share of each unit.
    pub busy: Vec<f64>,
}

impl Row {
    /// A plan's features without a truth, under a number of the caller's.
    #[must_use]
    pub fn untold(draw: &Draw, index: u64) -> Self {
        Self {
            split: draw.split.as_str().to_owned(),
            index,
            source: "not simulated".to_owned(),
            profile: draw.profile.clone(),
            mode: draw.mode.clone(),
            jittered: draw.jittered,
            models: draw.models.iter().map(|(f, t)| format!("{f}/{t}")).collect(),
            features: encode(&draw.soc, &draw.streams),
            truth: draw
                .streams
                .iter()
                .map(|s| TenantTruth { rate: 1.0 / s.gap_ms(), ..TenantTruth::default() })
                .collect(),
            power_w: 0.0,
            busy: Vec::new(),
        }
    }
}

/// Simulates a plan.
///
/// # Errors
/// [`SimError`] from a malformed plan.
pub fn make(draw: &Draw, effort: Effort) -> Result<(Row, Outcome), SimError> {
    let slowest = draw.streams.iter().map(|s| s.gap_ms()).fold(0.0, f64::max);
    #[allow(clippy::cast_precision_loss)]
    let affordable = 0.9 * effort.max_events as f64 / events_per_ms(draw).max(1e-12);
    let whole = (effort.requests * slowest * 1.1).min(affordable);
    let run = Run {
        seed: draw.seed,
        warmup_ms: whole / 11.0,
        measure_ms: whole * 10.0 / 11.0,
        max_events: effort.max_events,
    };
    let outcome = simulate(&draw.soc, &draw.streams, &run)?;
    let truth = outcome
        .streams
        .iter()
        .zip(&draw.streams)
        .map(|(o, s)| TenantTruth {
            quantiles: o.quantiles,
            mean_ms: o.mean_ms,
            completed: o.completed,
            #[allow(clippy::cast_precision_loss)]
            dropped: o.dropped as f64 / (o.arrived as f64).max(1.0),
            rate: 1.0 / s.gap_ms(),
        })
        .collect();
    let row = Row {
        source: "simulated".to_owned(),
        truth,
        power_w: outcome.power_w,
        busy: outcome.busy.clone(),
        ..Row::untold(draw, draw.index)
    };
    Ok((row, outcome))
}

/// Upper estimate of the simulator's events: blocks, slices between tenants, arrivals, hand-overs.
fn events_per_ms(draw: &Draw) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let mut rate = 0.0;
    for stream in &draw.streams {
        let mut events = 1.0;
        for stage in &stream.stages {
            events += 1.0 + count(stage.blocks.len());
            if let Some(Discipline::RoundRobin { quantum_ms, .. }) =
                draw.soc.units.get(stage.unit).map(|u| u.discipline)
            {
                events += stage.time_ms() / quantum_ms;
            }
        }
        rate += events / stream.gap_ms();
    }
    rate
}
