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
