//! The committed JSON Schemas are those of the wire types, and they accept what we ship.
#![allow(clippy::panic)] // helpers of tests

mod common;

use common::{check_or_bless, files, here, read};
use ecomap_instances::format::schema;
use serde_json::{Value, json};

fn validator(name: &str) -> jsonschema::Validator {
    let schema = schema::schema(name).unwrap_or_else(|| panic!("no schema {name}"));
    jsonschema::draft202012::new(&schema).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn document(path: &std::path::Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn committed_schemas_are_generated() {
    for name in schema::NAMES {
        let schema = schema::schema(name).unwrap_or_else(|| panic!("no schema {name}"));
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}");
        let path = here("schemas").join(schema::file_name(name));
        check_or_bless(&path, &schema::print(&schema));
    }
    assert_eq!(files(&here("schemas")).len(), schema::NAMES.len(), "a stray file under schemas/");
    assert!(schema::schema("plan").is_none());
}

#[test]
fn shipped_files_fit_their_schema() {
    for (name, folder) in [("scenario", "scenarios"), ("profile", "profiles"), ("family", "families")] {
        let validator = validator(name);
        let folder = here("data").join(folder);
        let names = files(&folder);
        assert!(names.len() >= 6, "{}", folder.display());
        for file in names {
            let document = document(&folder.join(&file));
            let errors: Vec<String> =
                validator.iter_errors(&document).map(|e| format!("{} {e}", e.instance_path)).collect();
            assert!(errors.is_empty(), "{file}: {errors:?}");
        }
    }
}

#[test]
fn schemas_refuse_what_the_readers_refuse() {
    let validator = validator("scenario");
    let good = document(&here("data/scenarios/tiny.json"));
    assert!(validator.is_valid(&good));
    let edits: [(&str, &str, Value); 7] = [
        ("", "format", json!("ecomap.scenario/v2")),
        ("", "surprise", json!(1)),
        ("/tenants/0", "rate_per_s", json!("5")),
        ("/tenants/0/slo", "quantile", json!("p42")),
        ("/sites/0", "budget", json!({"policy": "none"})),
        ("/sites/0", "budget", json!({"policy": "fixed", "cap_w": 1, "max_w": 2})),
        ("/devices/0", "count", json!(-1)),
    ];
    for (at, key, value) in edits {
        let mut bad = good.clone();
        let object = bad.pointer_mut(at).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("{at}"));
        object.insert(key.to_owned(), value);
        assert!(!validator.is_valid(&bad), "{at}/{key}");
        let text = bad.to_string();
        assert!(
            ecomap_instances::format::scenario_v1::read(text.as_bytes(), common::catalog()).is_err(),
            "{at}/{key}"
        );
    }
    let mut bad = good;
    if let Some(object) = bad.as_object_mut() {
        object.remove("tenants");
    }
    assert!(!validator.is_valid(&bad));
}
