//! What the joint predictor says of a plan: the bridge between a result file and the estimator.

use crate::ServiceError;
use ecomap_estimator::Predictor;
use ecomap_estimator::predictor::{DevicePlan, Task};
use ecomap_instances::Scenario;
use ecomap_instances::format::result_v1::{ResultDto, RunDto};
use ecomap_instances::ids::{ModeIx, SiteIx};
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_instances::profile::Profile;
use ecomap_instances::scenario::{Device, Segment, Tenant};
use serde::Serialize;

/// One board under a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoardView {
    /// Device.
    pub device: String,
    /// Board type.
    pub profile: String,
    /// Power mode.
    pub mode: String,
    /// Mean draw predicted, W.
    pub power_w: f64,
    /// The mode's budget for the whole board, W.
    pub budget_w: f64,
    /// Whether the predicted draw keeps the mode's budget.
    pub budget_kept: bool,
    /// Site.
    pub site: String,
    /// `transformer`, `forest` or `roofline`.
    pub source: &'static str,
    /// Whether a unit is busier than any that the predictor was fitted on.
    pub extrapolated: bool,
    /// Tenants.
    pub tenants: Vec<TenantView>,
}

/// One site under a plan: boards that run something, at their predicted draw.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteView {
    /// Site.
    pub site: String,
    /// Predicted draw of the boards with tenants, W.
    pub power_w: f64,
    /// The site's cap at the scenario's intensity, W; `None`: none.
    pub cap_w: Option<f64>,
    /// Whether the draw keeps the cap. Boards without tenants draw beside it.
    pub kept: bool,
}

/// What the boards draw together, site by site, in the scenario's order.
#[must_use]
pub fn sites(scenario: &Scenario, boards: &[BoardView]) -> Vec<SiteView> {
    let view = |site: &ecomap_instances::scenario::Site| {
        let own: Vec<f64> = boards.iter().filter(|b| b.site == site.id.as_str()).map(|b| b.power_w).collect();
        let power_w = own.iter().sum();
        let carbon = scenario.zones.get(site.zone.at()).map(|z| z.carbon);
        let cap_w = carbon.and_then(|c| site.budget.cap(c)).map(|w| w.get());
        let kept = cap_w.is_none_or(|cap| power_w <= cap);
        (!own.is_empty()).then(|| SiteView { site: site.id.to_string(), power_w, cap_w, kept })
    };
    scenario.sites.iter().filter_map(view).collect()
}

/// One tenant on its board. All times in ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TenantView {
    /// Tenant.
    pub tenant: String,
    /// Tier.
    pub tier: String,
    /// Units in the order of the segments.
    pub units: Vec<String>,
    /// Busy time with nothing else running (roofline).
    pub service_ms: f64,
    /// Hand-overs between units (profile).
    pub transfer_ms: f64,
    /// Stretch by shared memory and lowered clocks (closed-form analysis).
    pub contention_ms: f64,
    /// The rest of the median: waiting behind other requests (predictor).
    pub queueing_ms: f64,
    /// From the median to p95 (predictor, with its conformal factor).
    pub tail_ms: f64,
    /// Network, there and back.
    pub network_ms: f64,
    /// End to end: p50, p95, p99.
    pub latency_ms: [f64; 3],
    /// p95 beside the others over p95 alone on the same units at the same rate (network delay in neither).
    pub slowdown_p95: f64,
    /// Quantile of the SLO.
    pub quantile: &'static str,
    /// SLO.
    pub slo_ms: f64,
    /// Whether the predicted latency keeps the SLO.
    pub kept: bool,
}

