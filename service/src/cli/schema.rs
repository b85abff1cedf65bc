//! `ecomap schema`.

use super::{Exit, out};
use crate::ServiceError;
use ecomap_instances::format::schema;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Format: scenario, instance, result, frontier, profile or family
    #[arg(default_value = "scenario")]
    name: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let document = schema::schema(&args.name).ok_or_else(|| {
        ServiceError::Usage(format!(
            "there is no schema `{}`; known: {}",
            args.name,
            schema::NAMES.join(", ")
        ))
    })?;
    out::print(&schema::print(&document))?;
    Ok(Exit::Ok)
}
