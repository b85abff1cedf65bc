//! The shipped parameters against public measurements, where those are on this machine
//! (`ECOMAP_DATA`, else `../shared/data` next to the workspace).

#![allow(clippy::unwrap_used)]

use ecomap_estimator::parameters::Parameters;
use ecomap_estimator::validation::{Half, Measurements, contention, errors, fit, load, report};
use ecomap_instances::profile::UnitKind;
use std::path::PathBuf;

fn measurements() -> Option<Measurements> {
    let data = std::env::var_os("ECOMAP_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    if !data.join("jetson").is_dir() {
        eprintln!("skipped: no measurements (set ECOMAP_DATA)");
        return None;
    }
    Some(load(&data).unwrap())
}

#[test]
fn shipped_parameters_are_the_fitted_ones() {
    let Some(all) = measurements() else { return };
    let fitted = fit::shipped(&fit::fit(&all));
    assert_eq!(&fitted, Parameters::embedded().unwrap(), "run ecomap-validate --fit");
}

#[test]
fn check_half_stays_within_broad_bounds() {
    let Some(all) = measurements() else { return };
    let parameters = Parameters::embedded().unwrap();
    for (generation, kind, runtime, median_ape, rank) in [
        ("xavier", UnitKind::Gpu, "tensorrt", 15.0, 0.95),
        ("orin", UnitKind::Gpu, "tensorrt", 15.0, 0.95),
        ("orin", UnitKind::Dla, "tensorrt", 30.0, 0.8),
        ("xavier", UnitKind::Cpu, "tflite", 15.0, 0.95),
        ("orin", UnitKind::Cpu, "tflite", 15.0, 0.95),
    ] {
        let pairs: Vec<(f64, f64)> = all
            .samples
            .iter()
            .filter(|s| {
                s.half == Half::Check
                    && s.group.generation == generation
                    && s.group.kind == kind
                    && s.group.runtime == runtime
            })
            .map(|s| (s.predict(parameters).unwrap(), s.measured))
            .collect();
        let e = errors(&pairs).unwrap();
        assert!(e.n >= 10, "{generation} {kind:?}: {e:?}");
        assert!(e.median_ape < median_ape, "{generation} {kind:?}: {e:?}");
        assert!(e.spearman.unwrap() > rank, "{generation} {kind:?}: {e:?}");
    }
}

#[test]
fn wall_power_stays_within_its_target() {
    let Some(all) = measurements() else { return };
    let lines = report::power_lines(Parameters::embedded().unwrap(), &all);
    for (generation, kind, runtime, runs) in [
        ("xavier", UnitKind::Gpu, "tensorrt", 12),
        ("orin", UnitKind::Gpu, "tensorrt", 5),
        ("xavier", UnitKind::Dla, "tensorrt", 6),
        ("xavier", UnitKind::Cpu, "tflite", 60),
        ("orin", UnitKind::Cpu, "tflite", 20),
    ] {
        let line = lines
            .iter()
            .find(|l| {
                (l.group.generation, l.group.kind, l.group.runtime) == (generation, kind, runtime)
                    && l.half == Half::Check
                    && l.device == "all"
            })
            .unwrap();
        assert!(line.wall.n >= runs && line.wall.median_ape <= 10.0, "{line:?}");
    }
}

#[test]
fn no_board_sits_in_both_halves_of_the_power_of_a_gpu() {
    let Some(all) = measurements() else { return };
    let boards = |half: Half| {
        let of = all.power.iter().filter(move |r| r.half == half && r.sample.group.kind == UnitKind::Gpu);
        of.map(|r| r.board.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(boards(Half::Fit).is_disjoint(&boards(Half::Check)));
    assert!(!boards(Half::Fit).is_empty() && !boards(Half::Check).is_empty());
}

#[test]
fn two_sources_agree_on_the_slowdown_of_a_dla() {
    let Some(all) = measurements() else { return };
    let curves = contention::curves(Parameters::embedded().unwrap(), &all.coruns);
    let slopes: Vec<f64> =
        curves.iter().filter(|c| c.unit == ("xavier", UnitKind::Dla)).map(|c| c.curve.slope).collect();
    assert_eq!(slopes.len(), 2);
    let shipped = contention::recommended("xavier", UnitKind::Dla).slope;
    assert!(slopes.iter().all(|s| (s - shipped).abs() < 0.1), "{slopes:?}");
}

#[test]
fn order_of_networks_holds_in_another_tensorrt_harness() {
    let Some(all) = measurements() else { return };
    let parameters = Parameters::embedded().unwrap();
    let rankings = all.rankings.iter().filter(|r| r.name.starts_with("TensorRT"));
    let rho: Vec<f64> = rankings.map(|r| report::ranking(parameters, r).unwrap().spearman.unwrap()).collect();
    assert_eq!(rho.len(), 4);
    assert!(rho.iter().all(|r| *r > 0.85), "{rho:?}");
}
