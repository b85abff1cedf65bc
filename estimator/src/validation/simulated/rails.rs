//! Rails of AGX Orin over time: is the draw idle plus utilisation times a full load?
//!
//! A recording is cut into windows of half a minute. Two numbers, idle and full-load draw, are
//! fitted on the even windows' seconds by least squares; every odd window is simulated as a GPU
//! that serves short requests at the recorded utilisation, and its mean draw compared.

use super::super::Measurements;
use super::super::stats::{Errors, errors};
use super::{board, rule, unit};
use crate::sim::{Arrivals, Jitter, Run, Stage, Stream, Work, simulate};
use ecomap_instances::profile::UnitKind;
use std::sync::Arc;

/// A second of a recording: share of the time that the GPU was busy, watts of the module's rails.
pub type Second = (f64, f64);

/// A recording, second by second.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What ran.
    pub load: &'static str,
    /// Power mode.
    pub mode: &'static str,
    /// Seconds in order.
    pub seconds: Vec<Second>,
}

/// Seconds of a window.
const WINDOW: usize = 30;

/// Length of a simulated request at full clock, ms: short against a second.
const REQUEST_MS: f64 = 10.0;

/// Errors of the mean draw of windows.
#[derive(Debug, Clone)]
pub struct RailLine {
    /// Load and mode.
    pub name: String,
    /// Fitted idle and full-load draw over idle, W.
    pub fitted: (f64, f64),
    /// Windows that were not fitted.
    pub check: Errors,
    /// The same windows by the even windows' mean draw, whatever the utilisation.
    pub constant: Option<Errors>,
    /// Windows of the same mode's other loads by these two numbers.
    pub others: Option<Errors>,
}

/// Least squares of `watts = idle + full · utilisation`, both at least 0.
fn fit(seconds: &[Second]) -> Option<(f64, f64)> {
    #[allow(clippy::cast_precision_loss)]
    let n = seconds.len() as f64;
    if seconds.len() < WINDOW {
        return None;
    }
    let (u, w) = seconds.iter().fold((0.0, 0.0), |(a, b), s| (a + s.0 / n, b + s.1 / n));
    let (mut top, mut bottom) = (0.0, 0.0);
    for s in seconds {
        top += (s.0 - u) * (s.1 - w);
        bottom += (s.0 - u) * (s.0 - u);
    }
    let full = if bottom > 1e-9 { (top / bottom).max(0.0) } else { 0.0 };
    Some(((w - full * u).max(0.0), full))
}

/// Mean draw of a window in the simulator.
fn simulated(window: &[Second], (idle, full): (f64, f64)) -> Option<f64> {
    let mut gaps = Vec::new();
    let mut pause = 0.0;
    for (busy, _) in window {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let requests = (busy.clamp(0.0, 1.0) * 1000.0 / REQUEST_MS).round() as usize;
        if requests == 0 {
            pause += 1000.0;
            continue;
        }
        #[allow(clippy::cast_precision_loss)]
        let gap = 1000.0 / requests as f64;
        gaps.push(gap + pause);
        gaps.extend(std::iter::repeat_n(gap, requests - 1));
        pause = 0.0;
    }
    let Some(last) = gaps.last_mut() else { return Some(idle) };
    *last += pause;
    let length: f64 = gaps.iter().sum();
    let stage = Stage {
        unit: 0,
        blocks: vec![Work { time_ms: REQUEST_MS, watts: full, ..Work::default() }],
        jitter: Jitter::NONE,
        transfer_ms: 0.0,
        transfer_w: 0.0,
    };
    let arrivals = Arrivals::Trace { gaps_ms: Arc::from(gaps) };
    let stream = Stream { stages: vec![stage], arrivals, queue_limit: 100_000 };
    let soc = board(vec![unit(rule("orin", UnitKind::Gpu)?, UnitKind::Gpu)], 1e8, idle);
    // A whole turn of the recording to settle, another to measure: the phase is then of no account.
    let run = Run { seed: super::SEED, warmup_ms: length, measure_ms: length, max_events: 1_000_000 };
    Some(simulate(&soc, &[stream], &run).ok()?.power_w)
}

#[allow(clippy::cast_precision_loss)]
fn mean(window: &[Second]) -> f64 {
    window.iter().map(|s| s.1).sum::<f64>() / window.len().max(1) as f64
}

/// (predicted, measured) of windows.
fn pairs<'a>(windows: impl Iterator<Item = &'a [Second]>, fitted: (f64, f64)) -> Vec<(f64, f64)> {
    windows.filter_map(|w| Some((simulated(w, fitted)?, mean(w)))).collect()
}

/// One line for each recording that is long enough.
#[must_use]
pub fn lines(all: &Measurements) -> Vec<RailLine> {
    let windows = |r: &'_ Recording, odd: usize| -> Vec<Vec<Second>> {
        let whole = r.seconds.chunks_exact(WINDOW).enumerate();
        whole.filter(|(n, _)| n % 2 == odd).map(|(_, w)| w.to_vec()).collect()
    };
    all.recordings
        .iter()
        .filter_map(|r| {
            let even = windows(r, 0).concat();
            let odd = windows(r, 1);
            let fitted = fit(&even)?;
            let level = mean(&even);
            let flat: Vec<(f64, f64)> = odd.iter().map(|w| (level, mean(w))).collect();
            let foreign: Vec<Vec<Second>> = all
                .recordings
                .iter()
                .filter(|o| o.mode == r.mode && o.load != r.load)
                .flat_map(|o| [windows(o, 0), windows(o, 1)].concat())
                .collect();
            Some(RailLine {
                name: format!("{}, {}", r.load, r.mode),
                fitted,
                check: errors(&pairs(odd.iter().map(Vec::as_slice), fitted))?,
                constant: errors(&flat),
                others: errors(&pairs(foreign.iter().map(Vec::as_slice), fitted)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_found_and_simulated() {
        let seconds: Vec<Second> =
            (0..60).map(|n| f64::from(n % 5) / 5.0).map(|u| (u, 6.0 + 20.0 * u)).collect();
        let (idle, full) = fit(&seconds).unwrap();
        assert!((idle - 6.0).abs() < 1e-9 && (full - 20.0).abs() < 1e-9);
        let window = &seconds[..30];
        let said = simulated(window, (idle, full)).unwrap();
        assert!((said - mean(window)).abs() < 0.01 * mean(window), "{said} {}", mean(window));
        assert_eq!(simulated(&[(0.0, 6.0); 30], (6.0, 20.0)), Some(6.0));
        assert_eq!(fit(&seconds[..10]), None);
    }
}