/// Asks `predictor` about every board of a result's plan that runs something, in one batch.
///
/// # Errors
/// [`ServiceError::Usage`] where the result is not one of this scenario's, and the predictor's own.
pub fn view(
    scenario: &Scenario,
    result: &ResultDto,
    predictor: &dyn Predictor,
) -> Result<Vec<BoardView>, ServiceError> {
    let plan =
        result.plan.as_ref().ok_or_else(|| ServiceError::Usage("the result has no plan".to_owned()))?;
    let mut boards: Vec<(&Device, DevicePlan, Vec<&Tenant>)> = Vec::new();
    for told in &plan.tenants {
        let Some(run) = &told.run else { continue };
        let tenant = find(&scenario.tenants, |t| t.id.as_str() == told.tenant, "tenant", &told.tenant)?;
        let device = find(&scenario.devices, |d| d.id.as_str() == run.device, "device", &run.device)?;
        let at = boards.iter().position(|(d, _, _)| d.id == device.id);
        let mode = device.profile.mode_position(&run.mode).ok_or_else(|| unknown("mode", &run.mode))?;
        let at = at.unwrap_or_else(|| {
            let plan =
                DevicePlan { profile: device.profile.clone(), mode: ModeIx::new(mode), tasks: Vec::new() };
            boards.push((device, plan, Vec::new()));
            boards.len() - 1
        });
        if let Some((_, plan, tenants)) = boards.get_mut(at) {
            plan.tasks.push(task(tenant, device, run)?);
            tenants.push(tenant);
        }
    }
    let plans: Vec<DevicePlan> = boards.iter().map(|b| b.1.clone()).collect();
    let answers = predictor.joint(&plans)?;
    let mut views = Vec::with_capacity(boards.len());
    for ((device, plan, tenants), answer) in boards.iter().zip(answers) {
        let mode = plan.profile.modes.get(plan.mode.at());
        let mut view = BoardView {
            device: device.id.to_string(),
            profile: plan.profile.id.to_string(),
            mode: mode.map_or_else(String::new, |m| m.id.to_string()),
            power_w: answer.power.get(),
            budget_w: mode.map_or(0.0, |m| m.board_budget().get()),
            budget_kept: mode.is_some_and(|m| answer.power <= m.board_budget()),
            site: scenario.sites.get(device.site.at()).map_or_else(String::new, |s| s.id.to_string()),
            source: answer.source.as_str(),
            extrapolated: answer.extrapolated,
            tenants: Vec::new(),
        };
        for ((task, tenant), told) in plan.tasks.iter().zip(tenants).zip(answer.tasks) {
            let told = told
                .ok_or_else(|| misfit(format!("tenant `{}` cannot run as the plan places it", tenant.id)))?;
            view.tenants.push(tenant_view(scenario, tenant, (device.site, &device.profile), task, &told)?);
        }
        views.push(view);
    }
    Ok(views)
}

/// Something that the plan names and the scenario does not have.
fn unknown(what: &str, name: &str) -> ServiceError {
    let name: String = name.chars().take(64).collect();
    misfit(format!("the scenario has no {what} `{name}`: is the result one of this scenario's?"))
}

fn misfit(message: String) -> ServiceError {
    ServiceError::Invalid(Issues::one(Issue::new(Code::PlanMismatch, "/plan/tenants", message)))
}

fn find<'a, T>(
    list: &'a [T],
    is: impl Fn(&T) -> bool,
    what: &str,
    name: &str,
) -> Result<&'a T, ServiceError> {
    list.iter().find(|x| is(x)).ok_or_else(|| unknown(what, name))
}

fn task(tenant: &Tenant, device: &Device, run: &RunDto) -> Result<Task, ServiceError> {
    let tier = tenant.family.tier_position(&run.tier).ok_or_else(|| unknown("tier", &run.tier))?;
    let segments = run
        .segments
        .iter()
        .map(|s| {
            let unit = device.profile.unit_position(&s.unit).ok_or_else(|| unknown("unit", &s.unit))?;
            let block = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            Ok(Segment { from: block(s.from_block), to: block(s.to_block), unit })
        })
        .collect::<Result<_, ServiceError>>()?;
    Ok(Task { family: tenant.family.clone(), tier, segments, rate: tenant.rate })
}

fn units(profile: &Profile, task: &Task) -> Vec<String> {
    let name = |u: usize| profile.units.get(u).map_or_else(String::new, |u| u.id.to_string());
    task.segments.iter().map(|s| name(s.unit)).collect()
}

fn tenant_view(
    scenario: &Scenario,
    tenant: &Tenant,
    (site, profile): (SiteIx, &Profile),
    task: &Task,
    told: &ecomap_estimator::predictor::TaskPrediction,
) -> Result<TenantView, ServiceError> {
    let tier = tenant.family.tiers.get(task.tier).ok_or_else(|| unknown("tier", "?"))?;
    let network = ecomap_estimator::pricing::network(scenario, tenant, task.tier, site)
        .ok_or_else(|| misfit(format!("no link leads from tenant `{}` to its device", tenant.id)))?;
    let latency = told.latency.delayed(network);
    Ok(TenantView {
        tenant: tenant.id.to_string(),
        tier: tier.id.to_string(),
        units: units(profile, task),
        service_ms: told.parts.service.get(),
        transfer_ms: told.parts.transfer.get(),
        contention_ms: told.parts.contention.get(),
        queueing_ms: told.parts.queueing.get(),
        tail_ms: (told.latency.p95 - told.latency.p50).get(),
        network_ms: network.get(),
        latency_ms: [latency.p50.get(), latency.p95.get(), latency.p99.get()],
        slowdown_p95: told.slowdown.p95,
        quantile: tenant.slo.quantile.as_str(),
        slo_ms: tenant.slo.latency.get(),
        kept: latency.at(tenant.slo.quantile) <= tenant.slo.latency,
    })
}
