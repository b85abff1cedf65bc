//! Joint predictions per second of the learned estimator, by batch size, as one JSON line a case:
//! `cargo run --release -p ecomap-benches --bin joint -- [--seconds S] [--threads N]`.
//!
//! The plan has 4 tenants of 12 blocks on one AGX Orin. *network* runs encoded plans, *whole* takes
//! device plans through cost tables, analysis, encoding and the network, without the cache.
//! `benches/peers/torch_joint.py` runs the same shapes in PyTorch beside this program.
#![allow(clippy::print_stdout)] // a command line prints

use ecomap_estimator::dataset::{Effort, Sampler, Split, make};
use ecomap_estimator::features::Encoded;
use ecomap_estimator::learned::artifact::Artifact;
use ecomap_estimator::learned::network::Network;
use ecomap_estimator::learned::{Learned, Options, Serve, batch};
use ecomap_estimator::predictor::{DevicePlan, Predictor, Task};
use ecomap_instances::family::{Family, MAX_BLOCKS};
use ecomap_instances::ids::ModeIx;
use ecomap_instances::scenario::Segment;
use ecomap_instances::units::Hertz;
use ecomap_instances::{Catalog, Seed};
use ecomap_solver::clock::{Clock, SystemClock};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

const BATCHES: [usize; 3] = [1, 64, 1024];

fn main() {
    if let Err(error) = run() {
        eprintln!("joint: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut seconds = 3.0;
    let mut threads = 2;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or("an argument needs a value")?;
        match arg.as_str() {
            "--seconds" => seconds = value.parse()?,
            "--threads" => threads = value.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let clock = SystemClock::new();
    let time = Duration::from_secs_f64(seconds);
    let plans = plans()?;
    let learned =
        Learned::load(&Options { threads, cache: 0, serve: Serve::Transformer, ..Options::default() })?;
    let artifact = Artifact::embedded()?;
    let network = Network::load(&artifact, threads, batch::PLANS)?;
    let encoded: Vec<Encoded> = plans.iter().map(|p| learned.encode(p)).collect::<Result<_, _>>()?;
    for size in BATCHES {
        let rate = per_second(&clock, time, size, |from| {
            let some: Vec<Encoded> = (0..size).map(|n| encoded[(from + n) % encoded.len()].clone()).collect();
            network.run(&some).map(|_| ())
        })?;
        println!(r#"{{"what": "network", "batch": {size}, "per_second": {rate:.0}}}"#);
        let rate = per_second(&clock, time, size, |from| {
            let some: Vec<DevicePlan> = (0..size).map(|n| plans[(from + n) % plans.len()].clone()).collect();
            learned.joint(&some).map(|_| ())
        })?;
        println!(r#"{{"what": "whole", "batch": {size}, "per_second": {rate:.0}}}"#);
    }
    let sampler = Sampler::embedded()?;
    let draws: Vec<_> = (0..64).map(|n| sampler.draw(Seed(1), Split::Train, n)).collect();
    let begun = clock.now();
    let mut blocks = 0;
    let mut at = 0;
    while clock.now() - begun < time {
        blocks += make(&draws[at % draws.len()], Effort::TRAIN)?.1.blocks;
        at += 1;
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = blocks as f64 / (clock.now() - begun).as_secs_f64();
    println!(r#"{{"what": "simulated blocks, one core", "batch": 1, "per_second": {rate:.0}}}"#);
    Ok(())
}

fn per_second<E: Error + 'static>(
    clock: &SystemClock,
    time: Duration,
    size: usize,
    mut once: impl FnMut(usize) -> Result<(), E>,
) -> Result<f64, Box<dyn Error>> {
    once(0)?;
    let begun = clock.now();
    let mut done = 0;
    while clock.now() - begun < time {
        once(done)?;
        done += size;
    }
    #[allow(clippy::cast_precision_loss)]
    Ok(done as f64 / (clock.now() - begun).as_secs_f64())
}

/// Plans of 4 tenants with 12 blocks each, all different.
fn plans() -> Result<Vec<DevicePlan>, Box<dyn Error>> {
    let catalog = Catalog::embedded()?;
    let profile = catalog.profile("jetson-agx-orin-64gb").ok_or("no AGX Orin in the catalogue")?;
    // The shipped tiers have fewer blocks; theirs, over and over, make the longest chain that a plan can have.
    let long = |family: &Arc<Family>| {
        let mut family = (**family).clone();
        for tier in &mut family.tiers {
            tier.blocks = tier.blocks.iter().cycle().take(MAX_BLOCKS).cloned().collect();
        }
        Arc::new(family)
    };
    let families: Vec<_> = catalog.families().iter().map(long).collect();
    let full: Vec<_> = families.iter().flat_map(|f| (0..f.tiers.len()).map(move |t| (f, t))).collect();
    let unit = |id: &str| profile.unit_position(id).ok_or("a unit is missing");
    let (gpu, cpu) = (unit("gpu")?, unit("cpu0")?);
    Ok((0..1024_u32)
        .map(|n| {
            let tasks = (0..4_u32)
                .map(|k| {
                    let at = usize::try_from(n * 5 + k * 7).unwrap_or(0);
                    let (family, tier) = full[at % full.len()];
                    let cut = 1 + at % 11;
                    let segments = if k % 2 == 0 {
                        vec![Segment { from: 0, to: 12, unit: gpu }]
                    } else {
                        vec![
                            Segment { from: 0, to: cut, unit: gpu },
                            Segment { from: cut, to: 12, unit: cpu },
                        ]
                    };
                    Task {
                        family: family.clone(),
                        tier,
                        segments,
                        rate: Hertz::new(0.5 + f64::from(n % 97) / 50.0),
                    }
                })
                .collect();
            DevicePlan { profile: profile.clone(), mode: ModeIx::new(0), tasks }
        })
        .collect())
}
