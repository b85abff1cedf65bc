//! Caps that do not flutter.

use ecomap_instances::units::Watts;
use jiff::{SignedDuration, Timestamp};

/// Hysteresis and minimum dwell. A lower cap is a promise and holds at once; a higher one only when it is higher by
/// `threshold` and the present one has held for `dwell`.
#[derive(Debug, Clone, PartialEq)]
pub struct Damper {
    threshold: Watts,
    dwell: SignedDuration,
    held: Option<(Watts, Timestamp)>,
}

impl Damper {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(threshold: Watts, dwell: SignedDuration) -> Self {
        Self { threshold, dwell, held: None }
    }

    /// The cap that holds when a policy says `wanted` at `now`. Never above `wanted`.
    pub fn damp(&mut self, wanted: Watts, now: Timestamp) -> Watts {
        let next = match self.held {
            None => wanted,
            Some((held, since)) => {
                let rested = now.duration_since(since) >= self.dwell;
                let raises = wanted.get() >= held.get() + self.threshold.get() && wanted.get() > held.get();
                if wanted.get() < held.get() || (raises && rested) { wanted } else { held }
            }
        };
        if self.held.is_none_or(|(held, _)| held != next) {
            self.held = Some((next, now));
        }
        next
    }

    /// The cap that holds and since when.
    #[must_use]
    pub fn held(&self) -> Option<(Watts, Timestamp)> {
        self.held
    }

    /// Goes on from a state that was stored.
    pub fn restore(&mut self, held: Watts, since: Timestamp) {
        self.held = Some((held, since));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn caps_are_never_above_what_is_wanted_and_rise_only_after_the_dwell(
            wanted in proptest::collection::vec((0.0_f64..100.0, 1_i64..40), 1..60),
            threshold in 0.0_f64..20.0,
            dwell in 0_i64..90,
        ) {
            let mut damper = Damper::new(Watts::new(threshold), SignedDuration::from_mins(dwell));
            let mut now = Timestamp::UNIX_EPOCH;
            let mut before: Option<(f64, Timestamp)> = None;
            for (watts, minutes) in wanted {
                now = now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
                let cap = damper.damp(Watts::new(watts), now).get();
                prop_assert!(cap <= watts);
                if let Some((held, since)) = before {
                    if cap > held {
                        prop_assert!(cap >= held + threshold);
                        prop_assert!(now.duration_since(since) >= SignedDuration::from_mins(dwell));
                    }
                    prop_assert!(watts >= held || cap == watts, "a lower cap holds at once");
                    if cap != held {
                        before = Some((cap, now));
                    }
                } else {
                    before = Some((cap, now));
                }
            }
        }
    }
}
