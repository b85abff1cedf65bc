//! NVIDIA/Deep-Learning-Accelerator-SW: images per second on both DLAs of AGX Orin, INT8, dense
//! weights. Time per image on one DLA is 2 / throughput; batches hide the launch. All checked.

use super::super::Measurements;
use super::super::networks;
use super::super::sample::{Half, Place};
use super::super::table::rows;
use super::group;
use crate::error::EstimatorError;
use ecomap_instances::profile::{Precision, UnitKind};
use std::path::Path;

const ORIN: &str = "jetson-agx-orin-64gb";

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    let group = group("orin", UnitKind::Dla, "tensorrt-int8");
    for row in rows(&root.join("nvidia_dla_sw/agx_orin64_2xdla_images_per_s.csv"))? {
        let blocks = match (row.text("network"), row.text("weights")) {
            ("ResNet50", "dense") => networks::tier("resnet", "resnet-50"),
            ("SSD_MobileNetV1", "dense") => networks::tier("ssd", "ssd-mobilenet-v1-300"),
            _ => continue,
        };
        let mode = row.text("power_mode");
        let (Some(blocks), Some(rate), Some(place)) =
            (blocks, row.number("images_per_s_2xdla"), Place::new(ORIN, mode, UnitKind::Dla))
        else {
            continue;
        };
        let mut sample = place
            .sample(
                &group,
                format!("{ORIN} {mode}"),
                row.text("network"),
                Precision::Int8,
                &blocks,
                2000.0 / rate,
            )
            .in_half(Half::Check);
        sample.launch = false;
        all.samples.push(sample);
    }
    Ok(())
}
