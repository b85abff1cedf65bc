//! `ecomap estimate`: what placements cost, or what a plan's tenants do to each other.

use super::table::{Table, number};
use super::{Exit, out, solve};
use crate::ServiceError;
use crate::contention;
use crate::input;
use crate::joint::{self, BoardView, SiteView};
use crate::pipeline::{self, Sizes};
use ecomap_estimator::Predictor;
use ecomap_estimator::explain::{Explanation, Offer, Row, explain};
use ecomap_estimator::learned::Serve;
use ecomap_instances::Scenario;
use ecomap_instances::format::{Format, Input};
use ecomap_solver::clock::SystemClock;
use std::fmt::Write as _;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario: file, `-` for standard input, or name of an embedded one
    scenario: String,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Placements to show for each tier, board type and power mode
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    best: u16,
    /// Predict the plan of this result jointly, board by board, instead of placements one by one
    #[arg(long, value_name = "RESULT.json", conflicts_with = "best")]
    plan: Option<String>,
    /// Joint predictor: `auto` is the transformer, or the forest where ONNX Runtime is missing
    #[arg(long, value_enum, default_value_t, requires = "plan")]
    predictor: Choice,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Joint predictor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    /// Transformer, else forest
    #[default]
    Auto,
    /// Transformer, or an error
    Transformer,
    /// Forest
    Forest,
    /// Closed formulas
    Roofline,
}

fn joint_predictor(choice: Choice) -> Result<Box<dyn Predictor>, ServiceError> {
    Ok(match choice {
        Choice::Roofline => Box::new(pipeline::predictor()?),
        Choice::Auto => contention::learned(Serve::Either)?,
        Choice::Transformer => contention::learned(Serve::Transformer)?,
        Choice::Forest => contention::learned(Serve::Forest)?,
    })
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let document = input::read(&args.scenario)?;
    let format = input::format_of(&document.name, &document.bytes, None)?;
    if format != Format::Scenario {
        return Err(ServiceError::NotAScenario(document.name).into());
    }
    let loaded =
        pipeline::load(&document.name, &document.bytes, Some(format), Sizes::UNBOUNDED, &SystemClock::new())?;
    let Input::Scenario(scenario) = loaded.input else {
        return Err(ServiceError::NotAScenario(document.name).into());
    };
    let known = |tenant: &str| scenario.tenants.iter().any(|t| t.id.as_str() == tenant);
    if let Some(tenant) = args.tenant.as_deref().filter(|t| !known(t)) {
        return Err(ServiceError::Usage(format!("the scenario has no tenant `{tenant}`")).into());
    }
    if let Some(path) = &args.plan {
        return plan(args, &scenario, path);
    }
    let predictor = pipeline::predictor()?;
    let mut explanation =
        explain(&scenario, &predictor, usize::from(args.best)).map_err(ServiceError::from)?;
    if let Some(tenant) = &args.tenant {
        explanation.rows.retain(|row| row.tenant == *tenant);
    }
    if args.json {
        out::print_json(&explanation)?;
    } else {
        out::print(&render(&explanation))?;
    }
    Ok(Exit::Ok)
}

fn plan(args: &Args, scenario: &Scenario, path: &str) -> anyhow::Result<Exit> {
    let result = solve::read_result(path)?;
    let predictor = joint_predictor(args.predictor)?;
    let mut boards = joint::view(scenario, &result, predictor.as_ref())?;
    let sites = joint::sites(scenario, &boards);
    if let Some(tenant) = &args.tenant {
        for board in &mut boards {
            board.tenants.retain(|t| t.tenant == *tenant);
        }
        boards.retain(|b| !b.tenants.is_empty());
    }
    if args.json {
        out::print_json(&boards)?;
    } else {
        out::print(&boards_text(&boards, &sites, predictor.as_ref()))?;
    }
    Ok(Exit::Ok)
}

