//! Explains one tenant of a plan: why this tier and this board, what is left of its limits, and what
//! one more watt, millisecond or board would buy.

use super::{Bought, Budget, changes, gain_of, open, tenant_of};
use crate::ServiceError;
use crate::contention::Contention;
use crate::pipeline::{self, Priced};
use crate::steady::Steady;
use ecomap_instances::Objective;
use ecomap_instances::format::instance_v1;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::ids::{SiteIx, TenantIx};
use ecomap_instances::instance::Instance;
use ecomap_instances::plan::Assignment;
use ecomap_instances::units::Watts;
use ecomap_solver::checker::{Evaluation, check};
use ecomap_solver::explain::forced::{Held, Hold, held};
use ecomap_solver::explain::marginal;
use ecomap_solver::explain::what_if::Change;
use ecomap_solver::{SolveOptions, default_gap};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// What to explain.
#[derive(Debug, Clone)]
pub struct PlanQuestion {
    /// The plan.
    pub result: ResultDto,
    /// The running plan that the result was given, where it was given one.
    pub current: Option<ResultDto>,
    /// The tenant, by name.
    pub tenant: String,
    /// Objective of the result, where it has weights and is not the problem's own.
    pub objective: Option<Objective>,
    /// Limits, seed and clock of each solve.
    pub options: SolveOptions,
    /// When the whole must end, on the same clock; `None`: only each solve is limited.
    pub deadline: Option<Duration>,
}

/// One tenant of a plan, explained. All figures are predictions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanExplanation {
    /// Name of the problem.
    pub name: String,
    /// Tenant.
    pub tenant: String,
    /// Objective.
    pub objective: String,
    /// Unit of values and gains.
    pub unit: String,
    /// Value of the plan.
    pub plan_value: f64,
    /// Value of the best plan found when the problem is solved again from the plan.
    pub best_value: Option<f64>,
    /// No plan is better than this.
    pub best_bound: Option<f64>,
    /// What the tenant runs; null when it is shed.
    pub choice: Option<Chosen>,
    /// Every other tier, every other kind of board and mode, and being shed, each with the best plan
    /// that takes it.
    pub alternatives: Vec<Alternative>,
    /// What a watt more of each cap is worth.
    pub caps: Vec<CapValue>,
    /// What one millisecond more for the tenant, and one board more of each class, would buy.
    pub changes: Vec<Bought>,
    /// Questions that the time did not allow.
    pub skipped: Vec<String>,
    /// Remarks a person should read.
    pub notes: Vec<String>,
}

/// What a tenant runs, and what is left of its limits.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Chosen {
    /// Tier.
    pub tier: String,
    /// Accuracy of the tier, percent.
    pub accuracy: f64,
    /// Points above the tenant's floor; null without one.
    pub floor_margin_points: Option<f64>,
    /// Device.
    pub device: String,
    /// Hardware profile of the device.
    pub profile: String,
    /// Site.
    pub site: String,
    /// Power mode of the device.
    pub mode: String,
    /// Latency at the quantile of the latency objective (p50 without one).
    pub latency_ms: f64,
    /// Milliseconds left of the latency objective; negative only where it is soft, null without one.
    pub slo_margin_ms: Option<f64>,
}

/// The best plan in which the tenant is held to something else.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Alternative {
    /// `tier`, `device` or `shed`.
    pub kind: &'static str,
    /// Tier, or class of boards and mode; `shed`.
    pub name: String,
    /// `possible`, `impossible`, `no_option` (it cannot run there so, or was not priced) or
    /// `unknown` (a limit came first).
    pub verdict: &'static str,
    /// The objective is worse than the plan's by at least this; negative: perhaps better. Null
    /// without a bound.
    pub worse_by_at_least: Option<f64>,
    /// And by at most this: the value of the plan found less that of the plan. Null without a plan.
    pub worse_by_at_most: Option<f64>,
    /// Tier, device and mode of the tenant in the plan found.
    pub choice: Option<String>,
    /// Other tenants that run something else there than in the plan.
    pub others_changed: Option<usize>,
    /// What each part of the objective adds beyond the plan, in the objective's unit; parts that do
    /// not change are left out.
    pub terms: Vec<(String, f64)>,
    /// Demands that cannot all hold with it; empty unless `impossible`.
    pub because: Vec<String>,
    /// Whether it is proven that any fewer of them can.
    pub irreducible: bool,
}

