//! Does anybody become slower when a tenant leaves? Nobody should.

use super::Ask;
use crate::dataset::Draw;
use crate::error::EstimatorError;
use crate::features::{Encoded, encode};
use serde::{Deserialize, Serialize};

/// How often and by how much predictions rise when load is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Monotonicity {
    /// Tenants that stayed.
    pub tenants: usize,
    /// Percent of them whose p50 rose by more than 1 %.
    pub worse50: f64,
    /// The same of p95.
    pub worse95: f64,
    /// Largest rise of a p95, percent.
    pub most: f64,
    /// Percent of plans whose power rose by more than 0.1 %.
    pub power: f64,
}

/// Takes from each plan of two or more tenants one of them, in turn.
///
/// # Errors
/// As the predictor.
pub fn judge(draws: &[Draw], ask: &Ask<'_>) -> Result<Monotonicity, EstimatorError> {
    let mut whole: Vec<Encoded> = Vec::new();
    let mut less: Vec<Encoded> = Vec::new();
    let mut gone = Vec::new();
    for (n, draw) in draws.iter().filter(|d| d.streams.len() > 1).enumerate() {
        let removed = n % draw.streams.len();
        let mut rest = draw.streams.clone();
        rest.remove(removed);
        whole.push(encode(&draw.soc, &draw.streams));
        less.push(encode(&draw.soc, &rest));
        gone.push(removed);
    }
    let (full, part) = (ask(&whole)?, ask(&less)?);
    let (mut tenants, mut worse50, mut worse95, mut most, mut power) = (0_usize, 0.0, 0.0, 0.0_f64, 0.0);
    for (((f, p), whole), removed) in full.iter().zip(&part).zip(&whole).zip(&gone) {
        let stay = (0..whole.tenants.len()).filter(|k| k != removed);
        for (before, after) in stay.map(|k| f.slowdown[k]).zip(&p.slowdown) {
            tenants += 1;
            worse50 += f64::from(u8::from(after[0] > before[0] * 1.01));
            worse95 += f64::from(u8::from(after[1] > before[1] * 1.01));
            most = most.max(100.0 * (after[1] / before[1] - 1.0));
        }
        power += f64::from(u8::from(p.power_w > f.power_w * 1.001));
    }
    #[allow(clippy::cast_precision_loss)]
    let (of, plans) = ((tenants as f64).max(1.0), (whole.len() as f64).max(1.0));
    Ok(Monotonicity {
        tenants,
        worse50: 100.0 * worse50 / of,
        worse95: 100.0 * worse95 / of,
        most,
        power: 100.0 * power / plans,
    })
}
