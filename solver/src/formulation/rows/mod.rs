//! One file for each row family of the formulation, named by its equation.

pub(super) mod accuracy;
pub(super) mod bandwidth;
pub(super) mod capacity;
pub(super) mod choice;
pub(super) mod contention;
pub(super) mod latency;
pub(super) mod level;
pub(super) mod load;
pub(super) mod memory;
pub(super) mod mode;
pub(super) mod placement;
pub(super) mod power;
pub(super) mod switching;
