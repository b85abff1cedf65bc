//! A small study, run, interrupted and run again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ecomap_estimator::learned::{Learned, Options};
use ecomap_instances::units::GramsPerKwh;
use ecomap_solver::{CancelToken, SolveOptions, by_name};
use ecomap_study::scene::Stage;
use ecomap_study::table::{Moment, Row, Share};
use ecomap_study::{Progress, Study, StudyError, Tables, run};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

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

fn quietly(study: &Study, folder: &Path) -> Tables {
    run(study, folder, Some(2), &CancelToken::default(), &|_| ()).unwrap().unwrap()
}

/// Tables without what a clock says.
fn timeless(tables: &Tables) -> Tables {
    let mut tables = tables.clone();
    tables.played.rows.iter_mut().for_each(|row| row.solve_ms = 0.0);
    tables.played.moments.iter_mut().for_each(|moment| moment.elapsed_ms = 0.0);
    tables
}

#[test]
fn rows_are_complete_and_sound() {
    let folder = tempfile::tempdir().unwrap();
    let tables = quietly(&small(), folder.path());
    let rows = &tables.played.rows;
    assert_eq!(rows.len(), 6 * 2 * 6);
    assert_eq!(Tables::read(folder.path()).unwrap().unwrap(), tables);
    assert_eq!(tables.conditions.len(), 2, "with the joint predictor, and without");
    for row in rows {
        assert!(tables.conditions.iter().any(|c| c.conditions == row.conditions));
        let context = format!("{row:?}");
        assert!(row.power_w > 0.0 && row.carbon_g > 0.0, "{context}");
        assert!((row.carbon_g / (row.power_w * row.carbon / 1e3) - 1.0).abs() < 1e-6, "one zone: {context}");
        assert!((row.cdp / (row.carbon_g * row.mean_ms) - 1.0).abs() < 1e-6, "{context}");
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
fn solves_are_followed_and_requests_counted() {
    let folder = tempfile::tempdir().unwrap();
    let Tables { played, .. } = quietly(&small(), folder.path());
    for row in played.rows.iter().filter(|r| r.hour == 0 && !r.method.ends_with(":uncapped")) {
        let of = |m: &&Moment| (&m.method, m.seed, m.hour) == (&row.method, row.seed, 0);
        let moments: Vec<&Moment> = played.moments.iter().filter(of).collect();
        let last = moments.last().unwrap();
        assert!(moments.is_sorted_by_key(|m| m.elapsed_ms), "{}", row.method);
        assert_eq!((last.objective, last.work), (row.objective, row.work), "{}", row.method);
        let sound = |m: &&Moment| match (m.objective, m.bound) {
            (Some(value), Some(bound)) => value >= bound - 1e-6 * bound.abs(),
            _ => true,
        };
        assert!(moments.iter().all(sound), "{}", row.method);
    }
    assert!(played.moments.iter().all(|m| m.hour == 0), "one hour is followed");
    assert!(played.moments.iter().all(|m| !m.method.ends_with(":uncapped")));
    for method in ["exact", "omniboost:uncapped"] {
        let shares: Vec<&Share> =
            played.shares.iter().filter(|s| s.method == method && s.seed == 1).collect();
        assert!(shares.len() > 2 && shares.is_sorted_by_key(|s| s.latency_ms));
        assert!(shares.is_sorted_by_key(|s| s.share));
        assert!(shares.iter().all(|s| (0.0..=1.0 + 1e-9).contains(&s.share)));
        // Without shedding nearly all are answered, and half of them no later than twice the mean.
        let rows: Vec<&Row> = played.rows.iter().filter(|r| r.method == method && r.seed == 1).collect();
        let mean = rows.iter().map(|r| r.mean_ms).sum::<f64>() / 6.0;
        assert!(rows.iter().all(|r| r.shed == 0));
        assert!(shares.last().unwrap().share > 0.9);
        assert!(shares.iter().find(|s| s.latency_ms >= 2.0 * mean).unwrap().share >= 0.45);
    }
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
    let tables = run(&small(), folder.path(), Some(2), &CancelToken::default(), &tell).unwrap().unwrap();
    assert!(kept.load(Ordering::Relaxed) >= 1, "the first run finished a cell");
    assert_eq!(told.lock().unwrap().last(), Some(&(12, 12)));
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(timeless(&tables), timeless(&quietly(&small(), fresh.path())));
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

/// The first `tenants` of `xavier-5` on its board at full power under a fixed cap, each with few placements.
fn crowded(tenants: usize, cap_w: f64) -> Value {
    let text = ecomap_instances::scenarios::embedded("xavier-5").unwrap();
    let mut scenario: Value = serde_json::from_slice(text).unwrap();
    scenario["name"] = json!(format!("crowded-{tenants}-{cap_w}"));
    scenario["tenants"].as_array_mut().unwrap().truncate(tenants);
    scenario["pricing"] = json!({ "max_segments": 1, "max_placements": 2 });
    scenario.as_object_mut().unwrap().remove("affinities");
    scenario["devices"].as_array_mut().unwrap().iter_mut().for_each(|d| d["modes"] = json!(["MAXN"]));
    for site in scenario["sites"].as_array_mut().unwrap() {
        site["budget"] = json!({ "policy": "fixed", "cap_w": cap_w });
    }
    scenario
}

#[test]
fn the_joint_predictor_is_asked_where_it_matters() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (tenants, cap_w) in [(2, 12.0), (2, 16.0), (3, 12.0), (3, 16.0), (3, 40.0)] {
        let file = folder.path().join(format!("{tenants}-{cap_w}.json"));
        std::fs::write(&file, crowded(tenants, cap_w).to_string()).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let text = SMALL
        .replace("scenarios = [\"tiny\"]", &format!("scenarios = {files:?}"))
        .replace(
            "methods = [\"exact\", \"gpu-only\", \"clover\", \"omniboost\", \"omniboost:uncapped\", ",
            "methods = [",
        )
        .replace("seeds = [1, 2]", "seeds = [1]")
        .replace("hours = 6", "hours = 1");
    let study = Study::read(&text, folder.path(), Path::new(".")).unwrap();
    assert_eq!(study.methods.len(), 1);
    let Tables { played, .. } = quietly(&study, &folder.path().join("out"));
    let predictor = Arc::new(Learned::load(&Options::default()).unwrap());
    let mut dearer = 0;
    for (file, row) in files.iter().zip(&played.rows) {
        let stage = Stage::open(file, None, Some(&predictor)).unwrap();
        assert_eq!(row.scenario, stage.name);
        let alone = stage.alone_at(GramsPerKwh::new(row.carbon)).unwrap();
        let options = SolveOptions { gap: 1e-6, ..SolveOptions::default() };
        let best = by_name("exact").unwrap().solve(&alone, &options, &mut ()).unwrap();
        let (best, ours) = (best.certificate.primal.unwrap(), row.objective.unwrap());
        assert!(ours >= best - 1e-6 * best.abs(), "{file}: {ours} is better than without co-runners, {best}");
        dearer += usize::from(ours > best + 1e-4 * best.abs());
    }
    // Were the predictor not asked, every plan would be the one that is best when all run alone.
    assert!(dearer > 0, "contention never mattered");
}
