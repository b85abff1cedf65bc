//! justincdavis/trtutils: TensorRT engine latency of YOLOv8 n, s and m at eight input sizes.
//!
//! The precision is taken as FP16 and the power mode as MAXN on AGX Orin 64GB, 15W on Orin Nano
//! 8GB: neither is stated. AGX Orin 32GB has no profile here and is left out.

use super::super::Measurements;
use super::super::networks;
use super::super::sample::{Half, Place};
use super::super::table::rows;
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::profile::{Precision, UnitKind};
use std::path::Path;

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let group = group("orin", UnitKind::Gpu, "tensorrt");
    for row in rows(&root.join("trtutils/trtutils_model_latency.csv"))? {
        if row.text("framework") != "tensorrt" {
            continue;
        }
        let (profile, mode) = match row.text("device") {
            "OrinAGX-64GB" => ("jetson-agx-orin-64gb", "MAXN"),
            "OrinNano-8GB" => ("jetson-orin-nano-8gb", "15W"),
            _ => continue,
        };
        let model = row.text("model");
        let blocks = match model {
            "yolov8n" | "yolov8s" | "yolov8m" => networks::tier("yolov8", model),
            _ => continue,
        };
        let (Some(blocks), Some(px), Some(measured)) =
            (blocks, row.number("input_px"), row.number("median_ms"))
        else {
            continue;
        };
        let Some(place) = Place::new(profile, mode, UnitKind::Gpu) else { continue };
        let blocks = networks::resized(&blocks, 640.0, px);
        let half =
            if profile == "jetson-agx-orin-64gb" && model != "yolov8s" { Half::Fit } else { Half::Check };
        all.samples.push(
            place
                .sample(
                    &group,
                    format!("{profile} {mode}"),
                    format!("{model}@{px}"),
                    Precision::Fp16,
                    &blocks,
                    measured,
                )
                .in_half(half),
        );
    }
    Ok(())
}
