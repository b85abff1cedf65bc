//! A carbon allowance for the day, spent where it buys most quality.
//!
//! With intensities I_h expected for the hours of the day that are left (d_h of each, the first and last may be
//! parts) and the solver's frontier of points k with draw P_k and hourly loss Q_k:
//!
//! ```text
//! min Σ_h d_h·Q_k(h)   subject to   Σ_h d_h·I_h·P_k(h)/1000 ≤ allowance − spent                            (25)
//! ```
//!
//! a multiple-choice knapsack of one row, solved by dynamic programming over the hours. The cap is that of the first
//! hour's point; the next call plans anew with what was really spent and forecasts as revised (receding horizon), so a
//! wrong forecast costs quality, not the allowance.
//!
//! An allowance is a constraint: where the fleet's objective puts a price on carbon too, less is spent than allowed.

use super::{Cap, Clip, Outlook, Policy, PolicyError, Range, number};

/// Most points of a frontier that are looked at.
const POINTS: usize = 256;
/// Of partial plans whose grams differ by less than this share of the rest the one of least loss is kept.
const BUCKETS: usize = 4_096;

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
        let grams =
            |hour: &(f64, f64), at: usize| hour.0 * hour.1 * outlook.frontier[at].draw.get() / 1_000.0;
        // Grams that the hours from here on need at least.
        let mut needed = vec![0.0; hours.len() + 1];
        for (h, hour) in hours.iter().enumerate().rev() {
            let least = points.iter().map(|at| grams(hour, *at)).fold(f64::INFINITY, f64::min);
            needed[h] = needed[h + 1] + least;
        }
        let mut stages: Vec<Vec<Option<Partial>>> = Vec::with_capacity(hours.len());
        let mut before = vec![Some(Partial { grams: 0.0, loss: 0.0, from: 0, point: 0 })];
        for (h, hour) in hours.iter().enumerate() {
            let mut next: Vec<Option<Partial>> = vec![None; BUCKETS + 1];
            for (from, partial) in before.iter().enumerate().filter_map(|(n, p)| p.map(|p| (n, p))) {
                for at in &points {
                    let spent = partial.grams + grams(hour, *at);
                    if spent + needed[h + 1] > rest * (1.0 + 1e-12) {
                        continue;
                    }
                    let loss = partial.loss + hour.0 * outlook.frontier[*at].loss;
                    let slot = &mut next[bucket(spent, rest)];
                    if slot.is_none_or(|best| (loss, spent) < (best.loss, best.grams)) {
                        *slot = Some(Partial { grams: spent, loss, from, point: *at });
                    }
                }
            }
            stages.push(std::mem::replace(&mut before, next));
        }
        let order = |a: &Partial, b: &Partial| a.loss.total_cmp(&b.loss).then(a.grams.total_cmp(&b.grams));
        let mut at = before.iter().flatten().min_by(|a, b| order(a, b)).copied()?;
        let mut plan = Vec::with_capacity(hours.len());
        for stage in stages.iter().rev() {
            plan.push(at.point);
            at = stage.get(at.from).copied().flatten()?;
        }
        plan.reverse();
        Some(plan)
    }
}

/// A plan of the first hours.
#[derive(Debug, Clone, Copy)]
struct Partial {
    grams: f64,
    loss: f64,
    /// Bucket of the hour before.
    from: usize,
    /// Point of this hour.
    point: usize,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn bucket(grams: f64, rest: f64) -> usize {
    if rest <= 0.0 { 0 } else { ((grams / rest * BUCKETS as f64) as usize).min(BUCKETS) }
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
