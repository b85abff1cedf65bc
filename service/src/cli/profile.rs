//! `ecomap profile`: measure ONNX models on this machine, and compare predictions with what was measured.

use super::table::Table;
use super::{Exit, out};
use crate::{ServiceError, input};
use ecomap_estimator::EstimatorError;
use ecomap_estimator::measure::clock::SystemClock;
use ecomap_estimator::measure::file::{self, ModelInfo, UnitInfo};
use ecomap_estimator::measure::machine::System;
use ecomap_estimator::measure::{
    Campaign, Comparison, Half, Kind, Measured, Settings, Target, compare, host,
};
use ecomap_graph::{LayerGraph, Model, Options};
use ecomap_instances::family::MAX_BLOCKS;
use ecomap_instances::{Code, Issue, Issues};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run models alone and beside each other on sets of cores, and write what was measured
    Run(RunArgs),
    /// Predict half of the measured co-runs from the runs alone and the other half
    Compare(CompareArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// ONNX files, or folders of them
    #[arg(value_name = "MODEL.onnx|FOLDER", required = true)]
    models: Vec<PathBuf>,
    /// JSON file to write
    #[arg(short, long = "out", value_name = "FILE.json")]
    out: PathBuf,
    /// A compute unit: a name and its cores, e.g. `big=0,1`; every core by itself when absent
    #[arg(long = "unit", value_name = "NAME=CORES", value_parser = parse_unit)]
    units: Vec<UnitInfo>,
    /// Name of this machine, for rows of a data set
    #[arg(long, default_value = "this-machine")]
    name: String,
    /// Seed of the plan and of all arrivals
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    /// Interleaved repetitions of every case
    #[arg(long, default_value_t = Settings::default().repetitions)]
    repetitions: u32,
    /// Co-runs to draw
    #[arg(long, default_value_t = Settings::default().coruns)]
    coruns: u32,
    /// Most tenants of a co-run
    #[arg(long, default_value_t = Settings::default().tenants)]
    tenants: u32,
    /// Requests that the slowest tenant of a run should see
    #[arg(long, default_value_t = Settings::default().requests)]
    requests: u32,
    /// Shortest window of a run, ms
    #[arg(long, default_value_t = Settings::default().window_ms[0])]
    shortest_ms: f64,
    /// Longest window of a run, ms
    #[arg(long, default_value_t = Settings::default().window_ms[1])]
    longest_ms: f64,
    /// Largest share of all cores that others may take before a run is attempted again
    #[arg(long, default_value_t = Settings::default().foreign_limit)]
    foreign_limit: f64,
    /// Further attempts at a disturbed run
    #[arg(long, default_value_t = Settings::default().retries)]
    retries: u32,
}

#[derive(Debug, clap::Args)]
struct CompareArgs {
    /// File that `ecomap profile run` wrote
    #[arg(value_name = "FILE.json")]
    measured: PathBuf,
    /// Show every tenant of every co-run
    #[arg(long)]
    all: bool,
}

fn parse_unit(text: &str) -> Result<UnitInfo, String> {
    let (id, cores) = text.split_once('=').ok_or("not NAME=CORES")?;
    let cores: Result<Vec<u32>, _> = cores.split(',').map(str::parse).collect();
    match cores {
        Ok(mut cores) if ecomap_instances::ids::is_legal_id(id) => {
            cores.sort_unstable();
            if cores.windows(2).any(|p| p[0] == p[1]) {
                return Err("a core is named twice".to_owned());
            }
            Ok(UnitInfo { id: id.to_owned(), cores })
        }
        _ => Err("not NAME=CORES with cores as numbers, separated by commas".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Run(args) => measure(args),
        Command::Compare(args) => judge(args),
    }
}

fn measure(args: &RunArgs) -> anyhow::Result<Exit> {
    let targets = args.models.iter().map(|p| files(p)).collect::<Result<Vec<_>, _>>()?.concat();
    let targets = targets.iter().map(|p| target(p)).collect::<Result<Vec<_>, _>>()?;
    let system = System::this();
    let mut units = args.units.clone();
    if units.is_empty() {
        let cores = u32::try_from(system.ticks().busy_s.len()).unwrap_or(0);
        units = (0..cores).map(|c| UnitInfo { id: format!("cpu{c}"), cores: vec![c] }).collect();
    }
    disjoint(&units)?;
    let clock = SystemClock::new();
    let settings = Settings {
        seed: args.seed,
        repetitions: args.repetitions,
        coruns: args.coruns,
        tenants: args.tenants,
        requests: args.requests,
        window_ms: [args.shortest_ms, args.longest_ms],
        foreign_limit: args.foreign_limit,
        retries: args.retries,
    };
    let campaign =
        Campaign { settings, name: args.name.clone(), units, targets: &targets, clock: &clock, system };
    let measured = campaign
        .run(|done, planned| {
            if done % 10 == 0 || done == planned {
                out::note(&format!("{done} of {planned} runs"));
            }
        })
        .map_err(ServiceError::from)?;
    let text = measured.json().map_err(ServiceError::Json)?;
    out::write(&args.out, text.as_bytes())?;
    let count = |keep: fn(&file::RunRecord) -> bool| measured.runs.iter().filter(|r| keep(r)).count();
    out::print(&format!(
        "{}: {} cases, {} runs count, {} of them disturbed, {} further attempts; energy: {}\n",
        args.out.display(),
        measured.cases.len(),
        count(|r| r.kept),
        count(|r| r.kept && r.noisy),
        count(|r| !r.kept),
        measured.machine.energy,
    ))?;
    Ok(Exit::Ok)
}

/// Units run beside each other: no core is in two of them.
fn disjoint(units: &[UnitInfo]) -> Result<(), ServiceError> {
    let mut taken = BTreeMap::new();
    for (n, unit) in units.iter().enumerate() {
        for core in &unit.cores {
            if let Some(other) = taken.insert(*core, unit.id.as_str()) {
                let message =
                    format!("core {core} belongs to `{other}` too, and units run beside each other");
                let issue = Issue::new(Code::Contradiction, format!("/units/{n}/cores"), message);
                return Err(ServiceError::Invalid(Issues::one(issue)));
            }
        }
    }
    Ok(())
}

/// The file, or the ONNX files of the folder, in order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, ServiceError> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let read = |source| ServiceError::Read { path: path.to_path_buf(), source };
    let mut list = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|e| e == "onnx") {
            list.push(path);
        }
    }
    list.sort();
    Ok(list)
}

