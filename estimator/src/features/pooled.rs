//! Fixed-length rows for classical regressors: one a tenant, one a device.

use super::encode::{DEVICE_FEATURES, Encoded, SEGMENT_FEATURES, TENANT_FEATURES};

/// Features of a tenant's row: its own, the load-weighted mean and the largest of its segments',
/// and the device's.
pub const TENANT_ROW: usize = TENANT_FEATURES + 2 * SEGMENT_FEATURES + DEVICE_FEATURES;

/// Features of a device's row: its own and the mean of its tenants'.
pub const DEVICE_ROW: usize = DEVICE_FEATURES + TENANT_FEATURES;

/// Column of a segment's share of its tenant's base time.
const SHARE: usize = 11;

/// The row of tenant number `tenant`; `None` when there is no such tenant.
#[must_use]
pub fn tenant(plan: &Encoded, tenant: usize) -> Option<Vec<f64>> {
    let own = plan.tenants.get(tenant)?;
    let mut mean = [0.0; SEGMENT_FEATURES];
    let mut most = [f64::NEG_INFINITY; SEGMENT_FEATURES];
    let mut weight = 0.0;
    for (segment, _) in plan.segments.iter().zip(&plan.owners).filter(|(_, o)| **o == tenant) {
        let share = f64::from(segment[SHARE]);
        weight += share;
        for ((m, x), top) in mean.iter_mut().zip(segment).zip(&mut most) {
            *m += share * f64::from(*x);
            *top = top.max(f64::from(*x));
        }
    }
    let mut row: Vec<f64> = own.iter().copied().map(f64::from).collect();
    row.extend(mean.iter().map(|m| m / weight.max(1e-9)));
    row.extend(most.iter().map(|m| if m.is_finite() { *m } else { 0.0 }));
    row.extend(plan.device.iter().copied().map(f64::from));
    Some(row)
}

/// The row of the device.
#[must_use]
pub fn device(plan: &Encoded) -> Vec<f64> {
    let mut row: Vec<f64> = plan.device.iter().copied().map(f64::from).collect();
    let count = f64::from(u32::try_from(plan.tenants.len()).unwrap_or(u32::MAX)).max(1.0);
    for column in 0..TENANT_FEATURES {
        row.push(plan.tenants.iter().map(|t| f64::from(t[column])).sum::<f64>() / count);
    }
    row
}
