//! Solving with the joint predictor in the loop.

use crate::ServiceError;
use crate::pipeline::{self, Priced};
use ecomap_estimator::Predictor;
use ecomap_estimator::learned::{Learned, Options, Serve};
use ecomap_instances::format::result_v1::{
    BrokenDto, ContentionCutsDto, ContentionDto, LatencyDto, PredictedBoardDto, PredictedTenantDto, ResultDto,
};
use ecomap_instances::plan::Assignment;
use ecomap_instances::{Instance, Scenario};
use ecomap_joint::Boards;
use ecomap_solver::contention::{Board, CutPool, Envelope, Fault, JointPredictor, Report, Settings, accepts};
use ecomap_solver::{Observer, Solution, SolveOptions};
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

    /// The estimator of this kind before the boards of `instance`, which is `scenario` priced.
    fn boards<'a>(self, scenario: &'a Scenario, instance: &'a Instance) -> Result<Boards<'a>, ServiceError> {
        let serve = match self {
            Self::Off | Self::Roofline => {
                return Ok(Boards::closed_form(scenario, instance, pipeline::predictor()?));
            }
            Self::Auto => Serve::Either,
            Self::Transformer => Serve::Transformer,
            Self::Forest => Serve::Forest,
        };
        let model = Learned::load(&Options { serve, ..Options::default() })?;
        Ok(Boards::learned(scenario, instance, Arc::new(model)))
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

/// The predictor that judges the plans of a priced scenario; `instance` is the scenario's own, or the
/// same with other rules on stability.
///
/// # Errors
/// [`ServiceError::Usage`] without a scenario, and those of loading the predictor.
pub fn boards<'a>(priced: &'a Priced, instance: &'a Instance) -> Result<Envelope<Boards<'a>>, ServiceError> {
    let scenario = priced.scenario.as_ref().ok_or_else(needs_scenario)?;
    // A learned predictor is nearly monotone in added tenants; the envelope is so by construction, and
    // nothing but the predictor itself where that is so already.
    Ok(Envelope::new(priced.contention.boards(scenario, instance)?))
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
    answer.solution.notes.extend(envelope.inner().remark());
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
