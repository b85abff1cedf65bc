//! Judging predictors of co-execution on held-out simulated plans.
//!
//! 1. [`judge`] gives errors, coverage and bias of a predictor on rows of a data set.
//! 2. [`linear`] is the analytic predictor on a plan's streams, so that jittered hardware can be
//!    asked about as well.
//! 3. [`ranking`] asks whether a predictor puts the plans of one workload in the right order.
//! 4. [`monotone`] asks whether anybody becomes slower when a tenant leaves.
//! 5. [`card`] writes it all down.
//!
//! Every figure is about the simulator, not about a board.

pub mod card;
pub mod judge;
pub mod linear;
pub mod monotone;
pub mod ranking;

use crate::error::EstimatorError;
use crate::features::Encoded;
use crate::learned::Factors;

/// Anything that answers with factors.
pub type Ask<'a> = dyn Fn(&[Encoded]) -> Result<Vec<Factors>, EstimatorError> + Sync + 'a;

/// Value at a quantile of unsorted numbers; NaN for none.
#[must_use]
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (q * last as f64).round() as usize;
    values.get(at.min(last)).copied().unwrap_or(f64::NAN)
}
