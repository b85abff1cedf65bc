//! From a document to a checked answer: parse → validate → price → solve → check → result.
//!
//! Both the command line and the HTTP handlers call this; it does no I/O, and keeps one core busy.

use crate::ServiceError;
use crate::accelerators;
use crate::contention::{self, Contention};
use crate::input;
use crate::steady::Steady;
use crate::worker::{self, Isolated};
use ecomap_accelerators::Problem;
use ecomap_estimator::Roofline;
use ecomap_instances::format::result_v1::{
    CheckedRowDto, CheckerDto, PlanDto, PricingReportDto, ResultDto, ViolationDto,
};
use ecomap_instances::format::{Format, Input, instance_v1, read_any, read_document, scenario_v1};
use ecomap_instances::instance::Sense;
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_instances::plan::{Assignment, Status, relative_gap};
use ecomap_instances::scenario::SloBasis;
use ecomap_instances::{Instance, Objective, Scenario, Term};
use ecomap_solver::checker::{self, Verdict};
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::report::{Extra, plan_of, to_result};
use ecomap_solver::{CancelToken, Observer, Solution, SolveOptions, Solver, default_gap, stability};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Solver used when none is named: the first one registered.
#[must_use]
pub fn default_solver() -> &'static str {
    ecomap_solver::solvers().first().map_or("exact", |s| s.name())
}

/// Bounds on the size of a problem, checked before memory grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Most objects (`{`) in a JSON document.
    pub objects: u64,
    /// Most options, counted before pricing (every tier, board type, mode and placement that could
    /// become one) and after.
    pub options: u64,
}

impl Sizes {
    /// No bounds but those of the formats themselves; for the command line.
    pub const UNBOUNDED: Self = Self { objects: u64::MAX, options: u64::MAX };
}

/// Wall-clock time by step.
pub type Timings = BTreeMap<&'static str, Duration>;

/// Something to solve, validated.
#[derive(Debug)]
pub struct Loaded {
    /// What it is.
    pub input: Input,
    /// Which format it came in.
    pub format: Format,
    /// `parse` and `validate`.
    pub timings: Timings,
}

/// A priced problem.
#[derive(Debug, Clone)]
pub struct Priced {
    /// Name of the scenario or instance.
    pub name: String,
    /// Pure numbers.
    pub instance: Instance,
    /// What they were priced from; `None` when the input was priced already.
    pub scenario: Option<Scenario>,
    /// Which joint predictor judges plans.
    pub contention: Contention,
    /// Jobs and cluster whose places the options are; `None` for every other input.
    pub accelerators: Option<Arc<Problem>>,
    /// How they came about; `None` when the input was priced already.
    pub pricing: Option<PricingReportDto>,
    /// Versions of what took part so far.
    pub versions: BTreeMap<String, String>,
    /// `parse`, `validate` and `price`.
    pub timings: Timings,
}

/// What to solve for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Objective; the input's own when `None`.
    pub objective: Option<Objective>,
    /// Solver; [`default_solver`] when `None`.
    pub solver: Option<String>,
    /// When to stop, on `clock`; pricing counts.
    pub deadline: Option<Duration>,
    /// Node or iteration limit.
    pub work_limit: Option<u64>,
    /// Relative gap at which the search may stop; [`default_gap`] of the problem when `None`.
    pub gap: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// A result to start from.
    pub warm_start: Option<ResultDto>,
    /// Cancellation.
    pub cancel: CancelToken,
    /// Time source.
    pub clock: Arc<dyn Clock>,
    /// Remarks to pass on to the reader of the result.
    pub notes: Vec<String>,
    /// Rules on stability beyond those of the input.
    pub steady: Steady,
    /// Solver processes; `None`: in this process.
    pub isolated: Option<Isolated>,
}

