//! What the benchmarks share: the shipped scenarios, read and priced.
#![allow(clippy::expect_used)] // a benchmark has nobody to hand an error to

use ecomap_estimator::{Roofline, price};
use ecomap_instances::format::scenario_v1;
use ecomap_instances::{Catalog, Instance, Scenario, scenarios};

/// The text of a shipped scenario.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn text(name: &str) -> Vec<u8> {
    scenarios::embedded(name).expect("a shipped scenario").to_vec()
}

/// A shipped scenario.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn scenario(name: &str) -> Scenario {
    let catalog = Catalog::embedded().expect("the embedded catalogue reads");
    scenario_v1::read(&text(name), catalog).expect("a shipped scenario is valid")
}

/// A shipped scenario, priced by the roofline.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn priced(name: &str) -> Instance {
    let predictor = Roofline::embedded().expect("the embedded parameters read");
    price(&scenario(name), &predictor).expect("a shipped scenario prices").0
}

/// The value below which this share of `list` lies; NaN for an empty one.
#[must_use]
pub fn quantile(mut list: Vec<f64>, share: f64) -> f64 {
    list.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    // a position
    let at = ((list.len().saturating_sub(1)) as f64 * share.clamp(0.0, 1.0)).round() as usize;
    list.get(at).copied().unwrap_or(f64::NAN)
}
