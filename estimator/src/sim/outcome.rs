//! What a run measured.

/// Quantiles at which latencies are kept.
pub const GRID: [f64; 15] =
    [0.05, 0.25, 0.5, 0.75, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 1.0];

/// One tenant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamOutcome {
    /// Requests that arrived after the warm-up.
    pub arrived: u64,
    /// Of those, requests refused because too many were in flight.
    pub dropped: u64,
    /// Of those, requests that were answered before the end.
    pub completed: u64,
    /// Latency at each of [`GRID`]'s quantiles, ms; 0 without completions.
    pub quantiles: [f64; GRID.len()],
    /// Mean latency, ms; 0 without completions.
    pub mean_ms: f64,
}

/// The board and its tenants.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Per stream, in order.
    pub streams: Vec<StreamOutcome>,
    /// Share of the time that each unit was busy, after the warm-up.
    pub busy: Vec<f64>,
    /// Mean draw after the warm-up, idle included, W.
    pub power_w: f64,
    /// Share of the time during which clocks were lowered to keep the limit.
    pub throttled: f64,
    /// Blocks executed, warm-up included.
    pub blocks: u64,
    /// Events handled, warm-up included.
    pub events: u64,
    /// Simulated time, warm-up included, ms.
    pub time_ms: f64,
    /// Whether the work limit ended the run before its horizon.
    pub cut_short: bool,
}

impl StreamOutcome {
    /// From latencies in any order.
    pub(super) fn measure(latencies: &mut [f64]) -> Self {
        let mut out = Self::default();
        latencies.sort_unstable_by(f64::total_cmp);
        let Some(last) = latencies.len().checked_sub(1) else { return out };
        let count = f64::from(u32::try_from(latencies.len()).unwrap_or(u32::MAX));
        out.completed = latencies.len() as u64;
        out.mean_ms = latencies.iter().sum::<f64>() / count;
        for (q, slot) in GRID.iter().zip(&mut out.quantiles) {
            // Linear between order statistics (type 7 of Hyndman and Fan, 1996).
            let at = q * (count - 1.0);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let below = (at.floor() as usize).min(last);
            let above = (below + 1).min(last);
            let part = at - at.floor();
            *slot = latencies[below] * (1.0 - part) + latencies[above] * part;
        }
        out
    }

    /// Latency at a quantile of [`GRID`], ms.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Option<f64> {
        let n = GRID.iter().position(|q| (q - quantile).abs() < 1e-9)?;
        self.quantiles.get(n).copied()
    }

    /// Share of requests that were answered within `latency_ms`, interpolated on the grid.
    #[must_use]
    pub fn share_within(&self, latency_ms: f64) -> f64 {
        let mut below = (0.0, 0.0);
        for (q, value) in GRID.iter().zip(self.quantiles) {
            if latency_ms < value {
                let (q0, v0) = below;
                return if value > v0 { q0 + (q - q0) * (latency_ms - v0) / (value - v0) } else { q0 };
            }
            below = (*q, value);
        }
        1.0
    }
}