impl Default for Request {
    fn default() -> Self {
        let defaults = SolveOptions::default();
        Self {
            objective: None,
            solver: None,
            deadline: None,
            work_limit: None,
            gap: None,
            seed: defaults.seed,
            threads: 1,
            warm_start: None,
            cancel: CancelToken::default(),
            clock: SystemClock::shared(),
            notes: Vec::new(),
            steady: Steady::default(),
            isolated: None,
        }
    }
}

/// A solved problem.
#[derive(Debug)]
pub struct Answer {
    /// As the solver gave it.
    pub solution: Solution,
    /// As users see it.
    pub result: ResultDto,
}

/// Parses and validates a document. `name` becomes the name of formats that carry none.
///
/// # Errors
/// Every issue found, or that the format cannot be told.
pub fn load(
    name: &str,
    bytes: &[u8],
    format: Option<Format>,
    sizes: Sizes,
    clock: &dyn Clock,
) -> Result<Loaded, ServiceError> {
    let begun = clock.now();
    let format = input::format_of(name, bytes, format)?;
    if format.tag().is_some() {
        count_objects(bytes, sizes.objects)?;
    }
    let catalog = input::catalog()?;
    let mut timings = Timings::new();
    // The two JSON formats are read in two steps, to time them apart.
    let (parsed, input) = match format {
        Format::Scenario => {
            let dto: scenario_v1::ScenarioDto = read_document(bytes)?;
            (clock.now(), Input::Scenario(dto.lower(catalog)?))
        }
        Format::Instance => {
            let dto: instance_v1::InstanceDto = read_document(bytes)?;
            (clock.now(), Input::Instance(dto.lower()?))
        }
        _ => {
            let input = read_any(format, bytes, name, catalog)?;
            (clock.now(), input)
        }
    };
    timings.insert("parse", parsed.saturating_sub(begun));
    timings.insert("validate", clock.now().saturating_sub(parsed));
    Ok(Loaded { input, format, timings })
}