/// What more power at a site is worth.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CapValue {
    /// Site.
    pub site: String,
    /// Cap.
    pub cap_w: f64,
    /// What the plan draws.
    pub used_w: f64,
    /// The bound on all plans improves by this for each watt, by the multipliers of the pool
    /// relaxation: an estimate of what many watts are worth. Null for `cdp`.
    pub bound_per_watt: Option<f64>,
    /// One watt more, by solving again.
    pub one_watt: Option<Bought>,
    /// A tenth of the cap more, by solving again.
    pub tenth: Option<Bought>,
}

/// Explains one tenant of the plan in `question`, which answers `priced`.
///
/// # Errors
/// When the result has no plan, is not one of this problem, or was made with a joint predictor; else
/// as the solver.
pub fn explain(priced: &Priced, question: &PlanQuestion) -> Result<PlanExplanation, ServiceError> {
    let result = &question.result;
    if Contention::of(result)?.on() {
        return Err(usage(
            "plans of a solve with --contention are not explained: their alternatives would not be judged",
        ));
    }
    let ruled = Steady::of(result, question.current.clone()).apply(&priced.instance)?;
    let instance = ruled.as_ref().unwrap_or(&priced.instance);
    if instance.classes.is_empty() {
        return Err(usage("a problem without devices has no tiers and boards to explain"));
    }
    if instance_v1::hash(instance) != result.certificate.instance_hash {
        return Err(usage("the result was made for another problem (or another running plan: --current)"));
    }
    let plan = result.plan.as_ref().ok_or_else(|| usage("the result has no plan to explain"))?;
    let objective =
        question.objective.clone().or_else(|| pipeline::claimed_objective(priced, result)).ok_or_else(
            || usage("the result does not carry its objective's weights; name it with --objective"),
        )?;
    let tenant = tenant_of(instance, &question.tenant)?;
    let plan = plan.resolve(instance)?;
    let opened = open::opened(priced, instance, tenant, &objective)?;
    let verdict = check(&opened, &plan, &objective);
    if !verdict.passes() {
        return Err(usage(&format!("the plan does not pass the checker: {}", verdict.summary())));
    }
    let options = SolveOptions {
        objective: Some(objective.clone()),
        gap: question.options.gap.max(default_gap(instance)),
        ..question.options.clone()
    };
    let case = Case {
        instance: &opened,
        objective: &objective,
        tenant,
        plan: &plan,
        evaluation: &verdict.evaluation,
        budget: Budget { options, deadline: question.deadline },
    };
    case.explain(&priced.name)
}

fn usage(text: &str) -> ServiceError {
    ServiceError::Usage(text.to_owned())
}

/// A number for a text, without noise in its last digits.
fn plain(x: f64) -> String {
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A tenant of a plan.
struct Case<'a> {
    instance: &'a Instance,
    objective: &'a Objective,
    tenant: TenantIx,
    plan: &'a Assignment,
    evaluation: &'a Evaluation,
    budget: Budget,
}

