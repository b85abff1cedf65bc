//! Readings that cannot be true.
//!
//! A sensor whose bus has hung often goes on answering with its last value. One rail may well say the same for
//! minutes (a power-gated unit draws nothing; the steps of the converter are coarse), but not all of them at once: in
//! 10 900 s of recorded AGX Orin rails at one reading a second, all four were unchanged for 22 readings at most, one of
//! them alone for 913. So a source is *stuck* when no rail has changed in [`STUCK_READINGS`] readings that span
//! [`STUCK_TIME`], and some rail is not zero.

use crate::power::Fault;
use std::time::Duration;

/// Readings without any change after which a sensor is taken to be stuck.
pub const STUCK_READINGS: u32 = 60;
/// They must also span this time.
pub const STUCK_TIME: Duration = Duration::from_secs(60);
/// No rail of a board draws more, mW: the largest Jetson supply is below 150 W, a socket of a host below 1 kW.
pub const MAX_MILLIWATTS: i64 = 1_000_000;

/// Checks one value.
///
/// # Errors
/// [`Fault::OutOfRange`].
pub fn in_range(rail: &str, milliwatts: i64) -> Result<f64, Fault> {
    if !(0..=MAX_MILLIWATTS).contains(&milliwatts) {
        return Err(Fault::OutOfRange { rail: rail.to_owned(), milliwatts });
    }
    // At most 10^6 by the line above, so the conversion is exact.
    Ok(f64::from(i32::try_from(milliwatts).unwrap_or(i32::MAX)) / 1000.0)
}

/// Notices a sensor that repeats itself.
#[derive(Debug, Clone, Default)]
pub struct Repeats {
    last: Vec<i64>,
    same: u32,
    since: Duration,
}

impl Repeats {
    /// Takes the raw values of one reading; a fault when the sensor is stuck.
    pub fn see(&mut self, values: &[i64], at: Duration) -> Option<Fault> {
        if values != self.last {
            self.last = values.to_vec();
            self.same = 1;
            self.since = at;
            return None;
        }
        self.same = self.same.saturating_add(1);
        let long = self.same >= STUCK_READINGS && at.saturating_sub(self.since) >= STUCK_TIME;
        (long && values.iter().any(|v| *v != 0)).then_some(Fault::Stuck { readings: self.same })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(values: &[i64], readings: u32, step: Duration) -> Option<Fault> {
        let mut repeats = Repeats::default();
        (0..readings).filter_map(|n| repeats.see(values, step * n)).last()
    }

    #[test]
    fn repetition_needs_both_readings_and_time() {
        let second = Duration::from_secs(1);
        assert_eq!(feed(&[4373, 397], 60, second), None, "59 s");
        assert_eq!(feed(&[4373, 397], 61, second), Some(Fault::Stuck { readings: 61 }));
        assert_eq!(feed(&[4373, 397], 400, Duration::from_millis(100)), None, "a fast sampler");
        assert_eq!(feed(&[0, 0], 1000, second), None, "a board that is off");
    }

    #[test]
    fn one_change_begins_anew() {
        let mut repeats = Repeats::default();
        for n in 0..100 {
            let value = if n == 50 { 8 } else { 7 };
            assert_eq!(repeats.see(&[value], Duration::from_secs(n)), None);
        }
    }

    #[test]
    fn range_is_checked() {
        assert_eq!(in_range("GPU", 4373), Ok(4.373));
        assert!(in_range("GPU", -1).is_err() && in_range("GPU", 1_000_001).is_err());
    }
}
