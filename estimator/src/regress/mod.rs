//! Classical regressors on plain feature matrices: the comparison that shows what a learned
//! network buys, the fallback where no ONNX Runtime is installed, and residual models.
//!
//! 1. [`Matrix`] checks the features: a shape that fits, finite numbers, stated size limits.
//! 2. [`Forest`], [`Ridge`] and [`KNearest`] implement [`Regressor`] on smartcore; what smartcore
//!    fits is taken out of it into plain arrays, which are served and stored.
//! 3. [`MultiOutput`] fits one regressor for each target column and is the unit of storage: a
//!    compact binary file with format version, kind, a caller's tag and a SHA-256 ([`mod@file`]).
//!
//! Everything is a function of data, parameters and [`Seed`]. A reloaded model predicts the same
//! bits, because the stored numbers are the served ones.
//!
//! ```
//! use ecomap_estimator::regress::{Forest, ForestParams, Matrix, MultiOutput};
//! use ecomap_instances::Seed;
//!
//! # fn main() -> Result<(), ecomap_estimator::EstimatorError> {
//! let x = Matrix::new(4, 1, vec![0.0, 1.0, 2.0, 3.0])?;
//! let slowdown = vec![1.0, 1.1, 1.2, 1.3];
//! let power = vec![5.0, 6.0, 7.0, 8.0];
//! let model = MultiOutput::<Forest>::fit(&x, &[slowdown, power], &ForestParams::default(), Seed(1))?;
//! let bytes = model.to_bytes("features/v1")?;
//! let again = MultiOutput::<Forest>::from_bytes(&bytes, "features/v1")?;
//! assert_eq!(model.predict(&x)?, again.predict(&x)?);
//! # Ok(())
//! # }
//! ```

pub mod file;
mod forest;
mod matrix;
mod multi;
mod nearest;
mod ridge;
mod scale;
mod trees;

pub use forest::{Forest, ForestParams};
pub use matrix::{MAX_CELLS, MAX_FEATURES, MAX_ROWS, Matrix};
pub use multi::{MAX_OUTPUTS, MultiOutput};
pub use nearest::{KNearest, KNearestParams};
pub use ridge::{Ridge, RidgeParams};

use crate::EstimatorError;
use ecomap_instances::Seed;
use file::{Reader, Writer};

/// Largest magnitude of a target value.
pub const MAX_TARGET: f64 = 1e30;

/// A regressor of one target on a feature matrix.
pub trait Regressor: Sized + Send + Sync {
    /// Hyper-parameters.
    type Params: Default;

    /// Number that marks this kind in model files; never reused.
    const KIND: u8;

    /// Fits `y`, one value a row of `x`.
    ///
    /// # Errors
    /// [`EstimatorError::Features`] where `y` does not fit `x` or is not finite, and
    /// [`EstimatorError::Fit`] for parameters out of range or work above the limits.
    fn fit_with(x: &Matrix, y: &[f64], params: &Self::Params, seed: Seed) -> Result<Self, EstimatorError>;

    /// [`Regressor::fit_with`] the default parameters.
    ///
    /// # Errors
    /// As [`Regressor::fit_with`].
    fn fit(x: &Matrix, y: &[f64], seed: Seed) -> Result<Self, EstimatorError> {
        Self::fit_with(x, y, &Self::Params::default(), seed)
    }

    /// One prediction a row, in order; always finite.
    ///
    /// # Errors
    /// [`EstimatorError::Features`] when `x` has another number of columns than the training data.
    fn predict(&self, x: &Matrix) -> Result<Vec<f64>, EstimatorError>;

    /// Columns it was fitted on.
    fn features(&self) -> usize;

    /// Appends itself to a model file.
    fn encode(&self, to: &mut Writer);

    /// Reads what [`Regressor::encode`] wrote.
    ///
    /// # Errors
    /// [`EstimatorError::ModelFile`] for anything else.
    fn decode(from: &mut Reader<'_>) -> Result<Self, EstimatorError>;
}

/// Refuses targets that do not fit the matrix.
fn check_targets(x: &Matrix, y: &[f64]) -> Result<(), EstimatorError> {
    if y.len() != x.rows() {
        return Err(EstimatorError::Features(format!("{} targets for {} rows", y.len(), x.rows())));
    }
    match y.iter().position(|v| !v.is_finite() || v.abs() > MAX_TARGET) {
        Some(row) => {
            Err(EstimatorError::Features(format!("target of row {row} is not finite or above 1e30")))
        }
        None => Ok(()),
    }
}

/// Refuses a matrix of another width than the model's.
fn check_width(x: &Matrix, features: usize) -> Result<(), EstimatorError> {
    if x.columns() == features {
        return Ok(());
    }
    Err(EstimatorError::Features(format!("{} columns, the model was fitted on {features}", x.columns())))
}

/// The nearest `f32`; rounding is meant.
#[expect(clippy::cast_possible_truncation)]
fn narrow(value: f64) -> f32 {
    value as f32
}