/// Refuses a JSON text with more than `most` objects, without building anything from it. A value
/// in memory takes some hundred bytes even when its text is `{}`.
pub(crate) fn count_objects(bytes: &[u8], most: u64) -> Result<(), Issues> {
    if bytes.len() as u64 / 2 <= most {
        return Ok(());
    }
    let (mut count, mut in_string, mut escaped) = (0_u64, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    if count <= most {
        return Ok(());
    }
    Err(Issues::one(Issue::new(Code::TooMany, "", format!("{count} JSON objects, at most {most}"))))
}

/// Prices a scenario; passes an instance on.
///
/// # Errors
/// [`Code::TooMany`] beyond `sizes`, or what the estimator finds.
pub fn price(loaded: Loaded, sizes: Sizes, clock: &dyn Clock) -> Result<Priced, ServiceError> {
    price_for(loaded, Contention::Off, sizes, clock)
}

/// As [`price`], by the answers of `predictor`.
///
/// # Errors
/// Those of [`price`].
pub fn price_by(
    loaded: Loaded,
    predictor: &dyn ecomap_estimator::Predictor,
    sizes: Sizes,
    clock: &dyn Clock,
) -> Result<Priced, ServiceError> {
    price_with(loaded, Contention::Off, predictor, sizes, clock)
}

/// As [`price`], with latencies on the basis that a solve with `contention` needs.
///
/// # Errors
/// Those of [`price`]; [`ServiceError::Usage`] for contention without a scenario.
pub fn price_for(
    loaded: Loaded,
    contention: Contention,
    sizes: Sizes,
    clock: &dyn Clock,
) -> Result<Priced, ServiceError> {
    price_with(loaded, contention, &predictor()?, sizes, clock)
}

fn price_with(
    loaded: Loaded,
    contention: Contention,
    predictor: &dyn ecomap_estimator::Predictor,
    sizes: Sizes,
    clock: &dyn Clock,
) -> Result<Priced, ServiceError> {
    let mut timings = loaded.timings;
    let mut versions = BTreeMap::new();
    let mut accelerators = None;
    let (name, instance, pricing, scenario) = match loaded.input {
        Input::Instance(_) | Input::Accelerators(_) if contention.on() => {
            return Err(contention::needs_scenario());
        }
        Input::Instance(instance) => (instance.name.clone(), instance, None, None),
        Input::Accelerators(workload) => {
            let begun = clock.now();
            let most = usize::try_from(sizes.options).unwrap_or(usize::MAX);
            let problem = Arc::new(Problem::new(workload, most)?);
            let instance = problem.instance().clone();
            timings.insert("price", clock.now().saturating_sub(begun));
            accelerators = Some(problem);
            (instance.name.clone(), instance, None, None)
        }
        Input::Scenario(scenario) => {
            count_candidates(&scenario, sizes.options)?;
            // Without co-runners: the master of the contention loop is a relaxation.
            let scenario =
                if contention.on() { scenario.with_slo_basis(SloBasis::Isolated) } else { scenario };
            let begun = clock.now();
            let (instance, report) = ecomap_estimator::price(&scenario, predictor)?;
            versions.insert("estimator".to_owned(), version_of(predictor));
            timings.insert("price", clock.now().saturating_sub(begun));
            (scenario.name.clone(), instance, Some((&report).into()), Some(scenario))
        }
    };
    let options = instance.option_count() as u64;
    if options > sizes.options {
        let message = format!("{options} options after pricing, at most {}", sizes.options);
        return Err(Issues::one(Issue::new(Code::TooMany, "/tenants", message)).into());
    }
    Ok(Priced { name, instance, scenario, contention, accelerators, pricing, versions, timings })
}

/// Prices a scenario with the options that its latency objectives and accuracy floors leave out, so
/// that an explanation can say how far out they are; passes an instance on.
///
/// # Errors
/// As [`price`].
pub fn price_open(loaded: Loaded, sizes: Sizes, clock: &dyn Clock) -> Result<Priced, ServiceError> {
    let Input::Scenario(scenario) = &loaded.input else { return price(loaded, sizes, clock) };
    let limits: Vec<_> = scenario.tenants.iter().map(|t| (t.slo, t.accuracy_floor)).collect();
    let open = Loaded { input: Input::Scenario(scenario.without_limits()), ..loaded };
    let mut priced = price(open, sizes, clock)?;
    let mut parts = priced.instance.to_parts();
    for (tenant, (slo, floor)) in parts.tenants.iter_mut().zip(limits) {
        tenant.slo = Some(slo);
        tenant.accuracy_floor = floor;
    }
    priced.instance = Instance::try_new(parts)?;
    Ok(priced)
}

/// The predictor used for pricing.
///
/// # Errors
/// Only if the embedded parameters are broken.
pub fn predictor() -> Result<Roofline, ServiceError> {
    Ok(Roofline::embedded()?)
}

fn version_of(predictor: &dyn ecomap_estimator::Predictor) -> String {
    format!("{} {}", predictor.name(), predictor.version())
}

/// Refuses a scenario whose pricing might give more than `most` options.
pub(crate) fn count_candidates(scenario: &Scenario, most: u64) -> Result<(), Issues> {
    // Boards of one profile at one site, with the same modes, form a class and are priced once.
    let mut classes: Vec<_> = scenario
        .devices
        .iter()
        .map(|d| (d.site, d.profile.id.as_str(), d.modes.as_slice(), d.always_on))
        .collect();
    classes.sort_unstable();
    classes.dedup();
    let modes: u64 = classes.iter().map(|(_, _, modes, _)| modes.len() as u64).sum();
    let tiers: u64 = scenario.tenants.iter().map(|t| t.tiers.len() as u64).sum();
    // One more than kept: the running placement is always on offer.
    let placements = scenario.pricing.max_placements as u64 + 1;
    let candidates = modes.saturating_mul(tiers).saturating_mul(placements);
    if candidates <= most {
        return Ok(());
    }
    let message = format!(
        "up to {candidates} options ({tiers} tiers of tenants, {modes} modes of board types, \
         {placements} placements each), at most {most}"
    );
    Err(Issues::one(Issue::new(Code::TooMany, "/tenants", message)))
}

/// Solves a priced problem.
///
/// # Errors
/// [`ServiceError::Solver`] when the request cannot be handled, [`ServiceError::Invalid`] for a
/// warm start that does not fit. Infeasible problems and limits reached are answers.
pub fn solve(
    priced: &Priced,
    request: &Request,
    observer: &mut dyn Observer,
) -> Result<Answer, ServiceError> {
    let scheduler = accelerators::scheduler(priced, request.solver.as_deref())?;
    let solver: &dyn Solver = match &scheduler {
        Some(scheduler) => scheduler,
        None => ecomap_solver::by_name(request.solver.as_deref().unwrap_or(default_solver()))?,
    };
    let ruled = request.steady.apply(&priced.instance)?;
    let instance = ruled.as_ref().unwrap_or(&priced.instance);
    meaningful(instance, request.objective.as_ref())?;
    let mut notes = request.notes.clone();
    let warm_start = match &request.warm_start {
        Some(result) => match &result.plan {
            Some(plan) => Some(plan.resolve(instance)?),
            None => {
                notes.push("the warm start has no plan and was not used".to_owned());
                None
            }
        },
        None => None,
    };
    let now = request.clock.now();
    let left = |now: Duration, share: f64| {
        request.deadline.map(|d| d.saturating_sub(now).mul_f64(share).max(Duration::from_millis(1)))
    };
    // The second solve starts from the first one's plan; it gets what the first leaves over.
    let share = if request.steady.weigh { 0.6 } else { 1.0 };
    let options = SolveOptions {
        objective: request.objective.clone(),
        // What is left; a solver that gets next to nothing still returns its first plan.
        time_limit: left(now, share),
        work_limit: request.work_limit,
        gap: request.gap.unwrap_or_else(|| default_gap(instance)),
        seed: request.seed,
        threads: request.threads.max(1),
        warm_start,
        cancel: request.cancel.clone(),
        clock: Arc::clone(&request.clock),
    };
    let (solution, contention) = if priced.contention.on() {
        if !solver.is_exact() {
            return Err(contention::needs_exact(solver.name()));
        }
        if request.steady.weigh {
            return Err(contention::not_weighed());
        }
        let (solution, report) = contention::solve(priced, instance, &options, observer)?;
        (solution, Some(report))
    } else {
        let isolated = request.isolated.as_ref().filter(|i| solver.is_exact() && i.takes(instance));
        let solution = match isolated {
            Some(isolated) => worker::solve(isolated, solver.name(), instance, &options, observer)?,
            None => solver.solve(instance, &options, observer)?,
        };
        (solution, None)
    };
    let stability = if request.steady.weigh {
        let options = SolveOptions { time_limit: left(request.clock.now(), 1.0), ..options };
        stability::weigh(instance, &solution, solver, &options, observer)?
    } else {
        None
    };
    notes.extend(accelerators::notes(priced, &solution));
    let result = to_result(
        instance,
        &solution,
        Extra {
            name: priced.name.clone(),
            pricing: priced.pricing.clone(),
            timings_ms: priced
                .timings
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.as_secs_f64() * 1e3))
                .collect(),
            contention,
            versions: priced.versions.clone(),
            notes,
            stability,
        },
    );
    Ok(Answer { solution, result })
}

