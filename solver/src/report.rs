//! Turns a [`Solution`] into the wire form, `ecomap.result/v1`: indices become names, the verdict
//! becomes figures for each tenant, device and site, and what was shed gets a reason.

mod frontier;
mod shed;

pub use frontier::to_frontier;

use crate::checker::{Evaluation, Verdict, check};
use crate::solution::{Certificate, Level, Solution};
use crate::stability::{Weighed, moves};
use ecomap_instances::Objective;
use ecomap_instances::format::result_v1::{
    CapacityPlanDto, CertificateDto, CheckedRowDto, CheckerDto, ContentionDto, DevicePlanDto, FORMAT,
    LatencyDto, LevelDto, ObjectiveValueDto, PlanDto, PricingReportDto, ResultDto, RunDto, SitePlanDto,
    SloPlanDto, StabilityCostDto, StabilityResultDto, TenantPlanDto, TermDto, ViolationDto,
};
use ecomap_instances::format::scenario_v1::SegmentDto;
use ecomap_instances::ids::DeviceIx;
use ecomap_instances::instance::{Host, Instance, InstanceTenant, Quantiles, Sense};
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Pick, Status, relative_gap};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What the caller knows and the solver does not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extra {
    /// Name of the scenario or instance; the instance's own when empty.
    pub name: String,
    /// How options were generated, for scenarios.
    pub pricing: Option<PricingReportDto>,
    /// What a joint predictor said.
    pub contention: Option<ContentionDto>,
    /// Wall-clock time of the caller's steps, ms. A step that the solver timed too is the solver's.
    pub timings_ms: BTreeMap<String, f64>,
    /// Versions of what took part, but for Ecomap itself.
    pub versions: BTreeMap<String, String>,
    /// Remarks, after the solver's own.
    pub notes: Vec<String>,
    /// What stability costs, where that was asked for.
    pub stability: Option<Weighed>,
}

/// The wire form of `solution`, an answer to `instance`.
#[must_use]
pub fn to_result(instance: &Instance, solution: &Solution, extra: Extra) -> ResultDto {
    let found = solution.assignment.as_ref().map(|assignment| {
        let verdict = match &solution.verdict {
            Some(verdict) => Cow::Borrowed(verdict),
            None => Cow::Owned(check(instance, assignment, &solution.objective)),
        };
        (assignment, verdict)
    });
    let mut timings_ms = extra.timings_ms;
    for (step, time) in &solution.timings {
        timings_ms.insert((*step).to_owned(), time.as_secs_f64() * 1e3);
    }
    let mut notes = solution.notes.clone();
    notes.extend(extra.notes);
    notes.extend(unproven(solution));
    if let Some((assignment, verdict)) = &found {
        notes.extend(shed::notes(instance, assignment, &verdict.evaluation));
    }
    if solution.status == Status::Infeasible {
        notes.extend(shed::infeasible(instance, &solution.objective));
    }
    ResultDto {
        format: FORMAT.to_owned(),
        name: if extra.name.is_empty() { instance.name.clone() } else { extra.name },
        solver: solution.solver.to_owned(),
        status: solution.status,
        objective: found.as_ref().map(|(_, v)| objective(instance, &solution.objective, &v.evaluation)),
        plan: found.as_ref().map(|(a, v)| plan(instance, a, &v.evaluation)),
        certificate: certificate(&solution.certificate, extra.versions, found.as_ref().map(|(_, v)| &**v)),
        stability: stability(instance, solution, extra.stability.as_ref()),
        reduction: solution.reduction.clone(),
        pricing: extra.pricing,
        contention: extra.contention,
        timings_ms,
        notes,
    }
}

/// The section on stability, where there is a rule or a question.
fn stability(
    instance: &Instance,
    solution: &Solution,
    weighed: Option<&Weighed>,
) -> Option<StabilityResultDto> {
    let rules = &instance.stability;
    if rules.is_free() && weighed.is_none() {
        return None;
    }
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let frozen = rules.frozen.iter().filter_map(|t| instance.tenants.get(t.at()));
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    Some(StabilityResultDto {
        max_moves: rules.max_moves.map(count),
        frozen: frozen.map(|t| t.id.to_string()).collect(),
        running: count(instance.tenants.iter().filter(|t| t.running.is_some()).count()),
        moves: solution.assignment.as_ref().map(|plan| count(moves(instance, plan))),
        cost: weighed.map(|w| StabilityCostDto {
            value: w.value,
            free_primal_bound: w.free_primal,
            free_dual_bound: finite(w.free_dual),
            free_moves: count(w.free_moves),
            at_least: w.at_least,
            at_most: finite(w.at_most),
        }),
    })
}

