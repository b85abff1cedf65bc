//! One small file for each thing that can be wrong: exactly its code, at exactly its place.
#![allow(clippy::panic)] // helpers of tests

mod common;

use common::{catalog, files, here, read};
use ecomap_instances::format::{self, Format, guess, read_any};
use ecomap_instances::format::{instance_v1, result_v1};
use ecomap_instances::{Code, Issues};
use std::collections::BTreeSet;

/// File, and the pointer that its issue must carry.
const TABLE: &[(&str, &str)] = &[
    ("E1001-not-json.scenario.txt", ""),
    ("E1001-nan.scenario.txt", "/zones/0/carbon_g_per_kwh"),
    ("E1001-truncated.scenario.txt", "/devices/0/site"),
    ("E1001-trailing.scenario.txt", ""),
    ("E1001-number-overflow.scenario.txt", "/zones/0/carbon_g_per_kwh"),
    ("E1002-unknown-field.json", "/tenants/0/colour"),
    ("E1002-wrong-type.json", "/zones/0/carbon_g_per_kwh"),
    ("E1002-missing-field.json", "/tenants/0"),
    ("E1003-unsupported-format.json", "/format"),
    ("E1005-deep.scenario.txt", ""),
    ("E1101-illegal-id.json", "/tenants/0/id"),
    ("E1101-illegal-name.json", "/name"),
    ("E1102-duplicate-id.json", "/tenants/1/id"),
    ("E1102-duplicate-expanded-device.json", "/devices/1/id"),
    ("E1103-unknown-zone.json", "/sites/0/zone"),
    ("E1104-unknown-site.json", "/tenants/0/origin"),
    ("E1105-unknown-profile.json", "/devices/1/profile"),
    ("E1106-unknown-mode.json", "/devices/0/modes/0"),
    ("E1107-unknown-family.json", "/tenants/0/family"),
    ("E1108-unknown-tier.json", "/tenants/0/tiers/1"),
    ("E1109-unknown-tenant.json", "/affinities/0/tenants/1"),
    ("E1110-unknown-device.json", "/tenants/0/pin/0"),
    ("E1111-unknown-unit.json", "/tenants/0/forbid/units/0"),
    ("E1112-negative-carbon.json", "/zones/0/carbon_g_per_kwh"),
    ("E1112-segments.json", "/pricing/max_segments"),
    ("E1113-a-billion-boards.json", "/devices/0/count"),
    ("E1114-no-tenants.json", "/tenants"),
    ("E1114-no-pin.json", "/tenants/0/pin"),
    ("E1115-pinned-and-forbidden.json", "/tenants/0/forbid"),
    ("E1115-together-and-apart.json", "/affinities/1"),
    ("E1115-budget-upside-down.json", "/sites/0/budget"),
    ("E1116-floor-too-high.json", "/tenants/0/accuracy_floor"),
    ("E1117-unknown-objective.json", "/objective"),
    ("E1117-value-of-a-scenario.json", "/objective/name"),
    ("E1117-short-form.json", "/objective"),
    ("E1201-dangling-tenant.json", "/affinities/0/tenants/1"),
    ("E1201-dangling-class.json", "/tenants/0/options/0/host/class"),
    ("E1201-device-listed-twice.json", "/device_classes/0/devices/1"),
    ("E1202-no-option.json", "/tenants/0/options"),
    ("E1203-unit-off.json", "/tenants/0/options/0/host/load"),
    ("E1301-word.mmkp.txt", "/line/2"),
    ("E1301-nan.gap.txt", "/line/2"),
    ("E1302-cut-short.mmkp-khan.txt", "/line/7"),
    ("E1302-counts-beyond-the-file.gap.txt", "/line/1"),
    ("E1303-one-number-too-many.gap.txt", "/line/5"),
    ("E1303-class-out-of-order.mmkp-khan.txt", "/line/5"),
    ("E1112-negative-weight.mmkp.txt", "/line/4"),
    ("E1113-a-billion-classes.mmkp.txt", "/line/1"),
];

/// Codes that no file can raise, each with a test of its own below.
const NOT_FROM_A_FILE: &[Code] = &[
    // The size limit is the caller's; a file of 64 MiB does not belong into a repository.
    Code::TooLarge,
    // A plan is wrong only for a given instance.
    Code::PlanMismatch,
    // Only a joint predictor can raise it; tested in `ecomap-solver`.
    Code::NotARelaxation,
    // Of query parameters; tested in `ecomap-service`.
    Code::UnknownName,
];

/// `E1301-word.mmkp.txt` names its format; `.json` files say theirs.
fn format_of(file: &str, bytes: &[u8]) -> Format {
    let stem = file.strip_suffix(".txt").map(|s| s.rsplit('.').next().unwrap_or_default());
    match stem {
        Some(name) => Format::parse(name).unwrap_or_else(|| panic!("{file}: no format {name}")),
        // An unsupported version is not guessed.
        None => guess(bytes).unwrap_or(Format::Scenario),
    }
}

fn found(issues: &Issues) -> Vec<(&'static str, &str)> {
    issues.list().iter().map(|i| (i.code.as_str(), i.pointer.as_str())).collect()
}

