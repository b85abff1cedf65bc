//! `ecomap generate`.

use super::{Exit, out};
use crate::ServiceError;
use crate::input;
use ecomap_instances::generate::{GeneratorSpec, Seed};
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the scenario
    #[arg(long, default_value = "generated")]
    name: String,
    /// Sites
    #[arg(long, default_value_t = 4)]
    sites: usize,
    /// Boards over all sites
    #[arg(long, default_value_t = 16)]
    devices: usize,
    /// Tenants over all sites
    #[arg(long, default_value_t = 48)]
    tenants: usize,
    /// Grid zones, at most as many as sites
    #[arg(long, default_value_t = 2)]
    zones: usize,
    /// Power cap over typical draw; above 1 the caps hardly bind, far below 1 tenants are shed
    #[arg(long, default_value_t = 0.8)]
    tightness: f64,
    /// Hardware profiles to draw boards from, separated by commas; all Jetson boards when absent
    #[arg(long, value_delimiter = ',')]
    profiles: Vec<String>,
    /// Model families to draw tenants from, separated by commas; all when absent
    #[arg(long, value_delimiter = ',')]
    families: Vec<String>,
    /// Seed; the same arguments give the same scenario everywhere
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let spec = GeneratorSpec {
        name: args.name.clone(),
        seed: Seed(args.seed),
        zones: args.zones,
        sites: args.sites,
        devices: args.devices,
        tenants: args.tenants,
        tightness: args.tightness,
        profiles: args.profiles.clone(),
        families: args.families.clone(),
        ..GeneratorSpec::default()
    };
    let scenario = spec.generate(input::catalog()?).map_err(ServiceError::Invalid)?;
    match &args.out {
        Some(path) => out::write_json(path, &scenario)?,
        None => out::print_json(&scenario)?,
    }
    Ok(Exit::Ok)
}
