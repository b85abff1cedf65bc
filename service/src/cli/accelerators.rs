//! `ecomap accelerators`.

use super::table::Table;
use super::{Exit, out};
use crate::{ServiceError, input};
use ecomap_accelerators::sim::{self, Report};
use ecomap_accelerators::synergy::Order;
use ecomap_accelerators::{Method, methods};
use ecomap_instances::Seed;
use ecomap_instances::accelerators::{Named, Question, Workload};
use ecomap_instances::format::accelerators_v1;
use ecomap_instances::generate::WorkloadSpec;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Generate a workload from a seed
    Generate(Spec),
    /// Play every policy over a workload's arrivals; all times are simulated
    Simulate(Simulate),
    /// Play every policy over generated workloads of several seeds, beside the published figures
    Study(Study),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Links between accelerators (MAPA)
    Topology,
    /// CPUs and memory beside them (Synergy)
    Resources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Sorted {
    /// By arrival
    Fifo,
    /// Shortest remaining time first
    Srtf,
    /// Least attained service first
    Las,
    /// Finish-time fairness
    Ftf,
}

impl Sorted {
    const fn order(self) -> Order {
        match self {
            Self::Fifo => Order::Fifo,
            Self::Srtf => Order::Srtf,
            Self::Las => Order::Las,
            Self::Ftf => Order::Ftf,
        }
    }
}

#[derive(Debug, clap::Args)]
struct Spec {
    /// What counts
    #[arg(long, value_enum, default_value = "topology")]
    question: What,
    /// Topology of the servers: dgx-1-p100, dgx-1-v100, summit, torus-2d or cube-mesh-16
    #[arg(long, default_value = "dgx-1-v100", value_parser = parse_topology)]
    topology: Named,
    /// Servers
    #[arg(long, default_value_t = 1)]
    servers: usize,
    /// Jobs
    #[arg(long, default_value_t = 100)]
    jobs: usize,
    /// Mean seconds between arrivals
    #[arg(long, default_value_t = 60.0)]
    gap: f64,
    /// Mean seconds of service
    #[arg(long, default_value_t = 600.0)]
    service: f64,
    /// Seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Simulate {
    /// Workload (ecomap.accelerator-jobs/v1), or `-`
    file: String,
    /// Order of jobs (Synergy)
    #[arg(long, value_enum, default_value = "fifo")]
    order: Sorted,
}

#[derive(Debug, clap::Args)]
struct Study {
    /// What counts
    #[arg(long, value_enum, default_value = "topology")]
    question: What,
    /// Topology of the servers
    #[arg(long, default_value = "dgx-1-v100", value_parser = parse_topology)]
    topology: Named,
    /// Servers
    #[arg(long, default_value_t = 1)]
    servers: usize,
    /// Jobs of a workload
    #[arg(long, default_value_t = 100)]
    jobs: usize,
    /// Mean seconds between arrivals
    #[arg(long, default_value_t = 60.0)]
    gap: f64,
    /// Mean seconds of service
    #[arg(long, default_value_t = 600.0)]
    service: f64,
    /// Order of jobs (Synergy)
    #[arg(long, value_enum, default_value = "srtf")]
    order: Sorted,
    /// Workloads, with the seeds from 1 on
    #[arg(long, default_value_t = 3)]
    seeds: u64,
}

fn parse_topology(text: &str) -> Result<Named, String> {
    let known = || Named::ALL.map(Named::as_str).join(", ");
    Named::ALL.into_iter().find(|n| n.as_str() == text).ok_or_else(|| format!("known: {}", known()))
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Generate(spec) => {
            let dto = workload(spec).generate().map_err(ServiceError::Invalid)?;
            match &spec.out {
                Some(path) => out::write_json(path, &dto)?,
                None => out::print_json(&dto)?,
            }
        }
        Action::Simulate(args) => {
            let document = input::read(&args.file)?;
            let workload = accelerators_v1::read(&document.bytes).map_err(ServiceError::Invalid)?;
            let order = args.order.order();
            out::print(&format!("{}: simulated times, order {}\n", workload.name(), order.as_str()))?;
            out::print(&table(&[workload], order)?)?;
        }
        Action::Study(args) => study(args)?,
    }
    Ok(Exit::Ok)
}

