//! The shipped parameters against public measurements, where those are on this machine
//! (`ECOMAP_DATA`, else `../shared/data` next to the workspace).

#![allow(clippy::unwrap_used)]

use ecomap_estimator::parameters::Parameters;
use ecomap_estimator::validation::{Half, Measurements, errors, fit, load, report};
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
        ("xavier", UnitKind::Gpu, "tensorrt", 25.0, 0.9),
        ("orin", UnitKind::Gpu, "tensorrt", 25.0, 0.9),
        ("orin", UnitKind::Dla, "tensorrt", 35.0, 0.8),
        ("xavier", UnitKind::Cpu, "tflite", 20.0, 0.9),
        ("orin", UnitKind::Cpu, "tflite", 30.0, 0.8),
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
fn order_of_networks_holds_in_another_tensorrt_harness() {
    let Some(all) = measurements() else { return };
    let parameters = Parameters::embedded().unwrap();
    let rankings = all.rankings.iter().filter(|r| r.name.starts_with("TensorRT"));
    let rho: Vec<f64> = rankings.map(|r| report::ranking(parameters, r).unwrap().spearman.unwrap()).collect();
    assert_eq!(rho.len(), 4);
    assert!(rho.iter().all(|r| *r > 0.85), "{rho:?}");
}
