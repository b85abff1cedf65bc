//! What a runtime has seen since it began. Counts only grow, so that any number of readers can take
//! differences between two snapshots.

use super::port::PlanVersion;
use ecomap_instances::ids::{TenantId, TierId, UnitId};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest latency that a histogram tells apart, µs: a minute. What takes longer counts as this.
pub const LONGEST_US: u64 = 60_000_000;
/// Significant decimal digits of a histogram.
pub const DIGITS: u8 = 3;

/// An empty histogram of latencies in microseconds, 1 to [`LONGEST_US`].
#[must_use]
pub fn latencies() -> Option<Histogram<u64>> {
    // Fails only for bounds out of range, and these are in it; a test makes one.
    Histogram::new_with_bounds(1, LONGEST_US, DIGITS).ok()
}

/// Adds a latency to a histogram of [`latencies`].
pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    histogram.saturating_record(us.clamp(1, LONGEST_US));
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counters {
    /// When it was taken, on the runtime's own clock.
    pub at: Duration,
    /// Plan that routes new requests.
    pub version: Option<PlanVersion>,
    /// Every tenant that a plan has named since the runtime began.
    pub tenants: BTreeMap<TenantId, TenantCounters>,
    /// Every unit of the board.
    pub units: BTreeMap<UnitId, UnitCounters>,
}

/// What one tenant asked for and got. Every arrival ends as completed (in [`Served`]), `busy`,
/// `expired`, `invalid`, `failed` or `abandoned`, or is still under way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TenantCounters {
    /// Tier that answers now; `None` when the running plan does not serve the tenant.
    pub tier: Option<TierId>,
    /// Requests that came for the tenant while a plan served it.
    pub arrivals: u64,
    /// Turned away because too many were under way.
    pub busy: u64,
    /// Not begun within the client's time.
    pub expired: u64,
    /// Turned away because they did not fit the model.
    pub invalid: u64,
    /// The runtime failed on them.
    pub failed: u64,
    /// Given up by the client before they began.
    pub abandoned: u64,
    /// Under way now: the one figure that also falls.
    pub under_way: u64,
    /// What each tier answered.
    pub served: BTreeMap<TierId, Served>,
}

impl TenantCounters {
    /// Answers of all tiers.
    #[must_use]
    pub fn completions(&self) -> u64 {
        self.served.values().map(|s| s.latency_us.len()).sum()
    }

    /// Deadlines missed: answered too late, or not at all.
    #[must_use]
    pub fn deadline_misses(&self) -> u64 {
        self.expired + self.served.values().map(|s| s.late).sum::<u64>()
    }
}

/// What one tier of a tenant answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// From arrival to answer, µs; its length is the number of answers.
    pub latency_us: Histogram<u64>,
    /// Answers later than the latency objective or the client's time.
    pub late: u64,
}

/// What one unit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitCounters {
    /// Time that it ran segments.
    pub busy: Duration,
    /// The same by tenant; the sum is `busy`.
    pub by_tenant: BTreeMap<TenantId, Duration>,
    /// Requests that wait for it now.
    pub waiting: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_exist_and_saturate() {
        let mut h = latencies().unwrap();
        record(&mut h, Duration::ZERO);
        record(&mut h, Duration::from_millis(5));
        record(&mut h, Duration::from_secs(3600));
        assert_eq!(h.len(), 3);
        let median = h.value_at_quantile(0.5);
        assert!((4990..=5010).contains(&median), "{median}");
        assert!(h.max() >= LONGEST_US);
    }
}
