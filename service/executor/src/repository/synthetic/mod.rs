//! Models for demonstrations and tests, on any machine and without a download.
//!
//! Published architectures with weights drawn from a seed: they cost what the trained models cost and
//! answer differently for different inputs, but what they answer means nothing. Their metadata and
//! the manifest say so. Batch normalisation is folded, as exporters for inference do.
//!
//! 1. [`net`] puts graphs together; [`resnet`] and [`mobilenet`] are the architectures.
//! 2. [`light`] takes topologies that the `onnx` package ships without weights.
//! 3. [`tiers`] is what `repository make` writes.

pub mod light;
pub mod mobilenet;
pub mod net;
pub mod resnet;
pub mod tiers;
