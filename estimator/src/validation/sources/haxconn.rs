//! HaX-CoNN (Dagli and Belviranli, PPoPP 2024), AGX Xavier, FP16, TensorRT 7.1.3, MAXN: GoogLeNet
//! in ten layer groups on the GPU and on a DLA, and AlexNet as the sum of its groups.
//!
//! GPU figures are sums of profiled layers, so no launch is part of them.

use super::super::Measurements;
use super::super::networks;
use super::super::sample::{Half, Place};
use super::super::simulated::cuts::Cut;
use super::super::table::{Row, rows};
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::profile::{Precision, UnitKind};
use std::path::Path;

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let rows = rows(&root.join("haxconn/xavier_layer_groups_gpu_vs_dla.csv"))?;
    let googlenet = networks::googlenet();
    for (kind, columns) in [
        (UnitKind::Gpu, ["gpu_ms_profiled", "gpu_ms_solver_input"]),
        (UnitKind::Dla, ["dla_ms_solver_input", ""]),
    ] {
        let group = group("xavier", kind, "tensorrt");
        let Some(place) = Place::new("jetson-agx-xavier", "MAXN", kind) else { continue };
        let mut alexnet = 0.0;
        for row in &rows {
            let Some(measured) = columns.iter().find_map(|c| row.number(c)) else { continue };
            if row.text("network") == "alexnet" {
                alexnet += measured;
                continue;
            }
            let Ok(at) = row.text("group").parse::<usize>() else { continue };
            let Some(blocks) = googlenet.get(at) else { continue };
            let name = format!("googlenet group {at}");
            let half = if at % 2 == 0 { Half::Fit } else { Half::Check };
            let mut sample = place
                .sample(&group, "jetson-agx-xavier MAXN", name, Precision::Fp16, blocks, measured)
                .in_half(half);
            sample.launch = kind == UnitKind::Dla;
            all.samples.push(sample);
        }
        if let Some(blocks) = networks::tier("compact", "alexnet").filter(|_| alexnet > 0.0) {
            let mut sample = place
                .sample(&group, "jetson-agx-xavier MAXN", "alexnet", Precision::Fp16, &blocks, alexnet)
                .in_half(Half::Check);
            sample.launch = kind == UnitKind::Dla;
            all.samples.push(sample);
        }
    }
    cuts(&rows, all);
    Ok(())
}

/// Elements of the tensor that leaves each of GoogLeNet's groups but the last (Szegedy et al.,
/// table 1).
const LEAVING: [f64; 9] = [
    192.0 * 784.0,
    256.0 * 784.0,
    480.0 * 196.0,
    512.0 * 196.0,
    512.0 * 196.0,
    512.0 * 196.0,
    528.0 * 196.0,
    832.0 * 49.0,
    832.0 * 49.0,
];

/// What one more tensor handed out adds: the difference of two profiles of the same network.
fn cuts(rows: &[Row], all: &mut Measurements) {
    for (from, column) in [
        (UnitKind::Gpu, "trans_cost_after_group_starting_gpu_ms"),
        (UnitKind::Dla, "trans_cost_after_group_starting_dla_ms"),
    ] {
        let googlenet = rows.iter().filter(|r| r.text("network") == "googlenet");
        for ((n, row), elements) in googlenet.enumerate().zip(LEAVING) {
            if let Some(added_ms) = row.number(column).filter(|x| *x > 0.0) {
                let half = if n % 2 == 0 { Half::Fit } else { Half::Check };
                all.cuts.push(Cut { from, bytes: 2.0 * elements, added_ms, half });
            }
        }
    }
}
