//! The transformer on ONNX Runtime.

use super::Factors;
use super::artifact::Artifact;
use super::batch::{Batch, UNITS, batches};
use crate::error::EstimatorError;
use crate::features::{BLOCK_FEATURES, DEVICE_FEATURES, Encoded, SEGMENT_FEATURES, TENANT_FEATURES};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use std::sync::{Mutex, PoisonError};

/// The loaded network.
#[derive(Debug)]
pub struct Network {
    /// Running takes the session exclusively.
    session: Mutex<Session>,
    batch: usize,
}

fn failed(e: impl std::fmt::Display) -> EstimatorError {
    EstimatorError::Runtime(e.to_string())
}

/// The process' environment of ONNX Runtime.
pub(crate) fn environment() -> Result<&'static ort::environment::Environment, EstimatorError> {
    ecomap_onnxruntime::environment().map_err(EstimatorError::Runtime)
}

impl Network {
    /// Loads a model on `threads` threads, to be run in batches of `batch` plans.
    ///
    /// # Errors
    /// [`EstimatorError::Runtime`] when the library is missing or refuses the model, or when the
    /// model's inputs are not those of this version.
    pub fn load(artifact: &Artifact, threads: usize, batch: usize) -> Result<Self, EstimatorError> {
        let session = Session::builder(environment()?)
            .and_then(|b| Ok(b.with_optimization_level(GraphOptimizationLevel::All)?))
            .and_then(|b| Ok(b.with_intra_threads(threads.max(1))?))
            .and_then(|mut b| b.commit_from_memory(&artifact.model))
            .map_err(failed)?;
        let inputs: Vec<&str> = session.inputs().iter().map(|i| i.name()).collect();
        let outputs: Vec<&str> = session.outputs().iter().map(|o| o.name()).collect();
        if inputs != ["blocks", "segments", "owner", "place", "tenants", "device"]
            || outputs != ["slowdown", "power"]
        {
            return Err(failed(format!("the model has inputs {inputs:?} and outputs {outputs:?}")));
        }
        Ok(Self { session: Mutex::new(session), batch })
    }

    /// Factors of each plan, in order; for a plan without tenants, idle power.
    ///
    /// # Errors
    /// [`EstimatorError::Runtime`] when the runtime fails, [`EstimatorError::Prediction`] when an
    /// answer breaks a guarantee.
    pub fn run(&self, plans: &[Encoded]) -> Result<Vec<Factors>, EstimatorError> {
        let mut answers: Vec<Factors> =
            plans.iter().map(|p| Factors { slowdown: Vec::new(), power_w: p.idle_w }).collect();
        for batch in batches(plans, self.batch) {
            self.batch(&batch, plans, &mut answers)?;
        }
        Ok(answers)
    }

    fn batch(&self, batch: &Batch, plans: &[Encoded], answers: &mut [Factors]) -> Result<(), EstimatorError> {
        let s = batch.shape;
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session
            .run(ort::inputs![
                TensorRef::from_array_view(([s.plans, s.segments, s.blocks, BLOCK_FEATURES], &*batch.blocks))
                    .map_err(failed)?,
                TensorRef::from_array_view(([s.plans, s.segments, SEGMENT_FEATURES], &*batch.segments))
                    .map_err(failed)?,
                TensorRef::from_array_view(([s.plans, s.tenants, s.segments], &*batch.owner))
                    .map_err(failed)?,
                TensorRef::from_array_view(([s.plans, UNITS, s.segments], &*batch.place)).map_err(failed)?,
                TensorRef::from_array_view(([s.plans, s.tenants, TENANT_FEATURES], &*batch.tenants))
                    .map_err(failed)?,
                TensorRef::from_array_view(([s.plans, DEVICE_FEATURES], &*batch.device)).map_err(failed)?,
            ])
            .map_err(failed)?;
        let (_, slowdown) = outputs["slowdown"].try_extract_tensor::<f32>().map_err(failed)?;
        let (_, power) = outputs["power"].try_extract_tensor::<f32>().map_err(failed)?;
        if slowdown.len() != s.plans * s.tenants * 3 || power.len() != s.plans {
            return Err(failed(format!(
                "{} factors for {} plans of {} tenants",
                slowdown.len(),
                s.plans,
                s.tenants
            )));
        }
        for (row, at) in batch.plans.iter().enumerate() {
            let tenants = plans[*at].tenants.len();
            let from = row * s.tenants * 3;
            let factors = Factors {
                slowdown: slowdown[from..from + tenants * 3]
                    .chunks_exact(3)
                    .map(|c| [f64::from(c[0]), f64::from(c[1]), f64::from(c[2])])
                    .collect(),
                power_w: f64::from(power[row]),
            };
            factors.check(tenants, plans[*at].idle_w).map_err(EstimatorError::Prediction)?;
            answers[*at] = factors;
        }
        Ok(())
    }
}
