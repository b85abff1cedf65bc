//! Measuring on this machine: the document, the comparison on a machine that is known, and a real run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_precision_loss)]

use ecomap_estimator::EstimatorError;
use ecomap_estimator::measure::clock::SystemClock;
use ecomap_estimator::measure::compare::Stage;
use ecomap_estimator::measure::file::{
    BlockShare, FORMAT, ModelInfo, RunRecord, TenantRun, UnitInfo, sha256,
};
use ecomap_estimator::measure::host::{Host, Tuning, simulate};
use ecomap_estimator::measure::machine::System;
use ecomap_estimator::measure::plan::cases;
use ecomap_estimator::measure::rows::rows;
use ecomap_estimator::measure::{Campaign, Half, Kind, Load, Measured, Settings, Target, compare};
use ecomap_estimator::sim::outcome::{GRID, StreamOutcome};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Three models alone take these times, ms.
const ALONE: [f64; 3] = [4.0, 11.0, 30.0];

fn model(n: usize) -> ModelInfo {
    // From bound by arithmetic to half bound by memory, 10 to 20 GB/s.
    let memory = n as f64 / 4.0;
    let bytes = ALONE[n] * 1e7;
    let blocks = vec![
        BlockShare { time: 0.6, memory, traffic_bytes: 0.5 * bytes },
        BlockShare { time: 0.4, memory: 0.5, traffic_bytes: 0.8 * bytes },
    ];
    ModelInfo { id: format!("model-{n}"), sha256: sha256(&[]), macs: 1, params: 1, blocks }
}

fn unit(n: u32) -> UnitInfo {
    UnitInfo { id: format!("cpu{n}"), cores: vec![n] }
}

fn record(case: usize, repetition: u32, tenants: Vec<TenantRun>) -> RunRecord {
    RunRecord {
        case,
        repetition,
        attempt: 0,
        kept: true,
        noisy: false,
        window_ms: 1000.0,
        foreign_share: 0.01,
        steal_share: 0.0,
        power_w: None,
        busy: vec![0.5; 2],
        tenants,
    }
}

fn seen(rate_per_s: Option<f64>, latencies_ms: Vec<f64>) -> TenantRun {
    let completed = latencies_ms.len() as u64;
    TenantRun {
        rate_per_s,
        arrived: completed,
        completed,
        dropped: 0,
        busy_ms_per_request: None,
        latencies_ms,
    }
}

/// A hundred latencies with the quantiles of a simulated stream.
fn latencies(s: &StreamOutcome) -> Vec<f64> {
    (0..100)
        .map(|k| {
            let u = f64::from(k).mul_add(0.01, 0.005);
            let above = GRID.iter().position(|q| *q >= u).unwrap();
            let below = above.saturating_sub(1);
            let part = if above == below { 0.0 } else { (u - GRID[below]) / (GRID[above] - GRID[below]) };
            let (a, b) = (s.quantiles[below], s.quantiles[above]);
            a + (b - a) * part.clamp(0.0, 1.0)
        })
        .collect()
}

/// A document of a machine that behaves as the simulator with `truth` says.
fn known(truth: &Tuning) -> Measured {
    let settings = Settings { coruns: 24, repetitions: 2, ..Settings::default() };
    let units: Vec<UnitInfo> = (0..2).map(unit).collect();
    let mut document = Measured {
        format: FORMAT.to_owned(),
        generator: "test".to_owned(),
        machine: System::at(&PathBuf::from("/nonexistent")).machine("a-machine", "none"),
        settings,
        units,
        models: (0..3).map(model).collect(),
        cases: cases(&settings, 3, 2),
        runs: Vec::new(),
    };
    for repetition in 0..2 {
        for (n, case) in document.cases.iter().enumerate().filter(|(_, c)| c.kind == Kind::Isolated) {
            let ms = ALONE[case.tenants[0].model];
            document.runs.push(record(n, repetition, vec![seen(None, vec![ms; 20])]));
        }
    }
    let host = Host::new(&document, Half::Fit).unwrap();
    for (n, case) in document.cases.iter().enumerate().filter(|(_, c)| c.kind != Kind::Isolated) {
        let rate = |load: Load, ms: f64| match load {
            Load::Closed => None,
            Load::Poisson(load) => Some(1000.0 * load / ms),
        };
        let rates: Vec<Option<f64>> = case.tenants.iter().map(|t| rate(t.load, ALONE[t.model])).collect();
        let streams = host.streams(&document, case, &rates, truth).unwrap();
        let out = simulate(&host.soc(truth), &streams, 1000.0, 2_000_000).unwrap();
        let tenants: Vec<TenantRun> =
            out.streams.iter().zip(&rates).map(|(s, r)| seen(*r, latencies(s))).collect();
        for repetition in 0..2 {
            document.runs.push(record(n, repetition, tenants.clone()));
        }
    }
    document.check().unwrap();
    document
}

