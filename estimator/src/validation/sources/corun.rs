//! Units that ran beside others.
//!
//! - HaX-CoNN, AGX Xavier: AlexNet on a DLA while another network runs on the GPU. The co-runner's
//!   demand is not stated; it is the analytic model's traffic over time. AlexNet alone on the DLA is
//!   the sum of its groups, another run.
//! - HaX-CoNN, AGX Xavier: slowdown over requested throughput as coefficients of a PCCS model, of
//!   which only the DLA's join up; the GPU's jump at both joints and are read but not fitted.
//! - branes-ai/graphs, AGX Orin: bandwidth of four engines alone and all at once.

use super::super::Measurements;
use super::super::contention::{CoRun, Demand};
use super::super::networks;
use super::super::sample::{Half, Place};
use super::super::table::{Row, rows};
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::family::Block;
use ecomap_instances::profile::{Precision, UnitKind};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Peak memory bandwidth, GB/s: data sheets.
const XAVIER_GBPS: f64 = 136.5;
const ORIN_GBPS: f64 = 204.8;

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let groups = rows(&root.join("haxconn/xavier_layer_groups_gpu_vs_dla.csv"))?;
    let alone: f64 = groups
        .iter()
        .filter(|r| r.text("network") == "alexnet")
        .filter_map(|r| r.number("dla_ms_solver_input"))
        .sum();
    all.coruns.extend(alexnet(&rows(&root.join("haxconn/xavier_alexnet_dla_with_gpu_corunner.csv"))?, alone));
    all.coruns.extend(engines(&rows(&root.join("branes_orin/concurrent_engine_bandwidth.csv"))?));
    let path = root.join("haxconn/pccs_slowdown_coefficients.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let read = pccs(&text)
                .map_err(|message| EstimatorError::Data { path: path.display().to_string(), message })?;
            all.coruns.extend(read);
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(EstimatorError::Io { path: path.display().to_string(), source }),
    }
    Ok(())
}

/// AlexNet on the DLA; `alone` in ms. Both runs with one co-runner stay in one half.
fn alexnet(rows: &[Row], alone: f64) -> Vec<CoRun> {
    let Some(place) = Place::new("jetson-agx-xavier", "MAXN", UnitKind::Gpu) else { return Vec::new() };
    let gpu = group("xavier", UnitKind::Gpu, "tensorrt");
    rows.iter()
        .filter(|_| alone > 0.0)
        .filter_map(|r| {
            let name = r.text("gpu_corunner");
            let blocks = network(name)?;
            let time = r.number("alexnet_total_avg_ms")?;
            let sample = place.sample(&gpu, "jetson-agx-xavier MAXN", name, Precision::Fp16, &blocks, time);
            Some(CoRun {
                source: "HaX-CoNN, AlexNet beside a network on the GPU",
                generation: "xavier",
                kind: UnitKind::Dla,
                name: name.to_owned(),
                own_gbps: None,
                peak_gbps: XAVIER_GBPS,
                half: sample.half,
                external: Demand::Network(Box::new(sample)),
                slowdown: time / alone,
            })
        })
        .collect()
}

fn network(name: &str) -> Option<Arc<Vec<Block>>> {
    match name {
        "alexnet" => networks::tier("compact", "alexnet"),
        "googlenet" => Some(Arc::new(networks::googlenet().iter().flat_map(|g| g.iter().cloned()).collect())),
        "mobilenet" => Some(networks::mobilenet_v1(1.0, 224.0)),
        "densenet" => networks::tier("densenet", "densenet-121"),
        "resnet18" => networks::tier("resnet", "resnet-18"),
        "resnet50" => networks::tier("resnet", "resnet-50"),
        "resnet101" => networks::tier("resnet", "resnet-101"),
        "resnet152" => networks::tier("resnet", "resnet-152"),
        "vgg16" => networks::tier("vgg", "vgg-16-bn"),
        "vgg19" => networks::tier("vgg", "vgg-19-bn"),
        _ => None,
    }
}

/// Four engines at once: each one's external demand is what the others reached beside it.
fn engines(rows: &[Row]) -> Vec<CoRun> {
    let total: f64 = rows.iter().filter_map(|r| r.number("concurrent_gbps")).sum();
    rows.iter()
        .filter_map(|r| {
            let kind = match r.text("engine") {
                "cpu" => UnitKind::Cpu,
                "gpu" => UnitKind::Gpu,
                "dla0" | "dla1" => UnitKind::Dla,
                _ => return None,
            };
            let (alone, together) = r.number("isolated_gbps").zip(r.number("concurrent_gbps"))?;
            Some(CoRun {
                source: "branes-ai/graphs, four engines at once",
                generation: "orin",
                kind,
                name: r.text("engine").to_owned(),
                own_gbps: Some(alone),
                external: Demand::Gbps(total - together),
                peak_gbps: ORIN_GBPS,
                slowdown: alone / together,
                half: if r.text("engine") == "dla1" { Half::Check } else { Half::Fit },
            })
        })
        .collect()
}

