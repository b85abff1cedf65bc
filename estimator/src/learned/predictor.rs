//! The learned predictor behind the crate's port.

use super::artifact::{Artifact, Conformal};
use super::cache::Cache;
use super::finish::finish;
use super::forest::Forests;
use super::network::Network;
use super::setup::{Prepared, Workshop};
use super::{Factors, batch};
use crate::analytic::Roofline;
use crate::coexecution::Coexecution;
use crate::error::EstimatorError;
use crate::features::analysis::{Analysis, analyse};
use crate::features::{Encoded, MAX_LOAD, encode_analysed};
use crate::predictor::{Candidate, DevicePlan, DevicePrediction, Isolated, Predictor, Source};
use crate::table::CostTable;
use ecomap_instances::family::Family;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::Profile;
use ecomap_instances::units::Watts;
use std::path::PathBuf;
use std::sync::Arc;

/// What computes the factors.
#[derive(Debug)]
pub enum Backend {
    /// The transformer on ONNX Runtime.
    Network(Box<Network>),
    /// The forests, and why the network does not serve.
    Forest(Box<Forests>, String),
}

/// How to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Model file; `None`: the one that ships.
    pub model: Option<PathBuf>,
    /// Threads of the runtime.
    pub threads: usize,
    /// Plans of a batch.
    pub batch: usize,
    /// Answers kept.
    pub cache: usize,
    /// Which of the two serves.
    pub serve: Serve,
}

/// Which model serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Serve {
    /// The transformer, or the forest where ONNX Runtime is missing.
    #[default]
    Either,
    /// The transformer, or an error.
    Transformer,
    /// The forest.
    Forest,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { model: None, threads: cores.min(4), batch: batch::PLANS, cache: 65_536, serve: Serve::Either }
    }
}

/// Transformer, or forest where there is no ONNX Runtime, over the analytic costs.
#[derive(Debug)]
pub struct Learned {
    workshop: Workshop,
    backend: Backend,
    conformal: Conformal,
    hash: String,
    cache: Cache,
}

/// A plan on its way through the model.
struct Open {
    prepared: Prepared,
    analysis: Analysis,
    encoded: Encoded,
    alone: Vec<Isolated>,
}

impl Learned {
    /// Loads the model.
    ///
    /// # Errors
    /// [`EstimatorError::Model`] for a model file that is not what its record says;
    /// [`EstimatorError::Runtime`] when ONNX Runtime is missing and no fallback is allowed.
    pub fn load(options: &Options) -> Result<Self, EstimatorError> {
        let artifact = match &options.model {
            None => Artifact::embedded()?,
            Some(path) => Artifact::open(path)?,
        };
        let forest = |why: String| -> Result<_, EstimatorError> {
            Ok((Backend::Forest(Box::new(Forests::embedded()?), why), Conformal { p95: 1.0, p99: 1.0 }))
        };
        let network = || Network::load(&artifact, options.threads, options.batch);
        let (backend, conformal) = match (options.serve != Serve::Forest).then(network) {
            None => forest("it was asked for".to_owned())?,
            Some(Ok(network)) => (Backend::Network(Box::new(network)), artifact.record.conformal),
            Some(Err(e)) if options.serve == Serve::Either => forest(e.to_string())?,
            Some(Err(e)) => return Err(e),
        };
        Ok(Self {
            workshop: Workshop::new(Roofline::embedded()?, Coexecution::embedded()?.clone()),
            backend,
            conformal,
            hash: artifact.short_hash().to_owned(),
            cache: Cache::new(options.cache),
        })
    }

    /// What serves.
    #[must_use]
    pub const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Where answers come from.
    #[must_use]
    pub const fn source(&self) -> Source {
        match self.backend {
            Backend::Network(_) => Source::Transformer,
            Backend::Forest(..) => Source::Forest,
        }
    }

    /// Factors of encoded plans.
    ///
    /// # Errors
    /// As [`Network::run`].
    pub fn factors(&self, plans: &[Encoded]) -> Result<Vec<Factors>, EstimatorError> {
        match &self.backend {
            Backend::Network(network) => network.run(plans),
            Backend::Forest(forests, _) => forests.run(plans),
        }
    }

