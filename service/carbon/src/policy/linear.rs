//! Linear between two intensities.

use super::{Cap, Outlook, Policy, PolicyError, Range, number};
use ecomap_instances::units::GramsPerKwh;

/// The most up to `clean`, the least from `dirty` on, a straight line between.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    range: Range,
    clean: GramsPerKwh,
    dirty: GramsPerKwh,
}

impl Linear {
    /// The line from (`clean`, most) to (`dirty`, least).
    ///
    /// # Errors
    /// [`PolicyError`] unless 0 ≤ clean < dirty, both finite.
    pub fn new(range: Range, clean: GramsPerKwh, dirty: GramsPerKwh) -> Result<Self, PolicyError> {
        number(clean.get() >= 0.0 && clean.get().is_finite(), "clean_g_per_kwh", "finite and not negative")?;
        number(
            dirty.get() > clean.get() && dirty.get().is_finite(),
            "dirty_g_per_kwh",
            "finite and above clean",
        )?;
        Ok(Self { range, clean, dirty })
    }
}

impl Policy for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cap(&self, outlook: &Outlook<'_>) -> Cap {
        let (clean, dirty) = (self.clean.get(), self.dirty.get());
        let share = ((outlook.intensity.get() - clean) / (dirty - clean)).clamp(0.0, 1.0);
        let (least, most) = (self.range.least().get(), self.range.most().get());
        self.range.clip(most - share * (most - least))
    }
}
