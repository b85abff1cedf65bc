//! `ecomap profile` and `ecomap dataset --measured`, as a user calls them. Nothing is asserted of times.
#![allow(clippy::expect_used, clippy::panic)] // tests

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

fn ecomap(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecomap")).args(args).output().expect("runs")
}

#[track_caller]
fn exits(args: &[&str], code: i32) -> (String, String) {
    let output = ecomap(args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[test]
fn mistakes_are_named() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("skipped: two units need two cores");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (model, out) = (path("m.onnx"), path("out.json"));
    std::fs::write(&model, b"\xff\xff\xff\xffnot a model").expect("written");
    let (_, err) = exits(&["profile", "run", &model, "--out", &out], 3);
    assert!(err.contains("E1501"), "{err}");
    let (_, err) = exits(&["profile", "run", &model, "--out", &out, "--unit", "big=one"], 2);
    assert!(err.contains("NAME=CORES"), "{err}");
    let measured = path("measured.json");
    std::fs::write(&measured, b"{\"format\": \"ecomap.scenario/v1\"}").expect("written");
    for args in [&["profile", "compare", &measured][..], &["dataset", "--out", &out, "--measured", &measured]]
    {
        let (_, err) = exits(args, 3);
        assert!(err.contains("E1003"), "{err}");
    }
    let (_, err) = exits(&["profile", "compare", &path("missing.json")], 2);
    assert!(err.contains("missing.json"), "{err}");
}

#[test]
fn a_light_graph_is_measured_and_compared() {
    let light = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/onnx-light"));
    let model = light.join("light_shufflenet.onnx");
    if !model.exists() || ecomap_estimator::learned::library::find().is_none() {
        eprintln!("skipped: no light graphs or no ONNX Runtime (run `make setup`)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (out, rows) = (path("measured.json"), path("rows.parquet"));
    let args = [
        "profile",
        "run",
        model.to_str().expect("UTF-8"),
        "--out",
        &out,
        "--unit",
        "a=0",
        "--unit",
        "b=1",
        "--name",
        "here",
        "--repetitions",
        "2",
        "--coruns",
        "12",
        "--requests",
        "3",
        "--shortest-ms",
        "100",
        "--longest-ms",
        "400",
        "--retries",
        "0",
    ];
    let shared: Vec<&str> = args.iter().map(|a| if *a == "b=1" { "b=0" } else { a }).collect();
    let (_, err) = exits(&shared, 3);
    assert!(err.contains("E1115") && err.contains("core 0 belongs to `a` too"), "{err}");
    let missing: Vec<&str> = args.iter().map(|a| if *a == "b=1" { "b=1,1023" } else { a }).collect();
    let (_, err) = exits(&missing, 3);
    assert!(err.contains("E1601") && err.contains("no core 1023"), "{err}");
    let (text, _) = exits(&args, 0);
    assert!(text.contains("14 cases, 28 runs count"), "{text}");
    let document: Value = serde_json::from_slice(&std::fs::read(&out).expect("written")).expect("JSON");
    assert_eq!(document["format"], "ecomap.measurements/v1");
    assert_eq!(document["machine"]["name"], "here");
    assert_eq!(document["models"][0]["id"], "light-shufflenet");
    let (text, _) = exits(&["profile", "compare", &out, "--all"], 0);
    for word in ["co-run, calibrated", "check", "light-shufflenet on a"] {
        assert!(text.contains(word), "{text}");
    }
    let args = ["dataset", "--rows", "2", "--max-events", "2000", "--measured", &out, "--out", &rows];
    let (text, _) = exits(&args, 0);
    assert!(text.contains("measured co-runs"), "{text}");
    assert!(std::fs::read(&rows).expect("written").starts_with(b"PAR1"));
}
