//! The board's HTTP face: the Open Inference Protocol, version 2.
//!
//! Every tenant is a model of the protocol, so that clients of KServe and Triton work unchanged while
//! plans change tiers under them; the answer says which tier and plan gave it.
//!
//! 1. [`server`] accepts connections within bounds and ends in order. It serves any warp filter, so
//!    that other routes can stand beside these.
//! 2. [`body`] reads bodies within bounds.
//! 3. [`v2`] is the routes; [`decode`] and [`encode`] are the two ways that tensors travel, JSON and
//!    the binary extension; [`wire`] is their JSON.

pub mod body;
pub mod decode;
pub mod encode;
pub mod server;
pub mod v2;
pub mod wire;