/// Refuses an objective that is 0 for every plan of the problem.
fn meaningful(instance: &Instance, objective: Option<&Objective>) -> Result<(), Issues> {
    let Some(objective) = objective else { return Ok(()) };
    let valued = instance.tenants.iter().flat_map(|t| &t.options).any(|o| o.value != 0.0);
    let measured = !instance.classes.is_empty();
    let wants = |term: Term| match objective {
        Objective::Single(own) => *own == term,
        Objective::Weighted(list) => list.iter().any(|(t, _)| *t == term),
        Objective::Lexicographic(list) => list.contains(&term),
        _ => false,
    };
    let problem = if wants(Term::Value) && !valued {
        "this problem's options have no values of their own"
    } else if !wants(Term::Value) && !measured {
        "this problem has no devices: only its values can be optimised"
    } else {
        return Ok(());
    };
    Err(Issues::one(Issue::new(Code::UnknownObjective, "", format!("`{}`: {problem}", objective.name()))))
}

/// What is known about a result after looking again.
#[derive(Debug, Clone, PartialEq)]
pub struct Recheck {
    /// Nothing is wrong.
    pub pass: bool,
    /// What the checker found; `None` when there is no plan to check.
    pub checker: Option<CheckerDto>,
    /// Value of the plan, recomputed.
    pub value: Option<f64>,
    /// What does not hold, for people.
    pub findings: Vec<String>,
}

