//! `ecomap catalog`.

use super::table::Table;
use super::{Exit, out};
use crate::http::handlers::lists::solver_list;
use crate::{ServiceError, input};
use ecomap_graph::family::{self, FamilyError};
use ecomap_graph::print::family_json;
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a model family of ONNX files and published accuracies (ecomap.family/v1)
    Add(AddArgs),
}

/// Arguments of `catalog add`.
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Description of the family; the ONNX files it names lie in its folder
    #[arg(value_name = "FAMILY.toml")]
    description: PathBuf,
    /// File to write; standard output when absent
    #[arg(short, long = "out", visible_alias = "output", value_name = "FILE")]
    out: Option<PathBuf>,
}

fn add(args: &AddArgs) -> anyhow::Result<Exit> {
    let family = family::describe(&args.description).map_err(|error| match error {
        FamilyError::Invalid(issues) => ServiceError::Invalid(issues),
        FamilyError::Read { path, source } => ServiceError::Read { path, source },
        other => ServiceError::Usage(other.to_string()),
    })?;
    let text = family_json(&family).map_err(ServiceError::Json)?;
    match &args.out {
        Some(path) => out::write(path, text.as_bytes())?,
        None => out::print(&text)?,
    }
    Ok(Exit::Ok)
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(Action::Add(add_args)) = &args.action {
        return add(add_args);
    }
    let catalog = input::catalog()?;
    if args.json {
        out::print_json(&json!({
            "profiles": catalog.profiles().iter().map(|p| json!({
                "id": p.id.as_str(),
                "units": p.units.iter().map(|u| u.id.as_str()).collect::<Vec<_>>(),
                "modes": p.modes.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "families": catalog.families().iter().map(|f| json!({
                "id": f.id.as_str(),
                "tiers": f.tiers.iter()
                    .map(|t| json!({ "id": t.id.as_str(), "accuracy": t.accuracy }))
                    .collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "scenarios": input::embedded_names().collect::<Vec<_>>(),
            "solvers": solver_list(),
        }))?;
        return Ok(Exit::Ok);
    }
    let mut profiles = Table::new(&["profile", "compute units", "power modes"]);
    for p in catalog.profiles() {
        let units: Vec<&str> = p.units.iter().map(|u| u.id.as_str()).collect();
        let modes: Vec<&str> = p.modes.iter().map(|m| m.id.as_str()).collect();
        profiles.row(vec![p.id.to_string(), units.join(" "), modes.join(" ")]);
    }
    let mut families = Table::new(&["family", "quality tiers (accuracy)"]);
    for f in catalog.families() {
        let tiers: Vec<String> =
            f.tiers.iter().map(|t| format!("{} ({:.1})", t.id.as_str(), t.accuracy)).collect();
        families.row(vec![f.id.to_string(), tiers.join(", ")]);
    }
    let mut solvers = Table::new(&["solver", "what it is"]);
    for s in solver_list().solvers {
        solvers.row(vec![s.name, s.summary]);
    }
    let scenarios: Vec<&str> = input::embedded_names().collect();
    out::print(&format!(
        "hardware profiles\n{}\nmodel families\n{}\nsolvers\n{}\nembedded scenarios\n  {}\n",
        profiles.render(),
        families.render(),
        solvers.render(),
        scenarios.join(", ")
    ))?;
    Ok(Exit::Ok)
}
