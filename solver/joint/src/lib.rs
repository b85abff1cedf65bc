//! The estimator behind the solver's port [`JointPredictor`]: boards of an instance become device plans
//! of its scenario, predictions of device plans become latencies of picks, network included.
//!
//! [`Boards`] answers for one instance. It is not monotone in added tenants where a learned model is not;
//! `ecomap_solver::contention::Envelope` makes it so.

use ecomap_estimator::analytic::together;
use ecomap_estimator::learned::Learned;
use ecomap_estimator::predictor::{Candidate, DevicePlan, DevicePrediction, Isolated, Task};
use ecomap_estimator::{Predictor, Roofline};
use ecomap_instances::ids::{ModeIx, OptionIx, TenantIx};
use ecomap_instances::profile::Profile;
use ecomap_instances::{Instance, Scenario};
use ecomap_solver::contention::{Board, BoardPrediction, JointPredictor};
use std::cell::OnceCell;
use std::sync::Arc;

/// The boards of one instance before the estimator.
#[derive(Debug)]
pub struct Boards<'a> {
    scenario: &'a Scenario,
    instance: &'a Instance,
    model: Model,
}

/// What predicts.
#[derive(Debug)]
enum Model {
    /// Closed formulas, with each option alone once it was asked for, by tenant.
    Closed(Roofline, Vec<Vec<OnceCell<Option<Isolated>>>>),
    /// A learned model.
    Learned(Arc<Learned>),
}

impl Model {
    fn predictor(&self) -> &dyn Predictor {
        match self {
            Self::Closed(roofline, _) => roofline,
            Self::Learned(learned) => learned.as_ref(),
        }
    }
}

impl<'a> Boards<'a> {
    /// By closed formulas. `instance` is `scenario` priced by the same `roofline`, with latencies of
    /// tenants alone; rules on stability may differ.
    #[must_use]
    pub fn closed_form(scenario: &'a Scenario, instance: &'a Instance, roofline: Roofline) -> Self {
        let alone = instance.tenants.iter().map(|t| vec![OnceCell::new(); t.options.len()]).collect();
        Self { scenario, instance, model: Model::Closed(roofline, alone) }
    }

    /// By a learned model. `instance` is `scenario` priced with latencies of tenants alone.
    #[must_use]
    pub fn learned(scenario: &'a Scenario, instance: &'a Instance, model: Arc<Learned>) -> Self {
        Self { scenario, instance, model: Model::Learned(model) }
    }

    /// What people should know about the predictor, e.g. that it stands in for another.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        self.model.predictor().remark()
    }
}

impl Boards<'_> {
    /// Board type and mode.
    fn place(&self, board: &Board) -> Option<(&Arc<Profile>, ModeIx)> {
        let class = self.instance.classes.get(board.class.at())?;
        // The instance's devices are the scenario's, in order.
        let device = self.scenario.devices.get(class.devices.first()?.at())?;
        let mode = device.profile.mode_position(class.modes.get(board.mode.at())?.id.as_str())?;
        Some((&device.profile, ModeIx::new(mode)))
    }

    /// A board by closed formulas.
    fn closed(
        &self,
        roofline: &Roofline,
        alone: &[Vec<OnceCell<Option<Isolated>>>],
        board: &Board,
    ) -> Option<DevicePrediction> {
        let (profile, mode) = self.place(board)?;
        let one = |(tenant, option): &(TenantIx, OptionIx)| {
            let cell = alone.get(tenant.at())?.get(option.at())?;
            let one = cell.get_or_init(|| {
                let task = self.task(*tenant, *option)?;
                let table = roofline.table(profile, mode, &task.family, task.tier);
                let candidate = Candidate { table: &table, segments: &task.segments, rate: task.rate };
                roofline.isolated(&[candidate]).into_iter().next().flatten()
            });
            Some((one.as_ref(), self.scenario.tenants.get(tenant.at())?.rate))
        };
        let tenants: Vec<_> = board.picks.iter().map(one).collect::<Option<_>>()?;
        Some(together(profile, mode, &tenants))
    }

    fn task(&self, tenant: TenantIx, option: OptionIx) -> Option<Task> {
        let owner = self.scenario.tenants.get(tenant.at())?;
        let host = self.instance.option(tenant, option).host.as_ref()?;
        Some(Task {
            family: owner.family.clone(),
            tier: *owner.tiers.get(host.tier)?,
            segments: host.segments.clone(),
            rate: owner.rate,
        })
    }

    fn plan(&self, board: &Board) -> Option<DevicePlan> {
        let (profile, mode) = self.place(board)?;
        let tasks = board.picks.iter().map(|(t, o)| self.task(*t, *o)).collect::<Option<_>>()?;
        Some(DevicePlan { profile: profile.clone(), mode, tasks })
    }
}

impl JointPredictor for Boards<'_> {
    fn source(&self) -> String {
        self.model.predictor().name().to_owned()
    }

    fn version(&self) -> String {
        self.model.predictor().version()
    }

    fn monotone(&self) -> bool {
        self.model.predictor().monotone()
    }

    fn at_least_linear(&self) -> bool {
        // Options were priced by the same formulas.
        matches!(self.model, Model::Closed(..))
    }

    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        let unknown = "a board is not one of the scenario";
        let answers: Vec<DevicePrediction> = match &self.model {
            Model::Closed(roofline, alone) => {
                let answers = boards.iter().map(|b| self.closed(roofline, alone, b));
                answers.collect::<Option<_>>().ok_or(unknown)?
            }
            Model::Learned(learned) => {
                let plans: Option<Vec<DevicePlan>> = boards.iter().map(|b| self.plan(b)).collect();
                learned.joint(&plans.ok_or(unknown)?).map_err(|error| error.to_string())?
            }
        };
        boards
            .iter()
            .zip(answers)
            .map(|(board, answer)| {
                let one = |((tenant, option), told): (&(TenantIx, OptionIx), Option<_>)| {
                    let told: ecomap_estimator::predictor::TaskPrediction = told?;
                    let network = self.instance.option(*tenant, *option).host.as_ref()?.network;
                    Some(told.latency.delayed(network))
                };
                let latency: Option<Vec<_>> = board.picks.iter().zip(answer.tasks).map(one).collect();
                let latency = latency.ok_or("an option cannot run as it is placed")?;
                Ok(BoardPrediction { latency, power: answer.power })
            })
            .collect()
    }
}
