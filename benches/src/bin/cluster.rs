//! Solves synthetic clusters, with several rows a device, within a limit; one JSON line a seed.
//!
//! `cargo run --release -p ecomap-benches --bin cluster -- --tenants 1000 --options 50 --seeds 3 --limit 2.5`
//!
//! `--export FILE` writes the problem of the first seed instead, for other solvers.
#![allow(clippy::print_stdout)] // a command line prints

use clap::Parser;
use ecomap_agents::generate::{Cluster, cluster};
use ecomap_instances::ids::CapacityIx;
use ecomap_instances::instance::{Capacity, Choice, Instance, InstanceParts, InstanceTenant, Sense};
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::plan::relative_gap;
use ecomap_instances::scenario::{Shedding, Stability};
use ecomap_instances::units::Hertz;
use ecomap_solver::checker::Verdict;
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::{Incumbent, SolveOptions, by_name};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Solves synthetic clusters")]
struct Cli {
    #[arg(long, default_value_t = 1000)]
    tenants: usize,
    #[arg(long, default_value_t = 50)]
    options: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Seeds from the first on.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Seconds for a seed.
    #[arg(long, default_value_t = 2.5)]
    limit: f64,
    /// Gap at which to stop.
    #[arg(long, default_value_t = 1e-4)]
    gap: f64,
    #[arg(long)]
    export: Option<PathBuf>,
}

fn instance(problem: &Cluster) -> Result<Instance, Fault> {
    let capacities = problem.capacity.iter().enumerate();
    let tenant = |(t, list): (usize, &Vec<ecomap_agents::generate::Choice>)| InstanceTenant {
        id: format!("tenant-{}", t + 1).as_str().into(),
        priority: 1.0,
        rate: Hertz::ZERO,
        slo: None,
        family: String::new(),
        tiers: Vec::new(),
        accuracy_floor: None,
        devices: None,
        switch_price: 0.0,
        running: None,
        shedding: Shedding { allowed: false, price: None },
        options: list
            .iter()
            .map(|choice| Choice {
                value: choice.value,
                host: None,
                uses: choice.uses.iter().map(|(row, a)| (CapacityIx::new(*row), *a)).collect(),
            })
            .collect(),
    };
    let parts = InstanceParts {
        name: "cluster".to_owned(),
        sense: Sense::Maximize,
        objective: Objective::Single(Term::Value),
        sites: Vec::new(),
        classes: Vec::new(),
        devices: Vec::new(),
        weights: Vec::new(),
        capacities: capacities
            .map(|(row, c)| Capacity { id: format!("row-{row}"), capacity: *c, unit: "1".to_owned() })
            .collect(),
        tenants: problem.tenants.iter().enumerate().map(tenant).collect(),
        affinities: Vec::new(),
        fleet_accuracy_floor: None,
        stability: Stability::default(),
    };
    Instance::try_new(parts).map_err(|issues| format!("{issues}").into())
}

fn main() -> Result<(), Fault> {
    let cli = Cli::parse();
    if let Some(file) = &cli.export {
        std::fs::write(file, cluster(cli.tenants, cli.options, cli.seed).text())?;
        return Ok(());
    }
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let clock = SystemClock::new();
    for seed in cli.seed..cli.seed + cli.seeds {
        let instance = instance(&cluster(cli.tenants, cli.options, seed))?;
        let options = SolveOptions {
            gap: cli.gap,
            time_limit: Some(Duration::from_secs_f64(cli.limit)),
            ..SolveOptions::default()
        };
        // Seconds until the gap was proven to be at most 2.4 %, 1 % and 0.9 %.
        let goals = [0.024, 0.01, 0.009];
        let mut reached = [None; 3];
        let start = clock.now();
        let mut observer = |told: &Incumbent| {
            if let (Some(primal), Some(dual)) = (told.primal, told.dual) {
                for (at, goal) in reached.iter_mut().zip(goals) {
                    if at.is_none() && relative_gap(primal, dual) <= goal {
                        *at = Some(told.elapsed.as_secs_f64());
                    }
                }
            }
        };
        let solution = by_name("exact")?.solve(&instance, &options, &mut observer)?;
        let seconds = (clock.now() - start).as_secs_f64();
        let c = &solution.certificate;
        println!(
            "{}",
            json!({
                "tenants": cli.tenants, "options": cli.options, "rows": instance.capacities.len(),
                "seed": seed, "threads": 1, "seconds": seconds, "value": c.primal, "bound": c.dual,
                "gap": c.gap(), "seconds_to_2.4_percent": reached[0], "seconds_to_1_percent": reached[1],
                "seconds_to_0.9_percent": reached[2], "method": c.method,
                "fits": solution.verdict.as_ref().is_some_and(Verdict::passes),
            })
        );
    }
    Ok(())
}
