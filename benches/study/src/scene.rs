//! A priced scenario under one trace.

use crate::StudyError;
use crate::config::{Study, TraceSpec};
use ecomap_carbon::source::synthetic;
use ecomap_carbon::source::trace::{Foresight, Trace};
use ecomap_carbon::{Exchange, Signal, Source as _};
use ecomap_estimator::{Learned, Roofline, price};
use ecomap_instances::format::scenario_v1;
use ecomap_instances::instance::InstanceParts;
use ecomap_instances::scenario::SloBasis;
use ecomap_instances::units::GramsPerKwh;
use ecomap_instances::{Catalog, Instance, Objective, Scenario, scenarios};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// Largest scenario or trace file, bytes.
const LARGEST: u64 = 32 << 20;

/// A scenario, priced once; what an hour changes are caps and intensities.
#[derive(Debug)]
pub struct Stage {
    /// Name in the results.
    pub name: String,
    /// As read.
    pub scenario: Scenario,
    /// Priced, at the scenario's own intensities.
    parts: InstanceParts,
    /// For methods that ask the joint predictor.
    judged: Option<Judged>,
}

/// What the joint predictor is asked beside, and that.
#[derive(Debug)]
struct Judged {
    /// Priced with latencies of tenants alone.
    alone: InstanceParts,
    /// Predicts whole boards.
    predictor: Arc<Learned>,
}

impl Stage {
    /// Reads and prices an embedded scenario, or a file, with an objective of its own or `objective`;
    /// with a `predictor`, for methods that ask it about whole boards too.
    ///
    /// # Errors
    /// [`StudyError`] for a scenario that cannot be read or priced.
    pub fn open(
        name: &str,
        objective: Option<&Objective>,
        predictor: Option<&Arc<Learned>>,
    ) -> Result<Self, StudyError> {
        let bytes = match scenarios::embedded(name) {
            Some(text) => text.to_vec(),
            None => bounded(Path::new(name))?.into_bytes(),
        };
        let invalid = |issues| StudyError::Scenario { name: name.to_owned(), issues };
        let catalog = Catalog::embedded().map_err(|issues| invalid(issues.clone()))?;
        let scenario = scenario_v1::read(&bytes, catalog).map_err(invalid)?;
        let priced = |scenario: &Scenario| {
            let (instance, _) = price(scenario, &Roofline::embedded()?)?;
            let mut parts = instance.to_parts();
            if let Some(objective) = objective {
                parts.objective = objective.clone();
            }
            Ok::<_, StudyError>(parts)
        };
        let parts = priced(&scenario)?;
        let judged = match predictor {
            None => None,
            Some(predictor) => Some(Judged {
                alone: priced(&scenario.with_slo_basis(SloBasis::Isolated))?,
                predictor: Arc::clone(predictor),
            }),
        };
        Ok(Self { name: scenario.name.clone(), parts, judged, scenario })
    }

    /// The problem when every zone has `carbon`: caps by the sites' budgets.
    ///
    /// # Errors
    /// [`StudyError::Scenario`] when a cap is out of range.
    pub fn at(&self, carbon: GramsPerKwh) -> Result<Instance, StudyError> {
        self.told(&self.parts, carbon)
    }

    /// The same with latencies of tenants alone: what the joint predictor is asked beside.
    ///
    /// # Errors
    /// Those of [`at`](Self::at), and of [`predictor`](Self::predictor).
    pub fn alone_at(&self, carbon: GramsPerKwh) -> Result<Instance, StudyError> {
        self.told(&self.judged()?.alone, carbon)
    }

    /// The joint predictor.
    ///
    /// # Errors
    /// [`StudyError::Misfit`] when the stage was opened without one.
    pub fn predictor(&self) -> Result<&Arc<Learned>, StudyError> {
        Ok(&self.judged()?.predictor)
    }

    fn judged(&self) -> Result<&Judged, StudyError> {
        self.judged.as_ref().ok_or_else(|| StudyError::Misfit("opened without a joint predictor".to_owned()))
    }

    fn told(&self, parts: &InstanceParts, carbon: GramsPerKwh) -> Result<Instance, StudyError> {
        let mut parts = parts.clone();
        for (site, told) in parts.sites.iter_mut().zip(&self.scenario.sites) {
            site.carbon = carbon;
            site.cap = told.budget.cap(carbon);
        }
        Instance::try_new(parts).map_err(|issues| StudyError::Scenario { name: self.name.clone(), issues })
    }
}

/// The problem without its caps.
///
/// # Errors
/// None that a valid problem could cause.
pub fn uncapped(instance: &Instance) -> Result<Instance, StudyError> {
    let mut parts = instance.to_parts();
    parts.sites.iter_mut().for_each(|site| site.cap = None);
    Instance::try_new(parts).map_err(|issues| StudyError::Scenario { name: instance.name.clone(), issues })
}

/// The intensity of each hour that the study plays of a trace.
///
/// # Errors
/// [`StudyError`] for a file that cannot be read as a trace.
pub fn intensities(study: &Study, spec: &TraceSpec) -> Result<Vec<GramsPerKwh>, StudyError> {
    let start = Timestamp::UNIX_EPOCH;
    let text = match &spec.file {
        Some(path) => bounded(path)?,
        None => synthetic::hourly(start, (study.hours + spec.skip).div_ceil(24), spec.seed),
    };
    let mut trace = Trace::read(&text, "study", Signal::Average, start, Foresight::None)
        .map_err(|source| StudyError::Trace { name: spec.name.clone(), source })?;
    (0..study.hours)
        .map(|hour| {
            let at = start.checked_add(SignedDuration::from_hours(i64::from(hour + spec.skip)));
            let reading = at.ok().map(|at| trace.begin(at));
            match reading {
                Some(Exchange::Done(reading)) => reading.samples.first().map(|s| s.intensity()),
                _ => None,
            }
            .ok_or_else(|| StudyError::Value(format!("trace `{}` has no hour {hour}", spec.name)))
        })
        .collect()
}

/// A text file of bounded size.
pub(crate) fn bounded(path: &Path) -> Result<String, StudyError> {
    let failed = |source| StudyError::File { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > LARGEST {
        return Err(StudyError::Value(format!("{} is larger than {LARGEST} bytes", path.display())));
    }
    std::fs::read_to_string(path).map_err(failed)
}
