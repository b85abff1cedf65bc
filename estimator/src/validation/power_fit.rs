//! Fitting what a busy unit draws: shares of its full-load power, and energy of memory traffic.
//!
//! A run's power at the wall is what the board drew before it plus the energy of a request over its
//! time. With the request's time split by the latency model into arithmetic, memory and overhead,
//! that is linear in the four numbers of [`Activity`]; they minimise the squared relative error of
//! the wall power within bounds:
//!
//! ```text
//! min over x of  Σ_runs ( (before + Σ_k f_k x_k − wall) / wall )²  +  w · n · Σ_k (x_k − 0.8)²
//! ```
//!
//! with `0 ≤ x_k ≤ 1.5` for shares and a weak pull `w`, which settles what the runs do not.

use super::power::PowerRow;
use super::round;
use super::sample::Group;
use crate::activity::Activity;
use crate::parameters::{Parameters, UnitParameters};
use ecomap_instances::profile::UnitKind;

/// Most that a share may be: the profile's figure is a median, not a maximum.
const MOST: f64 = 1.5;

/// Watts for each GB/s at most.
const MOST_PER_GBPS: f64 = 0.2;

/// Weight of the pull.
const PULL: f64 = 1e-3;

/// Value that shares are pulled to.
const MIDDLE: f64 = 0.8;

/// What the four numbers multiply, for one run, in watts; the last one in GB/s.
pub(super) type Features = [f64; 4];

/// Features of a run; `None` without a prediction.
pub(super) fn features(row: &PowerRow, parameters: &Parameters, unit: &UnitParameters) -> Option<Features> {
    let cost = row.sample.cost_with(parameters, unit)?;
    let full = row.sample.setting.dynamic.get();
    let total = cost.time.get().max(1e-9);
    let (memory, overhead) = (cost.memory_bound.get() / total, cost.overhead.get() / total);
    let compute = (1.0 - memory - overhead).max(0.0);
    Some([full * compute, full * memory, full * overhead, cost.traffic.get() / total / 1e6])
}

/// Watts over what the board drew before.
pub(super) fn over(features: &Features, x: &Features) -> f64 {
    features.iter().zip(x).map(|(f, x)| f * x).sum()
}

/// Least squares within bounds by coordinate descent; `rows` are (features, watts before, wall).
pub(super) fn solve(rows: &[(Features, f64, f64)]) -> Features {
    let most = [MOST, MOST, MOST, MOST_PER_GBPS];
    let towards = [MIDDLE, MIDDLE, MIDDLE, 0.0];
    #[allow(clippy::cast_precision_loss)]
    let pull = PULL * rows.len() as f64;
    let mut x = towards;
    for _ in 0..2000 {
        let last = x;
        for k in 0..x.len() {
            let (mut top, mut bottom) = (pull * towards[k], pull);
            for (f, before, wall) in rows {
                let a = f[k] / wall;
                let rest = (wall - before - over(f, &x)) / wall + a * x[k];
                top += a * rest;
                bottom += a * a;
            }
            x[k] = (top / bottom).clamp(0.0, most[k]);
        }
        if x.iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-10) {
            break;
        }
    }
    x
}

/// The solution as parameters.
pub(super) fn activity(x: Features) -> Activity {
    Activity {
        compute: round(x[0]),
        memory: round(x[1]),
        overhead: round(x[2]),
        joules_per_byte: round(x[3] * 1e-9),
    }
}

/// The other way round.
pub(super) fn point(a: &Activity) -> Features {
    [a.compute, a.memory, a.overhead, a.joules_per_byte * 1e9]
}

/// Runs of a unit with their features: those that pass `keep`.
pub(super) fn table<'a>(
    rows: &'a [PowerRow],
    parameters: &Parameters,
    keep: impl Fn(&PowerRow) -> bool,
) -> Vec<(&'a PowerRow, Features)> {
    rows.iter()
        .filter(|r| keep(r))
        .filter_map(|r| {
            // Beside DLAs the sample is the GPU's.
            let kind = if r.sample.group.kind == UnitKind::Dla { UnitKind::Gpu } else { r.sample.group.kind };
            let unit = Group { kind, ..r.sample.group.clone() }.unit(parameters)?;
            Some((r, features(r, parameters, unit)?))
        })
        .collect()
}

/// Runs whose clocks are those of their configuration file. BERT of the v2.0 round on AGX Orin is
/// not: it runs 1.7 times (one at a time) and 1.4 times (batches) as fast as its file expects.
pub(super) fn clocks_known(row: &PowerRow) -> bool {
    let round = row.board.starts_with("jetson-agx-orin-64gb MaxQ") && row.board.ends_with("v2.0");
    !(round && row.sample.network.starts_with("bert"))
}

/// Fits a set of runs.
pub(super) fn fit(rows: &[(&PowerRow, Features)]) -> Features {
    let plain: Vec<_> = rows.iter().map(|(r, f)| (*f, r.before, r.wall)).collect();
    solve(&plain)
}

/// The DLAs' share of their full-load power, given the GPU's numbers.
pub(super) fn beside(rows: &[(&PowerRow, Features)], gpu: &Features) -> f64 {
    let (mut top, mut bottom) = (0.0, 0.0);
    for (r, f) in rows {
        let a = r.beside.get() / r.wall;
        top += a * (r.wall - r.before - over(f, gpu)) / r.wall;
        bottom += a * a;
    }
    if bottom > 0.0 { (top / bottom).clamp(0.0, MOST) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovers_shares_and_stays_within_bounds() {
        let x = [1.1, 0.6, 0.3, 0.05];
        let rows: Vec<(Features, f64, f64)> = [
            [20.0, 0.0, 0.0, 5.0],
            [0.0, 20.0, 0.0, 60.0],
            [0.0, 0.0, 20.0, 1.0],
            [10.0, 5.0, 5.0, 30.0],
            [5.0, 10.0, 5.0, 10.0],
        ]
        .into_iter()
        .map(|f| (f, 8.0, 8.0 + over(&f, &x)))
        .collect();
        let found = solve(&rows);
        assert!(found.iter().zip(x).all(|(a, b)| (a - b).abs() < 0.02), "{found:?}");
        // Less than idle: the shares stop at zero.
        let found = solve(&[([20.0, 0.0, 0.0, 0.0], 8.0, 4.0)]);
        assert!(found[0].abs() < 1e-12);
    }
}