/// The objective of a result, as far as it can be told from it.
pub(crate) fn claimed_objective(priced: &Priced, result: &ResultDto) -> Option<Objective> {
    let own = &priced.instance.objective;
    match &result.objective {
        None => Some(own.clone()),
        Some(claimed) if claimed.name == own.name() => Some(own.clone()),
        Some(claimed) => Objective::parse(&claimed.name).ok(),
    }
}

/// Re-verifies a result against the problem it answers: every row by the independent checker, the
/// value, the bound, and that it was made for this very problem, under the rules on stability that
/// it names. `current` is the running plan that it was given, where it was given one.
///
/// # Errors
/// When the plan names what the problem does not have, or its objective cannot be told.
pub fn recheck(
    priced: &Priced,
    result: &ResultDto,
    objective: Option<Objective>,
    current: Option<&ResultDto>,
) -> Result<Recheck, ServiceError> {
    let mut findings = Vec::new();
    let ruled = Steady::of(result, current.cloned()).apply(&priced.instance)?;
    let ruled = ruled.map(|instance| Priced { instance, ..priced.clone() });
    let priced = ruled.as_ref().unwrap_or(priced);
    let hash = instance_v1::hash(&priced.instance);
    if hash != result.certificate.instance_hash {
        findings.push(format!(
            "made for another instance: hash {} and not {hash}",
            result.certificate.instance_hash.escape_debug()
        ));
    }
    let Some(plan) = &result.plan else {
        let consistent = result.certificate.primal_bound.is_none() && result.objective.is_none();
        if !consistent {
            findings.push("a value is claimed without a plan".to_owned());
        }
        return Ok(Recheck { pass: findings.is_empty(), checker: None, value: None, findings });
    };
    let objective = objective.or_else(|| claimed_objective(priced, result)).ok_or_else(|| {
        ServiceError::Usage(
            "the result does not carry its objective's weights; name it with --objective".to_owned(),
        )
    })?;
    let assignment = plan.resolve(&priced.instance)?;
    let verdict = checker::check(&priced.instance, &assignment, &objective);
    let value = verdict.evaluation.value;
    if !verdict.passes() {
        findings.push(verdict.summary());
    }
    let claims = [
        ("objective.value", result.objective.as_ref().map(|o| o.value)),
        ("certificate.primal_bound", result.certificate.primal_bound),
    ];
    for (name, claimed) in claims {
        match claimed {
            Some(claimed) if close(claimed, value) => {}
            Some(claimed) => findings.push(format!("{name} is {claimed}, but the plan's value is {value}")),
            None => findings.push(format!("{name} is missing")),
        }
    }
    if let Some(dual) = result.certificate.dual_bound {
        let maximise = result.objective.as_ref().is_some_and(|o| o.sense == Sense::Maximize);
        let excess = if maximise { value - dual } else { dual - value };
        if excess > 1e-6 * value.abs().max(1.0) {
            findings.push(format!("the plan's value {value} is better than the bound {dual}"));
        }
    }
    findings.extend(certificate_findings(result, value));
    findings.extend(figure_findings(priced, plan, &assignment, &verdict));
    findings.extend(accelerators::findings(priced, &assignment));
    if result.contention.is_some() {
        findings.extend(contention::findings(priced, &assignment)?);
    }
    Ok(Recheck {
        pass: findings.is_empty(),
        checker: Some(checker_dto(&verdict)),
        value: Some(value),
        findings,
    })
}

