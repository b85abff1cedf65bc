//! The command line: `ecomap solve|frontier|replay|study|explain|check|validate|estimate|dataset|profile|generate|export|serve|keys|schema|catalog|inspect`.
//!
//! One module a command; `exit` has the exit codes, `out` writes to the terminal.

mod accelerators;
mod access_args;
mod board_key;
mod catalog;
mod check;
mod dataset;
mod estimate;
mod exit;
mod explain;
mod export;
mod frontier;
mod generate;
mod inspect;
mod jobs_args;
mod keys;
mod out;
mod profile;
mod progress;
mod render;
mod replay;
mod schema;
mod serve;
mod solve;
mod study;
mod table;
mod validate;

use clap::{Parser, Subcommand, ValueEnum};
use ecomap_instances::Objective;
use ecomap_instances::format::Format;
use std::process::ExitCode;

pub use exit::Exit;

/// Decide which model runs where, in which power mode, under a carbon budget, with a proof.
#[derive(Debug, Parser)]
#[command(name = "ecomap", version, after_help = exit::HELP, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Solve a scenario, an instance or a benchmark file
    Solve(solve::Args),
    /// Find the Pareto frontier of two terms, with a plan for each point and a bound on all
    Frontier(frontier::Args),
    /// Play a fleet over months of carbon intensity: caps move, plans follow, a history is written
    Replay(replay::Args),
    /// Play methods through carbon traces, execute their plans in the simulator, and compare them
    Study(study::Args),
    /// Say who cannot be served and why, the cheapest way to serve everyone, and what more would buy
    Explain(explain::Args),
    /// Re-verify a result against the problem it answers
    Check(check::Args),
    /// Say everything that is wrong with documents
    Validate(validate::Args),
    /// Show what the estimator predicts for a scenario's tenants
    Estimate(estimate::Args),
    /// Simulate random device plans and write them as a data set
    Dataset(dataset::Args),
    /// Measure ONNX models on this machine, alone and beside each other, and compare predictions
    Profile(profile::Args),
    /// Generate a scenario from a seed
    Generate(generate::Args),
    /// Generate jobs for accelerators, and compare policies on them in the cluster simulator
    Accelerators(accelerators::Args),
    /// Write a problem as MPS, LP or priced instance
    Export(export::Args),
    /// Run the HTTP service
    Serve(serve::Args),
    /// Make, list and revoke API keys of the service
    Keys(keys::Args),
    /// Make the key that signs what boards are told
    BoardKey(board_key::Args),
    /// Solve one task for `serve`, from standard input
    #[command(hide = true)]
    Worker,
    /// Print the JSON Schema of a format
    Schema(schema::Args),
    /// List hardware profiles, model families, scenarios and solvers, or make a family of ONNX files
    Catalog(catalog::Args),
    /// Measure an ONNX model: work, weights, legal cuts, blocks, and what a unit refuses
    Inspect(inspect::Args),
}

/// Format of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// ecomap.scenario/v1
    Scenario,
    /// ecomap.instance/v1
    Instance,
    /// MMKP library text
    Mmkp,
    /// MMKP text in Khan's and Moser's layout
    MmkpKhan,
    /// OR-Library generalised assignment text
    Gap,
    /// ecomap.accelerator-jobs/v1
    AcceleratorJobs,
}

impl From<InputFormat> for Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Scenario => Self::Scenario,
            InputFormat::Instance => Self::Instance,
            InputFormat::Mmkp => Self::Mmkp,
            InputFormat::MmkpKhan => Self::MmkpKhan,
            InputFormat::Gap => Self::Gap,
            InputFormat::AcceleratorJobs => Self::AcceleratorJobs,
        }
    }
}

fn parse_objective(text: &str) -> Result<Objective, String> {
    Objective::parse(text).map_err(|(code, message)| format!("{code}: {message}; {}", code.remedy()))
}

/// A number of seconds above 0.
fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok(seconds),
        _ => Err("not a number of seconds above 0".to_owned()),
    }
}

/// A relative gap.
fn parse_gap(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(gap) if (0.0..=1.0).contains(&gap) => Ok(gap),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
}

/// Parses the command line, runs the command, and turns its outcome into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Clap prints its own errors and exits with 2, or 0 for --help.
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Solve(args) => solve::run(&args),
        Command::Frontier(args) => frontier::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Dataset(args) => dataset::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Accelerators(args) => accelerators::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::BoardKey(args) => board_key::run(&args),
        Command::Worker => {
            crate::worker::serve(&mut std::io::stdout()).map(|()| Exit::Ok).map_err(Into::into)
        }
        Command::Schema(args) => schema::run(&args),
        Command::Catalog(args) => catalog::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    let exit = outcome.unwrap_or_else(|error| {
        // A reader that has seen enough (`ecomap … | head`) is no error.
        if out::is_broken_pipe(&error) {
            return Exit::Ok;
        }
        out::error(&error);
        Exit::of(&error)
    });
    exit.into()
}