#[test]
fn co_runs_of_a_known_machine_are_predicted() {
    let truth = Tuning { loss: 0.25, shared: 0.2, slice_ms: 5.0 };
    let document = known(&truth);
    let found = compare(&document).unwrap();
    let line = |stage, half| {
        found.lines.iter().find(|l| l.stage == stage && l.half == half && l.kind.is_none()).unwrap()
    };
    let fitted = line(Stage::Fitted, Half::Check);
    assert!(fitted.p50.n >= 20 && fitted.p50.median_ape < 5.0, "{fitted:?}, {:?}", found.tuning);
    assert!(line(Stage::Calibrated, Half::Check).p50.median_ape < 8.0);
    // The machine has contention: without it the prediction is far off.
    let others = [Stage::NoContention, Stage::Generic].map(|s| line(s, Half::Check).p50.median_ape);
    assert!(others.iter().all(|e| *e > 2.0 * fitted.p50.median_ape), "{others:?} {fitted:?}");
    // Runs alone repeat themselves exactly.
    assert!(line(Stage::Repeat, Half::Check).p50.median_ape < 1e-9);
    assert_eq!(found.runs, [12 + 48, 0, 0]);
    // Every tenant of every run is told to the calibration of its half.
    let told: usize = found.telemetry.iter().map(Vec::len).sum();
    assert_eq!(told, 2 * found.tenants.len());
    // Only the fit half is looked at by the fit: other check runs change no parameter.
    let mut other = document;
    for run in &mut other.runs {
        if other.cases[run.case].kind != Kind::Isolated && other.cases[run.case].half == Half::Check {
            for t in &mut run.tenants {
                t.latencies_ms.iter_mut().for_each(|x| *x *= 3.0);
            }
        }
    }
    let again = compare(&other).unwrap();
    assert_eq!(again.tuning, found.tuning);
    let fit = |c: &ecomap_estimator::measure::Comparison| -> Vec<_> {
        c.tenants.iter().filter(|t| t.half == Half::Fit).cloned().collect()
    };
    assert_eq!(fit(&again), fit(&found));
}

#[test]
fn a_document_is_read_as_it_was_written() {
    let document = known(&Tuning::GENERIC);
    let text = document.json().unwrap();
    assert_eq!(Measured::read(text.as_bytes()).unwrap(), document);
    let code = |bytes: &[u8]| Measured::read(bytes).unwrap_err().list()[0].code.as_str();
    assert_eq!(code(b"{"), "E1001");
    assert_eq!(code(b"{\"format\": \"other\"}"), "E1003");
    assert_eq!(code(text.replace("\"units\":", "\"unitz\":").as_bytes()), "E1002");
}

#[test]
fn a_hostile_document_is_refused_with_code_and_place() {
    let good = known(&Tuning::GENERIC);
    let refused = |spoil: &dyn Fn(&mut Measured)| -> (String, String) {
        let mut bad = good.clone();
        spoil(&mut bad);
        let issues = bad.check().unwrap_err();
        (issues.list()[0].code.as_str().to_owned(), issues.list()[0].pointer.clone())
    };
    let (code, place) = refused(&|d| d.cases[3].tenants[0].model = 99);
    assert_eq!((code.as_str(), place.as_str()), ("E1201", "/cases/3/tenants/0"));
    let (code, place) = refused(&|d| d.runs[2].tenants[0].latencies_ms = vec![2.0, 1.0]);
    assert_eq!((code.as_str(), place.as_str()), ("E1112", "/runs/2/tenants/0/latencies_ms"));
    assert_eq!(refused(&|d| d.runs[0].tenants[0].completed += 1).0, "E1112");
    assert_eq!(refused(&|d| d.runs[0].tenants[0].latencies_ms[0] = f64::NAN).0, "E1112");
    assert_eq!(refused(&|d| d.runs[0].case = usize::MAX).1, "/runs/0/case");
    assert_eq!(refused(&|d| d.runs[0].foreign_share = 1.5).0, "E1112");
    assert_eq!(refused(&|d| d.models[0].blocks[0].time = 0.9).1, "/models/0/blocks");
    assert_eq!(refused(&|d| d.settings.repetitions = 1_000_000).0, "E1112");
    assert_eq!(refused(&|d| d.runs.clear()).0, "E1114");
    assert_eq!(refused(&|d| d.machine.name = "two words".into()).0, "E1101");
}

#[test]
fn too_few_runs_are_said_to_be_too_few() {
    let mut document = known(&Tuning::GENERIC);
    document.runs.retain(|r| document.cases[r.case].kind == Kind::Isolated);
    let Err(EstimatorError::Instance(issues)) = compare(&document) else { panic!("compared nothing") };
    assert_eq!(issues.list()[0].code.as_str(), "E1602");
}