impl Case<'_> {
    fn explain(&self, name: &str) -> Result<PlanExplanation, ServiceError> {
        let instance = self.instance;
        let subject = &instance.tenants[self.tenant.at()];
        let current = self.plan.picks[self.tenant.at()].map(|pick| pick.option.at());
        let holds: Vec<Hold> = Hold::all(instance, self.tenant)
            .into_iter()
            .filter(|hold| !hold.fits(subject, current))
            .collect();
        let sites: Vec<usize> =
            (0..instance.sites.len()).filter(|s| instance.sites[*s].cap.is_some()).collect();
        let slower: Vec<String> = match subject.slo.filter(|slo| slo.soft_price.is_none()) {
            Some(_) => vec![subject.id.to_string()],
            None => Vec::new(),
        };
        // One watt at each site is asked with the tenth of its cap, below.
        let changes: Vec<(String, Change)> = changes(instance, &slower)?
            .into_iter()
            .filter(|(_, change)| !matches!(change, Change::Power(..)))
            .collect();
        let mut ahead = 2 + holds.len() + 2 * sites.len() + changes.len();
        let mut next = || {
            let options = self.budget.next(ahead);
            ahead = ahead.saturating_sub(1);
            options
        };
        let solver = ecomap_solver::by_name("exact")?;
        let Some(options) = next() else { return Err(ServiceError::NoTimeLeft) };
        let from = SolveOptions { warm_start: Some(self.plan.clone()), ..options };
        let base = solver.solve(instance, &from, &mut ())?;
        let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
        let mut told = PlanExplanation {
            name: name.to_owned(),
            tenant: subject.id.to_string(),
            objective: self.objective.name().to_owned(),
            unit: self.objective.unit().to_owned(),
            plan_value: self.evaluation.value,
            best_value: base.certificate.primal,
            best_bound: finite(base.certificate.dual),
            choice: self.chosen(),
            alternatives: Vec::new(),
            caps: Vec::new(),
            changes: Vec::new(),
            skipped: Vec::new(),
            notes: Vec::new(),
        };
        if matches!(self.objective, Objective::Lexicographic(_)) {
            told.notes.push("the objective is lexicographic: values are those of its first level".to_owned());
        }
        for hold in holds {
            match next() {
                Some(options) => told.alternatives.push(self.alternative(hold, &options)?),
                None => told.skipped.push(self.name_of(hold).1),
            }
        }
        let prices = match next() {
            Some(options) => marginal::caps(instance, self.objective, &options)?,
            None => None,
        };
        for s in sites {
            let site = &instance.sites[s];
            let cap = site.cap.unwrap_or(Watts::ZERO);
            let ix = SiteIx::new(s);
            let mut value = CapValue {
                site: site.id.to_string(),
                cap_w: cap.get(),
                used_w: self.evaluation.sites[s].power.get(),
                bound_per_watt: prices
                    .as_ref()
                    .and_then(|p| p.sites.iter().find(|(site, _)| *site == ix))
                    .map(|(_, price)| *price),
                one_watt: None,
                tenth: None,
            };
            for (extra, slot) in [(Watts::new(1.0), &mut value.one_watt), (cap * 0.1, &mut value.tenth)] {
                let name = format!("{} W more at site {}", plain(extra.get()), site.id);
                match next() {
                    Some(options) => {
                        let change = Change::Power(ix, extra);
                        *slot = gain_of(instance, &base, change, solver, &options, name)?;
                    }
                    None => told.skipped.push(name),
                }
            }
            told.caps.push(value);
        }
        for (name, change) in changes {
            match next() {
                Some(options) => {
                    told.changes.extend(gain_of(instance, &base, change, solver, &options, name)?);
                }
                None => told.skipped.push(name),
            }
        }
        Ok(told)
    }

    fn chosen(&self) -> Option<Chosen> {
        let tenant = &self.instance.tenants[self.tenant.at()];
        let pick = self.plan.picks[self.tenant.at()]?;
        let host = tenant.options.get(pick.option.at())?.host.as_ref()?;
        let device = pick.device?;
        let class = self.instance.class_of(device);
        let tier = tenant.tiers.get(host.tier)?;
        let quantile = tenant.slo.map_or(ecomap_instances::scenario::Quantile::P50, |slo| slo.quantile);
        let latency = host.latency.at(quantile);
        Some(Chosen {
            tier: tier.id.to_string(),
            accuracy: tier.accuracy,
            floor_margin_points: tenant.accuracy_floor.map(|floor| tier.accuracy - floor),
            device: self.instance.devices.get(device.at())?.id.to_string(),
            profile: class.profile.clone(),
            site: self.instance.sites.get(class.site.at())?.id.to_string(),
            mode: class.modes.get(host.mode.at())?.id.to_string(),
            latency_ms: latency.get(),
            slo_margin_ms: tenant.slo.map(|slo| (slo.latency - latency).get()),
        })
    }

    /// Kind and name of an alternative.
    fn name_of(&self, hold: Hold) -> (&'static str, String) {
        let tenant = &self.instance.tenants[self.tenant.at()];
        match hold {
            Hold::Tier(tier) => {
                ("tier", tenant.tiers.get(tier).map_or_else(String::new, |t| t.id.to_string()))
            }
            Hold::Mode(q, m) => {
                let class = &self.instance.classes[q.at()];
                let mode = class.modes.get(m.at()).map_or("", |mode| mode.id.as_str());
                let site = &self.instance.sites[class.site.at()].id;
                ("device", format!("{} at site {site} in mode {mode}", class.profile))
            }
            Hold::Shed => ("shed", "shed".to_owned()),
        }
    }

    fn alternative(&self, hold: Hold, options: &SolveOptions) -> Result<Alternative, ServiceError> {
        let (kind, name) = self.name_of(hold);
        let mut told = Alternative {
            kind,
            name,
            verdict: "unknown",
            worse_by_at_least: None,
            worse_by_at_most: None,
            choice: None,
            others_changed: None,
            terms: Vec::new(),
            because: Vec::new(),
            irreducible: false,
        };
        match held(self.instance, self.objective, self.tenant, hold, options)? {
            Held::Unknown => {}
            Held::NoOption => told.verdict = "no_option",
            Held::Impossible(conflict) => {
                told.verdict = "impossible";
                told.irreducible = conflict.as_ref().is_some_and(|c| c.irreducible);
                let demands = conflict.map(|c| c.demands).unwrap_or_default();
                told.because = demands.iter().map(|d| d.describe(self.instance)).collect();
            }
            Held::Possible(solution) => {
                told.verdict = "possible";
                let distance = |x: f64| x - self.evaluation.value;
                let dual = solution.certificate.dual.filter(|d| d.is_finite());
                told.worse_by_at_least = dual.map(distance);
                told.worse_by_at_most = solution.certificate.primal.map(distance);
                if let (Some(plan), Some(verdict)) = (&solution.assignment, &solution.verdict) {
                    told.terms = self.terms(&verdict.evaluation);
                    // Held to something, the tenant has fewer options: positions are not comparable.
                    let others = plan.picks.iter().zip(&self.plan.picks).enumerate();
                    let changed = others.filter(|(t, (a, b))| *t != self.tenant.at() && a != b);
                    told.others_changed = Some(changed.count());
                    told.choice = self.place(hold, plan);
                }
            }
        }
        Ok(told)
    }

    /// Tier, device and mode of the tenant in a plan of [`held`].
    fn place(&self, hold: Hold, plan: &Assignment) -> Option<String> {
        let tenant = &self.instance.tenants[self.tenant.at()];
        let pick = plan.picks[self.tenant.at()]?;
        let mut fitting = (0..tenant.options.len()).filter(|o| hold.fits(tenant, Some(*o)));
        let host = tenant.options.get(fitting.nth(pick.option.at())?)?.host.as_ref()?;
        let device = self.instance.devices.get(pick.device?.at())?;
        let mode = self.instance.classes[host.class.at()].modes.get(host.mode.at())?;
        Some(format!("{} on {} in {}", tenant.tiers.get(host.tier)?.id, device.id, mode.id))
    }

    /// What each part of the objective adds beyond the plan.
    fn terms(&self, other: &Evaluation) -> Vec<(String, f64)> {
        let before = |name: &str| {
            self.evaluation.terms.iter().find(|t| t.name == name).map_or(0.0, |t| t.contribution)
        };
        let differences = other.terms.iter().map(|t| (t.name.to_owned(), t.contribution - before(t.name)));
        differences.filter(|(_, difference)| difference.abs() > 1e-9).collect()
    }
}
