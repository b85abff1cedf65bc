//! A piecewise linear law of memory contention, and its fit to co-run tables.
//!
//! ```text
//! slowdown(y) = 1 + slope · max(0, y − knee) + steeper · max(0, y − second)
//! ```
//!
//! of a unit's memory-bound work, `y` being the demand of all other units as a share of the board's
//! peak memory bandwidth. With no more than a dozen points for each unit, `second` is given and the
//! other three are fitted.

use super::round;
use super::sample::{Half, Sample};
use super::stats::{Errors, errors};
use crate::parameters::Parameters;
use ecomap_instances::profile::UnitKind;

/// Slowdown of memory-bound work by others' demand; see the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ContentionCurve {
    /// Share of the peak bandwidth that others may demand without any effect.
    pub knee: f64,
    /// Relative delay for each unit of share beyond the knee.
    pub slope: f64,
    /// Share beyond which the delay grows faster.
    pub second: f64,
    /// What is added to the slope beyond it.
    pub steeper: f64,
}

impl ContentionCurve {
    /// No contention at all.
    pub const NONE: Self = Self { knee: 0.0, slope: 0.0, second: 1.0, steeper: 0.0 };

    /// Factor on memory-bound time, at least 1; `share` of the peak bandwidth demanded by others.
    #[must_use]
    pub fn slowdown(&self, share: f64) -> f64 {
        1.0 + self.slope * (share - self.knee).max(0.0) + self.steeper * (share - self.second).max(0.0)
    }
}

/// What other units ask of memory.
#[derive(Debug, Clone)]
pub enum Demand {
    /// Stated, GB/s.
    Gbps(f64),
    /// A network on another unit: the model's traffic over the model's time.
    Network(Box<Sample>),
}

/// A unit beside others.
#[derive(Debug, Clone)]
pub struct CoRun {
    /// Where it was measured.
    pub source: &'static str,
    /// Hardware generation.
    pub generation: &'static str,
    /// Unit that is slowed down.
    pub kind: UnitKind,
    /// Co-runner, engine or operating point.
    pub name: String,
    /// What the unit moves alone, GB/s, where it is stated.
    pub own_gbps: Option<f64>,
    /// What the others ask for.
    pub external: Demand,
    /// Peak bandwidth of the board, GB/s.
    pub peak_gbps: f64,
    /// Time beside others over time alone.
    pub slowdown: f64,
    /// Half of the data.
    pub half: Half,
}

impl CoRun {
    /// Demand of the others as a share of the peak bandwidth, at most 1; `None` when the co-runner
    /// cannot be predicted.
    #[must_use]
    pub fn share(&self, parameters: &Parameters) -> Option<f64> {
        let gbps = match &self.external {
            Demand::Gbps(x) => *x,
            Demand::Network(sample) => {
                let cost = sample.cost_with(parameters, sample.group.unit(parameters)?)?;
                cost.traffic.get() / cost.time.get() / 1e6
            }
        };
        Some((gbps / self.peak_gbps).clamp(0.0, 1.0))
    }
}

/// The curve that the tables support for a unit kind of a generation, for memory-bound work.
///
/// - Xavier DLA: 1.47, the mean of two sources that agree (AlexNet on the DLA beside ten networks:
///   1.48 for shares of 0.18 to 0.33; PCCS coefficients: 1.46 up to 0.73).
/// - Orin GPU 0.4, DLA 0.27, CPU 0: one operating point each (branes-ai/graphs, four engines at
///   once, 53 % of the peak in use), a line from the origin; the DLA's is the mean of two.
/// - Xavier GPU: no effect up to a share of 0.28 (first region of the PCCS coefficients, below
///   1.5 %); the slope beyond is Orin's, an assumption. Xavier CPU: Orin's.
///
/// No source supports a second knee below a share of 0.73, nor anything above it.
#[must_use]
pub fn recommended(generation: &str, kind: UnitKind) -> ContentionCurve {
    let line = |knee, slope| ContentionCurve { knee, slope, ..ContentionCurve::NONE };
    match (generation, kind) {
        ("xavier", UnitKind::Dla) => line(0.0, 1.47),
        ("xavier", UnitKind::Gpu) => line(0.28, 0.4),
        (_, UnitKind::Gpu) => line(0.0, 0.4),
        (_, UnitKind::Dla) => line(0.0, 0.27),
        (_, UnitKind::Cpu) => ContentionCurve::NONE,
    }
}

/// A curve with its errors on the slowdown.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Source of the points.
    pub source: &'static str,
    /// Generation and unit.
    pub unit: (&'static str, UnitKind),
    /// The curve.
    pub curve: ContentionCurve,
    /// Smallest and largest share seen.
    pub range: (f64, f64),
    /// Errors of the slowdown on the fit half.
    pub fit: Option<Errors>,
    /// Errors on the check half.
    pub check: Option<Errors>,
    /// Errors on the check half of the fit half's mean slowdown, whatever the demand.
    pub constant: Option<Errors>,
}

