//! Slowdown by shared memory: a piecewise-linear loss over the bandwidth that all units together
//! request.
//!
//! The shape is that of PCCS (Xu et al., "PCCS: Processor-Centric Contention-aware Slowdown Model
//! for Heterogeneous System-on-Chips", MICRO 2021): hardly any loss while requests are few, then a
//! steep straight line, then a flatter one. `s = 1 / (1 − loss)`.

/// Loss of one kind of unit as a function of `x`, the requested bandwidth over the bandwidth that
/// memory can deliver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// Slope of the loss up to the first knee.
    pub minor: f64,
    /// Where the steep part begins.
    pub knee: f64,
    /// Slope of the steep part.
    pub steep: f64,
    /// Where it flattens.
    pub shoulder: f64,
    /// Slope from there on.
    pub flat: f64,
}

/// No unit ever loses more than this share of its speed.
pub const MAX_LOSS: f64 = 0.9;

impl Curve {
    /// Share of the speed lost at request `x`. Non-decreasing in `x`, from 0 to [`MAX_LOSS`].
    #[must_use]
    pub fn loss(&self, x: f64) -> f64 {
        let first = x.min(self.knee) * self.minor;
        let second = (x.min(self.shoulder) - self.knee).max(0.0) * self.steep;
        let third = (x - self.shoulder).max(0.0) * self.flat;
        (first + second + third).clamp(0.0, MAX_LOSS)
    }

    /// Slowdown of a unit that requests `own` when all units together request `total`, against
    /// running alone. At least 1.
    #[must_use]
    pub fn slowdown(&self, own: f64, total: f64) -> f64 {
        (1.0 - self.loss(own)) / (1.0 - self.loss(total.max(own)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVE: Curve = Curve { minor: 0.05, knee: 0.3, steep: 1.2, shoulder: 0.7, flat: 0.4 };

    #[test]
    fn by_hand() {
        assert!((CURVE.loss(0.2) - 0.01).abs() < 1e-12);
        // 0.3 · 0.05 + 0.2 · 1.2
        assert!((CURVE.loss(0.5) - 0.255).abs() < 1e-12);
        // 0.015 + 0.48 + 0.3 · 0.4
        assert!((CURVE.loss(1.0) - 0.615).abs() < 1e-12);
        assert!((CURVE.slowdown(0.2, 0.5) - 0.99 / 0.745).abs() < 1e-12);
    }

    #[test]
    fn never_below_one_and_grows_with_the_others() {
        let mut last = 1.0;
        for step in 0..40 {
            let total = f64::from(step) * 0.05;
            let s = CURVE.slowdown(0.3, total);
            assert!(s >= last);
            last = s;
        }
        assert!(last <= (1.0 - CURVE.loss(0.3)) / (1.0 - MAX_LOSS) + 1e-12);
    }
}
