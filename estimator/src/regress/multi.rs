//! One regressor for each target column, fitted, asked and stored together.

use super::file::{Reader, Writer, bad};
use super::{Matrix, Regressor};
use crate::EstimatorError;
use ecomap_instances::Seed;

/// Most target columns.
pub const MAX_OUTPUTS: usize = 64;

/// Regressors of several targets on the same features.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiOutput<R> {
    outputs: Vec<R>,
}

impl<R: Regressor> MultiOutput<R> {
    /// Fits each column of `targets`, each by a seed of its own derived from `seed`.
    ///
    /// # Errors
    /// As [`Regressor::fit_with`], and [`EstimatorError::Fit`] for no column or more than
    /// [`MAX_OUTPUTS`].
    pub fn fit(
        x: &Matrix,
        targets: &[Vec<f64>],
        params: &R::Params,
        seed: Seed,
    ) -> Result<Self, EstimatorError> {
        if targets.is_empty() || targets.len() > MAX_OUTPUTS {
            return Err(EstimatorError::Fit(format!(
                "{} targets; 1 to {MAX_OUTPUTS} allowed",
                targets.len()
            )));
        }
        // Seeds apart by an odd 64-bit constant (Steele, Lea, Flood, OOPSLA 2014, SplitMix64).
        let seeds = std::iter::successors(Some(seed.0), |s| Some(s.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        let outputs = targets
            .iter()
            .zip(seeds)
            .map(|(y, seed)| R::fit_with(x, y, params, Seed(seed)))
            .collect::<Result<_, _>>()?;
        Ok(Self { outputs })
    }

    /// Predictions, one vector a target, each with one value a row.
    ///
    /// # Errors
    /// As [`Regressor::predict`].
    pub fn predict(&self, x: &Matrix) -> Result<Vec<Vec<f64>>, EstimatorError> {
        self.outputs.iter().map(|r| r.predict(x)).collect()
    }

    /// The regressors, in the order of the targets.
    #[must_use]
    pub fn outputs(&self) -> &[R] {
        &self.outputs
    }

    /// The model file. `tag` says for which features and targets it was fitted; a reader must ask
    /// for the same one.
    ///
    /// # Errors
    /// [`EstimatorError::ModelFile`] for a tag that is too long.
    pub fn to_bytes(&self, tag: &str) -> Result<Vec<u8>, EstimatorError> {
        let mut to = Writer::new(R::KIND, tag)?;
        to.count16(self.outputs.len());
        self.outputs.iter().for_each(|r| r.encode(&mut to));
        Ok(to.seal())
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`EstimatorError::ModelFile`] for a damaged file, another version, kind or tag, or numbers
    /// that make no model.
    pub fn from_bytes(bytes: &[u8], tag: &str) -> Result<Self, EstimatorError> {
        let mut from = Reader::new(bytes, R::KIND, tag)?;
        let count = from.count16()?;
        if count == 0 || count > MAX_OUTPUTS {
            return Err(bad(format!("{count} outputs")));
        }
        let outputs: Vec<R> = (0..count).map(|_| R::decode(&mut from)).collect::<Result<_, _>>()?;
        if from.left() > 0 {
            return Err(bad("there is more in the file than its counts announce"));
        }
        let width = outputs.first().map(Regressor::features);
        if outputs.iter().any(|r| Some(r.features()) != width) {
            return Err(bad("outputs of different numbers of features"));
        }
        Ok(Self { outputs })
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::Matrix;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Uniform features and a curved target with a little noise.
    pub(crate) fn noisy(rows: usize, columns: usize, seed: u64) -> (Matrix, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cells: Vec<f32> = (0..rows * columns).map(|_| rng.random()).collect();
        let x = Matrix::new(rows, columns, cells).unwrap();
        let y = x
            .iter()
            .map(|r| {
                let (a, b) = (f64::from(r[0]), f64::from(r[1]));
                1.0 + 4.0 * a * b + (6.0 * a).sin() + 0.05 * rng.random::<f64>()
            })
            .collect();
        (x, y)
    }

    /// Coefficient of determination.
    pub(crate) fn worth(truth: &[f64], predicted: &[f64]) -> f64 {
        let mean = truth.iter().sum::<f64>() / truth.len() as f64;
        let total: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
        let rest: f64 = truth.iter().zip(predicted).map(|(t, p)| (t - p).powi(2)).sum();
        1.0 - rest / total
    }
}

#[cfg(test)]
mod tests {
    use super::samples::noisy;
    use super::*;
    use crate::regress::{Forest, ForestParams, KNearest, Ridge};

    fn reload<R: Regressor>() -> Vec<u8> {
        let (x, y) = noisy(500, 15, 1);
        let other: Vec<f64> = y.iter().map(|v| v * v).collect();
        let model = MultiOutput::<R>::fit(&x, &[y, other], &R::Params::default(), Seed(9)).unwrap();
        let bytes = model.to_bytes("test/v1").unwrap();
        let again = MultiOutput::<R>::from_bytes(&bytes, "test/v1").unwrap();
        let (fresh, _) = noisy(200, 15, 2);
        let bits = |m: &MultiOutput<R>| -> Vec<u64> {
            m.predict(&fresh).unwrap().concat().iter().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(&model), bits(&again));
        assert_eq!(bytes, again.to_bytes("test/v1").unwrap());
        bytes
    }

    #[test]
    fn reloaded_models_predict_the_same_bits() {
        reload::<Forest>();
        reload::<Ridge>();
        reload::<KNearest>();
    }

    #[test]
    fn the_default_forest_of_four_outputs_stays_below_two_megabytes() {
        let (x, y) = noisy(4000, 15, 1);
        let targets = vec![y.clone(), y.clone(), y.clone(), y];
        let model = MultiOutput::<Forest>::fit(&x, &targets, &ForestParams::default(), Seed(1)).unwrap();
        let size = model.to_bytes("").unwrap().len();
        assert!(size < 2_000_000, "{size}");
    }

    #[test]
    fn a_seed_fixes_a_forest() {
        let (x, y) = noisy(300, 5, 1);
        let fit = |seed| {
            let params = ForestParams { trees: 5, ..ForestParams::default() };
            MultiOutput::<Forest>::fit(&x, std::slice::from_ref(&y), &params, Seed(seed)).unwrap()
        };
        assert_eq!(fit(1), fit(1));
        assert_ne!(fit(1), fit(2));
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = reload::<Ridge>();
        let read = |b: &[u8]| MultiOutput::<Ridge>::from_bytes(b, "test/v1");
        assert!(matches!(
            MultiOutput::<Forest>::from_bytes(&bytes, "test/v1"),
            Err(EstimatorError::ModelFile(_))
        ));
        assert!(MultiOutput::<Ridge>::from_bytes(&bytes, "test/v2").is_err(), "another tag");
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert!(matches!(read(&broken), Err(EstimatorError::ModelFile(_))), "byte {at}");
            assert!(matches!(read(&bytes[..at]), Err(EstimatorError::ModelFile(_))), "cut at {at}");
        }
    }

    #[test]
    fn resealed_nonsense_never_panics() {
        use sha2::{Digest, Sha256};
        let (x, y) = noisy(40, 3, 1);
        let params = ForestParams { trees: 2, ..ForestParams::default() };
        let forest = MultiOutput::<Forest>::fit(&x, std::slice::from_ref(&y), &params, Seed(1)).unwrap();
        let near = MultiOutput::<KNearest>::fit(&x, &[y], &Default::default(), Seed(1)).unwrap();
        for bytes in [forest.to_bytes("").unwrap(), near.to_bytes("").unwrap()] {
            let body = &bytes[..bytes.len() - 32];
            for at in 0..body.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut broken = body.to_vec();
                    broken[at] = value;
                    broken.extend_from_slice(&Sha256::digest(&broken));
                    for model in [
                        MultiOutput::<Forest>::from_bytes(&broken, "").and_then(|m| m.predict(&x)),
                        MultiOutput::<KNearest>::from_bytes(&broken, "").and_then(|m| m.predict(&x)),
                    ] {
                        let finite = |p: &Vec<Vec<f64>>| p.iter().flatten().all(|v| v.is_finite());
                        assert!(model.as_ref().map_or(true, finite));
                    }
                }
            }
        }
    }

    #[test]
    fn targets_and_widths_are_checked() {
        let (x, y) = noisy(10, 3, 1);
        let fit = |targets: &[Vec<f64>]| MultiOutput::<Ridge>::fit(&x, targets, &Default::default(), Seed(1));
        assert!(fit(&[]).is_err());
        assert!(fit(&[y[..9].to_vec()]).is_err());
        assert!(fit(&[vec![f64::NAN; 10]]).is_err());
        let model = fit(&[y]).unwrap();
        assert!(matches!(model.predict(&noisy(1, 2, 1).0), Err(EstimatorError::Features(_))));
    }
}
