//! `ecomap export`.

use super::{Exit, InputFormat, out, parse_objective};
use crate::ServiceError;
use crate::input;
use crate::pipeline::{self, Sizes};
use clap::ValueEnum;
use ecomap_instances::Objective;
use ecomap_instances::format::instance_v1::InstanceDto;
use ecomap_solver::clock::SystemClock;
use ecomap_solver::formulation::{self, ModelFormat};
use std::path::PathBuf;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// MPS, free format, with readable names
    Mps,
    /// CPLEX LP
    Lp,
    /// The priced instance as JSON (ecomap.instance/v1)
    Instance,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File, `-` for standard input, or name of an embedded scenario
    file: String,
    /// What to write
    #[arg(long, value_enum)]
    format: OutputFormat,
    /// Format of the input file; guessed when absent
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
    /// Objective to write; the file's own when absent
    #[arg(long, value_parser = parse_objective)]
    objective: Option<Objective>,
    /// File to write; required for mps and lp
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let clock = SystemClock::new();
    let document = input::read(&args.file)?;
    let format = args.input_format.map(Into::into);
    let loaded = pipeline::load(&document.name, &document.bytes, format, Sizes::UNBOUNDED, &clock)?;
    let priced = pipeline::price(loaded, Sizes::UNBOUNDED, &clock)?;
    let instance = match &args.objective {
        Some(objective) => priced.instance.with_objective(objective.clone()),
        None => priced.instance,
    };
    let format = match args.format {
        OutputFormat::Instance => {
            let dto = InstanceDto::raise(&instance);
            match &args.out {
                Some(path) => out::write_json(path, &dto)?,
                None => out::print_json(&dto)?,
            }
            return Ok(Exit::Ok);
        }
        OutputFormat::Mps => ModelFormat::Mps,
        OutputFormat::Lp => ModelFormat::Lp,
    };
    let path = args.out.as_deref().ok_or_else(|| {
        ServiceError::Usage(format!("name a file with --out, e.g. {}.{}", priced.name, format.extension()))
    })?;
    let exported =
        formulation::export(&instance, &instance.objective, format, path).map_err(ServiceError::Solver)?;
    out::note(&format!(
        "{}: {} columns, {} rows; add {} to its optimum",
        path.display(),
        exported.columns,
        exported.rows,
        super::table::exact(exported.offset)
    ));
    Ok(Exit::Ok)
}
