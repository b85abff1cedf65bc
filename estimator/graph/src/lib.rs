//! ONNX models as layer graphs: shapes, costs, legal cuts, unit support.
#![warn(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod attrs;
pub mod blocks;
mod build;
pub mod cost;
pub mod cuts;
mod fact;
mod fault;
mod fuse;
mod infer;
pub mod layer;
pub mod onnx;
pub mod options;
pub mod shape;
pub mod support;
mod value;

pub use layer::{Edge, Layer, LayerGraph, Port};
pub use onnx::Model;
pub use options::Options;
