//! parse ∘ print = id, and what identifies an instance.
#![allow(clippy::panic)] // helpers of tests

mod common;
#[path = "common/random.rs"]
mod random;

use common::catalog;
use ecomap_instances::format::instance_v1::{self, InstanceDto};
use ecomap_instances::format::{Format, guess, mmkp, read_document, scenario_v1, schema};
use ecomap_instances::{Instance, scenarios};
use proptest::prelude::*;
use sha2::Digest;

fn print(instance: &Instance) -> String {
    serde_json::to_string(&InstanceDto::raise(instance)).unwrap_or_else(|e| panic!("{e}"))
}

fn validator() -> jsonschema::Validator {
    let schema = schema::schema("instance").unwrap_or_else(|| panic!("no schema"));
    jsonschema::draft202012::new(&schema).unwrap_or_else(|e| panic!("{e}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn instances_survive_printing(seed: u64) {
        let instance = random::instance(seed);
        let text = print(&instance);
        prop_assert_eq!(guess(text.as_bytes()), Some(Format::Instance));
        let again = instance_v1::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        prop_assert_eq!(&again, &instance);
        prop_assert_eq!(print(&again), text);
        prop_assert_eq!(instance_v1::hash(&again), instance_v1::hash(&instance));
    }
}

#[test]
fn instances_fit_their_schema() {
    let validator = validator();
    for seed in 0..100 {
        let document = serde_json::to_value(InstanceDto::raise(&random::instance(seed)))
            .unwrap_or_else(|e| panic!("{e}"));
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{} {e}", e.instance_path)).collect();
        assert!(errors.is_empty(), "seed {seed}: {errors:?}");
    }
}

#[test]
fn scenarios_survive_printing() {
    for (name, bytes) in scenarios::ALL {
        let dto: scenario_v1::ScenarioDto = read_document(bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let text = serde_json::to_string(&dto).unwrap_or_else(|e| panic!("{e}"));
        let again: scenario_v1::ScenarioDto =
            read_document(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again, dto, "{name}");
        assert_eq!(again.lower(catalog()), dto.lower(catalog()), "{name}");
        assert_eq!(guess(bytes), Some(Format::Scenario));
    }
}

/// The hash is part of every certificate: it changes only with the format's version.
#[test]
fn hash_is_stable() {
    let text = b"2 2\n5 6\n1\n3 1 2\n2\n4 0 6\n-1.5 5 0\n";
    let instance = mmkp::read(text, "fixed").unwrap_or_else(|e| panic!("{e}"));
    let hash = instance_v1::hash(&instance);
    assert_eq!(hash, "fc127aac78ad442d0ead23a56582d1db615607f73f5fccbb34c8133e750f60d9");
    // It is the SHA-256 of the printed document, so that anyone can recompute it.
    let digest = sha2::Sha256::digest(print(&instance).as_bytes());
    assert_eq!(digest.iter().map(|b| format!("{b:02x}")).collect::<String>(), hash);
    let again = instance_v1::read(print(&instance).as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(instance_v1::hash(&again), hash);
    let other = mmkp::read(text, "another-name").unwrap_or_else(|e| panic!("{e}"));
    assert_ne!(instance_v1::hash(&other), hash);
}
