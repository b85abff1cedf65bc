//! Rules on stability and the carbon-delay product through the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn ecomap(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ecomap")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn solved(arguments: &[&str]) -> Value {
    let (code, out, err) = ecomap(&[&["solve", "--quiet", "--json"], arguments].concat());
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_running_plan_is_kept_as_asked_and_priced() {
    let folder = tempfile::tempdir().unwrap();
    let (now, kept) = (folder.path().join("now.json"), folder.path().join("kept.json"));
    let free = solved(&["xavier-3", "--objective", "accuracy", "--out", text(&now)]);
    assert!(free["stability"].is_null(), "no rule, no section");
    let rules = ["--current", text(&now), "--max-moves", "0", "--weigh-stability", "--out", text(&kept)];
    let result = solved(&[&["xavier-3", "--objective", "energy"], &rules[..]].concat());
    let stability = &result["stability"];
    assert_eq!((stability["moves"].as_u64(), stability["running"].as_u64()), (Some(0), Some(3)));
    let cost = &stability["cost"];
    let (least, most) = (cost["at_least"].as_f64().unwrap(), cost["at_most"].as_f64().unwrap());
    assert!(0.0 < least && least <= most, "{cost}");
    let energy = solved(&["xavier-3", "--objective", "energy"]);
    let gap = result["objective"]["value"].as_f64().unwrap() - energy["objective"]["value"].as_f64().unwrap();
    assert!((gap - least).abs() <= 1e-3 * gap, "{gap} {cost}");
    let against = ["check", text(&kept), "--against", "xavier-3", "--current", text(&now)];
    let (code, out, err) = ecomap(&[&against[..], &["--objective", "energy"]].concat());
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, _) = ecomap(&["check", text(&kept), "--against", "xavier-3", "--objective", "energy"]);
    assert!(code != Some(0) && out.contains("another instance"), "{out}");
}

#[test]
fn a_tenant_that_runs_nothing_cannot_be_frozen() {
    let (code, _, err) = ecomap(&["solve", "xavier-3", "--quiet", "--freeze", "entrance-detection"]);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("E1115") && err.contains("/stability/frozen/0"), "{err}");
    let (code, _, err) = ecomap(&["solve", "xavier-3", "--quiet", "--freeze", "nobody"]);
    assert!(code == Some(3) && err.contains("E1109"), "{err}");
}

#[test]
fn the_product_is_below_what_single_objectives_reach() {
    let product = |result: &Value| {
        let term = |name: &str| {
            let terms = result["objective"]["terms"].as_array().unwrap();
            terms.iter().find(|t| t["name"] == name).unwrap()["value"].as_f64().unwrap()
        };
        term("carbon") * term("latency")
    };
    let best = solved(&["xavier-4", "--objective", "cdp"]);
    assert_eq!(best["status"], "optimal");
    assert_eq!(best["certificate"]["checker"]["verdict"], "pass");
    for other in ["carbon", "latency", "ecomap"] {
        let result = solved(&["xavier-4", "--objective", other]);
        assert!(product(&best) <= product(&result) * (1.0 + 1e-4), "{other}");
    }
}
