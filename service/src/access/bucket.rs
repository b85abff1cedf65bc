//! A token bucket: so many requests a second over time, and a few more at once.

use std::time::Duration;

/// Rate of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens that come a second.
    pub per_s: f64,
    /// Tokens that fit.
    pub burst: f64,
}

/// A bucket, full at first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Duration,
}

/// What a bucket holds after a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The bucket's rate.
    pub rate: Rate,
    /// Whole tokens left.
    pub left: u64,
    /// Until it is full again.
    pub full_in: Duration,
    /// Until the next token, when the request was refused.
    pub wait: Option<Duration>,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Duration) -> Self {
        Self { rate, tokens: rate.burst, at: now }
    }

    /// Whether it has this rate; a key's limits may change while the service runs.
    #[must_use]
    pub fn has(&self, rate: Rate) -> bool {
        self.rate == rate
    }

    /// Takes one token, if there is one.
    pub fn take(&mut self, now: Duration) -> Level {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate.per_s).min(self.rate.burst);
        self.at = now.max(self.at);
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        let until = |tokens: f64| {
            Duration::try_from_secs_f64((tokens - self.tokens).max(0.0) / self.rate.per_s)
                .unwrap_or(Duration::MAX)
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, at most the burst
        let left = self.tokens as u64;
        Level { rate: self.rate, left, full_in: until(self.rate.burst), wait: (!granted).then(|| until(1.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_granted_then_the_rate() {
        let at = Duration::from_millis;
        let mut bucket = Bucket::new(Rate { per_s: 2.0, burst: 3.0 }, at(0));
        let left: Vec<_> = (0..3).map(|_| bucket.take(at(0)).left).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = bucket.take(at(0));
        assert_eq!((refused.wait, refused.full_in), (Some(at(500)), at(1500)));
        assert!(bucket.take(at(499)).wait.is_some());
        assert_eq!(bucket.take(at(500)).wait, None);
        assert_eq!(bucket.take(at(500)).wait, Some(at(500)));
        // Never more than the burst, however long nobody asks.
        let level = bucket.take(at(3_600_000));
        assert_eq!((level.left, level.wait), (2, None));
        // A clock that goes back grants nothing.
        assert_eq!(bucket.take(at(0)).left, 1);
    }
}
