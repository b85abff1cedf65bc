//! Ridge regression (Hoerl, Kennard, *Technometrics* 12(1), 1970) on standardised features.

use super::file::{Reader, Writer, bad};
use super::scale::Standard;
use super::{Matrix, Regressor, check_targets, check_width};
use crate::EstimatorError;
use ecomap_instances::Seed;
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::ridge_regression::{RidgeRegression, RidgeRegressionParameters};

/// Most rows × columns² of one fit.
const MAX_FIT_WORK: usize = 4_000_000_000;

/// Parameters of a [`Ridge`].
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeParams {
    /// Penalty on squared coefficients of the standardised features, above 0.
    pub alpha: f64,
}

impl Default for RidgeParams {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

/// A linear model. The seed has no part in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge {
    standard: Standard,
    coefficients: Vec<f64>,
    intercept: f64,
}

impl Regressor for Ridge {
    type Params = RidgeParams;
    const KIND: u8 = 2;

    fn fit_with(x: &Matrix, y: &[f64], params: &RidgeParams, _: Seed) -> Result<Self, EstimatorError> {
        check_targets(x, y)?;
        let failed = |message: String| EstimatorError::Fit(message);
        if !(params.alpha > 0.0 && params.alpha <= 1e12) {
            return Err(failed(format!("alpha {} is not above 0 and at most 1e12", params.alpha)));
        }
        if x.rows() == 0 {
            return Err(failed("a ridge regression needs at least one row".to_owned()));
        }
        if x.cells().len().saturating_mul(x.columns()) > MAX_FIT_WORK {
            return Err(failed(format!("rows times columns squared above {MAX_FIT_WORK}")));
        }
        let standard = Standard::of(x);
        let intercept = y.iter().sum::<f64>() / y.len() as f64;
        // smartcore wants more rows than columns, and penalises its own intercept's absence only
        // through centred data: rows of zeros add nothing to the normal equations.
        let rows = x.rows().max(x.columns() + 1);
        let mut cells: Vec<f64> = x.iter().flat_map(|row| standard.row(row)).collect();
        cells.resize(rows * x.columns(), 0.0);
        let mut centred: Vec<f64> = y.iter().map(|v| v - intercept).collect();
        centred.resize(rows, 0.0);
        let data = DenseMatrix::new(rows, x.columns(), cells, false).map_err(|e| failed(e.to_string()))?;
        let settings = RidgeRegressionParameters::default().with_alpha(params.alpha).with_normalize(false);
        let fitted = RidgeRegression::fit(&data, &centred, settings).map_err(|e| failed(e.to_string()))?;
        let coefficients: Vec<f64> = fitted.coefficients().iterator(0).copied().collect();
        if coefficients.len() != x.columns() || coefficients.iter().any(|c| !c.is_finite()) {
            return Err(failed("the normal equations have no finite solution".to_owned()));
        }
        Ok(Self { standard, coefficients, intercept })
    }

    fn predict(&self, x: &Matrix) -> Result<Vec<f64>, EstimatorError> {
        check_width(x, self.features())?;
        let value = |row| {
            let terms = self.standard.row(row).zip(&self.coefficients).map(|(v, c)| v * c);
            // Far outside the training data a sum may overflow; the answer stays a number.
            (self.intercept + terms.sum::<f64>()).clamp(-f64::MAX, f64::MAX)
        };
        let values: Vec<f64> = x.iter().map(value).collect();
        match values.iter().position(|v| v.is_nan()) {
            Some(row) => {
                Err(EstimatorError::Features(format!("row {row} is too far outside the training data")))
            }
            None => Ok(values),
        }
    }

    fn features(&self) -> usize {
        self.coefficients.len()
    }

    fn encode(&self, to: &mut Writer) {
        to.count16(self.coefficients.len());
        self.standard.encode(to);
        to.f64s(&self.coefficients);
        to.f64s(&[self.intercept]);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, EstimatorError> {
        let features = from.count16()?;
        if features == 0 || features > super::MAX_FEATURES {
            return Err(bad("a ridge regression without features, or with too many"));
        }
        let standard = Standard::decode(from, features)?;
        let coefficients = from.f64s(features)?;
        let intercept = from.f64s(1)?.first().copied().unwrap_or(0.0);
        Ok(Self { standard, coefficients, intercept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_line_and_ignores_a_constant() {
        let rows: Vec<f32> = (0u8..50).flat_map(|i| [f32::from(i), 7.0, f32::from(i % 5)]).collect();
        let x = Matrix::new(50, 3, rows).unwrap();
        let y: Vec<f64> = x.iter().map(|r| 3.0 + 2.0 * f64::from(r[0]) - f64::from(r[2])).collect();
        let model = Ridge::fit_with(&x, &y, &RidgeParams { alpha: 1e-6 }, Seed(0)).unwrap();
        for (a, b) in y.iter().zip(model.predict(&x).unwrap()) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        // The constant column has no say, whatever it turns into.
        let moved = Matrix::new(1, 3, vec![1.0, 7.0, 1.0]).unwrap();
        assert!((model.predict(&moved).unwrap()[0] - 4.0).abs() < 1e-4);
    }

    #[test]
    fn one_row_gives_its_value() {
        let x = Matrix::new(1, 3, vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!(Ridge::fit(&x, &[5.0], Seed(0)).unwrap().predict(&x).unwrap(), [5.0]);
    }

    #[test]
    fn shrinks_as_the_textbook_says() {
        // One standardised feature: coefficient = x'y / (x'x + alpha) = n r / (n + alpha).
        let x = Matrix::new(4, 1, vec![-1.0, -1.0, 1.0, 1.0]).unwrap();
        let model =
            Ridge::fit_with(&x, &[-3.0, -1.0, 1.0, 3.0], &RidgeParams { alpha: 4.0 }, Seed(0)).unwrap();
        assert!((model.coefficients[0] - 1.0).abs() < 1e-12, "{:?}", model.coefficients);
    }
}
