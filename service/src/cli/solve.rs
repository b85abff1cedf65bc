//! `ecomap solve`.

use super::progress::{Progress, cancel_on_interrupt};
use super::{Exit, InputFormat, out, parse_gap, parse_objective, parse_seconds, render};
use crate::ServiceError;
use crate::contention::Contention;
use crate::input;
use crate::pipeline::{self, Request, Sizes};
use crate::steady::Steady;
use ecomap_instances::Objective;
use ecomap_instances::format::result_v1::{self, ResultDto};
use ecomap_solver::Observer;
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
    /// What to minimise: ecomap, carbon, energy, latency, accuracy, value, cdp,
    /// weighted:carbon=1,latency=0.5 or lexicographic:accuracy,carbon; the file's own when absent
    #[arg(long, value_parser = parse_objective)]
    objective: Option<Objective>,
    /// Solver (see `ecomap catalog`)
    #[arg(long)]
    solver: Option<String>,
    /// Joint predictor that must accept the plan: `auto` is the transformer, or the forest where
    /// ONNX Runtime is missing; scenarios only
    #[arg(long, value_enum, default_value_t)]
    contention: Contention,
    /// Seconds, parsing and pricing included
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    time_limit: f64,
    /// Relative gap at which the search may stop [default: 1e-4; 1e-9 for problems without devices]
    #[arg(long, value_parser = parse_gap)]
    gap: Option<f64>,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Most branch-and-bound nodes or iterations; makes a run repeatable
    #[arg(long)]
    work_limit: Option<u64>,
    /// Result to start from
    #[arg(long, value_name = "RESULT.json")]
    warm_start: Option<String>,
    /// Result whose plan runs now; instead of the file's own running plan
    #[arg(long, value_name = "RESULT.json")]
    current: Option<String>,
    /// Most tenants that may leave what they run now
    #[arg(long, value_name = "N")]
    max_moves: Option<u32>,
    /// Tenant that keeps what it runs now; may be given more than once
    #[arg(long, value_name = "TENANT")]
    freeze: Vec<String>,
    /// Solve again without rules on stability, and say what they cost
    #[arg(long)]
    weigh_stability: bool,
    /// Write the result (JSON) to this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Do not print progress
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if std::env::var_os("ECOMAP_LOG").is_some() {
        super::serve::start_logs(false);
    }
    let mut request = Request {
        objective: args.objective.clone(),
        solver: args.solver.clone(),
        work_limit: args.work_limit,
        gap: args.gap,
        seed: args.seed,
        threads: args.threads,
        ..Request::default()
    };
    if let Some(solver) = &args.solver {
        crate::accelerators::known(solver).map_err(ServiceError::Solver)?;
    }
    let document = input::read(&args.file)?;
    request.warm_start = args.warm_start.as_deref().map(read_result).transpose()?;
    request.steady = Steady {
        max_moves: args.max_moves.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        freeze: args.freeze.clone(),
        current: args.current.as_deref().map(read_result).transpose()?,
        weigh: args.weigh_stability,
    };
    let clock = request.clock.clone();
    request.deadline = Some(clock.now() + Duration::from_secs_f64(args.time_limit));
    cancel_on_interrupt(request.cancel.clone());
    let loaded = pipeline::load(
        &document.name,
        &document.bytes,
        args.format.map(Into::into),
        Sizes::UNBOUNDED,
        &*clock,
    )?;
    drop(document);
    let priced = pipeline::price_for(loaded, args.contention, Sizes::UNBOUNDED, &*clock)?;
    let mut progress = Progress::default();
    let observer: &mut dyn Observer = if args.quiet { &mut () } else { &mut progress };
    let answer = pipeline::solve(&priced, &request, observer)?;
    if let Some(path) = &args.out {
        out::write_json(path, &answer.result)?;
    }
    if args.json {
        out::print_json(&answer.result)?;
    } else {
        out::print(&render::result(&answer.result))?;
    }
    Ok(Exit::of_status(answer.result.status))
}

/// Reads a result document.
pub(super) fn read_result(source: &str) -> Result<ResultDto, ServiceError> {
    let document = input::read(source)?;
    Ok(result_v1::read(&document.bytes)?)
}
