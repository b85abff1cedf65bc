//! A cap on emissions in time.

use super::{Cap, Outlook, Policy, PolicyError, Range, number};

/// As many watts as emit `grams_per_hour` at the present intensity, within a range.
#[derive(Debug, Clone, PartialEq)]
pub struct EmissionRate {
    range: Range,
    grams_per_hour: f64,
}

impl EmissionRate {
    /// At most `grams_per_hour`, as far as the least cap allows.
    ///
    /// # Errors
    /// [`PolicyError`] unless the rate is finite and not negative.
    pub fn new(range: Range, grams_per_hour: f64) -> Result<Self, PolicyError> {
        number(
            grams_per_hour.is_finite() && grams_per_hour >= 0.0,
            "grams_per_hour",
            "finite and not negative",
        )?;
        Ok(Self { range, grams_per_hour })
    }
}

impl Policy for EmissionRate {
    fn name(&self) -> &'static str {
        "emission-rate"
    }

    fn cap(&self, outlook: &Outlook<'_>) -> Cap {
        // W = (g/h) / (g/kWh) · 1000; a grid without emissions allows the most.
        let watts = 1_000.0 * self.grams_per_hour / outlook.intensity.get();
        self.range.clip(if watts.is_nan() { f64::INFINITY } else { watts })
    }
}
