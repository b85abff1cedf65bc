//! Random forest (Breiman, *Machine Learning* 45, 2001), fitted by smartcore, served from arrays.

use super::file::{Reader, Writer, bad};
use super::trees::{RawNode, Tree};
use super::{Matrix, Regressor, check_targets, check_width};
use crate::EstimatorError;
use ecomap_instances::Seed;
use serde::Deserialize;
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

/// Most cells × trees of one fit. Fitting visits every cell once a tree and level.
const MAX_FIT_WORK: usize = 400_000_000;
const MAX_TREES: usize = 1000;

/// Parameters of a [`Forest`].
#[derive(Debug, Clone, PartialEq)]
pub struct ForestParams {
    /// Trees, 1 to 1000.
    pub trees: usize,
    /// Fewest training rows in a leaf, bootstrap repetitions counted.
    pub min_leaf: usize,
    /// Most leaves of a tree. `min_leaf` is raised to rows / `max_leaves` where it is below, which
    /// bounds a stored tree to 10 × `max_leaves` bytes whatever the training data.
    pub max_leaves: usize,
    /// Deepest tree, in splits.
    pub max_depth: u16,
    /// Features tried at each split; `None`: a third of them, at least one (Breiman's choice for
    /// regression).
    pub tried: Option<usize>,
}

impl Default for ForestParams {
    /// Four outputs stay below 2 MB: 4 outputs × 50 trees × 1000 leaves × 10 bytes.
    fn default() -> Self {
        Self { trees: 50, min_leaf: 3, max_leaves: 1000, max_depth: 24, tried: None }
    }
}

impl ForestParams {
    fn check(&self, x: &Matrix) -> Result<(), EstimatorError> {
        let bad = |message: String| Err(EstimatorError::Fit(message));
        if !(1..=MAX_TREES).contains(&self.trees) {
            return bad(format!("{} trees; 1 to {MAX_TREES} are allowed", self.trees));
        }
        if self.min_leaf == 0 || self.max_leaves == 0 || self.max_depth == 0 || self.tried == Some(0) {
            return bad("min_leaf, max_leaves, max_depth and tried are at least 1".to_owned());
        }
        if x.rows() == 0 {
            return bad("a forest needs at least one row".to_owned());
        }
        if x.cells().len().saturating_mul(self.trees) > MAX_FIT_WORK {
            return bad(format!(
                "{} cells times {} trees; at most {MAX_FIT_WORK} are allowed",
                x.cells().len(),
                self.trees
            ));
        }
        Ok(())
    }
}

/// The mean of trees, each fitted to a bootstrap sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    features: usize,
    trees: Vec<Tree>,
}

/// The parts of smartcore's serialised forest that are kept.
#[derive(Deserialize)]
struct RawForest {
    forest_regressor: Option<RawTrees>,
}

#[derive(Deserialize)]
struct RawTrees {
    trees: Option<Vec<RawTree>>,
}

#[derive(Deserialize)]
struct RawTree {
    nodes: Vec<RawNode>,
}

type Fitted = RandomForestRegressor<f32, f64, DenseMatrix<f32>, Vec<f64>>;

fn fit_smartcore(x: &Matrix, y: &[f64], params: &ForestParams, seed: Seed) -> Result<Fitted, EstimatorError> {
    let min_leaf = params.min_leaf.max(x.rows().div_ceil(params.max_leaves));
    let tried = params.tried.unwrap_or((x.columns() / 3).max(1)).min(x.columns());
    let settings = RandomForestRegressorParameters::default()
        .with_n_trees(params.trees)
        .with_min_samples_leaf(min_leaf)
        .with_min_samples_split(2 * min_leaf)
        .with_max_depth(params.max_depth)
        .with_m(tried)
        .with_seed(seed.0);
    let data = DenseMatrix::new(x.rows(), x.columns(), x.cells().to_vec(), false).map_err(failed)?;
    RandomForestRegressor::fit(&data, &y.to_vec(), settings).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> EstimatorError {
    EstimatorError::Fit(error.to_string())
}

impl Forest {
    /// Takes the trees out of smartcore, by way of its serialised form: its nodes are private.
    fn take_out(fitted: &Fitted, features: usize) -> Result<Self, EstimatorError> {
        let text = serde_json::to_vec(fitted).map_err(failed)?;
        let raw: RawForest = serde_json::from_slice(&text).map_err(failed)?;
        let trees: Option<Vec<Tree>> = raw
            .forest_regressor
            .and_then(|f| f.trees)
            .and_then(|trees| trees.iter().map(|t| Tree::lay_out(&t.nodes)).collect());
        let trees = trees.ok_or_else(|| failed("the fitted forest has an unknown shape"))?;
        Ok(Self { features, trees })
    }

    /// Trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Nodes of all trees; a stored node takes five bytes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.trees.iter().map(Tree::len).sum()
    }
}

