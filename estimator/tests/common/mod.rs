//! Scenarios as JSON, the way users write them.

#![allow(dead_code, clippy::unwrap_used)]

use ecomap_instances::{Catalog, Scenario, format::scenario_v1};
use serde_json::{Value, json};

/// Reads a scenario.
pub(crate) fn read(document: &Value) -> Scenario {
    let catalog = Catalog::embedded().unwrap();
    scenario_v1::read(&serde_json::to_vec(document).unwrap(), catalog).unwrap()
}

/// Two sites, three kinds of board, four tenants, one link.
pub(crate) fn small() -> Value {
    json!({
        "format": "ecomap.scenario/v1",
        "name": "small",
        "zones": [{"id": "DE", "carbon_g_per_kwh": 300.0}],
        "sites": [
            {"id": "north", "zone": "DE", "budget": {"policy": "linear", "clean_g_per_kwh": 100.0,
             "dirty_g_per_kwh": 500.0, "max_w": 120.0, "min_w": 60.0}},
            {"id": "south", "zone": "DE"}
        ],
        "devices": [
            {"id": "xavier", "site": "north", "profile": "jetson-agx-xavier", "count": 2},
            {"id": "spare", "site": "north", "profile": "jetson-agx-xavier", "modes": ["15W"]},
            {"id": "orin", "site": "south", "profile": "jetson-agx-orin-64gb"},
            {"id": "nano", "site": "south", "profile": "jetson-orin-nano-8gb", "always_on": true}
        ],
        "links": [
            {"from": "north", "to": "south", "latency_ms": 2.0, "bandwidth_bytes_per_s": 1.25e8}
        ],
        "tenants": [
            {"id": "cam", "family": "yolov8", "origin": "north", "rate_per_s": 5.0,
             "slo": {"quantile": "p95", "latency_ms": 200.0}},
            {"id": "sort", "family": "resnet", "origin": "north", "rate_per_s": 20.0,
             "slo": {"quantile": "p99", "latency_ms": 60.0}, "accuracy_floor": 73.0},
            {"id": "ask", "family": "bert", "origin": "south", "rate_per_s": 1.0,
             "slo": {"quantile": "p50", "latency_ms": 300.0, "soft_price_per_ms": 0.1},
             "forbid": {"units": ["cpu0"], "devices": ["nano"]}},
            {"id": "tag", "family": "mobilenet-v2", "origin": "south", "rate_per_s": 10.0,
             "slo": {"quantile": "p95", "latency_ms": 50.0}, "pin": ["orin", "nano"]}
        ],
        "running": [
            {"tenant": "sort", "device": "xavier-1", "tier": "resnet-50",
             "segments": [{"from_block": 0, "to_block": 3, "unit": "gpu"},
                          {"from_block": 3, "to_block": 8, "unit": "dla0"}]}
        ]
    })
}

/// 64 boards at four sites, 300 tenants over every family.
pub(crate) fn large() -> Value {
    let profiles = ["jetson-agx-xavier", "jetson-xavier-nx", "jetson-agx-orin-64gb", "jetson-orin-nx-16gb"];
    let sites: Vec<Value> = (0..4)
        .map(|s| json!({"id": format!("s{s}"), "zone": "Z", "budget": {"policy": "fixed", "cap_w": 400.0}}))
        .collect();
    let devices: Vec<Value> = (0..4)
        .flat_map(|s| {
            profiles.iter().map(move |p| {
                json!({"id": format!("d{s}-{p}"), "site": format!("s{s}"), "profile": p, "count": 4})
            })
        })
        .collect();
    let links: Vec<Value> = (1..4)
        .map(
            |s| json!({"from": "s0", "to": format!("s{s}"), "latency_ms": 3.0, "bandwidth_bytes_per_s": 1e9}),
        )
        .collect();
    let families: Vec<String> =
        Catalog::embedded().unwrap().families().iter().map(|f| f.id.to_string()).collect();
    let tenants: Vec<Value> = (0..300)
        .map(|t| {
            json!({
                "id": format!("t{t}"), "family": families[t % families.len()], "origin": format!("s{}", t % 4),
                "rate_per_s": 1.0 + f64::from(u32::try_from(t % 7).unwrap()),
                "slo": {"quantile": "p95", "latency_ms": 100.0}
            })
        })
        .collect();
    json!({
        "format": "ecomap.scenario/v1", "name": "large",
        "zones": [{"id": "Z", "carbon_g_per_kwh": 250.0}],
        "sites": sites, "devices": devices, "links": links, "tenants": tenants
    })
}
