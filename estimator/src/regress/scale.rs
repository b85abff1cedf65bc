//! Standardisation: every feature to mean 0 and standard deviation 1, as the training data had it.

use super::Matrix;
use super::file::{Reader, Writer};
use crate::EstimatorError;

/// Mean and scale of each feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standard {
    mean: Vec<f64>,
    /// Standard deviation; 1 for a constant feature, which so becomes 0.
    scale: Vec<f64>,
}

impl Standard {
    /// Of the rows of `x`; zero means for no row.
    pub(super) fn of(x: &Matrix) -> Self {
        let rows = x.rows().max(1) as f64;
        let mut mean = vec![0.0; x.columns()];
        for row in x.iter() {
            mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v));
        }
        mean.iter_mut().for_each(|m| *m /= rows);
        let mut scale = vec![0.0; x.columns()];
        for row in x.iter() {
            for ((s, &v), m) in scale.iter_mut().zip(row).zip(&mean) {
                *s += (f64::from(v) - m).powi(2);
            }
        }
        for (s, m) in scale.iter_mut().zip(&mean) {
            let deviation = (*s / rows).sqrt();
            // Rounding leaves a constant column a deviation of some ulps of its mean.
            *s = if deviation > 1e-9 * m.abs() && deviation > 0.0 { deviation } else { 1.0 };
        }
        Self { mean, scale }
    }

    pub(super) fn features(&self) -> usize {
        self.mean.len()
    }

    /// One row, standardised.
    pub(super) fn row<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f64> + 'a {
        row.iter().zip(&self.mean).zip(&self.scale).map(|((&v, m), s)| (f64::from(v) - m) / s)
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.f64s(&self.mean);
        to.f64s(&self.scale);
    }

    pub(super) fn decode(from: &mut Reader<'_>, features: usize) -> Result<Self, EstimatorError> {
        let mean = from.f64s(features)?;
        let scale = from.f64s(features)?;
        if scale.iter().any(|&s| s <= 0.0) {
            return Err(EstimatorError::ModelFile("a feature's scale is not positive".to_owned()));
        }
        Ok(Self { mean, scale })
    }
}
