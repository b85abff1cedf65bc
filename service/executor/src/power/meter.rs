//! Energy from readings, by the trapezoid rule.
//!
//! Between two readings of a sensor the draw is taken to change evenly: `E = Σ (t_k − t_{k−1}) · (P_k + P_{k−1}) / 2`.
//! Counters give the energy between two readings themselves, however far apart. Between readings of a sensor a gap
//! longer than [`MAX_GAP`] is not bridged: energy and time of it are left out, and the covered time says so.

use crate::power::reading::{Quantity, Reading};
use ecomap_instances::units::{Joules, Watts};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest time between two readings of a sensor that is bridged.
pub const MAX_GAP: Duration = Duration::from_secs(10);

/// Energy over a time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metered {
    /// Energy.
    pub energy: Joules,
    /// Time that it covers.
    pub covered: Duration,
}

impl Metered {
    /// Mean power over the covered time; `None` without any.
    #[must_use]
    pub fn mean(self) -> Option<Watts> {
        let seconds = self.covered.as_secs_f64();
        (seconds > 0.0).then(|| Watts::new(self.energy.get() / seconds))
    }
}

#[derive(Debug, Clone, Default)]
struct Line {
    last: Option<(Duration, Quantity)>,
    sum: Metered,
}

impl Line {
    fn add(&mut self, at: Duration, now: Quantity) {
        if let Some((then, before)) = self.last
            && let Some(span) = at.checked_sub(then)
        {
            let energy = match (before, now) {
                (Quantity::Power(a), Quantity::Power(b)) if span <= MAX_GAP => {
                    Some(Joules::new((a + b).get() / 2.0 * span.as_secs_f64()))
                }
                (Quantity::Energy(a), Quantity::Energy(b)) if b >= a => Some(b - a),
                _ => None,
            };
            if let Some(energy) = energy {
                self.sum.energy += energy;
                self.sum.covered += span;
            }
        }
        self.last = Some((at, now));
    }

    fn take(&mut self) -> Metered {
        std::mem::take(&mut self.sum)
    }
}

/// Sums up readings of one source.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    total: Line,
    rails: BTreeMap<String, Line>,
}

/// What a meter has summed up since the last time it was asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summed {
    /// The whole, as far as the source covers it.
    pub total: Metered,
    /// By rail; rails without any covered time are left out.
    pub rails: BTreeMap<String, Metered>,
}

impl Meter {
    /// Takes a reading, made `at` unless it says itself when. A rail or total that is absent from it leaves a gap in that line alone.
    pub fn add(&mut self, at: Duration, reading: &Reading) {
        let at = reading.at.unwrap_or(at);
        match reading.total {
            Some(total) => self.total.add(at, total),
            None => self.total.last = None,
        }
        for (name, line) in &mut self.rails {
            if !reading.rails.iter().any(|r| r.name == *name) {
                line.last = None;
            }
        }
        for rail in &reading.rails {
            self.rails.entry(rail.name.clone()).or_default().add(at, rail.quantity);
        }
    }

    /// What was summed up since the last call; begins anew.
    pub fn take(&mut self) -> Summed {
        let rails = self.rails.iter_mut().map(|(name, line)| (name.clone(), line.take()));
        Summed { total: self.total.take(), rails: rails.filter(|(_, m)| !m.covered.is_zero()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::power::Rail;

    fn reading(quantity: Option<Quantity>) -> Reading {
        let rails = quantity.map(|quantity| Rail { name: "A".to_owned(), quantity }).into_iter().collect();
        Reading { rails, total: quantity, ..Reading::default() }
    }

    fn watts(w: f64) -> Reading {
        reading(Some(Quantity::Power(Watts::new(w))))
    }

    #[test]
    fn trapezoids_across_uneven_steps() {
        let mut meter = Meter::default();
        for (at, w) in [(0.0, 10.0), (1.0, 20.0), (3.0, 20.0), (3.5, 0.0)] {
            meter.add(Duration::from_secs_f64(at), &watts(w));
        }
        let summed = meter.take();
        assert!((summed.total.energy.get() - (15.0 + 40.0 + 5.0)).abs() < 1e-9);
        assert_eq!(summed.total.covered, Duration::from_secs_f64(3.5));
        assert_eq!(summed.rails["A"], summed.total);
        // The next interval begins at the last reading: nothing is lost between the two.
        meter.add(Duration::from_secs_f64(4.5), &watts(10.0));
        assert!((meter.take().total.energy.get() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn gaps_are_not_bridged() {
        let mut meter = Meter::default();
        meter.add(Duration::from_secs(0), &watts(10.0));
        meter.add(Duration::from_secs(60), &watts(10.0));
        assert_eq!(meter.take().total, Metered::default());
        meter.add(Duration::from_secs(61), &reading(None));
        meter.add(Duration::from_secs(62), &watts(10.0));
        assert_eq!(meter.take(), Summed::default());
        assert_eq!(Metered::default().mean(), None);
    }

    #[test]
    fn counters_give_their_difference() {
        let mut meter = Meter::default();
        for (at, j) in [(0, 5.0), (1, 7.5), (2, 17.5)] {
            meter.add(Duration::from_secs(at), &reading(Some(Quantity::Energy(Joules::new(j)))));
        }
        let total = meter.take().total;
        assert_eq!((total.energy, total.mean()), (Joules::new(12.5), Some(Watts::new(6.25))));
    }
}
