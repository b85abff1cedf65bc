//! `ecomap frontier`.

use super::progress::cancel_on_interrupt;
use super::table::{Table, number, percent};
use super::{Exit, InputFormat, out, parse_gap, parse_seconds};
use crate::frontier::{self, Question, csv, svg};
use crate::input;
use crate::pipeline::{self, Sizes};
use ecomap_instances::format::frontier_v1::FrontierDto;
use ecomap_solver::SolveOptions;
use ecomap_solver::frontier::{Axes, MOST_POINTS};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File, `-` for standard input, or name of an embedded scenario
    file: String,
    /// Format of the file; guessed when absent
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// The two terms: accuracy-carbon (points lost, gCO2e/h) or carbon-delay (gCO2e/h, ms)
    #[arg(long, value_parser = parse_axes)]
    axes: Axes,
    /// Points wanted; beyond the supported ones, those between them
    #[arg(long, default_value_t = 0, value_parser = parse_points)]
    points: usize,
    /// Write the points and the outer line as comma-separated values
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a drawing
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Seconds for the whole
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    time_limit: f64,
    /// Distance from the outer line at which a point counts as proven, as a share of the axes' spans
    /// [default: 1e-3]
    #[arg(long, value_parser = parse_gap)]
    gap: Option<f64>,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Most branch-and-bound nodes of each solve, and about as many in all; makes a run repeatable
    #[arg(long)]
    work_limit: Option<u64>,
    /// Print the frontier, plans included, as JSON
    #[arg(long)]
    json: bool,
}

fn parse_axes(text: &str) -> Result<Axes, String> {
    Axes::parse(text).ok_or_else(|| "not one of accuracy-carbon, carbon-delay".to_owned())
}

fn parse_points(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n <= MOST_POINTS).ok_or_else(|| format!("not a number up to {MOST_POINTS}"))
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut options = SolveOptions {
        work_limit: args.work_limit,
        seed: args.seed,
        threads: args.threads,
        ..SolveOptions::default()
    };
    let clock = options.clock.clone();
    let begun = clock.now();
    let document = input::read(&args.file)?;
    cancel_on_interrupt(options.cancel.clone());
    let format = args.format.map(Into::into);
    let loaded = pipeline::load(&document.name, &document.bytes, format, Sizes::UNBOUNDED, &*clock)?;
    drop(document);
    let priced = pipeline::price(loaded, Sizes::UNBOUNDED, &*clock)?;
    let limit = Duration::from_secs_f64(args.time_limit);
    options.time_limit = Some(limit.saturating_sub(clock.now().saturating_sub(begun)));
    let question = Question { axes: args.axes, points: args.points, gap: args.gap, options };
    let found = frontier::find_in(&priced, &question)?;
    if let Some(path) = &args.csv {
        out::write(path, csv::render(&found).as_bytes())?;
    }
    if let Some(path) = &args.svg {
        out::write(path, svg::render(&found).as_bytes())?;
    }
    if args.json {
        out::print_json(&found)?;
    } else {
        out::print(&text(&found))?;
    }
    Ok(Exit::of_status(found.status))
}

fn text(f: &FrontierDto) -> String {
    let state = match (f.complete, f.supported_complete) {
        (true, _) => "complete: no point is missing",
        (false, true) => "every supported point",
        (false, false) => "a part: a limit ended the search",
    };
    let mut text = format!("{}: {}, {} points, {state}\n", f.name, f.axes, f.points.len());
    let mut table = Table::new(&[">x", ">y", "kind", ">shed"]);
    for p in &f.points {
        let kind = if p.supported { "supported" } else { "other" };
        table.row(vec![number(p.x), number(p.y), kind.to_owned(), p.shed.len().to_string()]);
    }
    let _ = writeln!(text, "x: {} ({}), y: {} ({})", f.x.term, f.x.unit, f.y.term, f.y.unit);
    text.push_str(&table.render());
    if let Some(gap) = f.gap {
        let _ = writeln!(
            text,
            "no plan lies further than {} of the spans below them ({} weighted sums solved)",
            percent(gap),
            f.solves
        );
    }
    if !f.shed_proven {
        text.push_str("it is not proven that no plan serves more tenants\n");
    }
    for note in &f.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text.push_str("computed by the model from predicted figures, not measured\n");
    text
}
