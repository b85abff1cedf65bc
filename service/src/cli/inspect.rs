//! `ecomap inspect`.

use super::{Exit, out};
use crate::{ServiceError, input};
use clap::ValueEnum;
use ecomap_graph::support::UnitClass;
use ecomap_graph::{Format, Inspection, Options};
use ecomap_instances::family::MAX_BLOCKS;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// Tables for people
    Table,
    /// One JSON document
    Json,
    /// Graphviz
    Dot,
    /// A drawing
    Svg,
}

/// Kinds of compute unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// A GPU
    Gpu,
    /// Deep-learning accelerator of an Orin, through TensorRT
    Dla,
    /// A CPU cluster
    Cpu,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// ONNX file, or `-` for standard input
    #[arg(value_name = "MODEL.onnx")]
    model: String,
    /// Value of a symbolic dimension, by name or as `input.axis`; the batch size is 1 when not given
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = parse_dim)]
    dims: Vec<(String, u64)>,
    /// Most blocks of the chain
    #[arg(long, default_value_t = MAX_BLOCKS, value_parser = parse_blocks)]
    blocks: usize,
    /// Show what a unit of this kind cannot run, and why
    #[arg(long, value_enum)]
    unit: Option<Unit>,
    /// Let operators of unknown cost through; they count nothing
    #[arg(long)]
    allow_unknown: bool,
    /// What to write
    #[arg(long, value_enum, default_value = "table")]
    format: OutputFormat,
    /// File to write; standard output when absent
    #[arg(short, long = "out", visible_alias = "output", value_name = "FILE")]
    out: Option<PathBuf>,
}

fn parse_dim(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.rsplit_once('=').ok_or("not NAME=VALUE")?;
    match value.parse() {
        Ok(value) if value > 0 && !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err("not NAME=VALUE with a whole number above 0".to_owned()),
    }
}

fn parse_blocks(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(blocks) if (1..=MAX_BLOCKS).contains(&blocks) => Ok(blocks),
        _ => Err(format!("not a whole number from 1 to {MAX_BLOCKS}")),
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut dims = BTreeMap::new();
    for (name, size) in &args.dims {
        if dims.insert(name.clone(), *size).is_some() {
            return Err(ServiceError::Usage(format!("--dim {name} is given twice")).into());
        }
    }
    let document = input::read(&args.model)?;
    let options = Options { dims, allow_unknown: args.allow_unknown, ..Options::default() };
    let unit = args.unit.map(|unit| match unit {
        Unit::Gpu => UnitClass::Gpu,
        Unit::Dla => UnitClass::Dla,
        Unit::Cpu => UnitClass::Cpu,
    });
    let inspection = Inspection::of(&document.name, document.bytes, &options, args.blocks, unit)
        .map_err(ServiceError::Invalid)?;
    let format = match args.format {
        OutputFormat::Table => Format::Table,
        OutputFormat::Json => Format::Json,
        OutputFormat::Dot => Format::Dot,
        OutputFormat::Svg => Format::Svg,
    };
    let text = inspection.render(format).map_err(ServiceError::Json)?;
    match &args.out {
        Some(path) => out::write(path, text.as_bytes())?,
        None => out::print(&text)?,
    }
    Ok(Exit::Ok)
}
