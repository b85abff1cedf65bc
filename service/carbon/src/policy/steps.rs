//! A table.

use super::{Cap, Outlook, Policy, PolicyError, number};
use ecomap_instances::units::{GramsPerKwh, Watts};

/// Most steps of a table.
pub const MOST: usize = 64;

/// From which intensity on which cap holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    steps: Vec<(GramsPerKwh, Watts)>,
}

impl Steps {
    /// A table by rising intensity and falling cap; its first row starts at 0.
    ///
    /// # Errors
    /// [`PolicyError`] for an empty or disordered table, or numbers that are none.
    pub fn new(steps: Vec<(GramsPerKwh, Watts)>) -> Result<Self, PolicyError> {
        number((1..=MOST).contains(&steps.len()), "steps", "1 to 64 rows")?;
        number(
            steps.first().is_some_and(|(i, _)| i.get() == 0.0),
            "steps",
            "a table whose first row is for 0 g/kWh",
        )?;
        let sane = |x: f64| x.is_finite() && x >= 0.0;
        number(
            steps.iter().all(|(i, w)| sane(i.get()) && sane(w.get())),
            "steps",
            "finite and not negative",
        )?;
        let ordered = steps.windows(2).all(|p| p[0].0.get() < p[1].0.get() && p[0].1.get() >= p[1].1.get());
        number(ordered, "steps", "by rising intensity and falling cap")?;
        Ok(Self { steps })
    }
}

impl Policy for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    fn cap(&self, outlook: &Outlook<'_>) -> Cap {
        let passed = self.steps.partition_point(|(from, _)| from.get() <= outlook.intensity.get());
        let watts = self.steps.get(passed.saturating_sub(1)).map_or(Watts::ZERO, |(_, w)| *w);
        Cap { watts, clip: None }
    }
}
