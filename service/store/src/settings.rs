//! How much is kept, and how much may wait.

/// Bounds. Each is a number of rows or of waiting requests, at least 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Changes that may wait for the writing thread.
    pub write_queue: usize,
    /// Questions that may wait for a reading thread.
    pub read_queue: usize,
    /// Reading threads. A store in memory has none: the writing thread answers questions.
    pub readers: usize,
    /// Fleets. One more is refused.
    pub fleets: u64,
    /// Last plans kept of each fleet.
    pub plans: u64,
    /// Last turns kept of each fleet.
    pub turns: u64,
    /// Last events kept.
    pub events: u64,
    /// Last samples kept of all zones.
    pub samples: u64,
    /// Last rows of telemetry kept.
    pub telemetry: u64,
    /// Jobs. One more is refused, unless one that has ended can go.
    pub jobs: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            write_queue: 1_024,
            read_queue: 1_024,
            readers: 2,
            fleets: 64,
            plans: 2_000,
            turns: 50_000,
            events: 100_000,
            samples: 500_000,
            telemetry: 500_000,
            jobs: 10_000,
        }
    }
}