/// Fits one curve for each source, generation and unit kind that has at least one point.
#[must_use]
pub fn curves(parameters: &Parameters, runs: &[CoRun]) -> Vec<Fitted> {
    let mut keys: Vec<(&'static str, &'static str, UnitKind)> =
        runs.iter().map(|r| (r.source, r.generation, r.kind)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter_map(|(source, generation, kind)| {
            let of: Vec<(f64, f64, Half)> = runs
                .iter()
                .filter(|r| (r.source, r.generation, r.kind) == (source, generation, kind))
                .filter_map(|r| Some((r.share(parameters)?, r.slowdown, r.half)))
                .collect();
            let half = |wanted: Half| -> Vec<(f64, f64)> {
                of.iter().filter(|p| p.2 == wanted).map(|p| (p.0, p.1)).collect()
            };
            let (fitted, checked) = (half(Half::Fit), half(Half::Check));
            let curve = fit(&fitted)?;
            let predict = |list: &[(f64, f64)]| -> Vec<(f64, f64)> {
                list.iter().map(|(y, s)| (curve.slowdown(*y), *s)).collect()
            };
            #[allow(clippy::cast_precision_loss)]
            let mean = fitted.iter().map(|p| p.1).sum::<f64>() / fitted.len() as f64;
            let flat: Vec<(f64, f64)> = checked.iter().map(|p| (mean, p.1)).collect();
            let shares = of.iter().map(|p| p.0);
            Some(Fitted {
                source,
                unit: (generation, kind),
                curve,
                range: (shares.clone().fold(f64::INFINITY, f64::min), shares.fold(0.0, f64::max)),
                fit: errors(&predict(&fitted)),
                check: errors(&predict(&checked)),
                constant: errors(&flat),
            })
        })
        .collect()
}

/// Least squares over a grid of knees and slopes; few points get a straight line from zero.
fn fit(points: &[(f64, f64)]) -> Option<ContentionCurve> {
    if points.is_empty() {
        return None;
    }
    let grid = |n: u32, step: f64| (0..n).map(move |k| f64::from(k) * step);
    let knees: Vec<f64> = if points.len() < 4 { vec![0.0] } else { grid(13, 0.05).collect() };
    let steeper: Vec<f64> = if points.len() < 5 { vec![0.0] } else { grid(17, 0.25).collect() };
    let mut best = (f64::INFINITY, ContentionCurve::NONE);
    for &knee in &knees {
        for slope in grid(301, 0.01) {
            for &more in &steeper {
                let curve = ContentionCurve { knee, slope, second: 0.5, steeper: more };
                let error: f64 = points.iter().map(|(y, s)| ((curve.slowdown(*y) - s) / s).powi(2)).sum();
                if error < best.0 - 1e-12 {
                    best = (error, curve);
                }
            }
        }
    }
    let c = best.1;
    Some(ContentionCurve { knee: round(c.knee), slope: round(c.slope), ..c })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowdown_by_hand() {
        let c = ContentionCurve { knee: 0.2, slope: 0.5, second: 0.6, steeper: 2.0 };
        assert!((c.slowdown(0.1) - 1.0).abs() < 1e-12);
        assert!((c.slowdown(0.4) - 1.1).abs() < 1e-12);
        assert!((c.slowdown(0.8) - (1.0 + 0.3 + 0.4)).abs() < 1e-12);
    }

    #[test]
    fn recommended_curves_never_speed_up() {
        for generation in ["xavier", "orin", "generic"] {
            for kind in [UnitKind::Gpu, UnitKind::Dla, UnitKind::Cpu] {
                let c = recommended(generation, kind);
                let all: Vec<f64> = (0..=10).map(|k| c.slowdown(f64::from(k) / 10.0)).collect();
                assert!(all[0] >= 1.0 && all.windows(2).all(|w| w[0] <= w[1]));
            }
        }
        // PCCS coefficients of the DLA at 60 of 136.5 GB/s: 1.62.
        assert!((recommended("xavier", UnitKind::Dla).slowdown(60.0 / 136.5) - 1.62).abs() < 0.05);
    }

    #[test]
    fn recovers_a_curve() {
        let truth = ContentionCurve { knee: 0.2, slope: 0.8, second: 0.5, steeper: 1.5 };
        let points: Vec<(f64, f64)> =
            (1..10).map(|k| f64::from(k) / 10.0).map(|y| (y, truth.slowdown(y))).collect();
        let found = fit(&points).unwrap();
        for (y, s) in points {
            assert!((found.slowdown(y) - s).abs() < 0.01, "{found:?}");
        }
        // One point: a line from the origin.
        let one = fit(&[(0.2, 1.1)]).unwrap();
        assert!((one.slope - 0.5).abs() < 1e-9 && one.knee.abs() < 1e-12);
    }
}