impl Regressor for Forest {
    type Params = ForestParams;
    const KIND: u8 = 1;

    fn fit_with(x: &Matrix, y: &[f64], params: &ForestParams, seed: Seed) -> Result<Self, EstimatorError> {
        check_targets(x, y)?;
        params.check(x)?;
        Self::take_out(&fit_smartcore(x, y, params, seed)?, x.columns())
    }

    fn predict(&self, x: &Matrix) -> Result<Vec<f64>, EstimatorError> {
        check_width(x, self.features)?;
        let count = self.trees.len() as f64;
        let mut sums = vec![0.0; x.rows()];
        // Tree after tree, so that one tree's nodes stay in the nearest cache for all rows.
        for tree in &self.trees {
            for (sum, row) in sums.iter_mut().zip(x.iter()) {
                *sum += f64::from(tree.at(row));
            }
        }
        Ok(sums.into_iter().map(|sum| sum / count).collect())
    }

    fn features(&self) -> usize {
        self.features
    }

    fn encode(&self, to: &mut Writer) {
        to.count16(self.features);
        to.count16(self.trees.len());
        self.trees.iter().for_each(|tree| tree.encode(to));
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, EstimatorError> {
        let features = from.count16()?;
        let count = from.count16()?;
        if features == 0 || features > super::MAX_FEATURES || count == 0 || count > MAX_TREES {
            return Err(bad("a forest without features or trees, or with too many"));
        }
        let trees = (0..count).map(|_| Tree::decode(from, features)).collect::<Result<_, _>>()?;
        Ok(Self { features, trees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regress::multi::samples::{noisy, worth};

    #[test]
    fn serves_what_smartcore_fitted() {
        let (x, y) = noisy(400, 6, 3);
        let params = ForestParams { trees: 20, ..ForestParams::default() };
        let fitted = fit_smartcore(&x, &y, &params, Seed(5)).unwrap();
        let served = Forest::take_out(&fitted, 6).unwrap();
        let (fresh, _) = noisy(300, 6, 4);
        let data = DenseMatrix::new(300, 6, fresh.cells().to_vec(), false).unwrap();
        for (a, b) in fitted.predict(&data).unwrap().iter().zip(served.predict(&fresh).unwrap()) {
            // The same leaves; their values are kept in single precision.
            assert!((a - b).abs() <= 1e-6 * a.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn learns_a_curve_and_bounds_its_trees() {
        let (x, y) = noisy(3000, 6, 1);
        let params = ForestParams { trees: 30, max_leaves: 200, ..ForestParams::default() };
        let forest = Forest::fit_with(&x, &y, &params, Seed(2)).unwrap();
        let (fresh, truth) = noisy(500, 6, 2);
        let r2 = worth(&truth, &forest.predict(&fresh).unwrap());
        assert!(r2 > 0.85, "{r2}");
        assert!(forest.nodes() <= 30 * 399, "{}", forest.nodes());
    }

    #[test]
    fn bad_parameters_are_refused() {
        let (x, y) = noisy(20, 2, 1);
        for params in [
            ForestParams { trees: 0, ..ForestParams::default() },
            ForestParams { trees: MAX_TREES + 1, ..ForestParams::default() },
            ForestParams { min_leaf: 0, ..ForestParams::default() },
            ForestParams { tried: Some(0), ..ForestParams::default() },
        ] {
            assert!(matches!(Forest::fit_with(&x, &y, &params, Seed(1)), Err(EstimatorError::Fit(_))));
        }
        let none = Matrix::new(0, 2, vec![]).unwrap();
        assert!(Forest::fit(&none, &[], Seed(1)).is_err());
    }
}