fn boards_text(boards: &[BoardView], sites: &[SiteView], predictor: &dyn Predictor) -> String {
    let by = predictor.name();
    let mut text = format!(
        "predicted by {by} {}\nservice: roofline; transfer: profile; contention: closed form; queueing, tail, W: {by}; \
         network: links of the scenario\np50 is the sum of the first five; tail: from p50 to p95; slowdown: p95 beside \
         the others over p95 alone at the same rate\n",
        predictor.version(),
    );
    if let Some(remark) = predictor.remark() {
        let _ = writeln!(text, "note: {remark}");
    }
    for b in boards {
        let note = if b.extrapolated { ", busier than anything it was fitted on" } else { "" };
        let _ = writeln!(
            text,
            "\n{} ({} {}): {} W of {} W, {}{note}",
            b.device,
            b.profile,
            b.mode,
            number(b.power_w),
            number(b.budget_w),
            if b.budget_kept { "kept" } else { "NOT kept" },
        );
        let mut table = Table::new(&[
            "tenant",
            "tier",
            "units",
            ">service",
            ">transfer",
            ">contention",
            ">queueing",
            ">network",
            ">p50 ms",
            ">tail",
            ">p95 ms",
            ">p99 ms",
            ">slowdown",
            ">SLO ms",
            "kept",
        ]);
        for t in &b.tenants {
            table.row(vec![
                t.tenant.clone(),
                t.tier.clone(),
                t.units.join(" + "),
                number(t.service_ms),
                number(t.transfer_ms),
                number(t.contention_ms),
                number(t.queueing_ms),
                number(t.network_ms),
                number(t.latency_ms[0]),
                number(t.tail_ms),
                number(t.latency_ms[1]),
                number(t.latency_ms[2]),
                number(t.slowdown_p95),
                format!("{} {}", t.quantile, number(t.slo_ms)),
                if t.kept { "yes" } else { "no" }.to_owned(),
            ]);
        }
        text.push_str(&table.render());
    }
    for s in sites {
        let cap = s.cap_w.map_or_else(|| "no cap".to_owned(), |cap| format!("cap {} W", number(cap)));
        let verdict = if s.kept { "kept" } else { "NOT kept" };
        let _ = writeln!(
            text,
            "\nsite {}: {} W by boards with tenants, {cap}, {verdict}",
            s.site,
            number(s.power_w)
        );
    }
    text
}

fn render(explanation: &Explanation) -> String {
    let mut text = format!("predicted by {}\n", explanation.predictor);
    let mut rows = explanation.rows.as_slice();
    while let Some(first) = rows.first() {
        let count = rows.iter().take_while(|r| r.tenant == first.tenant).count();
        let (own, rest) = rows.split_at(count);
        rows = rest;
        let slo = own
            .iter()
            .flat_map(|r| &r.best)
            .next()
            .map_or_else(String::new, |o| format!(", {} within {} ms", o.quantile, number(o.slo_ms)));
        let _ = writeln!(text, "\n{} ({}{slo})", first.tenant, first.family);
        text.push_str(&tenant(own).render());
    }
    text
}

fn tenant(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "tier",
        ">accuracy",
        "board type",
        "mode",
        ">options",
        "placement",
        ">service",
        ">transfer",
        ">waiting",
        ">network",
        ">contention",
        ">latency ms",
        ">J",
        ">W",
        "verdict",
    ]);
    for row in rows {
        for offer in &row.best {
            table.row(cells(row, offer));
        }
    }
    table
}

fn cells(row: &Row, offer: &Offer) -> Vec<String> {
    let placement: Vec<String> = match offer.segments.as_slice() {
        [one] => vec![one.unit.clone()],
        many => many.iter().map(|s| format!("{}:{}-{}", s.unit, s.from_block, s.to_block)).collect(),
    };
    let parts = &offer.latency;
    vec![
        row.tier.clone(),
        format!("{:.2}", row.accuracy),
        row.class.clone(),
        row.mode.clone(),
        row.options.to_string(),
        placement.join(" + "),
        number(parts.service_ms),
        number(parts.transfer_ms),
        number(parts.waiting_ms),
        number(parts.network_ms),
        number(parts.contention_ms),
        number(parts.total_ms),
        number(offer.energy_j),
        number(offer.dynamic_w),
        offer.left_out.map_or_else(|| "option".to_owned(), |reason| format!("not: {reason}")),
    ]
}
