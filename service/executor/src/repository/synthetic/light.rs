//! Topologies of the `onnx` package, with weights.

use ecomap_graph::Model;
use ecomap_graph::onnx::limits::Limits;
use ecomap_graph::weights;
use ecomap_instances::Issues;
use ecomap_instances::generate::Seed;
use std::path::Path;

/// Files, and the tier of the catalogue that each is.
pub const LIGHT: [(&str, &str, &str); 3] = [
    ("light_squeezenet.onnx", "compact", "squeezenet-1.1"),
    ("light_densenet121.onnx", "densenet", "densenet-121"),
    ("light_bvlc_alexnet.onnx", "compact", "alexnet"),
];

/// A light graph with weights drawn from `seed`; `None` when `folder` has no such file.
///
/// # Errors
/// When the file is not an ONNX model.
pub fn read(folder: &Path, file: &str, seed: Seed) -> Result<Option<Model>, Issues> {
    let limits = Limits::default();
    let Ok(bytes) = std::fs::read(folder.join(file)) else { return Ok(None) };
    weights::draw(&Model::read(bytes, &limits)?, seed, &limits).map(Some)
}
