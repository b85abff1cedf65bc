//! `ecomap explain`.

use super::table::number;
use super::{Exit, InputFormat, out, parse_objective, parse_seconds, progress, solve};
use crate::ServiceError;
use crate::explain::plan::{Alternative, PlanExplanation, PlanQuestion};
use crate::explain::{self, Bought, Explanation, Question};
use crate::input::{self, Document};
use crate::pipeline::{self, Sizes};
use ecomap_instances::Objective;
use ecomap_instances::format::{Format, guess, result_v1};
use ecomap_solver::clock::SystemClock;
use ecomap_solver::explain::Prices;
use std::fmt::Write as _;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Problem: file, `-` for standard input, or name of an embedded scenario. Or a result
    /// (RESULT.json), one tenant of which is explained with --tenant
    file: String,
    /// The problem that the result answers: file, `-`, or name of an embedded scenario; the embedded
    /// scenario of the result's name when absent
    #[arg(long, value_name = "FILE", visible_alias = "scenario")]
    against: Option<String>,
    /// The running plan that the result was given (`ecomap solve --current`)
    #[arg(long, value_name = "RESULT.json")]
    current: Option<String>,
    /// Format of the problem; guessed when absent
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// Objective; the file's own when absent
    #[arg(long, value_parser = parse_objective)]
    objective: Option<Objective>,
    /// Solve again for one more watt at each site and one more board of each class
    #[arg(long)]
    what_if: bool,
    /// Of a result: the tenant to explain. Of a problem: a tenant whose latency objective gets one
    /// more millisecond, with --what-if; may be repeated
    #[arg(long, value_name = "TENANT")]
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
    let document = input::read(&args.file)?;
    if guess(&document.bytes) == Some(Format::Result) {
        return plan(args, &document);
    }
    if args.against.is_some() || args.current.is_some() {
        return Err(usage("--against and --current are for explaining a result; this is a problem").into());
    }
    if !args.tenant.is_empty() && !args.what_if {
        return Err(usage("--tenant of a problem needs --what-if; a result needs none").into());
    }
    let clock = SystemClock::new();
    let format = args.format.map(Into::into);
    let loaded = pipeline::load(&document.name, &document.bytes, format, Sizes::UNBOUNDED, &clock)?;
    let priced = pipeline::price_open(loaded, Sizes::UNBOUNDED, &clock)?;
    let question = Question {
        objective: args.objective.clone(),
        prices: Prices { watt: args.watt_price, ms: args.ms_price, point: args.point_price },
        what_if: args.what_if,
        tenants: args.tenant.clone(),
        options: explain::options(Duration::from_secs_f64(args.time_limit), args.seed),
        deadline: None,
    };
    progress::cancel_on_interrupt(question.options.cancel.clone());
    let explanation = explain::explain(&priced, &question)?;
    if args.json {
        out::print_json(&explanation)?;
    } else {
        out::print(&text(&explanation))?;
    }
    Ok(Exit::Ok)
}

fn usage(text: &str) -> ServiceError {
    ServiceError::Usage(text.to_owned())
}

/// Explains one tenant of a result.
fn plan(args: &Args, document: &Document) -> anyhow::Result<Exit> {
    let [tenant] = &args.tenant[..] else {
        return Err(usage("a result is explained one tenant at a time: name it with --tenant").into());
    };
    if args.file == "-" && args.against.as_deref() == Some("-") {
        return Err(usage("only one of the two can be standard input").into());
    }
    let result = result_v1::read(&document.bytes).map_err(ServiceError::from)?;
    let clock = SystemClock::new();
    let problem = match &args.against {
        Some(file) => input::read(file)?,
        None => input::embedded(&result.name).ok_or_else(|| {
            usage("no embedded scenario has the result's name; name the problem with --against")
        })?,
    };
    let format = args.format.map(Into::into);
    let loaded = pipeline::load(&problem.name, &problem.bytes, format, Sizes::UNBOUNDED, &clock)?;
    let priced = pipeline::price(loaded, Sizes::UNBOUNDED, &clock)?;
    let question = PlanQuestion {
        result,
        current: args.current.as_deref().map(solve::read_result).transpose()?,
        tenant: tenant.clone(),
        objective: args.objective.clone(),
        options: explain::options(Duration::from_secs_f64(args.time_limit), args.seed),
        deadline: None,
    };
    progress::cancel_on_interrupt(question.options.cancel.clone());
    let explanation = explain::plan::explain(&priced, &question)?;
    if args.json {
        out::print_json(&explanation)?;
    } else {
        out::print(&plan_text(&explanation))?;
    }
    Ok(Exit::Ok)
}

