//! When a solve is worth its time.

use ecomap_instances::units::{GramsPerKwh, Watts};

/// How hard a controller looks for a better plan than the stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Effort {
    /// Every turn is solved to the gap asked for, or to the work limit.
    #[default]
    Every,
    /// Caps and intensities are laid on a grid, and each of its cells is solved once, at its largest caps and least
    /// intensities: the proof holds in the whole cell at the discount (26), and the plan serves the cells above. In a
    /// turn, the stored plans and a local search from the best of them answer.
    Cells(Cells),
    /// No solve while some stored plan fits: the best of them, after a local search of so many restarts.
    Stored {
        /// Restarts; 0 only looks up.
        kicks: usize,
    },
}

/// A grid over caps and intensities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cells {
    /// Height of a cell as a share of a cap, e.g. 0.05; above 0.
    pub cap: f64,
    /// Width of a cell, g/kWh; above 0.
    pub grams: f64,
    /// Restarts of the local search in a turn that opens no cell.
    pub kicks: usize,
}

/// Positions on a ladder of caps, each rung (1 + share) times the one below.
fn rung(watts: f64, share: f64) -> f64 {
    // A cap on a rung, but for rounding, is that rung.
    ((watts.ln() / share.ln_1p()) - 1e-9).ceil()
}

impl Cells {
    /// The rung at or above a cap.
    #[must_use]
    pub fn above(&self, cap: Watts) -> Watts {
        let watts = cap.get();
        Watts::new(if watts <= 0.0 { 0.0 } else { (1.0 + self.cap).powf(rung(watts, self.cap)).max(watts) })
    }

    /// The multiple of the width at or below an intensity.
    #[must_use]
    pub fn below(&self, intensity: GramsPerKwh) -> GramsPerKwh {
        let grams = intensity.get();
        GramsPerKwh::new(((grams / self.grams).floor() * self.grams).min(grams))
    }

    /// The cell that holds caps and intensities: rungs of the sites, then multiples of the zones that have sites.
    pub(crate) fn key(&self, caps: &[Option<Watts>], intensity: &[GramsPerKwh], zones: &[usize]) -> Vec<i64> {
        #[allow(clippy::cast_possible_truncation)] // rungs and multiples of bounded numbers
        let whole = |x: f64| x.clamp(-1e15, 1e15) as i64;
        let rung = |cap: &Option<Watts>| match cap {
            None => i64::MAX,
            Some(cap) if cap.get() <= 0.0 => i64::MIN,
            Some(cap) => whole(rung(cap.get(), self.cap)),
        };
        let width =
            |(z, g): (usize, &GramsPerKwh)| zones.contains(&z).then(|| whole((g.get() / self.grams).floor()));
        caps.iter().map(rung).chain(intensity.iter().enumerate().filter_map(width)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_holds_what_it_is_the_corner_of() {
        let cells = Cells { cap: 0.05, grams: 40.0, kicks: 0 };
        for step in 1..400 {
            let (cap, grams) = (Watts::new(f64::from(step) * 0.37), GramsPerKwh::new(f64::from(step) * 1.9));
            let (above, below) = (cells.above(cap), cells.below(grams));
            assert!(above >= cap && above.get() <= cap.get() * 1.05 * (1.0 + 1e-6));
            assert!(below <= grams && grams.get() - below.get() < 40.0 + 1e-9);
            let key = |cap, grams| cells.key(&[Some(cap), None], &[grams], &[0, 0]);
            assert_eq!(key(cap, grams), key(above, grams), "the corner is in its own cell");
            assert_eq!(key(cap, grams), key(cap, below));
        }
        assert_eq!(cells.above(Watts::ZERO), Watts::ZERO);
    }
}
