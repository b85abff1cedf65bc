//! `ecomap study`.

use super::progress::cancel_on_interrupt;
use super::{Exit, out};
use crate::{ServiceError, input};
use anyhow::Context as _;
use ecomap_solver::CancelToken;
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_study::summary::{by_method, markdown};
use ecomap_study::{Progress, Study, StudyError};
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, `ecomap.study/v1` in TOML
    file: String,
    /// Folder for `study.csv`, `summary.md` and one file for each cell; a run that was interrupted goes on there
    #[arg(long, value_name = "FOLDER", default_value = "study")]
    out: PathBuf,
    /// Cells at a time [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Do not print progress
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let document = input::read(&args.file)?;
    let text = String::from_utf8(document.bytes).context("the study is not UTF-8")?;
    let folder = Path::new(&args.file).parent().unwrap_or(Path::new("."));
    let study = Study::read(&text, folder).map_err(told)?;
    let cancel = CancelToken::default();
    cancel_on_interrupt(cancel.clone());
    let clock = SystemClock::new();
    let tell = |progress: &Progress| {
        if !args.quiet {
            out::note(&line(progress, clock.now().as_secs_f64()));
        }
    };
    let rows = ecomap_study::run(&study, &args.out, args.threads, &cancel, &tell).map_err(told)?;
    let Some(rows) = rows else {
        out::note("stopped; the same command goes on from here");
        return Ok(Exit::NoPlan);
    };
    let table = markdown(&by_method(&rows));
    out::write(&args.out.join("summary.md"), table.as_bytes())?;
    out::print(&table)?;
    Ok(Exit::Ok)
}

/// How far it is, and how long the rest will take at the pace so far.
fn line(progress: &Progress, seconds: f64) -> String {
    let count = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
    let made = count(progress.done - progress.kept);
    let left = count(progress.of - progress.done);
    let rest = if made > 0.0 { format!(", {:.0} s left", seconds / made * left) } else { String::new() };
    format!("{:>5} of {}{rest}: {}", progress.done, progress.of, progress.what)
}

/// Errors of the study with the exit code that fits.
fn told(error: StudyError) -> anyhow::Error {
    match error {
        StudyError::Scenario { issues, .. } => ServiceError::Invalid(issues).into(),
        StudyError::Estimator(error) => ServiceError::Estimator(error).into(),
        StudyError::Solver(error) => ServiceError::Solver(error).into(),
        StudyError::Simulation(_) | StudyError::Misfit(_) => error.into(),
        other => {
            let cause = std::error::Error::source(&other).map_or_else(String::new, |s| format!(": {s}"));
            ServiceError::Usage(format!("{other}{cause}")).into()
        }
    }
}
