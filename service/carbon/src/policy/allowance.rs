//! A carbon allowance for the day, spent where it buys most quality.
//!
//! With intensities I_h expected for the hours of the day that are left (d_h of each, the first and last may be
//! parts) and the solver's frontier of points k with draw P_k and hourly loss Q_k:
//!
//! ```text
//! min Σ_h d_h·Q_k(h)   subject to   Σ_h d_h·I_h·P_k(h)/1000 ≤ allowance − spent                            (24)
//! ```
//!
//! a multiple-choice knapsack of one row, solved to a certified gap by `ecomap-mmkp`. The cap is that of the first hour's
//! point; the next call plans anew with what was really spent and forecasts as revised (receding horizon), so a
//! wrong forecast costs quality, not the allowance.

use super::{Cap, Clip, Outlook, Policy, PolicyError, Range, number};
use ecomap_mmkp::{Builder, Limits, solve};

/// Most points of a frontier that are looked at.
const POINTS: usize = 256;
/// Relative gap of the plan of a day.
const GAP: f64 = 1e-6;
/// Vectors compared by its search.
const WORK: u64 = 50_000;

/// So many grams a day.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowance {
    range: Range,
    grams_per_day: f64,
}

impl Allowance {
    /// An allowance for each local day.
    ///
    /// # Errors
    /// [`PolicyError`] unless it is finite and not negative.
    pub fn new(range: Range, grams_per_day: f64) -> Result<Self, PolicyError> {
        number(
            grams_per_day.is_finite() && grams_per_day >= 0.0,
            "grams_per_day",
            "finite and not negative",
        )?;
        Ok(Self { range, grams_per_day })
    }

    /// The point chosen for each hour left: positions in the frontier. `None` when none keeps the allowance.
    #[must_use]
    pub fn plan(&self, outlook: &Outlook<'_>) -> Option<Vec<usize>> {
        let hours = hours(outlook);
        let points: Vec<usize> = usable(outlook, &self.range);
        let rest = self.grams_per_day - outlook.spent_g;
        if hours.is_empty() || points.is_empty() || rest < 0.0 {
            return None;
        }
        let mut builder = Builder::new(vec![rest]);
        for (lasts, intensity) in &hours {
            builder.class();
            for at in &points {
                let point = &outlook.frontier[*at];
                let grams = lasts * intensity * point.draw.get() / 1_000.0;
                builder.option(-lasts * point.loss, &[(0, grams)]);
            }
        }
        let problem = builder.build().ok()?;
        let answer = solve(&problem, &Limits { gap: GAP, work: WORK, seed: 0, stop: &|| false });
        Some(answer.choice?.into_iter().filter_map(|k| points.get(k as usize).copied()).collect())
    }
}

/// Length in hours and intensity of every hour left of the day.
fn hours(outlook: &Outlook<'_>) -> Vec<(f64, f64)> {
    let mut left = outlook.left.as_secs_f64() / 3_600.0;
    let mut all = Vec::new();
    for h in 0..26 {
        if left <= 1e-9 {
            break;
        }
        let lasts = left.min(1.0);
        let intensity = outlook.ahead.get(h).or(outlook.ahead.last()).unwrap_or(&outlook.intensity);
        all.push((lasts, if h == 0 { outlook.intensity.get() } else { intensity.get() }));
        left -= lasts;
    }
    all
}

fn usable(outlook: &Outlook<'_>, range: &Range) -> Vec<usize> {
    let within = |cap: f64| range.least().get() <= cap && cap <= range.most().get();
    let sane = |x: f64| x.is_finite() && x >= 0.0;
    (0..outlook.frontier.len().min(POINTS))
        .filter(|at| {
            let point = &outlook.frontier[*at];
            within(point.cap.get()) && sane(point.draw.get()) && sane(point.loss)
        })
        .collect()
}

impl Policy for Allowance {
    fn name(&self) -> &'static str {
        "daily-allowance"
    }

    fn cap(&self, outlook: &Outlook<'_>) -> Cap {
        if usable(outlook, &self.range).is_empty() {
            // W that spend the rest evenly.
            let priced: f64 = hours(outlook).iter().map(|(lasts, intensity)| lasts * intensity).sum();
            let watts = 1_000.0 * (self.grams_per_day - outlook.spent_g).max(0.0) / priced;
            let cap = self.range.clip(if watts.is_nan() { f64::INFINITY } else { watts });
            return Cap { clip: Some(Clip::Blind), ..cap };
        }
        match self.plan(outlook).and_then(|plan| plan.first().map(|at| outlook.frontier[*at].cap)) {
            Some(watts) => Cap { watts, clip: None },
            None => Cap { watts: self.range.least(), clip: Some(Clip::Overdrawn) },
        }
    }
}
