//! Juanx65/ArtTRT: TensorRT through PyTorch on four boards, batch 1. Latencies hold copies and
//! Python, several times the engine's time, and power modes are not stated: only ranked.

use super::super::networks::tier;
use super::super::sample::Place;
use super::super::table::rows;
use super::super::{Measurements, Ranking};
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::profile::{Precision, UnitKind};
use std::path::Path;

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let rows = rows(&root.join("arttrt/arttrt_trt_latency_accuracy.csv"))?;
    for (device, profile, mode, generation) in [
        ("agx_orin", "jetson-agx-orin-64gb", "MAXN", "orin"),
        ("orin_nano", "jetson-orin-nano-8gb", "15W", "orin"),
        ("agx_xavier", "jetson-agx-xavier", "MAXN", "xavier"),
        ("xavier_nx", "jetson-xavier-nx", "20W_6CORE", "xavier"),
    ] {
        let gpu = group(generation, UnitKind::Gpu, "tensorrt");
        let Some(place) = Place::new(profile, mode, UnitKind::Gpu) else { continue };
        let mut samples = Vec::new();
        for row in &rows {
            let same = row.text("device") == device && row.text("context").is_empty();
            if !same || row.text("batch") != "1" {
                continue;
            }
            let precision = match row.text("engine") {
                "TRT_fp32" => Precision::Fp32,
                "TRT_fp16" => Precision::Fp16,
                "TRT_int8" => Precision::Int8,
                _ => continue,
            };
            let blocks = match row.text("model") {
                "mobilenet" => tier("mobilenet-v2", "mobilenet-v2-100"),
                "resnet18" => tier("resnet", "resnet-18"),
                "resnet34" => tier("resnet", "resnet-34"),
                "resnet50" => tier("resnet", "resnet-50"),
                "resnet101" => tier("resnet", "resnet-101"),
                "resnet152" => tier("resnet", "resnet-152"),
                _ => None,
            };
            if let (Some(blocks), Some(measured)) = (blocks, row.number("latency_all_mean_ms")) {
                samples.push(place.sample(&gpu, profile, row.text("model"), precision, &blocks, measured));
            }
        }
        if !samples.is_empty() {
            all.rankings.push(Ranking {
                name: format!("TensorRT FP32, FP16 and INT8 through PyTorch on {profile} (ArtTRT)"),
                group: gpu,
                samples,
            });
        }
    }
    Ok(())
}