    /// What the model sees of a plan.
    ///
    /// # Errors
    /// [`EstimatorError::Prediction`] for a mode that the board lacks.
    pub fn encode(&self, plan: &DevicePlan) -> Result<Encoded, EstimatorError> {
        let prepared = self.workshop.prepare(plan).ok_or_else(|| {
            EstimatorError::Prediction("the plan names a mode that its board lacks".to_owned())
        })?;
        Ok(encode_analysed(&prepared.soc, &prepared.streams, &analyse(&prepared.soc, &prepared.streams)))
    }

    fn open(&self, plan: &DevicePlan) -> Option<Open> {
        let prepared = self.workshop.prepare(plan)?;
        let analysis = analyse(&prepared.soc, &prepared.streams);
        let encoded = encode_analysed(&prepared.soc, &prepared.streams, &analysis);
        let alone = prepared
            .tasks
            .iter()
            .map(|n| {
                let task = plan.tasks.get(*n)?;
                let table = self.workshop.table(&plan.profile, plan.mode, &task.family, task.tier);
                let one = Candidate { table: &table, segments: &task.segments, rate: task.rate };
                self.workshop.roofline().isolated(&[one]).into_iter().next().flatten()
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Open { prepared, analysis, encoded, alone })
    }

    fn close(&self, plan: &DevicePlan, open: &Open, factors: &Factors) -> DevicePrediction {
        let mut tasks = vec![None; plan.tasks.len()];
        let finished = finish(factors, self.conformal, &open.analysis, &open.alone);
        for (at, task) in open.prepared.tasks.iter().zip(finished) {
            if let Some(slot) = tasks.get_mut(*at) {
                *slot = Some(task);
            }
        }
        // Never below what the same plan draws without contention: the relaxation of row 6.
        let floor = open.prepared.soc.idle_w + open.analysis.dynamic_w.min(open.analysis.stretched_w);
        let limit = open.prepared.soc.limit_w;
        DevicePrediction {
            tasks,
            power: Watts::new(factors.power_w.max(floor.min(limit))),
            load: open.analysis.load.clone(),
            source: self.source(),
            extrapolated: open.encoded.bottleneck > MAX_LOAD,
        }
    }
}

impl Predictor for Learned {
    fn name(&self) -> &str {
        self.source().as_str()
    }

    fn remark(&self) -> Option<String> {
        match &self.backend {
            Backend::Network(_) => None,
            Backend::Forest(_, why) => Some(format!("the forest predicts, not the transformer: {why}")),
        }
    }

    fn version(&self) -> String {
        format!("{}+{}.{}", self.workshop.roofline().version(), self.source().as_str(), self.hash)
    }

    fn table(&self, profile: &Arc<Profile>, mode: ModeIx, family: &Arc<Family>, tier: usize) -> CostTable {
        self.workshop.roofline().table(profile, mode, family, tier)
    }

    fn isolated(&self, batch: &[Candidate<'_>]) -> Vec<Option<Isolated>> {
        self.workshop.roofline().isolated(batch)
    }

    fn joint(&self, plans: &[DevicePlan]) -> Result<Vec<DevicePrediction>, EstimatorError> {
        let mut answers: Vec<Option<DevicePrediction>> = plans.iter().map(|p| self.cache.get(p)).collect();
        let asked: Vec<usize> = (0..plans.len()).filter(|n| answers[*n].is_none()).collect();
        let mut opened = Vec::with_capacity(asked.len());
        for &n in &asked {
            opened.push(self.open(&plans[n]).ok_or_else(|| {
                EstimatorError::Prediction(format!("plan {n} names a mode that its board lacks"))
            })?);
        }
        let encoded: Vec<Encoded> = opened.iter_mut().map(|o| std::mem::take(&mut o.encoded)).collect();
        let factors = self.factors(&encoded)?;
        for (((&n, mut open), encoded), factors) in asked.iter().zip(opened).zip(encoded).zip(&factors) {
            open.encoded = encoded;
            let answer = self.close(&plans[n], &open, factors);
            self.cache.put(&plans[n], &answer);
            answers[n] = Some(answer);
        }
        let got: Vec<DevicePrediction> = answers.into_iter().flatten().collect();
        if got.len() == plans.len() {
            Ok(got)
        } else {
            Err(EstimatorError::ShortAnswer {
                name: self.name().to_owned(),
                asked: plans.len(),
                got: got.len(),
            })
        }
    }
}