/// The plan of an assignment with the figures of its instance; `verdict` is the checker's on it.
#[must_use]
pub fn plan_of(instance: &Instance, assignment: &Assignment, verdict: &Verdict) -> PlanDto {
    plan(instance, assignment, &verdict.evaluation)
}

/// A remark where a plan or infeasibility is not proven.
fn unproven(solution: &Solution) -> Option<String> {
    match (solution.status, solution.certificate.gap()) {
        (Status::Optimal | Status::Infeasible, _) => None,
        (Status::TimeoutNoSolution, _) => {
            Some("no plan was found; whether one exists is not known".to_owned())
        }
        (Status::Feasible, Some(gap)) => {
            Some(format!("not proven optimal: a plan up to {:.2} % better is not excluded", gap * 100.0))
        }
        (Status::Feasible, None) => Some("not proven optimal: no bound is known".to_owned()),
    }
}

fn objective(instance: &Instance, objective: &Objective, evaluation: &Evaluation) -> ObjectiveValueDto {
    let sense = match objective {
        Objective::Single(Term::Value) => instance.sense,
        _ => Sense::Minimize,
    };
    let terms = evaluation.terms.iter().map(|t| TermDto {
        name: t.name.to_owned(),
        unit: t.unit.to_owned(),
        value: t.value,
        contribution: t.contribution,
    });
    ObjectiveValueDto {
        name: objective.name().to_owned(),
        unit: objective.unit().to_owned(),
        sense,
        value: evaluation.value,
        terms: terms.collect(),
    }
}

fn plan(instance: &Instance, assignment: &Assignment, evaluation: &Evaluation) -> PlanDto {
    let tenants = instance.tenants.iter().enumerate().map(|(t, tenant)| {
        let pick = assignment.picks.get(t).copied().flatten();
        let predicted = evaluation.predicted.get(t).copied().flatten();
        TenantPlanDto {
            tenant: tenant.id.to_string(),
            served: pick.is_some(),
            option: pick.and_then(|p| u32::try_from(p.option.at()).ok()),
            run: pick.and_then(|p| run(instance, tenant, p, predicted)),
        }
    });
    let sites = instance.sites.iter().zip(&evaluation.sites).map(|(site, used)| SitePlanDto {
        site: site.id.to_string(),
        power_w: used.power.get(),
        cap_w: site.cap.map(|cap| cap.get()),
        carbon_g_per_kwh: site.carbon.get(),
        carbon_g_per_h: used.carbon.get(),
    });
    let capacities = instance
        .capacities
        .iter()
        .zip(&evaluation.capacities)
        .map(|(row, used)| CapacityPlanDto { id: row.id.clone(), used: *used, capacity: row.capacity });
    PlanDto {
        tenants: tenants.collect(),
        devices: devices(instance, evaluation),
        sites: sites.collect(),
        capacities: capacities.collect(),
    }
}

fn devices(instance: &Instance, evaluation: &Evaluation) -> Vec<DevicePlanDto> {
    let one = |(d, used): (usize, &crate::checker::DeviceUse)| {
        let class = instance.class_of(DeviceIx::new(d));
        let mode = used.mode.and_then(|m| class.modes.get(m.at()));
        DevicePlanDto {
            device: instance.devices[d].id.to_string(),
            site: instance.sites[class.site.at()].id.to_string(),
            profile: class.profile.clone(),
            mode: mode.map(|m| m.id.to_string()),
            power_w: used.power.get(),
            budget_w: mode.map(|m| m.budget.get()),
            load: class.units.iter().map(ToString::to_string).zip(used.load.iter().copied()).collect(),
            memory_bytes: used.memory.get(),
            memory_capacity_bytes: class.memory.get(),
            bandwidth_bytes_per_s: used.bandwidth.get(),
        }
    };
    evaluation.devices.iter().enumerate().map(one).collect()
}

