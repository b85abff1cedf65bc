//! Time, injected. The one place of this crate that asks the operating system.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since an arbitrary fixed moment.
    fn now(&self) -> Duration;
    /// Returns at `moment` or a little later.
    fn sleep_until(&self, moment: Duration);
}

/// A clock that also knows the date.
pub trait WallClock: Clock {
    /// Milliseconds since the epoch, by a clock that may be set while it runs.
    fn unix_ms(&self) -> u64;
}

/// The operating system's.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts at zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, moment: Duration) {
        if let Some(rest) = moment.checked_sub(self.now()) {
            std::thread::sleep(rest);
        }
    }
}

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
