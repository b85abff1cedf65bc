//! `ecomap estimate`.

use super::table::{Table, number};
use super::{Exit, out};
use crate::ServiceError;
use crate::input;
use crate::pipeline::{self, Sizes};
use ecomap_estimator::explain::{Explanation, Offer, Row, explain};
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
    /// Print as JSON
    #[arg(long)]
    json: bool,
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
