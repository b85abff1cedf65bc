//! The scenarios that ship inside the binary.

use crate::catalog::Catalog;
use crate::format::scenario_v1;
use crate::generate::{GeneratorSpec, Seed};
use crate::issue::Issues;
use crate::scenario::Scenario;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../data/scenarios/", $name, ".json")).as_slice())),*]
    };
}

/// Name and document of each, from small to large.
pub const ALL: &[(&str, &[u8])] = embedded!("tiny", "xavier-3", "xavier-4", "xavier-5", "campus", "region");

/// The document of the scenario `name`.
#[must_use]
pub fn embedded(name: &str) -> Option<&'static [u8]> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The scenario `name`; `None` when there is none of that name.
#[must_use]
pub fn read(name: &str, catalog: &Catalog) -> Option<Result<Scenario, Issues>> {
    embedded(name).map(|bytes| scenario_v1::read(bytes, catalog))
}

/// What `region` was generated from; a test keeps the file equal to it.
#[must_use]
pub fn region_spec() -> GeneratorSpec {
    let spec = GeneratorSpec {
        name: "region".to_owned(),
        seed: Seed(20_250_311),
        zones: 6,
        sites: 12,
        devices: 64,
        tenants: 300,
        tightness: 0.55,
        link_ms: (10.0, 30.0),
        modes: Some(3),
        max_segments: 2,
        max_placements: 4,
        ..GeneratorSpec::default()
    };
    let description = format!(
        "A region: twelve small sites on six grid zones, far enough apart that most tenants can use only their \
         own site and its neighbours. {spec} The file is the output of `scenarios::region_spec`."
    );
    GeneratorSpec { description: Some(description), ..spec }
}
