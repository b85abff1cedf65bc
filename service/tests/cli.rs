//! The `ecomap` binary, as a user calls it.
#![allow(clippy::expect_used, clippy::panic)] // tests

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

fn ecomap(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecomap")).args(args).output().expect("runs")
}

fn with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ecomap"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // A child that needs no input may end before it has read it.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout: {}\nstderr: {}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("UTF-8").to_owned()
}

fn data(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../instances/data").join(relative)
}

/// Public benchmark files that are not part of the project.
fn benchmark(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ECOMAP_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = root.join("benchmarks").join(relative);
    path.exists().then_some(path)
}

#[test]
fn solve_prints_a_table_or_json_and_progress_apart() {
    let output = ecomap(&["solve", "tiny"]);
    exits(&output, 0);
    let table = text(&output.stdout);
    for part in ["tiny: optimal by exact", "tenants", "devices", "sites", "checker: pass"] {
        assert!(table.contains(part), "no `{part}` in:\n{table}");
    }
    let output =
        ecomap(&["solve", data("scenarios/tiny.json").to_str().expect("UTF-8"), "--json", "--quiet"]);
    exits(&output, 0);
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let result = json(&output);
    assert_eq!(
        (&result["status"], &result["certificate"]["checker"]["verdict"]),
        (&"optimal".into(), &"pass".into())
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let tiny = std::fs::read(data("scenarios/tiny.json")).expect("readable");
    let output = with_input(&["solve", "-", "--json", "--objective", "energy"], &tiny);
    exits(&output, 0);
    assert_eq!(json(&output)["objective"]["name"], "energy");
}

#[test]
fn check_verifies_and_refuses() {
    let folder = folder();
    let result = path(&folder, "result.json");
    exits(&ecomap(&["solve", "tiny", "--out", &result]), 0);
    let output = ecomap(&["check", &result, "--against", "tiny"]);
    exits(&output, 0);
    assert!(text(&output.stdout).starts_with("tiny: pass"), "{}", text(&output.stdout));
    // Another problem, or another value: no.
    exits(&ecomap(&["check", &result, "--against", "xavier-3"]), 3);
    let mut tampered: Value =
        serde_json::from_slice(&std::fs::read(&result).expect("readable")).expect("JSON");
    tampered["certificate"]["primal_bound"] = 0.0.into();
    let other = path(&folder, "tampered.json");
    std::fs::write(&other, tampered.to_string()).expect("writable");
    let output = ecomap(&["check", &other, "--against", "tiny", "--json"]);
    exits(&output, 6);
    assert_eq!(json(&output)["verdict"], "fail");
    // A result warms a solve up.
    let output = ecomap(&["solve", "tiny", "--warm-start", &result, "--json"]);
    exits(&output, 0);
    assert_eq!(json(&output)["status"], "optimal");
}

#[test]
fn check_finds_forgeries_out() {
    let output = ecomap(&["solve", "tiny", "--solver", "greedy", "--json", "--quiet"]);
    exits(&output, 0);
    let honest = json(&output);
    let forge = |change: &dyn Fn(&mut Value)| {
        let mut forged = honest.clone();
        change(&mut forged);
        let folder = folder();
        let file = path(&folder, "forged.json");
        std::fs::write(&file, forged.to_string()).expect("written");
        ecomap(&["check", &file, "--against", "tiny"])
    };
    exits(&forge(&|_| ()), 0);
    // A gap that the bounds do not give, optimality without a bound, figures that are not the problem's.
    exits(&forge(&|r| r["certificate"]["gap"] = 0.0.into()), 6);
    exits(&forge(&|r| r["status"] = "optimal".into()), 6);
    exits(&forge(&|r| r["plan"]["tenants"][0]["run"]["power_w"] = 0.1.into()), 6);
    exits(&forge(&|r| r["plan"]["sites"][0]["carbon_g_per_h"] = 0.1.into()), 6);
    exits(&forge(&|r| r["plan"]["tenants"][1]["run"]["latency_ms"]["p95"] = 1.0.into()), 6);
}

#[test]
fn what_cannot_be_is_explained() {
    let scenario = std::fs::read_to_string(data("scenarios/tiny.json")).expect("the scenario");
    let scenario = scenario
        .replace("\"cap_w\": 6}", "\"cap_w\": 0}")
        .replace("\"rate_per_s\": 40,", "\"rate_per_s\": 40, \"shed\": {\"allowed\": false},");
    let output = with_input(&["solve", "-", "--json", "--quiet"], scenario.as_bytes());
    exits(&output, 4);
    let result = json(&output);
    assert_eq!(result["status"], "infeasible");
    let notes = result["notes"].to_string();
    assert!(notes.contains("shelf-labels") && notes.contains("must be served"), "{notes}");
    // An objective that is the same for every plan is refused, not solved.
    exits(&ecomap(&["solve", "tiny", "--objective", "value", "--quiet"]), 3);
}

#[test]
fn validate_prints_every_issue() {
    exits(&ecomap(&["validate", "tiny", "campus", "region"]), 0);
    let mut tried = 0;
    for entry in std::fs::read_dir(data("scenarios/invalid")).expect("the folder") {
        let file = entry.expect("an entry").path();
        let name = file.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        let file = file.to_str().expect("UTF-8");
        let mut args = vec!["validate", "--json", file];
        let format = name.trim_end_matches(".txt").rsplit_once('.').map(|(_, format)| format);
        if name.ends_with(".txt") {
            args.extend(["--format", format.expect("a format in the name")]);
        }
        let output = ecomap(&args);
        exits(&output, 3);
        let findings = json(&output);
        let errors = findings[0]["errors"].as_array().expect("a list");
        assert!(errors.iter().any(|e| e["code"] == name[..5]), "{name}: {errors:?}");
        tried += 1;
    }
    assert!(tried > 30, "{tried} files");
    let output =
        ecomap(&["validate", data("scenarios/invalid/E1103-unknown-zone.json").to_str().expect("UTF-8")]);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("E1103 /sites/") && shown.contains("Name a zone listed under `zones`."),
        "{shown}"
    );
}

