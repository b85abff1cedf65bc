//! `ecomap explain` through the binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::process::Command;

fn explain(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ecomap")).arg("explain").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `xavier-3` with a cap that is a little too low for all of its tenants.
fn tight(cap: f64) -> tempfile::NamedTempFile {
    let text = include_str!("../../instances/data/scenarios/xavier-3.json");
    let mut scenario: Value = serde_json::from_str(text).unwrap();
    for site in scenario["sites"].as_array_mut().unwrap() {
        site["budget"] = serde_json::json!({ "policy": "fixed", "cap_w": cap });
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), scenario.to_string()).unwrap();
    file
}

#[test]
fn everyone_served_needs_no_reason() {
    let found = explain(&["xavier-3", "--what-if", "--json"]);
    assert_eq!((found["shed"].as_array().unwrap().len(), found["reason"].as_str()), (0, Some("none")));
    let changes = found["changes"].as_array().unwrap();
    assert!(changes.iter().any(|c| c["change"].as_str().unwrap().starts_with("1 W more at site")));
    for change in changes {
        let (least, most) = (change["at_least"].as_f64().unwrap(), change["at_most"].as_f64().unwrap());
        assert!(least <= most + 1e-9, "{change}");
    }
}

#[test]
fn a_tight_cap_is_named_and_relaxed() {
    let file = tight(7.0);
    let found = explain(&[file.path().to_str().unwrap(), "--json"]);
    assert!(!found["shed"].as_array().unwrap().is_empty(), "{found}");
    assert_eq!(found["reason"], "conflict");
    assert_eq!(found["irreducible"], true);
    let conflict = found["conflict"].as_array().unwrap();
    assert!(conflict.iter().any(|d| d.as_str().unwrap().contains("power cap")), "{conflict:?}");
    assert!(conflict.iter().any(|d| d.as_str().unwrap().contains("is served")), "{conflict:?}");
    let relaxation = &found["relaxation"];
    let (price, bound) = (relaxation["price"].as_f64().unwrap(), relaxation["bound"].as_f64().unwrap());
    assert!(price > 0.0 && bound <= price + 1e-9 && bound >= price * (1.0 - 1e-3), "{relaxation}");
}