#[derive(Deserialize)]
struct Coefficients {
    #[serde(flatten)]
    units: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Piece {
    x_lt: Option<f64>,
    slowdown: String,
}

/// Points of the coefficients every 10 GB/s, named by the throughput; even tens in the fit half.
fn pccs(text: &str) -> Result<Vec<CoRun>, String> {
    let read: Coefficients = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut points = Vec::new();
    for (key, kind) in [("gpu", UnitKind::Gpu), ("dla", UnitKind::Dla)] {
        let Some(value) = read.units.get(key) else { continue };
        let pieces: Vec<Piece> = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
        for step in 1..=10_u32 {
            let x = f64::from(step) * 10.0;
            let Some(piece) = pieces.iter().find(|p| p.x_lt.is_none_or(|limit| x < limit)) else { continue };
            let (shift, rate) = formula(&piece.slowdown).ok_or_else(|| piece.slowdown.clone())?;
            points.push(CoRun {
                source: "HaX-CoNN, PCCS coefficients",
                generation: "xavier",
                kind,
                name: format!("{x} GB/s"),
                own_gbps: None,
                external: Demand::Gbps(x),
                peak_gbps: XAVIER_GBPS,
                slowdown: 100.0 / (100.0 - (x + shift) * rate),
                half: if step % 2 == 0 { Half::Fit } else { Half::Check },
            });
        }
    }
    Ok(points)
}

/// (a, b) of `100/(100-(x+a)*b)`, written with or without the parentheses and with `b` a number or
/// a ratio.
fn formula(text: &str) -> Option<(f64, f64)> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let inner = plain.strip_prefix("100/(100-")?.strip_suffix(')')?;
    let (shift, rate) = if let Some(rest) = inner.strip_prefix("(x") {
        let (shift, rate) = rest.split_once(')')?;
        (shift.parse().ok()?, rate)
    } else {
        (0.0, inner.strip_prefix('x')?)
    };
    let rate = match rate.strip_prefix('*') {
        None if rate.is_empty() => 1.0,
        None => return None,
        Some(b) => match b.split_once('/') {
            Some((p, q)) => p.parse::<f64>().ok()? / q.parse::<f64>().ok()?,
            None => b.parse().ok()?,
        },
    };
    Some((shift, rate))
}

#[cfg(test)]
mod tests {
    use super::super::super::table::parse;
    use super::*;

    #[test]
    fn formulas_as_written_upstream() {
        assert_eq!(formula("100/(100 - x)"), Some((0.0, 1.0)));
        assert_eq!(formula("100/(100-(x-41.9)*1.11)"), Some((-41.9, 1.11)));
        assert_eq!(formula("100/(100-(x+49)*0.35)"), Some((49.0, 0.35)));
        assert_eq!(formula("100/(100 - x*4.9/127.5)"), Some((0.0, 4.9 / 127.5)));
        assert_eq!(formula("x*x"), None);
    }

    #[test]
    fn coefficients_become_points() {
        let text = r#"{"source": "s", "dla": [{"x_lt": 27.9, "slowdown": "100/(100 - x)"},
            {"else": true, "slowdown": "100/(100-(x+49)*0.35)"}]}"#;
        let points = pccs(text).unwrap();
        assert_eq!(points.len(), 10);
        assert!((points[1].slowdown - 1.25).abs() < 1e-12);
        // (50 + 49) · 0.35 = 34.65 %.
        assert!((points[4].slowdown - 100.0 / 65.35).abs() < 1e-12);
        assert!(pccs(r#"{"gpu": [{"slowdown": "?"}]}"#).is_err());
    }

    #[test]
    fn each_engine_sees_the_others() {
        let text = "engine,isolated_gbps,concurrent_gbps\ncpu,30,30\ngpu,70,60\ndla0,3,2.5\n";
        let list = engines(&parse(text).unwrap());
        assert_eq!(list.len(), 3);
        assert!(matches!(list[1].external, Demand::Gbps(x) if (x - 32.5).abs() < 1e-12));
        assert!((list[1].slowdown - 70.0 / 60.0).abs() < 1e-12);
        assert_eq!(list[1].own_gbps, Some(70.0));
    }

    #[test]
    fn alexnet_beside_known_networks() {
        let text = "alexnet_on,gpu_corunner,cpu_solver_running,alexnet_total_avg_ms\ndla,vgg16,0,6.0\ndla,nobody,0,5\n";
        let list = alexnet(&parse(text).unwrap(), 4.0);
        assert_eq!(list.len(), 1);
        assert!((list[0].slowdown - 1.5).abs() < 1e-12);
        assert!(matches!(&list[0].external, Demand::Network(s) if s.network == "vgg16"));
    }
}