#[test]
fn exit_codes() {
    exits(&ecomap(&["--help"]), 0);
    assert!(text(&ecomap(&["--help"]).stdout).contains("Exit codes"));
    exits(&ecomap(&["solve"]), 2);
    exits(&ecomap(&["solve", "no-such-file.json"]), 2);
    exits(&ecomap(&["solve", "tiny", "--solver", "oracle"]), 2);
    exits(&ecomap(&["solve", "tiny", "--objective", "cheapest"]), 2);
    exits(&ecomap(&["solve", "tiny", "--gap", "nan"]), 2);
    exits(&ecomap(&["schema", "nothing"]), 2);
    exits(&with_input(&["solve", "-"], b"{}"), 3);
    exits(&with_input(&["solve", "-"], b"hello world"), 3);
    exits(&with_input(&["solve", "-"], &[0xff, 0xfe, 0x00]), 3);
    // Two tenants of which only one fits, and neither may be left out.
    let infeasible = br#"{"format": "ecomap.instance/v1", "name": "full",
        "capacities": [{"id": "c", "capacity": 1}],
        "tenants": [{"id": "a", "options": [{"uses": [[0, 1]]}]}, {"id": "b", "options": [{"uses": [[0, 1]]}]}]}"#;
    let output = with_input(&["solve", "-", "--json"], infeasible);
    exits(&output, 4);
    assert_eq!(json(&output)["status"], "infeasible");
}

#[test]
fn generate_repeats_itself_and_solves() {
    let arguments =
        ["generate", "--sites", "2", "--devices", "4", "--tenants", "8", "--zones", "2", "--seed", "11"];
    let (first, second) = (ecomap(&arguments), ecomap(&arguments));
    exits(&first, 0);
    assert_eq!(first.stdout, second.stdout);
    let mut other = arguments;
    other[10] = "12";
    assert_ne!(first.stdout, ecomap(&other).stdout);
    let output = with_input(&["solve", "-", "--json", "--time-limit", "30"], &first.stdout);
    exits(&output, 0);
    assert_eq!(json(&output)["certificate"]["checker"]["verdict"], "pass");
    exits(&ecomap(&["generate", "--tenants", "1000000000"]), 3);
}

#[test]
fn export_writes_models_and_instances() {
    let folder = folder();
    let (mps, lp, instance) = (path(&folder, "t.mps"), path(&folder, "t.lp"), path(&folder, "t.json"));
    exits(&ecomap(&["export", "tiny", "--format", "mps", "--out", &mps]), 0);
    let model = std::fs::read_to_string(&mps).expect("readable");
    assert!(model.contains("ROWS") && model.contains("ENDATA"), "{model:.200}");
    exits(&ecomap(&["export", "tiny", "--format", "lp", "--out", &lp]), 0);
    let model = std::fs::read_to_string(&lp).expect("readable");
    assert!(model.contains("\nst\n") && model.trim_end().ends_with("end"), "{model:.200}");
    exits(&ecomap(&["export", "tiny", "--format", "mps"]), 2);
    // The priced instance has the scenario's optimum, and needs no estimator.
    exits(&ecomap(&["export", "tiny", "--format", "instance", "--out", &instance]), 0);
    let priced = json(&ecomap(&["solve", &instance, "--json"]));
    let scenario = json(&ecomap(&["solve", "tiny", "--json"]));
    assert_eq!(priced["certificate"]["instance_hash"], scenario["certificate"]["instance_hash"]);
    let value = |r: &Value| r["objective"]["value"].as_f64().expect("a value");
    assert!((value(&priced) - value(&scenario)).abs() < 1e-6);
}

