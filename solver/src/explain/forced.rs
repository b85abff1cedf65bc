//! Why not otherwise: the best plan in which one tenant is held to another tier, to another kind of
//! board and mode, or to being shed.

use super::conflict::{self, Conflict, Found};
use super::demand::Demand;
use super::what_if::fixed_prices;
use crate::error::SolverError;
use crate::exact::Exact;
use crate::solution::Solution;
use crate::solve::{SolveOptions, Solver};
use ecomap_instances::ids::{ClassIx, ModeIx, TenantIx};
use ecomap_instances::instance::{Instance, InstanceTenant};
use ecomap_instances::objective::Objective;
use ecomap_instances::plan::Status;
use std::collections::BTreeSet;

/// What a tenant is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// A tier, position in the tenant's list; on any board.
    Tier(usize),
    /// Any board of a class, in this mode; with any tier.
    Mode(ClassIx, ModeIx),
    /// Not being served.
    Shed,
}

impl Hold {
    /// Everything that `tenant` can be held to: its tiers, the modes of all classes, being shed.
    #[must_use]
    pub fn all(instance: &Instance, tenant: TenantIx) -> Vec<Self> {
        let tiers = instance.tenants.get(tenant.at()).map_or(0, |t| t.tiers.len());
        let mut list: Vec<Self> = (0..tiers).map(Self::Tier).collect();
        for (q, class) in instance.classes.iter().enumerate() {
            list.extend((0..class.modes.len()).map(|m| Self::Mode(ClassIx::new(q), ModeIx::new(m))));
        }
        list.push(Self::Shed);
        list
    }

    /// Whether a plan with this choice of the tenant keeps to it.
    #[must_use]
    pub fn fits(self, tenant: &InstanceTenant, option: Option<usize>) -> bool {
        let host = option.and_then(|o| tenant.options.get(o)).and_then(|o| o.host.as_ref());
        match self {
            Self::Tier(tier) => host.is_some_and(|h| h.tier == tier),
            Self::Mode(class, mode) => host.is_some_and(|h| (h.class, h.mode) == (class, mode)),
            Self::Shed => option.is_none(),
        }
    }
}

/// What holding a tenant to something comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// The best plan found, and the bound on all such plans.
    Possible(Box<Solution>),
    /// There is no such plan; the demands that are in the way, where they could be named.
    Impossible(Option<Conflict>),
    /// The instance has no such option at all: the board cannot run it so, or it was not priced.
    NoOption,
    /// A limit came before either was known.
    Unknown,
}

/// The best plan of `instance` in which `tenant` keeps to `hold`. Open shed prices are those of
/// `instance`, so that values compare.
///
/// # Errors
/// As the exact solver.
pub fn held(
    instance: &Instance,
    objective: &Objective,
    tenant: TenantIx,
    hold: Hold,
    options: &SolveOptions,
) -> Result<Held, SolverError> {
    let mut parts = fixed_prices(instance, objective);
    let Some(subject) = parts.tenants.get_mut(tenant.at()) else { return Ok(Held::NoOption) };
    if hold == Hold::Shed {
        if !subject.shedding.allowed {
            let demands = vec![Demand::Serve(tenant)];
            return Ok(Held::Impossible(Some(Conflict { demands, irreducible: true, questions: 0 })));
        }
        subject.options.clear();
    } else {
        let whole = subject.clone();
        let kept: BTreeSet<usize> =
            (0..whole.options.len()).filter(|o| hold.fits(&whole, Some(*o))).collect();
        let mut at = 0..;
        subject.options.retain(|_| at.next().is_some_and(|o| kept.contains(&o)));
        if subject.options.is_empty() {
            return Ok(Held::NoOption);
        }
        subject.shedding.allowed = false;
    }
    let variant = Instance::try_new(parts).map_err(SolverError::Plan)?;
    let asked = SolveOptions { objective: Some(objective.clone()), warm_start: None, ..options.clone() };
    let solution = Exact::new().solve(&variant, &asked, &mut ())?;
    match solution.status {
        Status::Optimal | Status::Feasible => Ok(Held::Possible(Box::new(solution))),
        Status::TimeoutNoSolution => Ok(Held::Unknown),
        Status::Infeasible => Ok(match conflict::find(&variant, false, &asked)? {
            Found::Conflict(conflict) => Held::Impossible(Some(conflict)),
            _ => Held::Impossible(None),
        }),
    }
}
