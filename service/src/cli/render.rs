//! A result as text for people.

use super::table::{Table, exact, number, percent};
use ecomap_instances::format::result_v1::{
    CheckerDto, ContentionDto, LatencyDto, PlanDto, ResultDto, RunDto, SloPlanDto, TenantPlanDto,
};
use ecomap_instances::plan::Status;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most rows of a table; JSON has them all.
const MOST_ROWS: usize = 60;

/// The whole result.
pub(super) fn result(result: &ResultDto) -> String {
    let mut text = String::new();
    let total: f64 = result.timings_ms.values().sum();
    let _ = writeln!(
        text,
        "{}: {} by {} in {} s",
        result.name,
        status(result.status),
        result.solver,
        number(total / 1e3)
    );
    text.push_str(&value(result));
    if let Some(plan) = &result.plan {
        text.push_str(&tenants(plan, result.contention.as_ref()));
        text.push_str(&devices(plan));
        text.push_str(&sites(plan));
        text.push_str(&capacities(plan));
    }
    text.push_str(&checker(&result.certificate.checker));
    if let Some(c) = &result.contention {
        let _ = writeln!(text, "{}", contention(c));
    }
    for note in &result.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn contention(c: &ContentionDto) -> String {
    let cuts = c.cuts.guaranteed + c.cuts.exhaustive + c.cuts.no_goods;
    let broken = &c.without_contention;
    format!(
        "contention: {} by {} in {} rounds with {cuts} cuts; regardless of it the best plan found breaks {} SLOs, \
         {} budgets, {} caps; the objective counts latencies without co-runners here, so that its value does not \
         compare with that of a solve without --contention",
        if c.accepted { "accepted" } else { "no plan accepted" },
        c.predictor,
        c.rounds,
        broken.slos,
        broken.budgets,
        broken.caps
    )
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Optimal => "optimal",
        Status::Feasible => "feasible, not proven optimal",
        Status::Infeasible => "infeasible, proven",
        Status::TimeoutNoSolution => "no plan found within the limits",
    }
}

/// A unit with a blank before it; nothing for a plain number.
fn unit(unit: &str) -> String {
    if unit == "1" { String::new() } else { format!(" {unit}") }
}

fn value(result: &ResultDto) -> String {
    let mut text = String::new();
    let certificate = &result.certificate;
    if let Some(objective) = &result.objective {
        let bound =
            certificate.dual_bound.map_or_else(|| "no bound".to_owned(), |b| format!("bound {}", exact(b)));
        let gap = certificate.gap.map_or_else(String::new, |g| format!(", gap {}", percent(g)));
        let _ = writeln!(
            text,
            "{} {}{} ({bound}{gap}, {} nodes)",
            objective.name,
            exact(objective.value),
            unit(&objective.unit),
            certificate.nodes
        );
        let mut table = Table::new(&["term", ">value", "unit", ">adds"]);
        for term in objective.terms.iter().filter(|t| t.value != 0.0 || t.contribution != 0.0) {
            table.row(vec![
                term.name.clone(),
                number(term.value),
                term.unit.clone(),
                number(term.contribution),
            ]);
        }
        if table.len() > 1 {
            text.push_str(&table.render());
        }
    } else if let Some(bound) = certificate.dual_bound {
        let _ = writeln!(text, "bound {}", exact(bound));
    }
    for level in &certificate.levels {
        let gap = level.gap.map_or_else(|| "no bound".to_owned(), |g| format!("gap {}", percent(g)));
        let _ = writeln!(
            text,
            "  level {}: {}{} ({gap})",
            level.term,
            exact(level.primal_bound),
            unit(&level.unit)
        );
    }
    text
}

/// `gpu` or `gpu:0-4 + dla0:4-9`.
pub(super) fn placement(run: &RunDto) -> String {
    match run.segments.as_slice() {
        [one] => one.unit.clone(),
        many => many
            .iter()
            .map(|s| format!("{}:{}-{}", s.unit, s.from_block, s.to_block))
            .collect::<Vec<_>>()
            .join(" + "),
    }
}

fn tenants(plan: &PlanDto, contention: Option<&ContentionDto>) -> String {
    if plan.tenants.iter().any(|t| t.run.is_some()) || plan.tenants.iter().all(|t| t.option.is_none()) {
        hosted(plan, contention)
    } else {
        chosen(plan)
    }
}

fn hosted(plan: &PlanDto, contention: Option<&ContentionDto>) -> String {
    let boards = contention.map_or(&[][..], |c| c.boards.as_slice());
    let judged: BTreeMap<&str, &LatencyDto> =
        boards.iter().flat_map(|b| &b.tenants).map(|t| (t.tenant.as_str(), &t.latency_ms)).collect();
    let mut table = Table::new(&[
        "tenant",
        "model",
        ">accuracy",
        "device",
        "mode",
        "placement",
        ">latency ms",
        ">SLO ms",
        ">W",
    ]);
    for tenant in plan.tenants.iter().take(MOST_ROWS) {
        table.row(tenant_row(tenant, judged.get(tenant.tenant.as_str()).copied()));
    }
    let basis = match contention {
        Some(c) => {
            format!("latency: predicted by {}, beside the tenants of this plan; W: roofline", c.predictor)
        }
        None => {
            "latency, W: predicted by roofline; latency beside the most that the load caps admit".to_owned()
        }
    };
    let late = plan.tenants.iter().filter(|t| missed(t, judged.get(t.tenant.as_str()).copied())).count();
    let mark = match late {
        0 => String::new(),
        n => format!("  {MISSED} above its latency objective, at a price in the value: {n}\n"),
    };
    format!("{}{mark}  {basis}\n", titled("tenants", &table, plan.tenants.len()))
}

