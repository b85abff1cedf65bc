//! One tenant as the simulator sees it.

use crate::table::CostTable;
use ecomap_instances::scenario::Segment;
use ecomap_instances::units::{Bytes, Joules, Millis};
use rand::Rng;
use std::sync::Arc;

/// A block on a unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work {
    /// Busy time with nothing else running, ms.
    pub time_ms: f64,
    /// Share of it that waits for memory, 0 to 1.
    pub memory_share: f64,
    /// Memory traffic, bytes.
    pub traffic: f64,
    /// Draw over idle while it runs, W.
    pub watts: f64,
}

/// Spread of service times, as quantiles over the median: 1 up to the median, then geometric
/// between the given points and beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// p95 / p50, at least 1.
    pub p95: f64,
    /// p99 / p50, at least `p95`.
    pub p99: f64,
}

impl Jitter {
    /// No spread.
    pub const NONE: Self = Self { p95: 1.0, p99: 1.0 };

    /// The factor at quantile `u` in [0, 1).
    #[must_use]
    pub fn at(self, u: f64) -> f64 {
        if u <= 0.5 {
            1.0
        } else if u <= 0.95 {
            self.p95.powf((u - 0.5) / 0.45)
        } else {
            // The same slope goes on above p99.
            self.p95 * (self.p99 / self.p95).powf((u.min(0.999) - 0.95) / 0.04)
        }
    }

    /// Mean of the factor.
    #[must_use]
    pub fn mean(self) -> f64 {
        let part =
            |from: f64, to: f64| if (to - from).abs() < 1e-9 { from } else { (to - from) / (to / from).ln() };
        let top = self.p95 * (self.p99 / self.p95).powf(1.225);
        0.5 + 0.45 * part(1.0, self.p95) + 0.049 * part(self.p95, top) + 0.001 * top
    }
}

/// A segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Unit, position in the board.
    pub unit: usize,
    /// Blocks in order, at least one.
    pub blocks: Vec<Work>,
    /// Spread of its service times.
    pub jitter: Jitter,
    /// Hand-over to the next stage, ms; 0 for the last.
    pub transfer_ms: f64,
    /// Draw over idle during the hand-over, W.
    pub transfer_w: f64,
}

/// When requests come.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Independent, exponential gaps of the given mean, ms.
    Poisson {
        /// Mean gap, ms.
        gap_ms: f64,
    },
    /// A clock whose every gap deviates by a uniform share of at most `jitter`, from a random
    /// phase. Deviations add up, so two clocks do not keep one phase for ever.
    Periodic {
        /// Mean gap, ms.
        gap_ms: f64,
        /// Largest relative deviation of a gap, 0 to 1.
        jitter: f64,
    },
    /// Recorded gaps, ms, repeated without end from a random position.
    Trace {
        /// Gaps, at least one, not all 0.
        gaps_ms: Arc<[f64]>,
    },
    /// A closed loop of one client: the next request comes this long after the answer to the last,
    /// the first one at once. Benchmarks that send one request at a time do so.
    Closed {
        /// Time between an answer and the next request, ms.
        think_ms: f64,
    },
}

impl Arrivals {
    /// Mean gap, ms; of a closed loop with answers that take `alone_ms`, the least that it can be.
    #[must_use]
    pub fn gap_ms(&self, alone_ms: f64) -> f64 {
        match self {
            Self::Poisson { gap_ms } | Self::Periodic { gap_ms, .. } => *gap_ms,
            Self::Closed { think_ms } => think_ms + alone_ms,
            Self::Trace { gaps_ms } => {
                let count = u32::try_from(gaps_ms.len()).map_or(f64::MAX, f64::from);
                gaps_ms.iter().sum::<f64>() / count.max(1.0)
            }
        }
    }

    /// Squared coefficient of variation of the gaps: 1 for Poisson, 0 for a clock and a closed loop.
    #[must_use]
    pub fn variability(&self) -> f64 {
        match self {
            Self::Poisson { .. } => 1.0,
            Self::Periodic { jitter, .. } => jitter * jitter / 3.0,
            Self::Closed { .. } => 0.0,
            Self::Trace { gaps_ms } => {
                let mean = self.gap_ms(0.0).max(1e-12);
                let count = u32::try_from(gaps_ms.len()).map_or(f64::MAX, f64::from).max(1.0);
                gaps_ms.iter().map(|g| (g - mean) * (g - mean)).sum::<f64>() / count / (mean * mean)
            }
        }
    }
}

/// Draws the gaps of one stream.
#[derive(Debug)]
pub(super) struct Clock<R> {
    arrivals: Arrivals,
    rng: R,
    position: usize,
}

