//! `ecomap inspect` and `ecomap catalog add`, as a user calls them.
#![allow(clippy::expect_used, clippy::panic)] // tests

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn ecomap(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecomap")).args(args).output().expect("runs")
}

#[track_caller]
fn exits(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

/// A field of a protobuf message that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    assert!(length < 128);
    [&[number << 3 | 2, length], content].concat()
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// `y = Relu(x)` over `N × 3 × 4 × 4`, in operator set 17.
fn model() -> Vec<u8> {
    let fixed = |n| field(1, &number(1, n));
    let shape = [field(1, &field(2, b"N")), fixed(3), fixed(4), fixed(4)].concat();
    let kind = field(1, &[number(1, 1), field(2, &shape)].concat());
    let node = [field(1, b"x"), field(2, b"y"), field(4, b"Relu")].concat();
    let graph =
        [field(1, &node), field(11, &[field(1, b"x"), field(2, &kind)].concat()), field(12, &field(1, b"y"))];
    [number(1, 8), field(7, &graph.concat()), field(8, &number(2, 17))].concat()
}

fn put(folder: &Path, name: &str, content: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("writes");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn inspect_shows_a_model_in_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = put(folder.path(), "small.onnx", &model());
    let (table, _) = exits(&ecomap(&["inspect", &path, "--unit", "dla"]), 0);
    assert!(table.contains("1×3×4×4") && table.contains("DLA"), "{table}");
    let (json, _) = exits(&ecomap(&["inspect", &path, "--dim", "batch=2", "--format", "json"]), 0);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["inputs"][0]["shape"], serde_json::json!([2, 3, 4, 4]));
    assert_eq!(json["flops"], 96);
    for (format, start) in [("svg", "<svg"), ("dot", "digraph")] {
        let to = folder.path().join(format);
        exits(&ecomap(&["inspect", &path, "--format", format, "-o", to.to_str().expect("UTF-8")]), 0);
        assert!(std::fs::read_to_string(&to).expect("written").starts_with(start));
    }
}

#[test]
fn inspect_reports_coded_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = put(folder.path(), "broken.onnx", b"not a model");
    let (_, err) = exits(&ecomap(&["inspect", &broken]), 3);
    assert!(err.contains("E1501"), "{err}");
    exits(&ecomap(&["inspect", "/no/such/model.onnx"]), 2);
    for wrong in [["--dim", "batch"], ["--dim", "batch=0"], ["--blocks", "13"], ["--format", "png"]] {
        exits(&ecomap(&["inspect", &broken, wrong[0], wrong[1]]), 2);
    }
}

#[test]
fn catalog_add_writes_a_family_and_refuses_paths_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "small.onnx", &model());
    let text = |onnx: &str| {
        format!(
            "id = \"toy\"\nname = \"Toy\"\ntask = \"t\"\nmetric = {{ name = \"m\", dataset = \"d\" }}\n\
             [sources]\np = \"a paper\"\n[[tier]]\nid = \"toy-1\"\nonnx = \"{onnx}\"\naccuracy = 50\nsource = \"p\"\n"
        )
    };
    let good = put(folder.path(), "good.toml", text("small.onnx").as_bytes());
    let to = folder.path().join("toy.json");
    exits(&ecomap(&["catalog", "add", &good, "-o", to.to_str().expect("UTF-8")]), 0);
    let family: Value = serde_json::from_slice(&std::fs::read(&to).expect("written")).expect("JSON");
    assert_eq!(family["format"], "ecomap.family/v1");
    let bad = put(folder.path(), "bad.toml", text("../small.onnx").as_bytes());
    let (_, err) = exits(&ecomap(&["catalog", "add", &bad]), 3);
    assert!(err.contains("E1517"), "{err}");
    exits(&ecomap(&["catalog"]), 0);
}