/// Reads a model: what the file says of it, and the bytes to run.
fn target(path: &Path) -> Result<Target, ServiceError> {
    let document = input::read(&path.to_string_lossy())?;
    let options = Options::default();
    let model = Model::read(document.bytes.clone(), &options.limits)?;
    let graph = LayerGraph::of(&model, &options)?;
    let blocks: Vec<_> = graph.blocks(MAX_BLOCKS).iter().map(ecomap_graph::blocks::Piece::to_block).collect();
    let stem = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let id: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
    Ok(Target {
        info: ModelInfo {
            id: if ecomap_instances::ids::is_legal_id(&id) { id } else { "model".to_owned() },
            sha256: ecomap_estimator::measure::file::sha256(&document.bytes),
            macs: graph.macs(),
            params: graph.params(),
            blocks: host::shares(&blocks)?,
        },
        bytes: document.bytes,
    })
}

/// Reads a file of measurements.
pub(super) fn open(path: &Path) -> Result<Measured, ServiceError> {
    file::open(path).map_err(|error| match error {
        EstimatorError::Io { source, .. } => ServiceError::Read { path: path.to_path_buf(), source },
        other => other.into(),
    })
}

fn judge(args: &CompareArgs) -> anyhow::Result<Exit> {
    let measured = open(&args.measured)?;
    let comparison = compare(&measured).map_err(ServiceError::from)?;
    out::print(&render(&measured, &comparison, args.all))?;
    Ok(Exit::Ok)
}

const fn half(half: Half) -> &'static str {
    match half {
        Half::Fit => "fit",
        Half::Check => "check",
    }
}

const fn kind(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "all",
        Some(Kind::Isolated) => "alone",
        Some(Kind::Beside) => "beside",
        Some(Kind::Shared) => "one unit",
        Some(Kind::Mixed) => "mixed",
    }
}

fn render(measured: &Measured, c: &Comparison, all: bool) -> String {
    let m = &measured.machine;
    let [kept, noisy, further] = c.runs;
    let mut text = format!(
        "{}: {}, {} cores{}, ONNX Runtime {}\nruns: {kept} count, {noisy} of them disturbed, {further} further attempts; \
others took {:.1} % of all cores (median); energy: {}\nfitted: loss {} a share of bandwidth, shared {}, slice {} ms\n\n",
        m.name,
        m.cpu,
        m.cores,
        if m.virtual_machine { " (virtual)" } else { "" },
        m.runtime,
        100.0 * c.foreign_share,
        m.energy,
        c.tuning.loss,
        c.tuning.shared,
        c.tuning.slice_ms,
    );
    if noisy * 4 > kept {
        text.push_str("WARNING: more than a quarter of the runs were disturbed by other work: these figures are no measurements\n\n");
    }
    text.push_str("p50, p95: predictions (simulated) against what was measured\n");
    let mut table = Table::new(&[
        "prediction",
        "half",
        "cases",
        ">n",
        ">p50 error %",
        ">p90 of it",
        ">p95 error %",
        ">rank",
    ]);
    for l in &c.lines {
        table.row(vec![
            l.stage.as_str().to_owned(),
            half(l.half).to_owned(),
            kind(l.kind).to_owned(),
            l.p50.n.to_string(),
            format!("{:.1}", l.p50.median_ape),
            format!("{:.0}", l.p50.p90_ape),
            format!("{:.1}", l.p95.median_ape),
            l.p50.spearman.map_or_else(|| "–".to_owned(), |r| format!("{r:.2}")),
        ]);
    }
    text.push_str(&table.render());
    if all {
        let mut table = Table::new(&[
            ">case",
            "cases",
            "half",
            "tenant",
            ">alone ms",
            ">measured p50",
            ">fitted",
            ">calibrated",
        ]);
        for t in &c.tenants {
            table.row(vec![
                t.case.to_string(),
                kind(Some(t.kind)).to_owned(),
                half(t.half).to_owned(),
                t.what.clone(),
                format!("{:.2}", t.alone),
                format!("{:.2}", t.measured[0]),
                format!("{:.2}", t.predicted[1][0]),
                format!("{:.2}", t.predicted[2][0]),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render());
    }
    text
}