fn workload(spec: &Spec) -> WorkloadSpec {
    WorkloadSpec {
        seed: Seed(spec.seed),
        question: question(spec.question),
        topology: spec.topology,
        servers: spec.servers,
        jobs: spec.jobs,
        gap_s: spec.gap,
        service_s: spec.service,
        ..WorkloadSpec::default()
    }
}

const fn question(what: What) -> Question {
    match what {
        What::Topology => Question::Topology,
        What::Resources => Question::Resources,
    }
}

fn study(args: &Study) -> anyhow::Result<()> {
    let order = args.order.order();
    let mut workloads = Vec::new();
    for seed in 1..=args.seeds.max(1) {
        let spec = WorkloadSpec {
            seed: Seed(seed),
            question: question(args.question),
            topology: args.topology,
            servers: args.servers,
            jobs: args.jobs,
            gap_s: args.gap,
            service_s: args.service,
            ..WorkloadSpec::default()
        };
        let dto = spec.generate().map_err(ServiceError::Invalid)?;
        workloads.push(dto.lower().map_err(ServiceError::Invalid)?);
    }
    let published = match args.question {
        What::Topology => "12.4 % faster at the 75th percentile, worst case 35 % shorter (MAPA, SC 2021)",
        What::Resources => {
            "average completion up to 3.4 times better, TUNE within 10 % of OPT (Synergy, OSDI 2022)"
        }
    };
    out::print(&format!(
        "simulated times, means over {} seeds; {} jobs on {} {}, order {}\n{}published, on other workloads: \
         {published}\n",
        workloads.len(),
        args.jobs,
        args.servers,
        args.topology.as_str(),
        order.as_str(),
        table(&workloads, order)?
    ))?;
    Ok(())
}

/// One row for each policy that answers the workloads' question, means over workloads; factors are
/// times of the first policy over those of the row.
fn table(workloads: &[Workload], order: Order) -> Result<String, ServiceError> {
    let mut table = Table::new(&[
        "policy",
        ">mean JCT s",
        ">p50",
        ">p95",
        ">p99",
        ">p75 run",
        ">worst run",
        ">makespan",
        ">used",
        ">JCT factor",
        ">p75 factor",
    ]);
    let count = f64::from(u32::try_from(workloads.len()).unwrap_or(u32::MAX)).max(1.0);
    let mut first: Option<[f64; 8]> = None;
    let asked = workloads.first().map(Workload::question);
    // A name without a colon repeats the one that its paper proposes.
    let named = methods().iter().filter(|(name, ..)| name.contains(':'));
    for (name, _, method) in named.filter(|(.., m)| Some(m.question()) == asked) {
        let mut sums = [0.0; 8];
        for workload in workloads {
            let report = simulate(workload, *method, order)?;
            for (sum, value) in sums.iter_mut().zip(figures(&report)) {
                *sum += value / count;
            }
        }
        let base = *first.get_or_insert(sums);
        let mut cells = vec![(*name).to_owned()];
        cells.extend(sums[..7].iter().map(|v| format!("{v:.0}")));
        cells.push(format!("{:.0} %", sums[7] * 100.0));
        cells.push(format!("{:.3}", base[0] / sums[0]));
        cells.push(format!("{:.3}", base[4] / sums[4]));
        table.row(cells);
    }
    Ok(table.render())
}

fn simulate(workload: &Workload, method: Method, order: Order) -> Result<Report, ServiceError> {
    Ok(sim::run(workload, method, order)?)
}

fn figures(report: &Report) -> [f64; 8] {
    [
        report.mean(),
        report.completion(0.5),
        report.completion(0.95),
        report.completion(0.99),
        report.execution(0.75),
        report.execution(1.0),
        report.makespan,
        report.utilisation,
    ]
}
