//! The command line: `ecomap-executor plan`.

use crate::{ExecutorError, orders, show};
use clap::{Parser, Subcommand};
use ecomap_instances::format::result_v1;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Most bytes of a result.
const MAX_BYTES: u64 = 256 << 20;

const HELP: &str = "\
Exit codes:
  0   fine
  2   usage: unknown option, file that cannot be read, unknown device
  3   the file is not a result document
  6   refused: no plan, or one that did not pass the checker
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
    /// Emulate a board: the agent over the simulator instead of a runtime
    #[cfg(feature = "emulate")]
    Emulate(crate::emulate::cli::Args),
}

/// Parses the command line, runs the command, and turns its outcome into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Plan { result, device, json } => plan(&result, device.as_deref(), json),
        #[cfg(feature = "emulate")]
        Command::Emulate(args) => return emulate(args),
    };
    match done {
        Ok(text) => {
            // A reader that went away is no error.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "ecomap-executor: {error}");
            ExitCode::from(match error {
                ExecutorError::Read { .. } | ExecutorError::UnknownDevice { .. } => 2,
                ExecutorError::Invalid(_) | ExecutorError::TooLarge { .. } => 3,
                ExecutorError::NoPlan(_)
                | ExecutorError::NotChecked { .. }
                | ExecutorError::Inconsistent(_) => 6,
                ExecutorError::Json(_) => 70,
            })
        }
    }
}

#[cfg(feature = "emulate")]
fn emulate(args: crate::emulate::cli::Args) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(io::stderr)
        .init();
    match crate::emulate::cli::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "ecomap-executor: {error}");
            ExitCode::from(2)
        }
    }
}

/// What `ecomap-executor plan` prints.
///
/// # Errors
/// When the file cannot be read or the plan must not be run.
pub fn plan(path: &Path, device: Option<&str>, json: bool) -> Result<String, ExecutorError> {
    let result = result_v1::read(&read(path)?)?;
    let mut list = orders::from_result(&result)?;
    if let Some(device) = device {
        list = vec![orders::for_device(list, device)?];
    }
    if json {
        return Ok(serde_json::to_string_pretty(&list)? + "\n");
    }
    Ok(list.iter().map(show::orders).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, ExecutorError> {
    let failed = |source| ExecutorError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let count = if path.as_os_str() == "-" {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)
    };
    if count.map_err(failed)? as u64 > MAX_BYTES {
        return Err(ExecutorError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(bytes)
}
