//! Solving with the joint predictor in the loop: the bridge between the solver's port and the
//! estimator.

use crate::ServiceError;
use crate::pipeline::{self, Priced};
use ecomap_estimator::analytic::together;
use ecomap_estimator::learned::{Learned, Options, Serve};
use ecomap_estimator::predictor::{Candidate, DevicePlan, DevicePrediction, Isolated, Task};
use ecomap_estimator::{Predictor, Roofline};
use ecomap_instances::format::result_v1::{
    BrokenDto, ContentionCutsDto, ContentionDto, LatencyDto, PredictedBoardDto, PredictedTenantDto, ResultDto,
};
use ecomap_instances::ids::{ModeIx, OptionIx, TenantIx};
use ecomap_instances::plan::Assignment;
use ecomap_instances::profile::Profile;
use ecomap_instances::{Instance, Scenario};
use ecomap_solver::contention::{
    Board, BoardPrediction, CutPool, Envelope, Fault, JointPredictor, Report, Settings, accepts,
};
use ecomap_solver::{Observer, Solution, SolveOptions};
use std::cell::OnceCell;
use std::sync::Arc;

/// Which joint predictor must accept a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Contention {
    /// None: SLOs are held against the worst co-runners that the load caps admit
    #[default]
    Off,
    /// Transformer, else forest
    Auto,
    /// Transformer, or an error
    Transformer,
    /// Forest
    Forest,
    /// Closed formulas
    Roofline,
}

impl Contention {
    /// The names, for people.
    pub const KNOWN: &'static str = "not one of off, auto, transformer, forest, roofline";

    /// By name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        <Self as clap::ValueEnum>::from_str(name, false).ok()
    }

    /// Whether a predictor is asked at all.
    #[must_use]
    pub fn on(self) -> bool {
        self != Self::Off
    }

    /// The predictor that a result was made with.
    ///
    /// # Errors
    /// [`ServiceError::Usage`] when this program has no such predictor.
    pub fn of(result: &ResultDto) -> Result<Self, ServiceError> {
        match result.contention.as_ref().map(|c| c.predictor.as_str()) {
            None => Ok(Self::Off),
            Some("transformer") => Ok(Self::Transformer),
            Some("forest") => Ok(Self::Forest),
            Some("roofline") => Ok(Self::Roofline),
            Some(other) => Err(ServiceError::Usage(format!(
                "the result was made with the joint predictor `{}`, which this program does not have",
                other.chars().take(64).collect::<String>().escape_debug()
            ))),
        }
    }

    fn load(self, instance: &Instance) -> Result<Model, ServiceError> {
        let learned =
            |serve| Learned::load(&Options { serve, ..Options::default() }).map(Box::new).map(Model::Learned);
        Ok(match self {
            Self::Off | Self::Roofline => {
                let alone = instance.tenants.iter().map(|t| vec![OnceCell::new(); t.options.len()]).collect();
                Model::Closed(pipeline::predictor()?, alone)
            }
            Self::Auto => learned(Serve::Either)?,
            Self::Transformer => learned(Serve::Transformer)?,
            Self::Forest => learned(Serve::Forest)?,
        })
    }
}

/// The learned predictor, served as asked.
///
/// # Errors
/// Those of loading.
pub(crate) fn learned(serve: Serve) -> Result<Box<dyn Predictor>, ServiceError> {
    Ok(Box::new(Learned::load(&Options { serve, ..Options::default() })?))
}

pub(crate) fn needs_scenario() -> ServiceError {
    ServiceError::Usage(
        "contention is predicted from a scenario's models and boards; a priced instance has none".to_owned(),
    )
}

pub(crate) fn not_weighed() -> ServiceError {
    ServiceError::Usage("what stability costs is not weighed together with contention".to_owned())
}

pub(crate) fn needs_exact(solver: &str) -> ServiceError {
    ServiceError::Usage(format!("solver `{solver}` does not look at contention; use exact"))
}

/// The boards of one instance before the estimator.
pub struct Boards<'a> {
    scenario: &'a Scenario,
    instance: &'a Instance,
    model: Model,
}

/// What predicts.
enum Model {
    /// Closed formulas, with each option alone once it was asked for, by tenant.
    Closed(Roofline, Vec<Vec<OnceCell<Option<Isolated>>>>),
    /// A learned model.
    Learned(Box<Learned>),
}

