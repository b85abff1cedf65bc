//! When requests come.

use ecomap_instances::generate::Seed;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use std::sync::Arc;
use std::time::Duration;

/// Longest gap between two requests of a stream.
const LONGEST_GAP_S: f64 = 86_400.0;

/// How requests are spread over time.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// Gaps drawn from the exponential distribution.
    Poisson {
        /// Mean requests per second; positive.
        rate_per_s: f64,
    },
    /// Equal gaps, from a phase drawn from the seed.
    Periodic {
        /// Requests per second; positive.
        rate_per_s: f64,
    },
    /// As recorded, from the beginning again when it ends.
    Trace(Arc<[Duration]>),
}

/// Moments since the start of a stream, not falling; without end, except for an empty trace.
#[derive(Debug)]
pub struct Arrivals {
    pattern: Pattern,
    rng: ChaCha12Rng,
    next: Duration,
    count: usize,
}

impl Arrivals {
    /// A stream of a seed. The same seed gives the same moments.
    #[must_use]
    pub fn new(pattern: Pattern, seed: Seed, stream: u64) -> Self {
        let mut rng = seed.rng(stream);
        let next = match &pattern {
            Pattern::Poisson { rate_per_s } => exponential(&mut rng, *rate_per_s),
            Pattern::Periodic { rate_per_s } => seconds(rng.random::<f64>() / rate_per_s),
            Pattern::Trace(_) => Duration::ZERO,
        };
        Self { pattern, rng, next, count: 0 }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.next;
        match &self.pattern {
            Pattern::Poisson { rate_per_s } => {
                let gap = exponential(&mut self.rng, *rate_per_s);
                self.next = now.saturating_add(gap);
            }
            Pattern::Periodic { rate_per_s } => self.next = now.saturating_add(seconds(1.0 / rate_per_s)),
            Pattern::Trace(moments) => {
                let last = *moments.last()?;
                let n = self.count;
                self.count += 1;
                let round = u32::try_from(n / moments.len()).unwrap_or(u32::MAX);
                let at = moments.get(n % moments.len())?;
                return Some(last.saturating_mul(round).saturating_add(*at));
            }
        }
        Some(now)
    }
}

fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(if s.is_finite() { s.clamp(0.0, LONGEST_GAP_S) } else { LONGEST_GAP_S })
}

fn exponential(rng: &mut ChaCha12Rng, rate: f64) -> Duration {
    seconds(-(1.0 - rng.random::<f64>()).ln() / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(pattern: &Pattern, seed: u64, n: usize) -> Vec<f64> {
        Arrivals::new(pattern.clone(), Seed(seed), 0).take(n).map(|d| d.as_secs_f64()).collect()
    }

    #[test]
    fn poisson_has_its_rate_and_its_spread() {
        let pattern = Pattern::Poisson { rate_per_s: 50.0 };
        let times = first(&pattern, 1, 20_000);
        assert_eq!(times, first(&pattern, 1, 20_000));
        assert_ne!(times[..5], first(&pattern, 2, 5)[..]);
        let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
        assert!((mean * 50.0 - 1.0).abs() < 0.03, "{mean}");
        // Mean and standard deviation of exponential gaps are equal.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn periodic_keeps_its_step() {
        let times = first(&Pattern::Periodic { rate_per_s: 10.0 }, 3, 100);
        assert!(times[0] < 0.1);
        assert!(times.windows(2).all(|w| (w[1] - w[0] - 0.1).abs() < 1e-9));
    }

    #[test]
    fn a_trace_begins_again() {
        let moments = [1, 3, 10].map(Duration::from_millis);
        let times = first(&Pattern::Trace(moments.into()), 0, 7);
        let wanted = [1, 3, 10, 11, 13, 20, 21].map(|ms| f64::from(ms) / 1000.0);
        assert!(times.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{times:?}");
        assert!(first(&Pattern::Trace([].into()), 0, 7).is_empty());
    }
}