#[test]
fn open_co_runs_become_rows() {
    let document = known(&Tuning::GENERIC);
    let (list, left) = rows(&document, &Tuning::GENERIC).unwrap();
    let open = |n: usize| document.cases[n].tenants.iter().all(|t| t.load != Load::Closed);
    let wanted = (0..document.cases.len()).filter(|n| document.cases[*n].kind != Kind::Isolated && open(*n));
    assert_eq!(
        list.iter().map(|r| r.index).collect::<Vec<_>>(),
        wanted.map(|n| n as u64).collect::<Vec<_>>()
    );
    assert!(!list.is_empty() && left > 0 && list.len() + left == 24);
    for row in &list {
        let case = &document.cases[usize::try_from(row.index).unwrap()];
        assert_eq!((row.split.as_str(), row.source.as_str()), ("measured", "a-machine"));
        assert_eq!(row.truth.len(), case.tenants.len());
        assert_eq!(row.features.tenants.len(), case.tenants.len());
        assert!(row.power_w.is_nan());
        for (t, of) in row.truth.iter().zip(&case.tenants) {
            // Both repetitions of a hundred requests each.
            assert_eq!(t.completed, 200);
            assert!(t.quantiles.windows(2).all(|w| w[0] <= w[1]));
            assert!(t.quantiles[0] >= 0.99 * ALONE[of.model]);
        }
    }
}

/// Two light graphs, if they and ONNX Runtime are on this machine.
fn targets() -> Option<Vec<Target>> {
    let folder = std::env::var_os("ECOMAP_ONNX_LIGHT").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/onnx-light")),
        PathBuf::from,
    );
    if ecomap_estimator::learned::library::find().is_none() {
        eprintln!("skipped: no ONNX Runtime (run `make setup`)");
        return None;
    }
    ["light_shufflenet.onnx", "light_squeezenet.onnx"]
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let Ok(bytes) = std::fs::read(folder.join(name)) else {
                eprintln!("skipped: no {name} (run `make setup`)");
                return None;
            };
            Some(Target { info: ModelInfo { sha256: sha256(&bytes), ..model(n) }, bytes })
        })
        .collect()
}

fn campaign<'a>(targets: &'a [Target], clock: &'a SystemClock, cores: &[u32]) -> Campaign<'a> {
    Campaign {
        settings: Settings {
            repetitions: 2,
            coruns: 6,
            requests: 3,
            window_ms: [60.0, 120.0],
            // Noise is no matter here: nothing is asserted of times.
            foreign_limit: 1.0,
            retries: 0,
            ..Settings::default()
        },
        name: "test".to_owned(),
        units: cores.iter().map(|c| unit(*c)).collect(),
        targets,
        clock,
        system: System::this(),
    }
}

#[test]
fn real_models_run_as_planned() {
    let Some(targets) = targets() else { return };
    let clock = SystemClock::new();
    let mut told = Vec::new();
    // One core is enough, and on every machine: both units are the same core.
    let mut campaign = campaign(&targets, &clock, &[0, 0]);
    campaign.units[1].id = "again".to_owned();
    let document = match campaign.run(|done, planned| told.push((done, planned))) {
        Ok(document) => document,
        // A machine so busy that a request outlasts the window says so, and nothing else.
        Err(EstimatorError::Instance(issues)) if issues.list()[0].code.as_str() == "E1602" => return,
        Err(error) => panic!("{error}"),
    };
    document.check().unwrap();
    assert_eq!(document.cases, cases(&campaign.settings, 2, 2));
    assert_eq!(told, (1..=20).map(|n| (n, 20)).collect::<Vec<_>>());
    // Every case counts once in every repetition.
    let kept: Vec<(usize, u32)> = document.kept().map(|(r, _)| (r.case, r.repetition)).collect();
    assert_eq!(kept.len(), 20);
    assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), 20);
    for (run, case) in document.kept() {
        for (t, of) in run.tenants.iter().zip(&case.tenants) {
            assert_eq!(t.arrived, t.completed + t.dropped);
            assert_eq!(t.latencies_ms.len() as u64, t.completed.min(512));
            assert_eq!(t.rate_per_s.is_some(), of.load != Load::Closed);
        }
    }
    assert_eq!(Measured::read(document.json().unwrap().as_bytes()).unwrap(), document);
}

#[test]
fn what_cannot_be_run_is_refused() {
    let clock = SystemClock::new();
    let target = Target { info: model(0), bytes: b"not a model".to_vec() };
    let targets = [target];
    let refused = |cores: &[u32], settings: Settings| {
        let mut c = campaign(&targets, &clock, cores);
        c.settings = settings;
        match c.run(|_, _| {}) {
            Err(EstimatorError::Instance(issues)) => issues.list()[0].code.as_str().to_owned(),
            Err(other) => other.to_string(),
            Ok(_) => panic!("ran"),
        }
    };
    let usual = campaign(&targets, &clock, &[0]).settings;
    assert_eq!(refused(&[900_000], usual), "E1601");
    assert_eq!(refused(&[], usual), "E1114");
    assert_eq!(refused(&[0], Settings { tenants: 1, ..usual }), "E1112");
    // Whether the library is here or not, a broken model is an error of the runtime, never a hang.
    assert!(refused(&[0], usual).starts_with("ONNX Runtime"), "{}", refused(&[0], usual));
}
