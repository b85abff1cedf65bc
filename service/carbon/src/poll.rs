//! When to ask a source, and when to leave it alone.
//!
//! A poll is due every `interval`. After a failure that may pass, the next one comes sooner, after a wait drawn
//! uniformly from zero to `first · 2ⁿ` (full jitter, as Brooker, "Exponential backoff and jitter", 2015), never beyond
//! the interval; after one that will not pass by itself, at the interval. `Retry-After` is obeyed. A quota bounds the
//! requests of any hour.

use crate::source::SourceError;
use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::VecDeque;

/// Longest `Retry-After` that is obeyed to the letter.
const PATIENCE: SignedDuration = SignedDuration::from_hours(6);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How often to ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Between two polls that succeed.
    pub interval: SignedDuration,
    /// Upper end of the first wait after a failure.
    pub first: SignedDuration,
    /// Requests in any hour; a poll that would need more waits.
    pub hourly: u32,
}

impl Pace {
    /// Every five minutes, retries from two seconds on, 60 requests an hour.
    pub const DEFAULT: Self =
        Self { interval: SignedDuration::from_mins(5), first: SignedDuration::from_secs(2), hourly: 60 };
}

/// The state of one source's polls.
#[derive(Debug, Clone)]
pub struct Poll {
    pace: Pace,
    next: Timestamp,
    failures: u32,
    made: VecDeque<Timestamp>,
    rng: ChaCha8Rng,
    last_error: Option<SourceError>,
    last_success: Option<Timestamp>,
}

impl Poll {
    /// Due at `now`.
    #[must_use]
    pub fn new(pace: Pace, now: Timestamp, seed: u64) -> Self {
        Self {
            pace,
            next: now,
            failures: 0,
            made: VecDeque::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            last_error: None,
            last_success: None,
        }
    }

    /// When to poll next, the quota considered.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        let spent = self.made.len() >= self.pace.hourly as usize;
        let free = self.made.front().filter(|_| spent).and_then(|t| t.checked_add(HOUR).ok());
        free.map_or(self.next, |free| free.max(self.next))
    }

    /// Counts a request against the quota; `false` when the quota forbids it.
    pub fn request(&mut self, now: Timestamp) -> bool {
        while self.made.front().is_some_and(|t| now.duration_since(*t) >= HOUR) {
            self.made.pop_front();
        }
        let allowed = self.made.len() < self.pace.hourly as usize;
        if allowed {
            self.made.push_back(now);
        }
        allowed
    }

    /// A poll ended well.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.failures = 0;
        self.last_error = None;
        self.last_success = Some(now);
        self.next = now.checked_add(self.pace.interval).unwrap_or(now);
    }

    /// A poll failed.
    pub fn failed(&mut self, error: SourceError, now: Timestamp) {
        let told = match &error {
            SourceError::Limited { seconds: Some(s) } => {
                Some(SignedDuration::from_secs(i64::try_from(*s).unwrap_or(i64::MAX)).min(PATIENCE))
            }
            _ => None,
        };
        let wait = if let Some(told) = told {
            told
        } else if error.passes() {
            let doubled = self.pace.first.as_secs_f64() * 2.0_f64.powi(self.failures.min(30).cast_signed());
            let most = doubled.min(self.pace.interval.as_secs_f64()).max(0.0);
            SignedDuration::try_from_secs_f64(most * self.rng.random::<f64>()).unwrap_or(self.pace.interval)
        } else {
            self.pace.interval
        };
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(error);
        self.next = now.checked_add(wait).unwrap_or(now);
    }

    /// Failures since the last success.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The last failure, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<&SourceError> {
        self.last_error.as_ref()
    }

    /// The last success.
    #[must_use]
    pub fn last_success(&self) -> Option<Timestamp> {
        self.last_success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-03-29T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn retries_stay_within_the_interval_and_differ_by_seed() {
        let waits = |seed| {
            let (mut poll, mut now, mut all) = (Poll::new(Pace::DEFAULT, start(), seed), start(), Vec::new());
            for _ in 0..40 {
                poll.failed(SourceError::Unavailable("x".to_owned()), now);
                all.push(poll.due().duration_since(now));
                now = poll.due();
            }
            all
        };
        let (a, b) = (waits(1), waits(2));
        assert_ne!(a, b);
        assert_eq!(a, waits(1));
        assert!(a.iter().all(|w| *w >= SignedDuration::ZERO && *w <= Pace::DEFAULT.interval));
        assert!(a[0] <= Pace::DEFAULT.first && a.iter().max() > a.first());
    }

    #[test]
    fn the_source_is_obeyed_but_not_for_ever() {
        let mut poll = Poll::new(Pace::DEFAULT, start(), 1);
        poll.failed(SourceError::Limited { seconds: Some(120) }, start());
        assert_eq!(poll.due().duration_since(start()).as_secs(), 120);
        poll.failed(SourceError::Limited { seconds: Some(u64::MAX) }, start());
        assert_eq!(poll.due().duration_since(start()), PATIENCE);
        poll.failed(SourceError::Unauthorised(401), start());
        assert_eq!(poll.due().duration_since(start()), Pace::DEFAULT.interval);
        assert_eq!((poll.failures(), poll.last_error()), (3, Some(&SourceError::Unauthorised(401))));
        poll.succeeded(start());
        assert_eq!((poll.failures(), poll.last_error()), (0, None));
    }

    #[test]
    fn the_quota_holds_in_any_hour() {
        let pace = Pace { hourly: 3, ..Pace::DEFAULT };
        let (mut poll, mut now) = (Poll::new(pace, start(), 1), start());
        let mut made = Vec::new();
        for _ in 0..600 {
            if poll.request(now) {
                made.push(now);
            } else {
                assert_eq!(poll.due(), made[made.len() - 3].checked_add(HOUR).unwrap());
            }
            now = now.checked_add(SignedDuration::from_secs(61)).unwrap();
        }
        assert!(made.len() > 20);
        assert!(made.windows(4).all(|w| w[3].duration_since(w[0]) >= HOUR));
    }
}
