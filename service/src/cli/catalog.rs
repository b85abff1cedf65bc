//! `ecomap catalog`.

use super::table::Table;
use super::{Exit, out};
use crate::http::handlers::lists::solver_list;
use crate::input;
use serde_json::json;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
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
