//! The fleet's clock: the wall's, or a faster one.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The time of day. The one place of the service that asks for it.
#[must_use]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// A fleet's clock. A fleet at speed 1 lives by the wall; another one's time is its own, begins where the document
/// says, and goes on where it stopped when the service starts again.
#[derive(Debug, Clone, Copy)]
pub struct FleetClock {
    origin: Timestamp,
    begun: Duration,
    speed: Option<f64>,
}

impl FleetClock {
    /// A clock that shows `origin` when the monotonic clock shows `begun`.
    #[must_use]
    #[allow(clippy::float_cmp)] // exactly the default
    pub fn new(speed: f64, origin: Timestamp, begun: Duration) -> Self {
        Self { origin, begun, speed: (speed != 1.0).then_some(speed) }
    }

    /// Whether its time is its own.
    #[must_use]
    pub fn accelerated(&self) -> bool {
        self.speed.is_some()
    }

    /// What it shows; `monotonic` is the service's monotonic clock, `wall` the time of day.
    #[must_use]
    pub fn now(&self, monotonic: Duration, wall: Timestamp) -> Timestamp {
        let Some(speed) = self.speed else { return wall };
        let passed = monotonic.saturating_sub(self.begun).as_secs_f64() * speed;
        SignedDuration::try_from_secs_f64(passed)
            .ok()
            .and_then(|passed| self.origin.checked_add(passed).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// How long to wait, in real time, for so much of the fleet's.
    #[must_use]
    pub fn real(&self, fleet: SignedDuration) -> Duration {
        let seconds = fleet.as_secs_f64().max(0.0) / self.speed.unwrap_or(1.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_is_its_own_and_a_plain_one_is_the_walls() {
        let origin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let wall: Timestamp = "2030-05-05T05:05:05Z".parse().unwrap();
        let fast = FleetClock::new(1_800.0, origin, Duration::from_secs(10));
        assert_eq!(fast.now(Duration::from_secs(10), wall), origin);
        assert_eq!(fast.now(Duration::from_secs(12), wall).duration_since(origin).as_secs(), 3_600);
        assert_eq!(fast.real(SignedDuration::from_hours(1)), Duration::from_secs(2));
        let plain = FleetClock::new(1.0, origin, Duration::ZERO);
        assert_eq!(plain.now(Duration::from_secs(12), wall), wall);
        assert_eq!(plain.real(SignedDuration::from_secs(7)), Duration::from_secs(7));
    }
}