/// Whether gap and status follow from the bounds that the certificate states. The bound itself is
/// the solver's word: only another solve can prove it.
fn certificate_findings(result: &ResultDto, value: f64) -> Vec<String> {
    let mut findings = Vec::new();
    let certificate = &result.certificate;
    let gap = certificate.dual_bound.map(|dual| relative_gap(value, dual));
    match (certificate.gap, gap) {
        (Some(claimed), Some(gap)) if (claimed - gap).abs() <= 1e-6 => {}
        (None, None) => {}
        (claimed, gap) => {
            let told = |gap: Option<f64>| gap.map_or_else(|| "none".to_owned(), |gap| gap.to_string());
            findings.push(format!("certificate.gap is {}, the bounds give {}", told(claimed), told(gap)));
        }
    }
    if result.status == Status::Optimal && gap.is_none() {
        findings.push("status is optimal without a bound".to_owned());
    }
    findings
}

/// Whether the plan's printed figures are those of the problem.
fn figure_findings(
    priced: &Priced,
    plan: &PlanDto,
    assignment: &Assignment,
    verdict: &Verdict,
) -> Vec<String> {
    let again = plan_of(&priced.instance, assignment, verdict);
    let (Ok(claimed), Ok(again)) = (serde_json::to_value(plan), serde_json::to_value(again)) else {
        return vec!["the plan cannot be compared with the problem".to_owned()];
    };
    let mut findings = Vec::new();
    differences("/plan", &claimed, &again, &mut findings);
    findings
}

/// Where two documents differ beyond rounding; at most 20 places.
fn differences(at: &str, claimed: &Value, again: &Value, findings: &mut Vec<String>) {
    if findings.len() >= 20 {
        return;
    }
    match (claimed, again) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let (x, y) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                differences(&format!("{at}/{key}"), x, y, findings);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (x, y)) in a.iter().zip(b).enumerate() {
                differences(&format!("{at}/{n}"), x, y, findings);
            }
        }
        (Value::Number(a), Value::Number(b))
            if a.as_f64().zip(b.as_f64()).is_some_and(|(x, y)| close(x, y)) => {}
        (a, b) if a == b => {}
        (a, b) => findings.push(format!("{at} is {a}, the problem gives {b}")),
    }
}

fn checker_dto(verdict: &Verdict) -> CheckerDto {
    CheckerDto {
        verdict: if verdict.passes() { "pass" } else { "fail" }.to_owned(),
        rows: verdict
            .rows
            .iter()
            .map(|r| CheckedRowDto { row: r.row.to_owned(), checked: r.checked, violated: r.violated })
            .collect(),
        violations: verdict
            .violations
            .iter()
            .map(|v| ViolationDto {
                row: v.row.to_owned(),
                subject: v.subject.clone(),
                value: v.value,
                limit: v.limit,
            })
            .collect(),
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_outside_strings_only() {
        let text = br#"{"a": "{{{{", "b": [{}, {"c": "\"{"}]}"#;
        assert!(count_objects(text, 3).is_ok());
        let issues = count_objects(text, 2).err().map(|i| i.list().to_vec()).unwrap_or_default();
        assert_eq!(issues.first().map(|i| i.code), Some(Code::TooMany));
    }
}