/// How a tenant runs; `None` for picks without a host, or that the instance does not know.
fn run(
    instance: &Instance,
    tenant: &InstanceTenant,
    pick: Pick,
    predicted: Option<Quantiles>,
) -> Option<RunDto> {
    let option = tenant.options.get(pick.option.at())?;
    let host = option.host.as_ref()?;
    let device = instance.devices.get(pick.device?.at())?;
    let class = instance.classes.get(host.class.at())?;
    let tier = tenant.tiers.get(host.tier)?;
    let slo = tenant.slo.map(|slo| SloPlanDto {
        quantile: slo.quantile,
        limit_ms: slo.latency.get(),
        headroom_ms: (slo.latency - host.latency.at(slo.quantile)).get(),
    });
    let rate = tenant.rate.get();
    let power = host.dynamic.get();
    Some(RunDto {
        family: tenant.family.clone(),
        tier: tier.id.to_string(),
        accuracy: tier.accuracy,
        accuracy_lost: tenant.points_lost(option),
        device: device.id.to_string(),
        site: instance.sites.get(class.site.at())?.id.to_string(),
        mode: class.modes.get(host.mode.at())?.id.to_string(),
        segments: segments(host, class)?,
        latency_ms: latency(host.latency),
        isolated_ms: latency(host.isolated),
        predicted_ms: latency(predicted.unwrap_or(host.isolated)),
        network_ms: host.network.get(),
        slo,
        rate_per_s: rate,
        energy_j: if rate > 0.0 { power / rate } else { 0.0 },
        power_w: power,
    })
}

fn segments(host: &Host, class: &ecomap_instances::instance::DeviceClass) -> Option<Vec<SegmentDto>> {
    host.segments
        .iter()
        .map(|s| {
            Some(SegmentDto {
                from_block: u64::try_from(s.from).ok()?,
                to_block: u64::try_from(s.to).ok()?,
                unit: class.units.get(s.unit)?.to_string(),
            })
        })
        .collect()
}

fn latency(q: Quantiles) -> LatencyDto {
    LatencyDto { p50: q.p50.get(), p95: q.p95.get(), p99: q.p99.get() }
}

fn certificate(
    certificate: &Certificate,
    mut versions: BTreeMap<String, String>,
    verdict: Option<&Verdict>,
) -> CertificateDto {
    versions.insert("ecomap".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    // JSON has no infinity: a bound that is not finite says nothing, like none.
    let finite = |bound: Option<f64>| bound.filter(|b| b.is_finite());
    CertificateDto {
        primal_bound: finite(certificate.primal),
        dual_bound: finite(certificate.dual),
        gap: finite(certificate.gap()),
        termination: certificate.termination,
        nodes: certificate.nodes,
        cuts: certificate.cuts,
        seed: certificate.seed,
        versions,
        instance_hash: certificate.instance_hash.clone(),
        method: certificate.method.to_owned(),
        levels: certificate.levels.iter().map(level).collect(),
        checker: checker(verdict),
    }
}

fn level(level: &Level) -> LevelDto {
    let dual = level.dual.filter(|d| d.is_finite());
    LevelDto {
        term: level.term.as_str().to_owned(),
        unit: level.term.unit().to_owned(),
        primal_bound: level.primal,
        dual_bound: dual,
        gap: dual.map(|d| relative_gap(level.primal, d)),
    }
}

fn checker(verdict: Option<&Verdict>) -> CheckerDto {
    let word = match verdict {
        None => "no_plan",
        Some(verdict) if verdict.passes() => "pass",
        Some(_) => "fail",
    };
    let rows = verdict.map_or(&[][..], |v| &v.rows).iter().map(|r| CheckedRowDto {
        row: r.row.to_owned(),
        checked: r.checked,
        violated: r.violated,
    });
    let violations = verdict.map_or(&[][..], |v| &v.violations).iter().map(|v| ViolationDto {
        row: v.row.to_owned(),
        subject: v.subject.clone(),
        value: v.value,
        limit: v.limit,
    });
    CheckerDto { verdict: word.to_owned(), rows: rows.collect(), violations: violations.collect() }
}
