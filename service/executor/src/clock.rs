//! Time, injected. The one place of this crate that asks the operating system.

use std::fmt;
use std::time::{Duration, Instant};

/// A monotonic clock.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since an arbitrary fixed moment.
    fn now(&self) -> Duration;
    /// Returns at `moment` or a little later.
    fn sleep_until(&self, moment: Duration);
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
