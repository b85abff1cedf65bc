//! What the learned predictors see of a device plan.
//!
//! The same code feeds training, evaluation and serving: [`encode`] takes the board and the streams
//! exactly as the simulator takes them and gives four tensors without padding. Every feature is a
//! physical quantity (a time, a share, a rate), never a name, so that boards and networks that were
//! never trained on look like those that were.
//!
//! [`analysis`] is a closed-form approximation of the simulator. Its figures are features, and the
//! network learns what they miss; *physics* features are those that come from it.

pub mod analysis;
mod encode;
pub mod pooled;

pub use encode::{
    BLOCK_FEATURES, DEVICE_FEATURES, Encoded, MAX_LOAD, PHYSICS_DEVICE, PHYSICS_SEGMENT, PHYSICS_TENANT,
    SEGMENT_FEATURES, TENANT_FEATURES, VERSION, encode, encode_analysed,
};
