//! Solves published files (MMKP, Khan's, GAP) within a limit; one JSON line a file.
//!
//! `cargo run --release -p ecomap-benches --bin mmkp -- [--limit S] [--plan] FILE…`
#![allow(clippy::print_stdout)] // a command line prints

use clap::Parser;
use ecomap_instances::Instance;
use ecomap_instances::format::{gap, mmkp};
use ecomap_solver::checker::Verdict;
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::{SolveOptions, by_name, default_gap};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Solves published knapsack and assignment files")]
struct Cli {
    /// Seconds for a file.
    #[arg(long, default_value_t = 60.0)]
    limit: f64,
    /// Threads, for the solver and for work shared in the process.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Prints the option of every class too.
    #[arg(long)]
    plan: bool,
    files: Vec<PathBuf>,
}

fn read(bytes: &[u8]) -> Result<Instance, Box<dyn std::error::Error>> {
    let read = mmkp::read(bytes, "file").or_else(|_| mmkp::read_khan(bytes, "file"));
    Ok(read.or_else(|_| gap::read(bytes, "file"))?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    rayon::ThreadPoolBuilder::new().num_threads(usize::try_from(cli.threads)?).build_global()?;
    let clock = SystemClock::new();
    for file in &cli.files {
        let instance = read(&std::fs::read(file)?)?;
        let options = SolveOptions {
            gap: default_gap(&instance),
            time_limit: Some(Duration::from_secs_f64(cli.limit)),
            threads: cli.threads,
            ..SolveOptions::default()
        };
        let start = clock.now();
        let solution = by_name("exact")?.solve(&instance, &options, &mut ())?;
        let seconds = (clock.now() - start).as_secs_f64();
        let c = &solution.certificate;
        let mut line = json!({
            "file": file, "tenants": instance.tenants.len(), "options": instance.option_count(),
            "rows": instance.capacities.len(), "threads": cli.threads, "status": solution.status.as_str(),
            "seconds": seconds, "value": c.primal, "bound": c.dual, "gap": c.gap(), "nodes": c.nodes,
            "method": c.method, "fits": solution.verdict.as_ref().is_some_and(Verdict::passes),
        });
        if cli.plan {
            let picks = solution.assignment.iter().flat_map(|plan| &plan.picks);
            line["plan"] = picks.map(|pick| pick.map(|p| p.option.at())).collect();
        }
        println!("{line}");
    }
    Ok(())
}
