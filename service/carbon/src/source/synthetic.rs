//! A made-up trace for demonstrations: seeded, and labelled synthetic wherever it shows.
//!
//! Days have a clean noon and a dirty evening, weeks of clouds and wind come and go (an autoregressive series of
//! order one). The numbers are no grid's; shape and range are those of a mixed one (about 60 to 650 g/kWh).

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fmt::Write as _;

/// Most days of a trace.
pub const DAYS: u32 = 366;

/// `days` days of hours from `start` on, as CSV that [`Trace`](super::trace::Trace) reads.
#[must_use]
pub fn hourly(start: Timestamp, days: u32, seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut weather, mut wind) = (0.0_f64, 0.0_f64);
    let mut text = "timestamp,gco2_per_kwh,estimated\n".to_owned();
    for hour in 0..i64::from(days.min(DAYS)) * 24 {
        let of_day = f64::from(i32::try_from(hour % 24).unwrap_or(0));
        weather = 0.985 * weather + 0.17 * rng.random_range(-1.0..1.0);
        wind = 0.95 * wind + 0.31 * rng.random_range(-1.0..1.0);
        let bump = |middle: f64, half: f64| (1.0 - ((of_day - middle) / half).powi(2)).max(0.0);
        let sun = bump(12.5, 5.5) * (0.75 + 0.4 * weather).clamp(0.1, 1.0);
        let demand = 0.55 * bump(8.0, 2.5) + bump(19.0, 3.5);
        let grams = (370.0 - 300.0 * sun + 130.0 * demand - 70.0 * wind).clamp(40.0, 750.0);
        let Ok(at) = start.checked_add(SignedDuration::from_hours(hour)) else { break };
        let _ = writeln!(text, "{at},{grams:.1},true");
    }
    text
}
