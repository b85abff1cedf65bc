//! A small study, run, interrupted and run again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ecomap_solver::CancelToken;
use ecomap_study::table::{self, Row};
use ecomap_study::{Progress, Study, StudyError, run};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SMALL: &str = r#"
    format = "ecomap.study/v1"
    methods = ["exact", "gpu-only", "clover", "omniboost", "omniboost:uncapped", "exact:contention"]
    scenarios = ["tiny"]
    seeds = [1, 2]
    hours = 6
    [limits]
    work = 60
    search = 20
    [simulation]
    measure_s = 2.0
    warmup_s = 0.2
    [[traces]]
    name = "made-up"
    skip = 5
    seed = 4
"#;

fn small() -> Study {
    Study::read(SMALL, Path::new("."), Path::new(".")).unwrap()
}

fn quietly(study: &Study, folder: &Path) -> Vec<Row> {
    run(study, folder, Some(2), &CancelToken::default(), &|_| ()).unwrap().unwrap()
}

/// Rows without what a clock says.
fn timeless(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|r| Row { solve_ms: 0.0, ..r.clone() }).collect()
}

#[test]
fn rows_are_complete_and_sound() {
    let folder = tempfile::tempdir().unwrap();
    let rows = quietly(&small(), folder.path());
    assert_eq!(rows.len(), 6 * 2 * 6);
    assert_eq!(table::read(&folder.path().join("study.csv")).unwrap().unwrap().len(), rows.len());
    for row in &rows {
        let context = format!("{row:?}");
        assert!(row.power_w > 0.0 && row.carbon_g > 0.0, "{context}");
        assert!((row.carbon_g - row.power_w * row.carbon / 1e3).abs() < 1e-9, "one zone: {context}");
        assert!((row.cdp - row.carbon_g * row.mean_ms).abs() < 1e-9, "{context}");
        assert!((0.0..=1.0).contains(&row.late) && (0.0..=100.0).contains(&row.accuracy), "{context}");
        assert!(row.p95_ms >= row.mean_ms * 0.5, "{context}");
        let (value, bound) = (row.objective.unwrap(), row.bound.unwrap());
        if row.method.ends_with(":uncapped") {
            assert_eq!(row.gap, None, "{context}");
            continue;
        }
        assert!(value >= bound - 1e-6 * bound.abs().max(1.0), "{context}");
        if row.method.starts_with("exact") {
            assert!(row.gap.unwrap() <= 1e-4, "{context}");
        }
    }
    // Clover keeps its plan while carbon stays within a twentieth; the others solve every new hour.
    let solved = |method: &str| rows.iter().filter(|r| r.method == method && r.solved).count();
    assert!(solved("clover") <= solved("gpu-only"));
    assert!(solved("exact") >= 2);
    // What a method that ignores caps draws is seen as it is: no less than with them.
    let draw = |method: &str| rows.iter().filter(|r| r.method == method).map(|r| r.power_w).sum::<f64>();
    assert!(draw("omniboost:uncapped") > draw("omniboost"));
}

#[test]
fn a_run_repeats_but_for_its_times() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(timeless(&quietly(&small(), one.path())), timeless(&quietly(&small(), two.path())));
}

#[test]
fn an_interrupted_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = CancelToken::default();
    let stopped = run(&small(), folder.path(), Some(1), &cancel, &|_: &Progress| cancel.cancel()).unwrap();
    assert_eq!(stopped, None);
    assert!(!folder.path().join("study.csv").exists());
    let (kept, told) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let tell = |p: &Progress| {
        kept.fetch_max(p.kept, Ordering::Relaxed);
        told.lock().unwrap().push((p.done, p.of));
    };
    let rows = run(&small(), folder.path(), Some(2), &CancelToken::default(), &tell).unwrap().unwrap();
    assert!(kept.load(Ordering::Relaxed) >= 1, "the first run finished a cell");
    assert_eq!(told.lock().unwrap().last(), Some(&(12, 12)));
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(timeless(&rows), timeless(&quietly(&small(), fresh.path())));
    // Under other conditions nothing of an earlier run stands.
    let other =
        Study::read(&SMALL.replace("work = 60", "work = 61"), Path::new("."), Path::new(".")).unwrap();
    kept.store(0, Ordering::Relaxed);
    run(&other, folder.path(), Some(2), &CancelToken::default(), &tell).unwrap().unwrap();
    assert_eq!(kept.load(Ordering::Relaxed), 0);
}

#[test]
fn what_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let broken = |from: &str, to: &str| {
        let study = Study::read(&SMALL.replace(from, to), Path::new("."), Path::new(".")).unwrap();
        run(&study, folder.path(), Some(1), &CancelToken::default(), &|_| ()).unwrap_err()
    };
    assert!(matches!(broken("\"tiny\"", "\"nowhere.json\""), StudyError::File { .. }));
    let file = folder.path().join("trace.csv");
    std::fs::write(&file, "timestamp,intensity\n").unwrap();
    let named = format!("name = \"made-up\"\nfile = {:?}", file.to_str().unwrap());
    assert!(matches!(broken("name = \"made-up\"", &named), StudyError::Trace { .. }));
}
