//! One row a turn.

use crate::controller::Turn;
use ecomap_instances::units::Watts;
use jiff::Timestamp;
use std::fmt::Write as _;

/// What a turn left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When the turn was.
    pub at: Timestamp,
    /// Intensity of every zone, g/kWh.
    pub intensity: Vec<f64>,
    /// Cap of every site, W; empty where there is none.
    pub caps: Vec<Option<Watts>>,
    /// Predicted draw of every site under the plan that runs from now on, W.
    pub power: Vec<Watts>,
    /// Number of that plan.
    pub plan: u64,
    /// Why it was published, when it was in this turn: `first`, `cap`, `gain`, or several joined by `+`.
    pub cause: String,
    /// Tenants moved in this turn.
    pub moves: usize,
    /// Tenants that no plan serves.
    pub shed: usize,
    /// The plan's worth, in the objective's unit.
    pub value: f64,
    /// No plan is better, where that is known.
    pub bound: Option<f64>,
    /// What the objective loses beside carbon and energy, in its unit.
    pub loss: f64,
    /// Predicted emissions up to this turn, g.
    pub carbon_g: f64,
    /// Solves in this turn that were more than a lookup.
    pub solves: u64,
}

/// Names of zones and sites, for the header.
#[derive(Debug, Clone)]
pub struct Names {
    /// Zones.
    pub zones: Vec<String>,
    /// Sites.
    pub sites: Vec<String>,
}

impl Row {
    /// The causes of a turn, joined.
    #[must_use]
    pub fn cause(turn: &Turn) -> String {
        turn.published.iter().map(|p| p.cause.as_str()).collect::<Vec<_>>().join("+")
    }
}

/// The rows as CSV (RFC 4180; names of zones and sites need no quotes). Powers and emissions are *predicted*.
#[must_use]
pub fn csv(names: &Names, rows: &[Row]) -> String {
    let mut out = String::from("at");
    for zone in &names.zones {
        let _ = write!(out, ",{zone}_g_per_kwh");
    }
    for site in &names.sites {
        let _ = write!(out, ",{site}_cap_w,{site}_predicted_w");
    }
    out.push_str(",plan,cause,moves,shed,value,bound,loss,predicted_carbon_g,solves\n");
    for row in rows {
        let _ = write!(out, "{}", row.at);
        for grams in &row.intensity {
            let _ = write!(out, ",{grams}");
        }
        for (cap, power) in row.caps.iter().zip(&row.power) {
            let cap = cap.map_or_else(String::new, |c| c.get().to_string());
            let _ = write!(out, ",{cap},{}", power.get());
        }
        let bound = row.bound.map_or_else(String::new, |b| b.to_string());
        let _ = writeln!(
            out,
            ",{},{},{},{},{},{bound},{},{},{}",
            row.plan, row.cause, row.moves, row.shed, row.value, row.loss, row.carbon_g, row.solves
        );
    }
    out
}
