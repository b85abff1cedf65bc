//! ONNX models as layer graphs: shapes, costs, legal cuts, support by compute units.
//!
//! The tour, in the order in which data passes:
//!
//! 1. [`onnx`] decodes the file's messages, within [`limits`](onnx::limits).
//! 2. The nodes are flattened: shapes are inferred ([`shape`]), small integer constants followed
//!    because shapes are computed from them, constants folded, branches inlined.
//! 3. Operators that an inference engine runs as one become one [`Layer`]; [`cost`] says what it
//!    costs, [`support`] where it runs. The result is a [`LayerGraph`].
//! 4. [`cuts`] finds where one tensor crosses, [`blocks`] makes a chain of blocks from that, which
//!    the estimator prices.
//! 5. [`inspect`] shows all this; [`family`] makes a catalogue file of models and accuracies.
//! 6. [`extract`] cuts the file itself apart at legal cuts; [`weights`] draws weights for files that
//!    come without.
//!
//! Nothing here panics on a hostile file: every bound is checked, and every mistake is an
//! [`Issue`](ecomap_instances::Issue) with a code. This crate knows nothing of predictions.
#![warn(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod attrs;
pub mod blocks;
mod build;
pub mod cost;
pub mod cuts;
pub mod extract;
mod fact;
pub mod family;
mod fault;
mod fuse;
mod infer;
pub mod inspect;
pub mod layer;
pub mod onnx;
pub mod options;
pub mod print;
mod render;
pub mod shape;
pub mod support;
mod value;
pub mod weights;

pub use extract::Surgery;
pub use inspect::{Format, Inspection};
pub use layer::{Edge, Layer, LayerGraph, Port};
pub use onnx::Model;
pub use options::Options;
