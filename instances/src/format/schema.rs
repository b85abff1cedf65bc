//! JSON Schemas (draft 2020-12) of every JSON format, generated from the wire types.
//!
//! They are committed under `instances/schemas`; a test keeps the files equal to what this module
//! generates, and `ECOMAP_BLESS=1 cargo test -p ecomap-instances` rewrites them.

use super::accelerators_v1::WorkloadDto;
use super::catalog_v1::{FamilyDto, ProfileDto};
use super::frontier_v1::FrontierDto;
use super::instance_v1::InstanceDto;
use super::orders_v1::OrdersDto;
use super::result_v1::ResultDto;
use super::scenario_v1::ScenarioDto;
use super::telemetry_v1::TelemetryDto;
use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

/// Formats that have a schema, as [`schema`] names them.
pub const NAMES: [&str; 9] = [
    "scenario",
    "instance",
    "result",
    "frontier",
    "profile",
    "family",
    "orders",
    "telemetry",
    "accelerator-jobs",
];

/// The JSON Schema of version 1 of the format `name`; `None` when there is no such format.
#[must_use]
pub fn schema(name: &str) -> Option<Value> {
    match name {
        "scenario" => Some(of::<ScenarioDto>("scenario", "A scenario: sites, boards and tenants.")),
        "instance" => {
            Some(of::<InstanceDto>("instance", "A priced instance: classes of options, pure numbers."))
        }
        "result" => Some(of::<ResultDto>("result", "An answer: plan, certificate, timings.")),
        "frontier" => Some(of::<FrontierDto>("frontier", "A Pareto frontier: plans, and a bound on all.")),
        "profile" => Some(of::<ProfileDto>("profile", "A hardware profile of the catalogue.")),
        "family" => Some(of::<FamilyDto>("family", "A model family of the catalogue.")),
        "orders" => Some(of::<OrdersDto>("orders", "What one board is to run: its part of a plan.")),
        "accelerator-jobs" => {
            Some(of::<WorkloadDto>("accelerator-jobs", "Jobs that want accelerators, and their cluster."))
        }
        "telemetry" => Some(of::<TelemetryDto>("telemetry", "What a board measured in an interval.")),
        _ => None,
    }
}

/// Name of the schema's file under `instances/schemas`.
#[must_use]
pub fn file_name(name: &str) -> String {
    format!("{name}-v1.schema.json")
}

/// The text of a schema's file.
#[must_use]
pub fn print(schema: &Value) -> String {
    // `Value`'s alternate display is indented JSON; unlike `to_string_pretty` it cannot fail.
    format!("{schema:#}\n")
}

fn of<T: JsonSchema>(name: &str, title: &str) -> Value {
    let mut schema = schema_for!(T).to_value();
    // The wire type has a plain string, so that another version is told apart from another shape.
    if let Some(format) = schema.pointer_mut("/properties/format").and_then(Value::as_object_mut) {
        format.insert("const".to_owned(), json!(format!("ecomap.{name}/v1")));
    }
    let mut ordered = Map::new();
    ordered.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    ordered.insert("$id".to_owned(), json!(format!("urn:ecomap:{name}:v1")));
    ordered.insert("title".to_owned(), json!(title));
    if let Value::Object(rest) = schema {
        for (key, value) in rest {
            if key != "description" {
                ordered.entry(key).or_insert(value);
            }
        }
    }
    Value::Object(ordered)
}
