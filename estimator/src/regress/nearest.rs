//! k nearest neighbours on standardised features, weighted by inverse distance.

use super::file::{Reader, Writer, bad};
use super::scale::Standard;
use super::{MAX_TARGET, Matrix, Regressor, check_targets, check_width};
use crate::EstimatorError;
use ecomap_instances::Seed;
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use smartcore::algorithm::neighbour::KNNAlgorithmName;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::metrics::distance::euclidian::Euclidian;
use smartcore::neighbors::KNNWeightFunction;
use smartcore::neighbors::knn_regressor::{KNNRegressor, KNNRegressorParameters};

/// Most neighbours asked, and most rows kept.
const MAX_KEPT: usize = 20_000;
const MAX_K: usize = 1000;

/// Parameters of a [`KNearest`].
#[derive(Debug, Clone, PartialEq)]
pub struct KNearestParams {
    /// Neighbours, 1 to 1000; fewer where there are fewer rows.
    pub k: usize,
    /// Rows kept, at most 20 000; of more, a sample drawn by the seed. Bounds memory, file and the
    /// time of a prediction, which looks at every row kept.
    pub kept: usize,
}

impl Default for KNearestParams {
    fn default() -> Self {
        Self { k: 5, kept: 4096 }
    }
}

type Fitted = KNNRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>, Euclidian<f64>>;

/// The training rows, or a sample of them.
#[derive(Debug)]
pub struct KNearest {
    k: usize,
    standard: Standard,
    rows: Matrix,
    values: Vec<f64>,
    search: Fitted,
}

impl KNearest {
    fn build(k: usize, standard: Standard, rows: Matrix, values: Vec<f64>) -> Result<Self, String> {
        let data = standardised(&standard, &rows)?;
        // A search through all rows gives the same neighbours in the same order after a reload.
        let settings = KNNRegressorParameters::default()
            .with_k(k)
            .with_algorithm(KNNAlgorithmName::LinearSearch)
            .with_weight(KNNWeightFunction::Distance);
        let search = KNNRegressor::fit(&data, &values, settings).map_err(|e| e.to_string())?;
        Ok(Self { k, standard, rows, values, search })
    }

    /// Rows kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.values.len()
    }
}

fn standardised(standard: &Standard, x: &Matrix) -> Result<DenseMatrix<f64>, String> {
    let cells = x.iter().flat_map(|row| standard.row(row)).collect();
    DenseMatrix::new(x.rows(), x.columns(), cells, false).map_err(|e| e.to_string())
}

impl Regressor for KNearest {
    type Params = KNearestParams;
    const KIND: u8 = 3;

    fn fit_with(x: &Matrix, y: &[f64], params: &KNearestParams, seed: Seed) -> Result<Self, EstimatorError> {
        check_targets(x, y)?;
        if !(1..=MAX_K).contains(&params.k) || !(1..=MAX_KEPT).contains(&params.kept) {
            return Err(EstimatorError::Fit(format!("k is 1 to {MAX_K}, kept is 1 to {MAX_KEPT}")));
        }
        if x.rows() == 0 {
            return Err(EstimatorError::Fit("nearest neighbours need at least one row".to_owned()));
        }
        let standard = Standard::of(x);
        let (rows, values) = if x.rows() > params.kept {
            let mut rng = ChaCha8Rng::seed_from_u64(seed.0);
            let mut chosen = index::sample(&mut rng, x.rows(), params.kept).into_vec();
            chosen.sort_unstable();
            let cells = chosen.iter().filter_map(|&r| x.iter().nth(r)).flatten().copied().collect();
            let values = chosen.iter().filter_map(|&r| y.get(r).copied()).collect();
            (Matrix::new(chosen.len(), x.columns(), cells)?, values)
        } else {
            (x.clone(), y.to_vec())
        };
        let k = params.k.min(rows.rows());
        Self::build(k, standard, rows, values).map_err(EstimatorError::Fit)
    }

    fn predict(&self, x: &Matrix) -> Result<Vec<f64>, EstimatorError> {
        check_width(x, self.features())?;
        if x.rows() == 0 {
            return Ok(Vec::new());
        }
        let failed = |message: String| EstimatorError::Features(message);
        let data = standardised(&self.standard, x).map_err(failed)?;
        let values = self.search.predict(&data).map_err(|e| failed(e.to_string()))?;
        match values.iter().position(|v| !v.is_finite()) {
            Some(row) => Err(failed(format!("row {row} is too far outside the training data"))),
            None => Ok(values),
        }
    }

    fn features(&self) -> usize {
        self.standard.features()
    }

    fn encode(&self, to: &mut Writer) {
        to.count16(self.features());
        to.count16(self.k);
        to.count32(self.rows.rows());
        self.standard.encode(to);
        self.rows.cells().iter().for_each(|&v| to.f32(v));
        to.f64s(&self.values);
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, EstimatorError> {
        let features = from.count16()?;
        let k = from.count16()?;
        let count = from.count32()?;
        let fits = count <= MAX_KEPT && count.saturating_mul(features) <= from.left() / 4;
        if features == 0 || features > super::MAX_FEATURES || k == 0 || k > MAX_K || k > count || !fits {
            return Err(bad("counts of neighbours, rows or features do not fit"));
        }
        let standard = Standard::decode(from, features)?;
        let cells = (0..count * features).map(|_| from.f32()).collect::<Result<_, _>>()?;
        let values = from.f64s(count)?;
        if values.iter().any(|v| v.abs() > MAX_TARGET) {
            return Err(bad("a target is too large"));
        }
        let rows = Matrix::new(count, features, cells)?;
        Self::build(k, standard, rows, values).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regress::multi::samples::noisy;

    #[test]
    fn a_known_row_gives_its_value() {
        let (x, y) = noisy(60, 4, 1);
        let model = KNearest::fit(&x, &y, Seed(1)).unwrap();
        for (a, b) in y.iter().zip(model.predict(&x).unwrap()) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn memory_is_bounded_and_the_sample_is_the_seeds() {
        let (x, y) = noisy(900, 4, 1);
        let params = KNearestParams { k: 3, kept: 100 };
        let fit = |seed| KNearest::fit_with(&x, &y, &params, Seed(seed)).unwrap();
        assert_eq!(fit(1).kept(), 100);
        assert_eq!(fit(1).values, fit(1).values);
        assert_ne!(fit(1).values, fit(2).values);
    }

    #[test]
    fn fewer_rows_than_neighbours_is_fine() {
        let x = Matrix::new(2, 1, vec![0.0, 1.0]).unwrap();
        let model = KNearest::fit(&x, &[1.0, 3.0], Seed(1)).unwrap();
        let middle = Matrix::new(1, 1, vec![0.5]).unwrap();
        assert!((model.predict(&middle).unwrap()[0] - 2.0).abs() < 1e-12);
    }
}
