//! `ecomap study`.

use super::progress::cancel_on_interrupt;
use super::{Exit, out};
use crate::{ServiceError, input};
use anyhow::Context as _;
use ecomap_solver::CancelToken;
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_study::summary::{by_method, markdown};
use ecomap_study::{Progress, Study, StudyError, Tables, columns, figures, report};
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The study, `ecomap.study/v1` in TOML; with `--redraw` folders with tables of studies
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run nothing: draw the figures of the tables in these folders into `--out`
    #[arg(long)]
    redraw: bool,
    /// With `--redraw`: also write the page of results, which must be in a folder above `--out`
    #[arg(long, value_name = "FILE", requires = "redraw")]
    page: Option<PathBuf>,
    /// Folder with `carbon/hourly/REGION_YEAR.csv`, for studies that choose recorded traces
    #[arg(long, value_name = "FOLDER", env = "ECOMAP_DATA", default_value = "../shared/data")]
    data: PathBuf,
    /// Folder for tables, `study.parquet`, `summary.md`, figures, and the tables of each cell; a run that was interrupted goes on there
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
    if args.redraw {
        return redraw(args);
    }
    let [file] = args.files.as_slice() else {
        return Err(ServiceError::Usage("one study at a time".to_owned()).into());
    };
    let document = input::read(&file.to_string_lossy())?;
    let text = String::from_utf8(document.bytes).context("the study is not UTF-8")?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let study = match Study::read(&text, folder, &args.data) {
        Err(error @ StudyError::NoData(_)) => {
            out::note(&format!("skipped: {error}"));
            return Ok(Exit::Ok);
        }
        other => other.map_err(told)?,
    };
    let cancel = CancelToken::default();
    cancel_on_interrupt(cancel.clone());
    let clock = SystemClock::new();
    let tell = |progress: &Progress| {
        if !args.quiet {
            out::note(&line(progress, clock.now().as_secs_f64()));
        }
    };
    let tables = ecomap_study::run(&study, &args.out, args.threads, &cancel, &tell).map_err(told)?;
    let Some(Tables { played, .. }) = tables else {
        out::note("stopped; the same command goes on from here");
        return Ok(Exit::NoPlan);
    };
    columns::write(&args.out.join("study.parquet"), &played.rows).map_err(told)?;
    figures::draw(&played, &args.out, "study").map_err(told)?;
    let table = markdown(&by_method(&played.rows));
    out::write(&args.out.join("summary.md"), table.as_bytes())?;
    out::print(&table)?;
    Ok(Exit::Ok)
}

/// Figures, and the page where one is asked for, from tables alone.
fn redraw(args: &Args) -> anyhow::Result<Exit> {
    let mut tables = Vec::new();
    for folder in &args.files {
        let name = folder.file_name().and_then(|s| s.to_str()).unwrap_or("study").to_owned();
        let read = Tables::read(folder).map_err(told)?;
        let Some(Tables { played, conditions }) = read else {
            let what = format!("{} is no folder with a `study.csv`", folder.display());
            return Err(ServiceError::Usage(what).into());
        };
        let drawn = figures::draw(&played, &args.out, &name).map_err(told)?;
        let base = args.page.as_deref().and_then(Path::parent);
        let figures = drawn
            .into_iter()
            .map(|f| {
                let path = args.out.join(f);
                let shown = base.and_then(|b| path.strip_prefix(b).ok()).unwrap_or(&path);
                shown.to_string_lossy().into_owned()
            })
            .collect();
        tables.push(report::Table { name, rows: played.rows, conditions, figures });
    }
    if let Some(page) = &args.page {
        out::write(page, report::page(&tables).as_bytes())?;
    }
    out::note(&format!("{} tables drawn into {}", tables.len(), args.out.display()));
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