#[test]
fn every_file_yields_exactly_its_code() {
    let folder = here("data/scenarios/invalid");
    let listed: BTreeSet<String> = TABLE.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(files(&folder).into_iter().collect::<BTreeSet<_>>(), listed);
    let mut wrong = Vec::new();
    for (file, pointer) in TABLE {
        let bytes = read(&folder.join(file));
        assert!(bytes.len() < 2000, "{file} is not small");
        let issues = read_any(format_of(file, &bytes), &bytes, "x", catalog())
            .err()
            .unwrap_or_else(|| panic!("{file} was read"));
        if found(&issues) != [(&file[..5], *pointer)] {
            wrong.push(format!("{file}: {issues}"));
        }
        for issue in issues.list() {
            assert!(!issue.message.is_empty() && issue.remedy == issue.code.remedy());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_file_or_a_reason() {
    // Codes of ONNX models are tested in `ecomap-graph`, those of measurements in `ecomap-estimator`, those of
    // the executor there, whose readers give them.
    for code in Code::ALL.iter().filter(|c| !["E15", "E16", "E17"].iter().any(|p| c.as_str().starts_with(p)))
    {
        let has_file = TABLE.iter().any(|(file, _)| file.starts_with(code.as_str()));
        assert!(has_file != NOT_FROM_A_FILE.contains(code), "{code}: {}", code.title());
    }
}

#[test]
fn a_document_beyond_the_limit_is_refused() {
    assert!(format::check_size(format::DEFAULT_MAX_BYTES, format::DEFAULT_MAX_BYTES).is_ok());
    let issues = format::check_size(1001, 1000).err().unwrap_or_else(|| panic!("passed"));
    assert_eq!(found(&issues), [("E1004", "")]);
}

const INSTANCE: &str = r#"{"format": "ecomap.instance/v1", "name": "x",
    "capacities": [{"id": "r", "capacity": 1}],
    "tenants": [{"id": "t", "options": [{"value": 1}, {"value": 2, "uses": [[0, 1]]}]}]}"#;

fn plan(tenants: &str) -> String {
    format!(
        r#"{{"format": "ecomap.result/v1", "name": "x", "solver": "s", "status": "feasible",
        "plan": {{"tenants": {tenants}, "devices": [], "sites": []}},
        "certificate": {{"primal_bound": 1, "dual_bound": null, "gap": null, "termination": "heuristic_end",
            "nodes": 0, "cuts": 0, "seed": 1, "versions": {{}}, "instance_hash": "", "method": "m",
            "checker": {{"verdict": "pass", "rows": []}}}}}}"#
    )
}

#[test]
fn a_plan_of_another_instance_is_refused() {
    let instance = instance_v1::read(INSTANCE.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let resolve = |tenants: &str| {
        let result = result_v1::read(plan(tenants).as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let plan = result.plan.unwrap_or_else(|| panic!("no plan"));
        plan.resolve(&instance)
    };
    let good = resolve(r#"[{"tenant": "t", "served": true, "option": 1}]"#);
    assert_eq!(good.map(|a| a.picks.iter().flatten().count()), Ok(1));
    for (tenants, pointer) in [
        (r#"[{"tenant": "u", "served": true, "option": 1}]"#, "/plan/tenants/0/tenant"),
        (r#"[{"tenant": "t", "served": true, "option": 2}]"#, "/plan/tenants/0"),
        (r#"[{"tenant": "t", "served": false}, {"tenant": "t", "served": false}]"#, "/plan/tenants/1/tenant"),
    ] {
        let issues = resolve(tenants).err().unwrap_or_else(|| panic!("{tenants} fits"));
        assert_eq!(found(&issues), [("E1401", pointer)]);
    }
}

#[test]
fn an_answer_is_not_something_to_solve() {
    let text = plan("[]");
    assert_eq!(guess(text.as_bytes()), Some(Format::Result));
    let issues = read_any(Format::Result, text.as_bytes(), "x", catalog()).err();
    assert_eq!(issues.as_ref().map(found), Some(vec![("E1003", "/format")]));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = r#"{"format": "ecomap.scenario/v1", "name": "bad",
        "zones": [{"id": "z", "carbon_g_per_kwh": -5}],
        "sites": [{"id": "s", "zone": "nowhere"}],
        "devices": [{"id": "d", "site": "s", "profile": "toaster"}],
        "tenants": [{"id": "a b", "family": "resnet", "origin": "s", "rate_per_s": 0,
                     "slo": {"quantile": "p95", "latency_ms": 100}}]}"#;
    let issues = read_any(Format::Scenario, text.as_bytes(), "", catalog()).err();
    let expected = vec![
        ("E1112", "/zones/0/carbon_g_per_kwh"),
        ("E1103", "/sites/0/zone"),
        ("E1105", "/devices/0/profile"),
        ("E1101", "/tenants/0/id"),
        ("E1112", "/tenants/0/rate_per_s"),
    ];
    assert_eq!(issues.as_ref().map(found), Some(expected));
}