impl<R: Rng> Clock<R> {
    /// The clock and the time of its first tick.
    pub(super) fn start(arrivals: Arrivals, mut rng: R) -> (Self, f64) {
        let mut position = 0;
        let first = match &arrivals {
            Arrivals::Poisson { gap_ms } => exponential(&mut rng, *gap_ms),
            Arrivals::Periodic { gap_ms, .. } => rng.random::<f64>() * gap_ms,
            Arrivals::Closed { .. } => 0.0,
            Arrivals::Trace { gaps_ms } => {
                position = rng.random_range(0..gaps_ms.len().max(1));
                rng.random::<f64>() * gaps_ms.get(position).copied().unwrap_or(f64::INFINITY)
            }
        };
        (Self { arrivals, rng, position }, first)
    }

    /// Time to the next tick.
    pub(super) fn gap(&mut self) -> f64 {
        match &self.arrivals {
            Arrivals::Poisson { gap_ms } => exponential(&mut self.rng, *gap_ms),
            Arrivals::Periodic { gap_ms, jitter } => {
                gap_ms * (1.0 + jitter * (2.0 * self.rng.random::<f64>() - 1.0))
            }
            Arrivals::Trace { gaps_ms } => {
                self.position = (self.position + 1) % gaps_ms.len().max(1);
                gaps_ms.get(self.position).copied().unwrap_or(f64::INFINITY)
            }
            Arrivals::Closed { .. } => f64::INFINITY,
        }
    }

    /// Time from an answer to the request that it sets off, in a closed loop.
    pub(super) const fn think(&self) -> Option<f64> {
        match self.arrivals {
            Arrivals::Closed { think_ms } => Some(think_ms),
            _ => None,
        }
    }

    /// A number in [0, 1) for anything else that is random about a request.
    pub(super) fn uniform(&mut self) -> f64 {
        self.rng.random()
    }
}

fn exponential<R: Rng>(rng: &mut R, mean: f64) -> f64 {
    -mean * (1.0 - rng.random::<f64>()).ln()
}

/// One tenant on the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Segments in chain order, at least one.
    pub stages: Vec<Stage>,
    /// Its requests.
    pub arrivals: Arrivals,
    /// Most requests in flight; one that arrives beyond is dropped and counted.
    pub queue_limit: usize,
}

/// Requests of one tenant in flight, unless said otherwise.
pub const DEFAULT_QUEUE_LIMIT: usize = 64;

impl Stream {
    /// A placement of a priced tier; `None` where it cannot run.
    ///
    /// A launch is a block of its own without traffic.
    #[must_use]
    pub fn new(
        table: &CostTable,
        segments: &[Segment],
        jitter: impl Fn(usize) -> Jitter,
        arrivals: Arrivals,
    ) -> Option<Self> {
        table.placement(segments)?;
        let last = segments.len().checked_sub(1)?;
        let stages = segments
            .iter()
            .enumerate()
            .map(|(n, s)| {
                let (launch, launching) = table.launch(s.unit)?;
                let mut blocks = Vec::with_capacity(s.to - s.from + 1);
                if launch > Millis::ZERO {
                    blocks.push(work(launch, Millis::ZERO, Bytes::ZERO, launching));
                }
                for b in s.from..s.to {
                    let cost = table.segment(b, b + 1, s.unit)?;
                    let energy = (cost.energy - launching).max(Joules::ZERO);
                    blocks.push(work(cost.service - launch, cost.memory_bound, cost.traffic, energy));
                }
                let (transfer, sending) =
                    if n == last { (Millis::ZERO, Joules::ZERO) } else { table.handover(s.to, s.unit)? };
                Some(Stage {
                    unit: s.unit,
                    blocks,
                    jitter: jitter(s.unit),
                    transfer_ms: transfer.get(),
                    transfer_w: watts(sending, transfer),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { stages, arrivals, queue_limit: DEFAULT_QUEUE_LIMIT })
    }

    /// Time of one request with nothing else running and no spread, ms.
    #[must_use]
    pub fn base_ms(&self) -> f64 {
        self.stages.iter().map(|s| s.time_ms() + s.transfer_ms).sum()
    }

    /// Mean gap between requests, ms; see [`Arrivals::gap_ms`].
    #[must_use]
    pub fn gap_ms(&self) -> f64 {
        self.arrivals.gap_ms(self.base_ms())
    }
}

pub(crate) fn work(time: Millis, memory_bound: Millis, traffic: Bytes, energy: Joules) -> Work {
    let time = time.max(Millis::ZERO);
    Work {
        time_ms: time.get(),
        memory_share: (memory_bound.get() / time.get().max(1e-12)).clamp(0.0, 1.0),
        traffic: traffic.get(),
        watts: watts(energy, time),
    }
}

/// Mean power of an energy over a time; 0 for none. Joules per millisecond are kilowatts.
fn watts(energy: Joules, time: Millis) -> f64 {
    if time > Millis::ZERO { 1000.0 * energy.get() / time.get() } else { 0.0 }
}

impl Stage {
    /// Busy time of one request with nothing else running and no spread, ms.
    #[must_use]
    pub fn time_ms(&self) -> f64 {
        self.blocks.iter().map(|b| b.time_ms).sum()
    }
}
