//! What segments and placements cost, before any request rate.

use ecomap_instances::profile::Precision;
use ecomap_instances::units::{Bytes, Joules, Millis};

/// Most segments of a placement.
pub const MAX_SEGMENTS: usize = 3;

/// A set of precisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Precisions(u8);

impl Precisions {
    const ALL: [Precision; 3] = [Precision::Fp32, Precision::Fp16, Precision::Int8];

    const fn bit(precision: Precision) -> u8 {
        match precision {
            Precision::Fp32 => 1,
            Precision::Fp16 => 2,
            Precision::Int8 => 4,
        }
    }

    /// With one more member.
    #[must_use]
    pub const fn with(self, precision: Precision) -> Self {
        Self(self.0 | Self::bit(precision))
    }

    /// Whether every member is in `other`.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Members, fp32 first.
    pub fn iter(self) -> impl Iterator<Item = Precision> {
        Self::ALL.into_iter().filter(move |p| self.0 & Self::bit(*p) != 0)
    }
}

/// Cost of one segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentCost {
    /// Busy time of its unit, launch included.
    pub service: Millis,
    /// Part of it that waits for memory.
    pub memory_bound: Millis,
    /// Part of it that starts the segment and its operators.
    pub overhead: Millis,
    /// Bytes moved to and from memory.
    pub traffic: Bytes,
    /// Energy over idle.
    pub energy: Joules,
    /// Tensors and runtime context that the segment keeps.
    pub memory: Bytes,
}

/// Rate-free cost of a placement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacementCost {
    /// Time on the device with nothing else running: services and transfers.
    pub base: Millis,
    /// Transfers alone.
    pub transfer: Millis,
    /// Busy time by unit, ascending by unit; the first `used` entries count.
    pub service: [(usize, Millis); MAX_SEGMENTS],
    /// Memory-bound part, aligned with `service`.
    pub memory_bound: [Millis; MAX_SEGMENTS],
    /// Units used.
    pub used: usize,
    /// Energy over idle.
    pub energy: Joules,
    /// Memory of its own.
    pub memory: Bytes,
    /// Memory traffic.
    pub traffic: Bytes,
    /// Precisions that its segments run in.
    pub precisions: Precisions,
}

impl PlacementCost {
    /// Busy time of each unit used.
    pub fn services(&self) -> impl Iterator<Item = (usize, Millis)> + '_ {
        self.service.iter().take(self.used).copied()
    }
}

impl PlacementCost {
    /// Adds busy time to a unit, keeping the list ascending.
    pub(crate) fn charge(&mut self, unit: usize, service: Millis, memory_bound: Millis) {
        let mut k = 0;
        while k < self.used && self.service[k].0 < unit {
            k += 1;
        }
        if k < self.used && self.service[k].0 == unit {
            self.service[k].1 += service;
            self.memory_bound[k] += memory_bound;
            return;
        }
        let mut n = self.used;
        while n > k {
            self.service[n] = self.service[n - 1];
            self.memory_bound[n] = self.memory_bound[n - 1];
            n -= 1;
        }
        self.service[k] = (unit, service);
        self.memory_bound[k] = memory_bound;
        self.used += 1;
    }
}