#[test]
fn published_benchmarks_have_their_published_optima() {
    let Some(file) = benchmark("mmkp_khan/I01") else {
        eprintln!("skipped: the benchmark files are not here (../shared/data/benchmarks)");
        return;
    };
    let output = ecomap(&["solve", "--format", "mmkp-khan", file.to_str().expect("UTF-8"), "--json"]);
    exits(&output, 0);
    let result = json(&output);
    // MMKP maximises; the bound is in the file's own sense.
    assert!((result["certificate"]["primal_bound"].as_f64().expect("a value") - 173.0).abs() < 1e-6);
    assert_eq!((&result["status"], &result["objective"]["sense"]), (&"optimal".into(), &"maximize".into()));
    // Guessed, and as a table.
    let output = ecomap(&["solve", file.to_str().expect("UTF-8")]);
    assert!(text(&output.stdout).contains("value 173 "), "{}", text(&output.stdout));
    let gap = benchmark("gap/cattrysse1994/gap1-0").expect("beside the others");
    let output = ecomap(&["solve", "--format", "gap", gap.to_str().expect("UTF-8"), "--json"]);
    exits(&output, 0);
    let result = json(&output);
    assert!((result["certificate"]["primal_bound"].as_f64().expect("a value") - 261.0).abs() < 1e-6);
    assert_eq!(result["objective"]["sense"], "minimize");
}

#[test]
fn what_there_is_can_be_listed() {
    let output = ecomap(&["catalog"]);
    exits(&output, 0);
    let shown = text(&output.stdout);
    for part in ["jetson-agx-xavier", "resnet", "exact", "campus"] {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    assert!(json(&ecomap(&["catalog", "--json"]))["profiles"].as_array().map_or(0, Vec::len) >= 6);
    for name in ["scenario", "instance", "result"] {
        assert_eq!(json(&ecomap(&["schema", name]))["$id"], format!("urn:ecomap:{name}:v1"));
    }
    let estimate = ecomap(&["estimate", "tiny"]);
    exits(&estimate, 0);
    assert!(text(&estimate.stdout).contains("gate-camera"), "{}", text(&estimate.stdout));
    let estimate = ecomap(&["estimate", "tiny", "--tenant", "gate-camera", "--json"]);
    exits(&estimate, 0);
    assert!(json(&estimate).is_array() || json(&estimate).is_object());
    exits(&ecomap(&["estimate", "tiny", "--tenant", "nobody"]), 2);
}

/// A server process; killed when dropped.
struct Served(Child, String);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(args: &[&str]) -> Served {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ecomap"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store", ":memory:"])
        .args(args)
        .env("ECOMAP_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    let base =
        first.split_whitespace().find_map(|w| w.strip_suffix(',').filter(|w| w.starts_with("http://")));
    let base = base.unwrap_or_else(|| panic!("no address in `{first}`")).to_owned();
    let banner: Vec<String> = lines.take(7).map_while(Result::ok).collect();
    assert!(banner.iter().any(|l| l.contains("curl") && l.contains("/v1/solve")), "{banner:?}");
    Served(child, base)
}

/// A line of /proc/<id>/status in bytes.
fn memory(process: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(field))?;
    let kib: u64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// A reader of blanks that come without end.
struct Blanks(u64);

impl Read for Blanks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.0).unwrap_or(usize::MAX));
        buffer[..count].fill(b' ');
        self.0 -= count as u64;
        Ok(count)
    }
}

#[test]
fn serve_answers_and_ends_on_sigterm() {
    let mut server = serve(&["--scenario", "tiny", "--workers", "1"]);
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let tiny = client
        .get(format!("{}/v1/scenarios/tiny", server.1))
        .send()
        .expect("answers")
        .bytes()
        .expect("bytes");
    let result: Value = client
        .post(format!("{}/v1/solve", server.1))
        .body(tiny)
        .send()
        .expect("answers")
        .json()
        .expect("JSON");
    assert_eq!(result["status"], "optimal");
    let id = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kills").success());
    assert_eq!(server.0.wait().expect("ends").code(), Some(0));
}

#[test]
fn two_hundred_megabytes_are_refused_in_bounded_memory() {
    let server = serve(&["--workers", "1"]);
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    client.get(format!("{}/live", server.1)).send().expect("answers");
    let Some(before) = memory(server.0.id(), "VmHWM") else {
        eprintln!("skipped: this system has no /proc");
        return;
    };
    for length in [None, Some(200 << 20)] {
        let body = match length {
            Some(length) => reqwest::blocking::Body::sized(Blanks(length), length),
            None => reqwest::blocking::Body::new(Blanks(200 << 20)),
        };
        let response = client.post(format!("{}/v1/solve", server.1)).body(body).send().expect("answers");
        assert_eq!(response.status(), 413);
        let problem: Value = response.json().expect("JSON");
        assert_eq!(problem["code"], "E4013");
    }
    let peak = memory(server.0.id(), "VmHWM").expect("as before");
    // The body is read up to 16 MiB into a buffer that doubles.
    assert!(peak < before + (64 << 20), "from {before} to {peak} bytes");
}

#[test]
fn an_address_in_use_is_said_plainly() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = ecomap(&["serve", "--listen", &address]);
    exits(&output, 2);
    let told = text(&output.stderr);
    assert!(told.contains("already in use") && told.contains(&address), "{told}");
}
