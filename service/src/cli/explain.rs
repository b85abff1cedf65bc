//! `ecomap explain`.

use super::table::number;
use super::{Exit, InputFormat, out, parse_objective, parse_seconds};
use crate::explain::{self, Explanation, Question};
use crate::input;
use crate::pipeline::{self, Sizes};
use ecomap_instances::Objective;
use ecomap_solver::clock::SystemClock;
use ecomap_solver::explain::Prices;
use std::fmt::Write as _;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File, `-` for standard input, or name of an embedded scenario
    file: String,
    /// Format of the file; guessed when absent
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// Objective; the file's own when absent
    #[arg(long, value_parser = parse_objective)]
    objective: Option<Objective>,
    /// Solve again for one more watt at each site and one more board of each class
    #[arg(long)]
    what_if: bool,
    /// Tenant whose latency objective gets one more millisecond, with --what-if; may be repeated
    #[arg(long, value_name = "TENANT", requires = "what_if")]
    tenant: Vec<String>,
    /// Price of a watt above a cap
    #[arg(long, default_value_t = 1.0, value_parser = parse_price)]
    watt_price: f64,
    /// Price of a millisecond above a latency objective
    #[arg(long, default_value_t = 0.1, value_parser = parse_price)]
    ms_price: f64,
    /// Price of a point below an accuracy floor
    #[arg(long, default_value_t = 1.0, value_parser = parse_price)]
    point_price: f64,
    /// Seconds for each solve
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    time_limit: f64,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

/// A price above 0: what is free would be given in without measure.
fn parse_price(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(price) if price > 0.0 && price <= 1e9 => Ok(price),
        _ => Err("not a price above 0".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let clock = SystemClock::new();
    let document = input::read(&args.file)?;
    let format = args.format.map(Into::into);
    let loaded = pipeline::load(&document.name, &document.bytes, format, Sizes::UNBOUNDED, &clock)?;
    let priced = pipeline::price_open(loaded, Sizes::UNBOUNDED, &clock)?;
    let question = Question {
        objective: args.objective.clone(),
        prices: Prices { watt: args.watt_price, ms: args.ms_price, point: args.point_price },
        what_if: args.what_if,
        tenants: args.tenant.clone(),
        options: explain::options(Duration::from_secs_f64(args.time_limit), args.seed),
    };
    let explanation = explain::explain(&priced, &question)?;
    if args.json {
        out::print_json(&explanation)?;
    } else {
        out::print(&text(&explanation))?;
    }
    Ok(Exit::Ok)
}

fn text(e: &Explanation) -> String {
    let mut text = format!("{}: {}, {}\n", e.name, e.status.as_str(), e.objective);
    if e.shed.is_empty() {
        text.push_str("everyone is served\n");
    } else {
        let _ = writeln!(text, "not served: {}", e.shed.join(", "));
        text.push_str(match e.reason {
            "conflict" if e.irreducible => "these cannot all hold, and any fewer of them can:\n",
            "conflict" => "these cannot all hold (a limit came before it was known whether fewer can):\n",
            "hardware" => {
                "no plan exists, whatever is given up: what the boards must do contradicts itself\n"
            }
            "unknown" => "a limit came before it was known whether everyone can be served\n",
            _ => "everyone could be served, at a higher cost than shedding\n",
        });
        for demand in &e.conflict {
            let _ = writeln!(text, "  {demand}");
        }
    }
    if let Some(r) = &e.relaxation {
        let [watt, ms, point] = r.prices;
        let _ = writeln!(
            text,
            "cheapest relaxation that serves everyone: price {} (bound {}) at {watt} a W, {ms} a ms, {point} a point",
            number(r.price),
            r.bound.map_or_else(|| "unknown".to_owned(), number)
        );
        for (list, what) in [
            (&r.watts, "W more at site"),
            (&r.milliseconds, "ms more for tenant"),
            (&r.points, "points below the floor of tenant"),
        ] {
            for (name, amount) in list {
                let _ = writeln!(text, "  {} {what} {name}", number(*amount));
            }
        }
    } else if !e.shed.is_empty() {
        text.push_str(
            "no relaxation of caps, latency objectives and floors was found that serves everyone\n",
        );
    }
    for change in &e.changes {
        let side = |x: Option<f64>| x.map_or_else(|| "?".to_owned(), number);
        let _ = writeln!(
            text,
            "{} buys {} to {} {} (objective {})",
            change.change,
            side(change.at_least),
            side(change.at_most),
            e.unit,
            number(change.value)
        );
    }
    text.push_str("figures are predictions of the priced options, not measurements\n");
    text
}
