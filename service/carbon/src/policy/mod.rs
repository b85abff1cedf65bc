//! Rules that turn carbon intensity into a power cap: one file each.

pub mod allowance;
pub mod linear;
pub mod rate;
pub mod steps;

use ecomap_instances::units::{GramsPerKwh, Watts};
use jiff::SignedDuration;
use thiserror::Error;

pub use allowance::Allowance;
pub use linear::Linear;
pub use rate::EmissionRate;
pub use steps::Steps;

/// One point of the solver's frontier: a cap, what the fleet draws under it, and the quality it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The cap.
    pub cap: Watts,
    /// What the best plan under it draws.
    pub draw: Watts,
    /// Quality lost in an hour against the best plan without a cap, in the objective's points; not negative.
    pub loss: f64,
}

/// What a policy may know.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// What holds now.
    pub intensity: GramsPerKwh,
    /// Expected intensities of this hour and those after it.
    pub ahead: &'a [GramsPerKwh],
    /// Time left of the local day: 23 or 25 hours long when clocks change.
    pub left: SignedDuration,
    /// Grams emitted since the day began.
    pub spent_g: f64,
    /// The frontier, by rising cap; empty when nobody has traced it.
    pub frontier: &'a [Point],
}

/// Why a cap is not what the rule alone would give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// The rule asks for less than the least cap.
    Least,
    /// The rule asks for more than the most.
    Most,
    /// The day's allowance cannot be kept even by the least cap.
    Overdrawn,
    /// No frontier is known: the allowance is spread evenly over what is left of the day.
    Blind,
}

/// A power cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cap {
    /// The cap.
    pub watts: Watts,
    /// Why it is not what the rule alone gives.
    pub clip: Option<Clip>,
}

/// The least and the most that a policy may ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    least: Watts,
    most: Watts,
}

/// Why a policy cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A number that is not finite, negative, or out of order.
    #[error("{what} must be {must}")]
    Number {
        /// Which.
        what: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

fn number(holds: bool, what: &'static str, must: &'static str) -> Result<(), PolicyError> {
    if holds { Ok(()) } else { Err(PolicyError::Number { what, must }) }
}

impl Range {
    /// From `least` to `most`.
    ///
    /// # Errors
    /// [`PolicyError`] unless 0 ≤ least ≤ most, both finite.
    pub fn new(least: Watts, most: Watts) -> Result<Self, PolicyError> {
        number(least.get() >= 0.0 && least.get().is_finite(), "least_w", "finite and not negative")?;
        number(
            most.get() >= least.get() && most.get().is_finite(),
            "most_w",
            "finite and not below least_w",
        )?;
        Ok(Self { least, most })
    }

    /// The least cap.
    #[must_use]
    pub fn least(&self) -> Watts {
        self.least
    }

    /// The largest cap.
    #[must_use]
    pub fn most(&self) -> Watts {
        self.most
    }

    /// `watts`, brought into the range.
    #[must_use]
    pub fn clip(&self, watts: f64) -> Cap {
        if watts < self.least.get() {
            Cap { watts: self.least, clip: Some(Clip::Least) }
        } else if watts > self.most.get() {
            Cap { watts: self.most, clip: Some(Clip::Most) }
        } else {
            Cap { watts: Watts::new(watts), clip: None }
        }
    }
}

/// A rule from intensity to cap.
pub trait Policy: Send + Sync + std::fmt::Debug {
    /// Its name in documents and events.
    fn name(&self) -> &'static str;

    /// The cap for now. Pure: the same outlook gives the same cap.
    fn cap(&self, outlook: &Outlook<'_>) -> Cap;
}
