//! Padded tensors of several encoded plans.
//!
//! Plans of similar size share a batch, so that little padding is computed, and batches are small,
//! because the runtime is faster on many small ones than on few large ones.

use crate::features::{BLOCK_FEATURES, DEVICE_FEATURES, Encoded, SEGMENT_FEATURES, TENANT_FEATURES};

/// Plans of a batch, unless asked otherwise.
pub const PLANS: usize = 64;

/// Units that a plan may name.
pub const UNITS: usize = 8;

/// Input tensors, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Positions of its plans in the request.
    pub plans: Vec<usize>,
    /// Plans, tenants, segments, blocks of a segment.
    pub shape: Shape,
    /// `[plans, segments, blocks, 8]`.
    pub blocks: Vec<f32>,
    /// `[plans, segments, 34]`.
    pub segments: Vec<f32>,
    /// `[plans, tenants, segments]`.
    pub owner: Vec<f32>,
    /// `[plans, 8, segments]`.
    pub place: Vec<f32>,
    /// `[plans, tenants, 14]`.
    pub tenants: Vec<f32>,
    /// `[plans, 14]`.
    pub device: Vec<f32>,
}

/// Sizes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Plans.
    pub plans: usize,
    /// Most tenants of a plan.
    pub tenants: usize,
    /// Most segments of a plan.
    pub segments: usize,
    /// Most blocks of a segment.
    pub blocks: usize,
}

/// Groups plans by size and pads each group to its largest. Plans without tenants are left out:
/// nothing is predicted for them.
#[must_use]
pub fn batches(plans: &[Encoded], most: usize) -> Vec<Batch> {
    let longest = |p: &Encoded| p.block_counts.iter().copied().max().unwrap_or(0);
    let mut order: Vec<usize> = (0..plans.len()).filter(|n| !plans[*n].tenants.is_empty()).collect();
    order.sort_by_key(|n| (plans[*n].segments.len(), plans[*n].tenants.len(), longest(&plans[*n])));
    order.chunks(most.max(1)).map(|chunk| batch(plans, chunk)).collect()
}

fn batch(plans: &[Encoded], chosen: &[usize]) -> Batch {
    let most = |size: &dyn Fn(&Encoded) -> usize| chosen.iter().map(|n| size(&plans[*n])).max().unwrap_or(0);
    let shape = Shape {
        plans: chosen.len(),
        tenants: most(&|p| p.tenants.len()),
        segments: most(&|p| p.segments.len()),
        blocks: most(&|p| p.block_counts.iter().copied().max().unwrap_or(0)),
    };
    let Shape { plans: b, tenants: t, segments: s, blocks: n } = shape;
    let mut out = Batch {
        plans: chosen.to_vec(),
        shape,
        blocks: vec![0.0; b * s * n * BLOCK_FEATURES],
        segments: vec![0.0; b * s * SEGMENT_FEATURES],
        owner: vec![0.0; b * t * s],
        place: vec![0.0; b * UNITS * s],
        tenants: vec![0.0; b * t * TENANT_FEATURES],
        device: vec![0.0; b * DEVICE_FEATURES],
    };
    for (row, plan) in chosen.iter().map(|n| &plans[*n]).enumerate() {
        let mut block = plan.blocks.iter();
        for (k, count) in plan.block_counts.iter().enumerate() {
            for (j, values) in block.by_ref().take(*count).enumerate() {
                let at = ((row * s + k) * n + j) * BLOCK_FEATURES;
                out.blocks[at..at + BLOCK_FEATURES].copy_from_slice(values);
            }
        }
        for (k, values) in plan.segments.iter().enumerate() {
            let at = (row * s + k) * SEGMENT_FEATURES;
            out.segments[at..at + SEGMENT_FEATURES].copy_from_slice(values);
            out.owner[(row * t + plan.owners[k]) * s + k] = 1.0;
            out.place[(row * UNITS + plan.units[k] % UNITS) * s + k] = 1.0;
        }
        for (k, values) in plan.tenants.iter().enumerate() {
            let at = (row * t + k) * TENANT_FEATURES;
            out.tenants[at..at + TENANT_FEATURES].copy_from_slice(values);
        }
        let at = row * DEVICE_FEATURES;
        out.device[at..at + DEVICE_FEATURES].copy_from_slice(&plan.device);
    }
    out
}