impl Model {
    fn predictor(&self) -> &dyn Predictor {
        match self {
            Self::Closed(roofline, _) => roofline,
            Self::Learned(learned) => learned.as_ref(),
        }
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

/// The predictor that judges the plans of a priced scenario; `instance` is the scenario's own, or the
/// same with other rules on stability.
///
/// # Errors
/// [`ServiceError::Usage`] without a scenario, and those of loading the predictor.
pub fn boards<'a>(priced: &'a Priced, instance: &'a Instance) -> Result<Envelope<Boards<'a>>, ServiceError> {
    let scenario = priced.scenario.as_ref().ok_or_else(needs_scenario)?;
    let model = priced.contention.load(instance)?;
    // A learned predictor is nearly monotone in added tenants; the envelope is so by construction, and
    // nothing but the predictor itself where that is so already.
    Ok(Envelope::new(Boards { scenario, instance, model }))
}

/// Solves for plans that the joint predictor accepts.
pub(crate) fn solve(
    priced: &Priced,
    instance: &Instance,
    options: &SolveOptions,
    observer: &mut dyn Observer,
) -> Result<(Solution, ContentionDto), ServiceError> {
    let envelope = boards(priced, instance)?;
    let answer = ecomap_solver::contention::solve(
        instance,
        &envelope,
        options,
        Settings::default(),
        &mut CutPool::default(),
        observer,
    )?;
    let mut dto = dto(&answer.report);
    let mut answer = answer;
    answer.solution.notes.extend(envelope.inner().model.predictor().remark());
    if let Some(plan) = &answer.solution.assignment {
        dto.boards = predicted(instance, &envelope, plan)?;
    }
    Ok((answer.solution, dto))
}

fn predicted(
    instance: &Instance,
    predictor: &dyn JointPredictor,
    plan: &Assignment,
) -> Result<Vec<PredictedBoardDto>, ServiceError> {
    let verdict = accepts(instance, predictor, plan)?;
    let board = |(device, board, judged): &(ecomap_instances::ids::DeviceIx, Board, std::rc::Rc<_>)| {
        let judged: &ecomap_solver::contention::Judged = judged;
        let tenants = board.picks.iter().zip(&judged.latency).map(|((tenant, _), q)| PredictedTenantDto {
            tenant: instance.tenants[tenant.at()].id.to_string(),
            latency_ms: LatencyDto { p50: q.p50.get(), p95: q.p95.get(), p99: q.p99.get() },
        });
        PredictedBoardDto {
            device: instance.devices[device.at()].id.to_string(),
            power_w: judged.power_w,
            tenants: tenants.collect(),
        }
    };
    Ok(verdict.boards.iter().map(board).collect())
}

fn dto(report: &Report) -> ContentionDto {
    ContentionDto {
        predictor: report.source.clone(),
        version: report.version.clone(),
        accepted: report.accepted,
        rounds: report.rounds,
        cuts: ContentionCutsDto {
            guaranteed: report.cuts_guaranteed,
            exhaustive: report.cuts_exhaustive,
            no_goods: report.no_goods,
            of_caps: report.cuts_of_caps,
            reused: report.cuts_reused,
        },
        boards_judged: report.boards_judged,
        batches: report.batches,
        repaired: report.repaired,
        states: report.states,
        without_contention: BrokenDto {
            slos: report.first_slos_broken,
            budgets: report.first_budgets_broken,
            caps: report.first_caps_broken,
        },
        boards: Vec::new(),
    }
}

/// What the joint predictor holds against a plan, for people.
pub(crate) fn findings(priced: &Priced, plan: &Assignment) -> Result<Vec<String>, ServiceError> {
    let instance = &priced.instance;
    let boards = boards(priced, instance)?;
    let by = boards.source();
    let verdict = accepts(instance, &boards, plan)?;
    let mut findings = Vec::new();
    for (device, _, judged) in &verdict.boards {
        for fault in &judged.faults {
            findings.push(match fault {
                Fault::Slo(tenant, factor) => format!(
                    "{by}: tenant {} is predicted at {factor:.3} times its latency objective",
                    instance.tenants[tenant.at()].id
                ),
                Fault::Budget(factor) => format!(
                    "{by}: device {} is predicted at {factor:.3} times its mode's budget",
                    instance.devices[device.at()].id
                ),
            });
        }
    }
    findings.extend(verdict.sites.iter().map(|(site, watts, cap)| {
        format!(
            "{by}: site {} is predicted to draw {watts} W, its cap is {cap} W",
            instance.sites[site.at()].id
        )
    }));
    Ok(findings)
}
