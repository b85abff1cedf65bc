//! Solves scenario files and prints sizes, times and gaps side by side:
//! `cargo run --release -p ecomap-benches --bin scenario -- [--limit S] [--solver NAME]… FILE…`.
#![allow(clippy::print_stdout)] // a command line prints

use ecomap_estimator::{Roofline, price};
use ecomap_instances::{Catalog, format::scenario_v1};
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::{SolveOptions, by_name};
use std::time::Duration;

fn main() {
    let mut files = Vec::new();
    let mut solvers = Vec::new();
    let mut limit = 60.0;
    let mut verbose = false;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--limit" => limit = args.next().and_then(|x| x.parse().ok()).unwrap_or(limit),
            "--solver" => solvers.extend(args.next()),
            "--progress" => verbose = true,
            _ => files.push(arg),
        }
    }
    if solvers.is_empty() {
        solvers.push("exact".to_owned());
    }
    let clock = SystemClock::new();
    for file in files {
        let Err(error) = one(&file, &solvers, limit, verbose, &clock) else { continue };
        eprintln!("{file}: {error}");
        std::process::exit(1);
    }
}

fn one(
    file: &str,
    solvers: &[String],
    limit: f64,
    verbose: bool,
    clock: &SystemClock,
) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(file)?;
    let scenario = scenario_v1::read(&bytes, Catalog::embedded()?)?;
    let at = clock.now();
    let (instance, pricing) = price(&scenario, &Roofline::embedded()?)?;
    let priced = clock.now() - at;
    println!(
        "{file}: {} tenants, {} devices, {} classes, {} options, priced in {priced:.2?}; {pricing:?}",
        instance.tenants.len(),
        instance.devices.len(),
        instance.classes.len(),
        instance.option_count(),
    );
    for name in solvers {
        let options =
            SolveOptions { time_limit: Some(Duration::from_secs_f64(limit)), ..SolveOptions::default() };
        let at = clock.now();
        let solution = by_name(name)?.solve(&instance, &options, &mut |i: &ecomap_solver::Incumbent| {
            if verbose {
                println!("    {:8.2?} primal {:?} dual {:?} nodes {}", i.elapsed, i.primal, i.dual, i.nodes);
            }
        })?;
        let spent = clock.now() - at;
        if verbose {
            for (tenant, pick) in
                instance.tenants.iter().zip(solution.assignment.iter().flat_map(|a| &a.picks))
            {
                if pick.is_none() {
                    println!(
                        "    shed: {} of {} with {} options",
                        tenant.id,
                        tenant.family,
                        tenant.options.len()
                    );
                }
            }
        }
        let c = &solution.certificate;
        let shed = solution.assignment.as_ref().map_or(0, |a| a.picks.iter().filter(|p| p.is_none()).count());
        println!(
            "  {name}: {} primal {:?} dual {:?} gap {:?} nodes {} shed {shed} in {spent:.2?} by {} {:?} kept {:?}\n    {:?} {:?}",
            solution.status.as_str(),
            c.primal,
            c.dual,
            c.gap(),
            c.nodes,
            c.method,
            c.termination,
            solution.reduction.as_ref().map(|r| r.kept),
            solution.timings,
            solution.notes,
        );
    }
    Ok(())
}
