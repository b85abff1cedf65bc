//! Orders and telemetry: read as they are written, and refused where they are wrong.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use ecomap_instances::Code;
use ecomap_instances::format::{orders_v1, schema, telemetry_v1};
use proptest::prelude::*;
use serde_json::{Value, json};

fn orders() -> Value {
    json!({
        "format": "ecomap.orders/v1", "version": 3, "device": "orin-1", "site": "campus",
        "profile": "jetson-agx-orin-64gb", "mode": "30W", "power_w": 20.5, "budget_w": 37.5, "lease_s": 900,
        "tasks": [{
            "tenant": "cam", "family": "resnet", "tier": "resnet-50",
            "segments": [{"from_block": 0, "to_block": 3, "unit": "dla0"}, {"from_block": 3, "to_block": 6, "unit": "gpu"}],
            "rate_per_s": 20.0, "slo": {"quantile": "p95", "limit_ms": 40.0}, "network_ms": 2.0,
            "predicted_ms": {"p50": 12.0, "p95": 15.0, "p99": 17.0},
            "isolated_ms": {"p50": 11.0, "p95": 13.0, "p99": 14.0}, "power_w": 4.5
        }]
    })
}

fn telemetry() -> Value {
    json!({
        "format": "ecomap.telemetry/v1", "device": "orin-1", "profile": "jetson-agx-orin-64gb", "basis": "measured",
        "started_ms": 1_800_000_000_000_u64, "sequence": 4, "from_ms": 1_800_000_030_000_u64,
        "to_ms": 1_800_000_040_000_u64, "version": 3, "mode": "30W", "safe": false, "lost": 1,
        "tenants": [{
            "tenant": "cam", "tier": "resnet-50", "arrivals": 201, "completions": 3, "unanswered": 1,
            "deadline_misses": 2, "energy_j": 31.5,
            "tiers": [{
                "tier": "resnet-50", "completions": 3, "late": 1,
                "latency_ms": {"p50": 12.0, "p95": 15.0, "p99": 17.0}, "mean_ms": 12.5, "sample_ms": [11.0, 12.0, 17.0]
            }]
        }],
        "units": [{"unit": "gpu", "busy_ms": 3120.5, "waiting": 0}],
        "power": {
            "source": "ina3221", "origin": "measured", "scope": "module", "mean_w": 21.0, "energy_j": 210.0,
            "covered_ms": 10000.0, "board_j": 150.0,
            "rails": [{"rail": "VDD_GPU_SOC", "mean_w": 9.0, "energy_j": 90.0, "covered_ms": 10000.0}],
            "faults": ["rail VDD_CPU_CV is missing"]
        }
    })
}

type Read = fn(&[u8]) -> Result<Value, ecomap_instances::Issues>;

fn read_orders(bytes: &[u8]) -> Result<Value, ecomap_instances::Issues> {
    orders_v1::read(bytes).map(|dto| serde_json::to_value(dto).unwrap())
}

fn read_telemetry(bytes: &[u8]) -> Result<Value, ecomap_instances::Issues> {
    telemetry_v1::read(bytes).map(|dto| serde_json::to_value(dto).unwrap())
}

fn formats() -> [(&'static str, Value, Read); 2] {
    [("orders", orders(), read_orders), ("telemetry", telemetry(), read_telemetry)]
}

#[test]
fn what_is_written_is_read_and_fits_the_schema() {
    for (name, document, read) in formats() {
        assert_eq!(read(document.to_string().as_bytes()).unwrap(), document, "{name}");
        assert!(jsonschema::draft202012::is_valid(&schema::schema(name).unwrap(), &document), "{name}");
    }
}

#[test]
fn mistakes_are_located_and_all_are_listed() {
    let cases: [(usize, &str, Value, Code); 18] = [
        (0, "/format", json!("ecomap.orders/v2"), Code::Format),
        (0, "/version", json!(0), Code::OutOfRange),
        (0, "/version", json!(1_u64 << 53), Code::OutOfRange),
        (0, "/device", json!("a b"), Code::IllegalId),
        (0, "/power_w", json!(-1.0), Code::OutOfRange),
        (0, "/lease_s", json!(1_000_000_000_000_000_000_u64), Code::OutOfRange),
        (0, "/tasks/0/segments", json!([]), Code::Empty),
        (0, "/tasks/0/segments/1/unit", json!("../gpu"), Code::IllegalId),
        (0, "/tasks/0/rate_per_s", json!(1e300), Code::OutOfRange),
        (0, "/tasks/0/surprise", json!(1), Code::Shape),
        (1, "/basis", json!("modelled"), Code::Contradiction),
        (1, "/to_ms", json!(1), Code::Contradiction),
        (1, "/tenants/0/completions", json!(4), Code::Contradiction),
        (1, "/tenants/0/tiers/0/sample_ms", json!([]), Code::OutOfRange),
        (1, "/tenants/0/tiers/0/latency_ms/p50", json!(16.0), Code::Contradiction),
        (1, "/units/0/busy_ms", json!(-0.5), Code::OutOfRange),
        (1, "/power/energy_j", json!(-1.0), Code::OutOfRange),
        (1, "/power/origin", json!("guessed"), Code::Shape),
    ];
    for (n, pointer, value, code) in cases {
        let (_, mut document, read) = formats()[n].clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[field] = value;
        let issues = read(document.to_string().as_bytes()).unwrap_err();
        assert_eq!(issues.list().iter().map(|i| i.code).collect::<Vec<_>>(), [code], "{pointer}: {issues}");
    }
    let (_, mut document, read) = formats()[0].clone();
    document["version"] = json!(0);
    document["device"] = json!("");
    assert_eq!(read(document.to_string().as_bytes()).unwrap_err().list().len(), 2);
}

/// Pointers to all values of a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| pointers(v, &format!("{at}/{k}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(k, v)| pointers(v, &format!("{at}/{k}"), found));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (_, _, read) in formats() {
            prop_assert!(read(&bytes).is_err());
        }
    }

    /// Whatever value stands anywhere, the answer is an error or a document that reads again as itself.
    #[test]
    fn any_value_anywhere(n in 0_usize..2, place in any::<prop::sample::Index>(), value in prop_oneof![
        Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|x| json!(x)), ".{0,20}".prop_map(Value::from), Just(json!([])), Just(json!({})),
    ]) {
        let (_, mut document, read) = formats()[n].clone();
        let mut places = Vec::new();
        pointers(&document, "", &mut places);
        *document.pointer_mut(place.get::<String>(&places)).unwrap() = value;
        if let Ok(read_once) = read(document.to_string().as_bytes()) {
            prop_assert_eq!(read(read_once.to_string().as_bytes()).unwrap(), read_once);
        }
    }
}