fn side(x: Option<f64>) -> String {
    // What rounding leaves of a difference is none.
    let quiet = |x: f64| number(if x.abs() < 1e-9 { 0.0 } else { x });
    x.map_or_else(|| "?".to_owned(), quiet)
}

/// A range of numbers, or the one number that both ends show as.
fn range(low: Option<f64>, high: Option<f64>) -> String {
    let (low, high) = (side(low), side(high));
    if low == high { low } else { format!("{low} to {high}") }
}

fn bought(change: &Bought, unit: &str) -> String {
    format!(
        "{} buys {} {unit} (objective {})",
        change.change,
        range(change.at_least, change.at_most),
        number(change.value)
    )
}

fn plan_text(e: &PlanExplanation) -> String {
    let mut text = format!("{}, tenant {}: ", e.name, e.tenant);
    match &e.choice {
        Some(c) => {
            let _ = writeln!(
                text,
                "{} on {} ({} at site {}) in mode {}",
                c.tier, c.device, c.profile, c.site, c.mode
            );
            let slo = c.slo_margin_ms.map_or_else(String::new, |m| {
                let side = if m < 0.0 { "above" } else { "within" };
                format!(", {} ms {side} its objective", number(m.abs()))
            });
            let floor = c
                .floor_margin_points
                .map_or_else(String::new, |m| format!(", {} points above its floor", number(m)));
            let _ = writeln!(
                text,
                "  latency {} ms{slo}; accuracy {} %{floor}",
                number(c.latency_ms),
                number(c.accuracy)
            );
        }
        None => text.push_str("shed\n"),
    }
    let _ = writeln!(
        text,
        "objective {}: plan {}, solved again {} (bound {}) {}",
        e.objective,
        number(e.plan_value),
        side(e.best_value),
        side(e.best_bound),
        e.unit
    );
    text.push_str("otherwise the objective would be worse by (in brackets what each of its terms adds)\n");
    for a in &e.alternatives {
        let _ = writeln!(text, "  {}", alternative(a, &e.unit));
    }
    for cap in &e.caps {
        let _ = writeln!(text, "site {}: {} of {} W used", cap.site, number(cap.used_w), number(cap.cap_w));
        if let Some(price) = cap.bound_per_watt {
            let _ =
                writeln!(text, "  a watt moves the bound by {} {} (pool relaxation)", number(price), e.unit);
        }
        for change in cap.one_watt.iter().chain(&cap.tenth) {
            let _ = writeln!(text, "  {}", bought(change, &e.unit));
        }
    }
    for change in &e.changes {
        let _ = writeln!(text, "{}", bought(change, &e.unit));
    }
    for question in &e.skipped {
        let _ = writeln!(text, "not answered in the time given: {question}");
    }
    for note in &e.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text.push_str("figures are predictions of the priced options, not measurements\n");
    text
}

fn alternative(a: &Alternative, unit: &str) -> String {
    let mut text = format!("{} {}: ", a.kind, a.name);
    if a.kind == "shed" {
        text = "shed: ".to_owned();
    }
    match a.verdict {
        "possible" => {
            let _ = write!(text, "{} {unit}", range(a.worse_by_at_least, a.worse_by_at_most));
            if let Some(choice) = &a.choice {
                let _ = write!(text, ", {choice}");
            }
            if let Some(others) = a.others_changed.filter(|n| *n > 0) {
                let _ = write!(text, ", {others} other tenants run something else");
            }
            let mut terms: Vec<&(String, f64)> = a.terms.iter().collect();
            terms.sort_by(|x, y| y.1.abs().total_cmp(&x.1.abs()).then(x.0.cmp(&y.0)));
            let terms: Vec<String> = terms.iter().map(|(t, d)| format!("{t} {}", signed(*d))).collect();
            if !terms.is_empty() {
                let _ = write!(text, " ({})", terms.join(", "));
            }
        }
        "impossible" if a.because.is_empty() => text.push_str("impossible"),
        "impossible" => {
            let _ = write!(text, "impossible, because these cannot all hold: {}", a.because.join("; "));
        }
        "no_option" => text.push_str("impossible, it cannot run there so"),
        _ => text.push_str("not known in the time given"),
    }
    text
}

fn signed(x: f64) -> String {
    if x > 0.0 { format!("+{}", number(x)) } else { format!("-{}", number(-x)) }
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
        let _ = writeln!(text, "{}", bought(change, &e.unit));
    }
    for question in &e.skipped {
        let _ = writeln!(text, "not answered in the time given: {question}");
    }
    text.push_str("figures are predictions of the priced options, not measurements\n");
    text
}
