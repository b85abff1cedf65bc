//! What can go wrong in this crate.

use ecomap_instances::Issues;

/// An error of the estimator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimatorError {
    /// The fitted-parameters file does not parse or has a number out of range.
    #[error("parameters: {0}")]
    Parameters(String),
    /// The priced instance breaks a rule, e.g. a tenant that may not be shed has no option.
    #[error("the priced scenario is not a valid instance: {0}")]
    Instance(#[from] Issues),
    /// A predictor answered with a list of another length than its request.
    #[error("predictor `{name}` answered {got} of {asked} requests")]
    ShortAnswer {
        /// Predictor.
        name: String,
        /// Requests.
        asked: usize,
        /// Answers.
        got: usize,
    },
    /// A model file that is not what its record says.
    #[error("model: {0}")]
    Model(String),
    /// ONNX Runtime is missing or failed.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// An answer that is not a prediction: not a number, or against a guarantee.
    #[error("the predictor answered nonsense: {0}")]
    Prediction(String),
    /// A plan that the simulator refuses.
    #[error("simulation: {0}")]
    Simulation(#[from] crate::sim::SimError),
    /// A file of measurements cannot be read.
    #[error("{path}: {message}")]
    Data {
        /// File.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// A feature matrix or target vector has the wrong shape, a number that is not finite, or is
    /// larger than the stated limits.
    #[error("features: {0}")]
    Features(String),
    /// A regressor cannot be fitted with these parameters or data.
    #[error("fitting: {0}")]
    Fit(String),
    /// A model file is damaged, of another version, or of another kind.
    #[error("model file: {0}")]
    ModelFile(String),
    /// A setting of the calibration is out of its range.
    #[error("calibration setting `{field}`: {message}")]
    Settings {
        /// Setting.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// Telemetry, or a prediction to be calibrated, that cannot be used. Nothing was changed.
    #[error("observation, `{field}`: {message}")]
    Observation {
        /// Field.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A calibration file is damaged or of another version.
    #[error("calibration file: {0}")]
    CalibrationFile(String),
    /// A calibration version that is not kept, or was never made.
    #[error("calibration version {0} is not kept")]
    NoVersion(u64),
}
