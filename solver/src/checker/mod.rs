//! The independent checker: re-verifies a plan from the instance and the equations alone.
//!
//! One file a row family of `docs/src/formulation.md`, none of which looks at how the model is
//! written. Nothing here trusts the plan: picks that do not exist break row (1), modes that do not
//! exist break row (2), and the remaining rows are checked over what is left.
//!
//! 1. `choice` and `mode` read the assignment into a `Plan` of valid references.
//! 2. The other row files sum up left-hand sides and compare them, through one
//!    `Tally`, with their right-hand sides.
//! 3. `objective` measures the terms (12)–(17) and the prices (7), (11), (18).
//!
//! The cost is that of reading the plan once. Only the open shed price (18), a sum over all
//! options, costs more, and only when a tenant without a price of its own is shed.

mod accuracy;
mod bandwidth;
mod capacity;
mod choice;
mod latency;
mod load;
mod memory;
mod mode;
mod objective;
mod placement;
mod plan;
mod power;
mod switching;
mod tally;

use ecomap_instances::Objective;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::instance::{Instance, Quantiles};
use ecomap_instances::plan::Assignment;
use ecomap_instances::units::{Bytes, BytesPerSecond, GramsPerHour, Watts};
use std::fmt::Write as _;

/// A row `lhs ≤ rhs` counts as kept while `lhs ≤ rhs + TOLERANCE·max(1, |rhs|)`: HiGHS' own
/// feasibility tolerance, relative so that rows in bytes and rows in utilisation are treated alike.
pub const TOLERANCE: f64 = 1e-6;

/// Most violations kept in a [`Verdict`]; the counts in [`RowCheck`] go on.
pub const MOST_VIOLATIONS: usize = 100;

/// How many rows of one family were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RowCheck {
    /// Number and name, as in the formulation.
    pub row: &'static str,
    /// Rows of this family checked.
    pub checked: u64,
    /// Rows of this family broken.
    pub violated: u64,
}

/// A broken row.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Number and name of the row.
    pub row: &'static str,
    /// Whom or what it is about, and in which way where that is not plain from the row.
    pub subject: String,
    /// Left-hand side.
    pub value: f64,
    /// Right-hand side.
    pub limit: f64,
}

/// A part of the objective.
#[derive(Debug, Clone, PartialEq)]
pub struct TermValue {
    /// `carbon`, `energy`, `latency`, `accuracy`, `value`, `switching`, `slo` or `shed`.
    pub name: &'static str,
    /// Unit of `value`.
    pub unit: &'static str,
    /// Measured value in its own unit.
    pub value: f64,
    /// What it adds to [`Evaluation::value`]; the contributions sum up to it.
    pub contribution: f64,
}

/// What a plan makes of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceUse {
    /// Mode; `None` when off.
    pub mode: Option<ModeIx>,
    /// Power: idle or off draw, plus what the tenants draw.
    pub power: Watts,
    /// Utilisation of each compute unit of the class.
    pub load: Vec<f64>,
    /// Memory, shared weights once.
    pub memory: Bytes,
    /// Memory traffic.
    pub bandwidth: BytesPerSecond,
}

/// What a plan makes of one site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteUse {
    /// Left-hand side of row (6b).
    pub power: Watts,
    /// Emission rate.
    pub carbon: GramsPerHour,
}

/// What a plan is worth and what it uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The objective in its own sense, prices included; of the first level when lexicographic.
    pub value: f64,
    /// Measured terms, then the prices `switching`, `slo` and `shed`. Terms that cannot differ
    /// from 0 in this kind of instance are left out.
    pub terms: Vec<TermValue>,
    /// Per device.
    pub devices: Vec<DeviceUse>,
    /// Per site.
    pub sites: Vec<SiteUse>,
    /// Use of each global capacity row (9).
    pub capacities: Vec<f64>,
    /// Per tenant: end-to-end latency with the plan's own co-runners under linear interference,
    /// `network + (isolated − network)·(1 + Σ_c slope_c·(load of the others on c))`; `None` for
    /// tenants that run on no device.
    pub predicted: Vec<Option<Quantiles>>,
}

impl Evaluation {
    /// The measured value of the term or price `name`, when it is listed.
    #[must_use]
    pub fn term(&self, name: &str) -> Option<f64> {
        self.terms.iter().find(|t| t.name == name).map(|t| t.value)
    }
}

/// What the checker found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Every row family, in the order of the formulation.
    pub rows: Vec<RowCheck>,
    /// What is broken, at most [`MOST_VIOLATIONS`].
    pub violations: Vec<Violation>,
    /// Value and use. Of the picks and modes that exist, if some do not.
    pub evaluation: Evaluation,
}

impl Verdict {
    /// Whether no row is broken.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.rows.iter().all(|r| r.violated == 0)
    }

    /// One line for people: how many rows hold, or which do not and an example of each.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.passes() {
            let checked: u64 = self.rows.iter().map(|r| r.checked).sum();
            return format!("{checked} rows checked, all hold");
        }
        let mut text = String::new();
        for row in self.rows.iter().filter(|r| r.violated > 0) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            let _ = write!(text, "({}) broken {} of {} times", row.row, row.violated, row.checked);
            if let Some(example) = self.violations.iter().find(|v| v.row == row.row) {
                let _ = write!(text, ", {}: {} against {}", example.subject, example.value, example.limit);
            }
        }
        text
    }
}

/// Checks `assignment` against every row of `instance` and measures it under `objective`.
///
/// Never panics, whatever the assignment holds: wrong lengths, options, devices or modes that do
/// not exist, and devices outside the option's class break row (1) or (2) and count as not taken.
#[must_use]
pub fn check(instance: &Instance, assignment: &Assignment, objective: &Objective) -> Verdict {
    let mut tally = tally::Tally::default();
    let plan = plan::Plan {
        instance,
        picks: choice::read(instance, assignment, &mut tally),
        modes: mode::read(instance, assignment, &mut tally),
    };
    mode::check(&plan, &mut tally);
    let loads = load::check(&plan, &mut tally);
    let memory = memory::check(&plan, &mut tally);
    let bandwidth = bandwidth::check(&plan, &mut tally);
    let power = power::check(&plan, &mut tally);
    latency::check(&plan, &mut tally);
    accuracy::check(&plan, &mut tally);
    let capacities = capacity::check(&plan, &mut tally);
    placement::check(&plan, &mut tally);
    switching::check(&plan, &mut tally);

    let sites: Vec<SiteUse> = power
        .sites
        .iter()
        .zip(&instance.sites)
        .map(|(watts, site)| SiteUse { power: *watts, carbon: watts.emits(site.carbon) })
        .collect();
    let (value, terms) = objective::measure(&plan, objective, &sites);
    let predicted = latency::predicted(&plan, &loads);
    let devices = loads
        .into_iter()
        .zip(memory)
        .zip(bandwidth)
        .zip(power.devices)
        .zip(&plan.modes)
        .map(|((((load, memory), bandwidth), power), mode)| DeviceUse {
            mode: *mode,
            power,
            load,
            memory,
            bandwidth,
        })
        .collect();
    let (rows, violations) = tally.finish();
    Verdict {
        rows,
        violations,
        evaluation: Evaluation { value, terms, devices, sites, capacities, predicted },
    }
}
