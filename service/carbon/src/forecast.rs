//! What the next hours will be, when nobody has said so.
//!
//! Grids repeat their days. The forecast for h hours from now is the same hour of the day before, moved by how far this
//! hour is from that of the day before, and the less the farther it is away:
//!
//! ```text
//! Î(t+h) = max(0, I(t+h−24k) + ρ^h·(I(t) − I(t−24)))                                                        (27)
//! ```
//!
//! with k the least number of days such that t+h−24k is past. ρ = 0 is yesterday repeated, ρ = 1 yesterday's shape from
//! where the grid is now.

/// ρ: half of what today differs by is still expected after about seven hours.
pub const FADE: f64 = 0.9;

/// Expected intensities of this hour and the `hours` − 1 after it. `past` are hourly values, the oldest first, the last of
/// this hour; with less than a day of them the present holds on. Empty without any.
#[must_use]
pub fn hours_ahead(past: &[f64], hours: usize, fade: f64) -> Vec<f64> {
    let Some(now) = past.last().copied() else { return Vec::new() };
    let last = past.len() - 1;
    let Some(before) = last.checked_sub(24).and_then(|at| past.get(at)) else { return vec![now; hours] };
    let moved = now - before;
    let mut share = 1.0;
    (0..hours)
        .map(|h| {
            if h == 0 {
                return now;
            }
            share *= fade;
            let same = (last + h).checked_sub(24 * h.div_ceil(24)).and_then(|at| past.get(at));
            (same.copied().unwrap_or(now) + share * moved).max(0.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_repeats_is_foretold_and_a_shift_fades() {
        let day = |h: usize| 300.0 + 10.0 * ((h % 24) as f64);
        let past: Vec<f64> = (0..=47).map(day).collect();
        let exact: Vec<f64> = (47..47 + 30).map(day).collect();
        assert_eq!(hours_ahead(&past, 30, FADE), exact);
        let mut shifted = past;
        shifted[47] += 100.0;
        let ahead = hours_ahead(&shifted, 25, 0.5);
        assert!((ahead[0] - (day(47) + 100.0)).abs() < 1e-9);
        assert!((ahead[1] - (day(48) + 50.0)).abs() < 1e-9, "what differs now fades by half an hour's share");
        assert!((ahead[2] - (day(49) + 25.0)).abs() < 1e-9);
        // The hour a day from now lies 24 hours after this one, which was shifted itself.
        assert!((ahead[24] - (day(47) + 100.0)).abs() < 0.01);
    }

    #[test]
    fn without_a_day_the_present_holds_and_nothing_is_negative() {
        assert_eq!(hours_ahead(&[5.0, 7.0], 3, FADE), vec![7.0; 3]);
        assert!(hours_ahead(&[], 3, FADE).is_empty());
        let mut past = vec![10.0; 25];
        past[24] = 0.0;
        past[1] = 2.0;
        assert!(hours_ahead(&past, 3, 1.0).iter().all(|g| *g >= 0.0));
    }
}
