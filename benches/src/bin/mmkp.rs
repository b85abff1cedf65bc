//! Solves published MMKP files: `cargo run --release -p ecomap-benches --bin mmkp -- [--limit S] FILE…`.
#![allow(clippy::print_stdout)] // a command line prints

use ecomap_instances::format::mmkp;
use ecomap_solver::{SolveOptions, by_name, default_gap};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let limit = args.iter().position(|a| a == "--limit").map_or(60.0, |n| {
        let value = args.remove(n + 1).parse().unwrap_or(60.0);
        args.remove(n);
        value
    });
    for file in args {
        let bytes = std::fs::read(&file)?;
        let instance = mmkp::read(&bytes, "file").or_else(|_| mmkp::read_khan(&bytes, "file"))?;
        let options = SolveOptions {
            gap: default_gap(&instance),
            time_limit: Some(Duration::from_secs_f64(limit)),
            ..SolveOptions::default()
        };
        let solution = by_name("exact")?.solve(&instance, &options, &mut ())?;
        let c = &solution.certificate;
        println!(
            "{file}: {} tenants, {} options: {} {:?} bound {:?} gap {:?} nodes {} {:?}",
            instance.tenants.len(),
            instance.option_count(),
            solution.status.as_str(),
            c.primal,
            c.dual,
            c.gap(),
            c.nodes,
            solution.timings
        );
    }
    Ok(())
}
