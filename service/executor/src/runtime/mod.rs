//! What runs a plan's models, behind one trait.
//!
//! 1. [`port`] is the trait [`Runtime`]: prepare a plan beside the running one, switch to it or drop
//!    it, answer requests, count.
//! 2. [`refusal`] says why a plan cannot be run here.
//! 3. [`tensor`] is what travels in requests and answers.
//! 4. [`counters`] is what the runtime has seen, for telemetry.
//! 5. [`ort`] runs models for real, on ONNX Runtime.

pub mod counters;
pub mod ort;
pub mod port;
pub mod refusal;
pub mod tensor;

pub use counters::{Counters, Served, TenantCounters, UnitCounters};
pub use port::{
    Basis, InferError, InferRequest, InferResponse, ModelInfo, Pending, PlanVersion, PrepareReport, Prepared,
    Runtime, Staged, Switched, TensorInfo, pending,
};
pub use refusal::{Reason, Refusal, Refused};
pub use tensor::{DataType, Tensor};
