//! The agent's clock.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time; injected, so that tests need no waiting.
pub trait Clock: Send + Sync + Debug {
    /// Time since the clock was made. Never runs backwards.
    fn now(&self) -> Duration;

    /// Milliseconds since the epoch by the system's clock, which may be set.
    fn unix_ms(&self) -> u64;
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// Begins now.
    #[must_use]
    #[expect(clippy::disallowed_methods)] // the one place where the agent reads the system's clock
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods)] // see above
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
