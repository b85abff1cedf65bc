//! `ecomap dataset` and `ecomap estimate --plan`, as a user calls them.
#![allow(clippy::expect_used, clippy::panic)] // tests

use serde_json::Value;
use std::process::{Command, Output};

fn ecomap(args: &[&str], library: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecomap"));
    if let Some(path) = library {
        command.env("ORT_DYLIB_PATH", path);
    }
    command.args(args).output().expect("runs")
}

#[track_caller]
fn exits(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    (out, err)
}

#[test]
fn dataset_repeats_itself_and_names_its_splits() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (a, b, c) = (path("a.parquet"), path("b.parquet"), path("c.parquet"));
    for (file, seed) in [(&a, "5"), (&b, "5"), (&c, "6")] {
        let args = ["dataset", "--rows", "20", "--max-events", "5000", "--seed", seed, "--out", file];
        exits(&ecomap(&args, None), 0);
    }
    let read = |file: &str| std::fs::read(file).expect("written");
    assert!(read(&a).starts_with(b"PAR1"));
    assert_eq!(read(&a), read(&b));
    assert_ne!(read(&a), read(&c));
    let (_, err) = exits(&ecomap(&["dataset", "--split", "nonsense", "--out", &c], None), 2);
    assert!(err.contains("test-device"), "{err}");
}

#[test]
fn a_plan_is_predicted_jointly_and_says_by_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let result = folder.path().join("result.json");
    let result = result.to_str().expect("UTF-8");
    exits(&ecomap(&["solve", "tiny", "--out", result], None), 0);
    let predict = |predictor: &str, library: Option<&str>| {
        let args = ["estimate", "tiny", "--plan", result, "--predictor", predictor, "--json"];
        ecomap(&args, library)
    };
    // No library: the forest serves, and says so; who insists on the transformer gets an error.
    let (out, _) = exits(&predict("auto", Some("/nonexistent/libonnxruntime.so")), 0);
    let boards: Value = serde_json::from_str(&out).expect("JSON");
    let boards = boards.as_array().expect("a list");
    assert!(!boards.is_empty());
    for board in boards {
        assert_eq!(board["source"], "forest");
        assert!(board["power_w"].as_f64() > Some(0.0));
        for tenant in board["tenants"].as_array().expect("a list") {
            let part = |name: &str| tenant[name].as_f64().expect("a number");
            let sum: f64 = ["service_ms", "transfer_ms", "contention_ms", "queueing_ms", "network_ms"]
                .map(part)
                .iter()
                .sum();
            let p50 = tenant["latency_ms"][0].as_f64().expect("a number");
            assert!((sum / p50 - 1.0).abs() < 1e-9, "{tenant}");
            assert!(part("slowdown_p95") >= 1.0);
        }
    }
    let (_, err) = exits(&predict("transformer", Some("/nonexistent/libonnxruntime.so")), 2);
    assert!(err.contains("ONNX Runtime") && err.contains("make setup"), "{err}");
    assert!(err.contains("ORT_DYLIB_PATH names no file: `/nonexistent/"), "{err}");
    let forest = ["estimate", "tiny", "--plan", result, "--predictor", "forest"];
    let (out, _) = exits(&ecomap(&forest, None), 0);
    assert!(out.contains("predicted by forest") && out.contains("it was asked for"), "{out}");
    assert!(out.contains("cap ") && out.contains("kept"), "{out}");
    let (out, _) = exits(&predict("roofline", None), 0);
    assert!(out.contains("roofline"));
    let (out, _) = exits(&ecomap(&["estimate", "tiny", "--plan", result], None), 0);
    assert!(out.contains("queueing") && out.contains("slowdown"), "{out}");
    // A result of another scenario is told apart.
    let (_, err) = exits(&ecomap(&["estimate", "xavier-3", "--plan", result], None), 3);
    assert!(err.contains("E1401") && err.contains("one of this scenario's"), "{err}");
}
