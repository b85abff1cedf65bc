//! `ecomap check`.

use super::{Exit, InputFormat, out, parse_objective, render, solve};
use crate::contention::Contention;
use crate::http::handlers::check::Checked;
use crate::input;
use crate::pipeline::{self, Sizes};
use ecomap_instances::Objective;
use ecomap_solver::clock::SystemClock;
use std::fmt::Write as _;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Result to verify (JSON), or `-` for standard input
    #[arg(value_name = "RESULT.json")]
    result: String,
    /// The problem it answers: file, `-`, or name of an embedded scenario
    #[arg(long, value_name = "FILE")]
    against: String,
    /// Format of that file; guessed when absent
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Objective of the result, where it has weights and is not the input's own
    #[arg(long, value_parser = parse_objective)]
    objective: Option<Objective>,
    /// The running plan that the result was given (`ecomap solve --current`)
    #[arg(long, value_name = "RESULT.json")]
    current: Option<String>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if args.result == "-" && args.against == "-" {
        return Err(crate::ServiceError::Usage("only one of the two can be standard input".to_owned()).into());
    }
    let clock = SystemClock::new();
    let result = solve::read_result(&args.result)?;
    let current = args.current.as_deref().map(solve::read_result).transpose()?;
    let document = input::read(&args.against)?;
    let format = args.input_format.map(Into::into);
    let loaded = pipeline::load(&document.name, &document.bytes, format, Sizes::UNBOUNDED, &clock)?;
    let priced = pipeline::price_for(loaded, Contention::of(&result)?, Sizes::UNBOUNDED, &clock)?;
    let recheck = pipeline::recheck(&priced, &result, args.objective.clone(), current.as_ref())?;
    let exit = if recheck.pass { Exit::Ok } else { Exit::CheckFailed };
    let checked = Checked::from(recheck);
    if args.json {
        out::print_json(&checked)?;
        return Ok(exit);
    }
    let mut text = format!("{}: {}\n", result.name, checked.verdict);
    for finding in &checked.findings {
        let _ = writeln!(text, "  {finding}");
    }
    match &checked.checker {
        // The plan keeps the rows, but what the result says of it is wrong.
        Some(checker) if exit != Exit::Ok && checker.verdict == "pass" => {
            let _ = writeln!(
                text,
                "checker: {}, what the result says of the plan does not",
                render::held(checker)
            );
        }
        Some(checker) => text.push_str(render::checker(checker).trim_start()),
        None => text.push_str("the result has no plan; its status cannot be verified from it alone\n"),
    }
    out::print(&text)?;
    Ok(exit)
}
