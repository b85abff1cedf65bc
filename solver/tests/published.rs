//! Published instances are solved to their known optima, in their own sense.
//!
//! The files are third-party data and not part of the project; the test looks for them at
//! `../shared/data` beside the workspace, or at `ECOMAP_DATA`, and says *skipped* without them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use ecomap_instances::format::{gap, mmkp};
use ecomap_instances::plan::Status;
use ecomap_solver::{SolveOptions, by_name, default_gap};
use std::path::PathBuf;

fn benchmarks() -> Option<PathBuf> {
    let root = std::env::var_os("ECOMAP_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let folder = root.join("benchmarks");
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return None;
    }
    Some(folder)
}

fn solve(instance: &ecomap_instances::Instance) -> (f64, f64) {
    // A proof is asked for, not a time: the limit only ends a test that hangs.
    let time_limit = Some(std::time::Duration::from_secs(1_200));
    let options = SolveOptions { gap: default_gap(instance), time_limit, ..SolveOptions::default() };
    let solution = by_name("exact").unwrap().solve(instance, &options, &mut ()).unwrap();
    assert_eq!(solution.status, Status::Optimal, "{}: {:?}", instance.name, solution.certificate);
    assert!(solution.verdict.unwrap().passes());
    (solution.certificate.primal.unwrap(), solution.certificate.dual.unwrap())
}

/// Khan's I01–I06; optima as printed at the end of the files.
#[test]
fn khan_i01_to_i06() {
    let Some(folder) = benchmarks() else { return };
    let known =
        [("I01", 173.0), ("I02", 364.0), ("I03", 1602.0), ("I04", 3597.0), ("I05", 3905.7), ("I06", 4799.3)];
    for (name, optimum) in known {
        let bytes = std::fs::read(folder.join("mmkp_khan").join(name)).unwrap();
        let (primal, dual) = solve(&mmkp::read_khan(&bytes, name).unwrap());
        assert!((primal - optimum).abs() < 1e-6, "{name}: {primal}, known {optimum}");
        assert!(dual >= primal - 1e-6, "{name}: a maximum is bounded from above, {dual} < {primal}");
    }
}

/// OR-Library gap1–gap12 (five files each); optima from `gap/best.csv`.
#[test]
fn or_library_gap1_to_gap12() {
    let Some(folder) = benchmarks() else { return };
    let table = std::fs::read_to_string(folder.join("gap/best.csv")).unwrap();
    let mut tried = 0;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        if !fields[0].contains("/gap") {
            continue;
        }
        let optimum: f64 = fields[5].parse().unwrap();
        let bytes = std::fs::read(folder.join("gap").join(fields[0])).unwrap();
        let (primal, dual) = solve(&gap::read(&bytes, "gap").unwrap());
        assert!((primal - optimum).abs() < 1e-6, "{}: {primal}, known {optimum}", fields[0]);
        assert!(dual <= primal + 1e-6, "{}: a minimum is bounded from below", fields[0]);
        tried += 1;
    }
    assert_eq!(tried, 60);
}
