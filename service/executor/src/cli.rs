//! The command line: `ecomap-executor plan`, `repository`, `serve` and `emulate`.

use crate::http::server::signals_or;
use crate::repository::command::{self, Action};
use crate::{ExecutorError, config, input, orders, serve, show};
use clap::{Parser, Subcommand};
use ecomap_instances::format::result_v1;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Exit codes:
  0   fine
  2   usage: unknown option, file that cannot be read or written, address in use, unknown device
  3   the file is not a result, a configuration, a manifest or a model
  6   refused: no plan, one that did not pass the checker, or one that cannot run here
  70  internal error; please report it";

/// The agent that runs on a board.
#[derive(Debug, Parser)]
#[command(name = "ecomap-executor", version, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what each board of a plan is to run
    Plan {
        /// Result of `ecomap solve --json`, or `-` for standard input
        #[arg(value_name = "RESULT.json")]
        result: PathBuf,
        /// Only this board
        #[arg(long)]
        device: Option<String>,
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make, extend or check a model repository
    Repository {
        #[command(subcommand)]
        action: Action,
    },
    /// Run a plan's models and serve them (Open Inference Protocol v2)
    Serve {
        /// Configuration, a TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// End when standard input does
        #[arg(long)]
        until_stdin_ends: bool,
    },
    /// Emulate a board: the agent over the simulator instead of a runtime
    #[cfg(feature = "emulate")]
    Emulate(crate::emulate::cli::Args),
}

/// Parses the command line, runs the command, and turns its outcome into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Plan { result, device, json } => plan(&result, device.as_deref(), json),
        Command::Repository { action } => command::run(action),
        #[cfg(feature = "emulate")]
        Command::Emulate(args) => emulate(args).map(|()| String::new()),
        Command::Serve { config, until_stdin_ends } => {
            run_server(&config, until_stdin_ends).map(|()| String::new())
        }
    };
    match outcome {
        Ok(text) => {
            // A reader that went away is no error.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "ecomap-executor: {error}");
            ExitCode::from(match error {
                ExecutorError::Read { .. }
                | ExecutorError::Write { .. }
                | ExecutorError::Bind { .. }
                | ExecutorError::Agent(_)
                | ExecutorError::UnknownDevice { .. } => 2,
                ExecutorError::Invalid(_) | ExecutorError::TooLarge { .. } | ExecutorError::Repository(_) => {
                    3
                }
                ExecutorError::NoPlan(_)
                | ExecutorError::NotChecked { .. }
                | ExecutorError::Inconsistent(_)
                | ExecutorError::Refused(_)
                | ExecutorError::Unit { .. } => 6,
                ExecutorError::Json(_) | ExecutorError::Start(_) => 70,
            })
        }
    }
}

/// What `ecomap-executor plan` prints.
///
/// # Errors
/// When the file cannot be read or the plan must not be run.
pub fn plan(path: &Path, device: Option<&str>, json: bool) -> Result<String, ExecutorError> {
    let result = result_v1::read(&input::read(path)?)?;
    let mut list = orders::from_result(&result)?;
    if let Some(device) = device {
        list = vec![orders::for_device(list, device)?];
    }
    if json {
        return Ok(serde_json::to_string_pretty(&list)? + "\n");
    }
    Ok(list.iter().map(show::orders).collect())
}

#[cfg(feature = "emulate")]
fn emulate(args: crate::emulate::cli::Args) -> Result<(), ExecutorError> {
    log();
    crate::emulate::cli::run(args)
}

fn run_server(path: &Path, until_stdin_ends: bool) -> Result<(), ExecutorError> {
    log();
    let listening = |address| {
        // The one line on standard output: scripts wait for it.
        let _ = writeln!(io::stdout().lock(), "listening on http://{address}");
    };
    serve::run(&config::read(path)?, listening, signals_or(until_stdin_ends))
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ECOMAP_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(io::stderr);
    // A second subscriber in one process is refused; the first stays.
    let _ = log.try_init();
}
