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

fn ecomap(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_ecomap")).args(arguments).output().unwrap()
}

/// A tenant of a plan: every other tier, board and mode with an interval or a reason, what is left of
/// its limits, and what the caps are worth.
#[test]
fn a_tenant_of_a_plan_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result.json");
    let result = result.to_str().unwrap();
    assert!(ecomap(&["solve", "xavier-3", "--quiet", "--out", result]).status.success());
    let plan: Value = serde_json::from_slice(&std::fs::read(result).unwrap()).unwrap();
    let run = &plan["plan"]["tenants"][0];
    let tenant = run["tenant"].as_str().unwrap();
    let told = explain(&[result, "--tenant", tenant, "--json"]);
    assert_eq!(told["choice"]["tier"], run["run"]["tier"], "{told:#}");
    let margin = told["choice"]["slo_margin_ms"].as_f64().unwrap();
    assert!((margin - run["run"]["slo"]["headroom_ms"].as_f64().unwrap()).abs() < 1e-6);
    assert_eq!(told["plan_value"].as_f64(), plan["objective"]["value"].as_f64());
    let alternatives = told["alternatives"].as_array().unwrap();
    let kinds = |kind: &str| alternatives.iter().filter(|a| a["kind"] == kind).count();
    assert!(kinds("tier") >= 2 && kinds("device") >= 1 && kinds("shed") == 1, "{alternatives:#?}");
    let gap = 2e-4 * plan["objective"]["value"].as_f64().unwrap();
    for a in alternatives {
        assert_ne!(a["name"], run["run"]["tier"], "{a}");
        match a["verdict"].as_str().unwrap() {
            "possible" => {
                let (least, most) =
                    (a["worse_by_at_least"].as_f64().unwrap(), a["worse_by_at_most"].as_f64().unwrap());
                // The plan is the best, so nothing else can be better by more than its gap.
                assert!(least <= most + 1e-9 && most >= -gap, "{a}");
                let sum: f64 = a["terms"].as_array().unwrap().iter().map(|t| t[1].as_f64().unwrap()).sum();
                assert!((sum - most).abs() < 1e-6, "{a}");
            }
            "impossible" => assert!(!a["because"].as_array().unwrap().is_empty(), "{a}"),
            other => assert_eq!(other, "no_option", "{a}"),
        }
    }
    let cap = &told["caps"][0];
    assert!(cap["bound_per_watt"].as_f64().unwrap() >= 0.0, "{cap}");
    for bought in [&cap["one_watt"], &cap["tenth"]] {
        assert!(bought["at_least"].as_f64().unwrap() <= bought["at_most"].as_f64().unwrap() + 1e-9, "{cap}");
    }
    let changes = told["changes"].as_array().unwrap();
    assert!(changes.iter().any(|c| c["change"].as_str().unwrap().starts_with("1 ms more")), "{changes:?}");
    assert!(changes.iter().any(|c| c["change"].as_str().unwrap().starts_with("one more")), "{changes:?}");
    assert_eq!(told["skipped"].as_array().unwrap().len(), 0);

    let text = ecomap(&["explain", result, "--scenario", "xavier-3", "--tenant", tenant]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in
        ["within its objective", "otherwise the objective would be worse by", "a watt moves the bound"]
    {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }

    // Not without a tenant, nor of another problem, nor for a tenant that is not there.
    for arguments in [
        &["explain", result][..],
        &["explain", result, "--tenant", tenant, "--against", "xavier-4"],
        &["explain", result, "--tenant", "nobody"],
        &["explain", "xavier-3", "--tenant", tenant],
        &["explain", "xavier-3", "--against", "xavier-3"],
    ] {
        assert_eq!(ecomap(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// Options that the latency objective leaves out of pricing are there to be named as the reason.
#[test]
fn a_tier_that_is_too_slow_says_so() {
    let text = include_str!("../../instances/data/scenarios/xavier-3.json");
    let mut scenario: Value = serde_json::from_str(text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (problem, result) = (path("problem.json"), path("result.json"));
    let tenant = scenario["tenants"][0]["id"].as_str().unwrap().to_owned();
    scenario["tenants"][0]["slo"]["latency_ms"] = serde_json::json!(9.0);
    std::fs::write(&problem, scenario.to_string()).unwrap();
    assert!(ecomap(&["solve", &problem, "--quiet", "--out", &result]).status.success());
    let told = explain(&[&result, "--against", &problem, "--tenant", &tenant, "--json"]);
    let slow = told["alternatives"].as_array().unwrap().iter().filter(|a| {
        a["verdict"] == "impossible"
            && a["because"]
                .as_array()
                .unwrap()
                .iter()
                .any(|d| d.as_str().unwrap().contains("latency objective 9 ms"))
    });
    assert!(slow.count() > 0, "{told:#}");
}