/// Marks a latency objective that is not kept.
const MISSED: &str = "!";

/// The latency that an objective is about: judged by the joint predictor, else as planned.
fn at_quantile(slo: &SloPlanDto, judged: Option<&LatencyDto>) -> f64 {
    judged.map_or(slo.limit_ms - slo.headroom_ms, |q| q.at(slo.quantile))
}

fn missed(tenant: &TenantPlanDto, judged: Option<&LatencyDto>) -> bool {
    let slo = tenant.run.as_ref().and_then(|run| run.slo.as_ref());
    slo.is_some_and(|slo| at_quantile(slo, judged) > slo.limit_ms + 1e-9)
}

fn tenant_row(tenant: &TenantPlanDto, judged: Option<&LatencyDto>) -> Vec<String> {
    let Some(run) = &tenant.run else {
        let mut row = vec![tenant.tenant.clone(), if tenant.served { "served" } else { "shed" }.to_owned()];
        row.resize(9, "-".to_owned());
        return row;
    };
    let (latency, limit) = match &run.slo {
        Some(slo) => (
            format!("{} {}", slo.quantile.as_str(), number(at_quantile(slo, judged))),
            format!("{}{}", if missed(tenant, judged) { MISSED } else { "" }, number(slo.limit_ms)),
        ),
        None => (format!("p50 {}", number(run.latency_ms.p50)), "-".to_owned()),
    };
    vec![
        tenant.tenant.clone(),
        format!("{}/{}", run.family, run.tier),
        format!("{:.2}", run.accuracy),
        run.device.clone(),
        run.mode.clone(),
        placement(run),
        latency,
        limit,
        number(run.power_w),
    ]
}

fn chosen(plan: &PlanDto) -> String {
    let mut table = Table::new(&["class", ">option"]);
    for tenant in plan.tenants.iter().take(MOST_ROWS) {
        let option = tenant.option.map_or_else(|| "shed".to_owned(), |o| o.to_string());
        table.row(vec![tenant.tenant.clone(), option]);
    }
    titled("choices", &table, plan.tenants.len())
}

fn devices(plan: &PlanDto) -> String {
    let mut table = Table::new(&["device", "profile", "mode", ">W", ">budget W", ">memory", "load"]);
    for device in plan.devices.iter().take(MOST_ROWS) {
        let load: Vec<String> = device
            .load
            .iter()
            .filter(|(_, share)| **share > 0.0)
            .map(|(unit, share)| format!("{unit} {:.0} %", share * 100.0))
            .collect();
        table.row(vec![
            device.device.clone(),
            device.profile.clone(),
            device.mode.clone().unwrap_or_else(|| "off".to_owned()),
            number(device.power_w),
            device.budget_w.map_or_else(|| "-".to_owned(), number),
            format!("{:.0} %", 100.0 * device.memory_bytes / device.memory_capacity_bytes.max(1.0)),
            if load.is_empty() { "-".to_owned() } else { load.join(", ") },
        ]);
    }
    titled("devices", &table, plan.devices.len())
}

fn sites(plan: &PlanDto) -> String {
    let mut table = Table::new(&["site", ">W", ">cap W", ">gCO2e/kWh", ">gCO2e/h"]);
    for site in plan.sites.iter().take(MOST_ROWS) {
        table.row(vec![
            site.site.clone(),
            number(site.power_w),
            site.cap_w.map_or_else(|| "-".to_owned(), number),
            number(site.carbon_g_per_kwh),
            number(site.carbon_g_per_h),
        ]);
    }
    titled("sites", &table, plan.sites.len())
}

fn capacities(plan: &PlanDto) -> String {
    let mut table = Table::new(&["capacity", ">used", ">of", ">share"]);
    for row in plan.capacities.iter().filter(|c| c.used > 0.0).take(MOST_ROWS) {
        let share = if row.capacity > 0.0 { row.used / row.capacity } else { 0.0 };
        table.row(vec![
            row.id.clone(),
            number(row.used),
            number(row.capacity),
            format!("{:.0} %", share * 100.0),
        ]);
    }
    let used = plan.capacities.iter().filter(|c| c.used > 0.0).count();
    titled("capacities", &table, used)
}

fn titled(title: &str, table: &Table, total: usize) -> String {
    if table.len() == 0 {
        return String::new();
    }
    let mut text = format!("\n{title}\n{}", table.render());
    if total > MOST_ROWS {
        let _ = writeln!(text, "  … and {} more; --json has them all", total - MOST_ROWS);
    }
    text
}

/// How many rows hold.
pub(super) fn held(checker: &CheckerDto) -> String {
    let rows: u64 = checker.rows.iter().map(|r| r.checked).sum();
    let kinds = checker.rows.iter().filter(|r| r.checked > 0).count();
    format!("{rows} rows of {kinds} kinds hold")
}

/// What the checker found.
pub(super) fn checker(checker: &CheckerDto) -> String {
    let mut text = match checker.verdict.as_str() {
        "pass" => format!("\nchecker: pass, {}\n", held(checker)),
        "no_plan" => "checker: no plan to check\n".to_owned(),
        verdict => format!("\nchecker: {verdict}\n"),
    };
    for violation in checker.violations.iter().take(MOST_ROWS) {
        let _ = writeln!(
            text,
            "  row {}: {}: {} against {}",
            violation.row,
            violation.subject,
            number(violation.value),
            number(violation.limit)
        );
    }
    text
}
