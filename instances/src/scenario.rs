//! A scenario: what a user knows about sites, boards and tenants, before anything is priced.

use crate::family::Family;
use crate::ids::{DeviceId, DeviceIx, ModeIx, SiteId, SiteIx, TenantId, TenantIx, UnitId, ZoneId, ZoneIx};
use crate::objective::Objective;
use crate::profile::Profile;
use crate::units::{BytesPerSecond, GramsPerKwh, Hertz, Millis, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A grid zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// Name.
    pub id: ZoneId,
    /// Carbon intensity now.
    pub carbon: GramsPerKwh,
}

/// How a site's power cap follows carbon intensity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// No cap.
    Unlimited,
    /// A fixed cap.
    Fixed(Watts),
    /// `max` up to `clean`, `min` from `dirty` on, a straight line between.
    Linear {
        /// Intensity up to which the cap is `max`.
        clean: GramsPerKwh,
        /// Intensity from which the cap is `min`.
        dirty: GramsPerKwh,
        /// Cap on a clean grid.
        max: Watts,
        /// Cap on a dirty grid.
        min: Watts,
    },
}

impl Budget {
    /// The cap at a carbon intensity; `None` when there is none.
    #[must_use]
    pub fn cap(&self, carbon: GramsPerKwh) -> Option<Watts> {
        match *self {
            Self::Unlimited => None,
            Self::Fixed(cap) => Some(cap),
            Self::Linear { clean, dirty, max, min } => {
                let share = ((carbon - clean) / (dirty - clean)).clamp(0.0, 1.0);
                Some(max + (min - max) * share)
            }
        }
    }
}

/// Boards behind one power cap.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Name.
    pub id: SiteId,
    /// Grid zone.
    pub zone: ZoneIx,
    /// Power budget.
    pub budget: Budget,
}

/// One board.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Name.
    pub id: DeviceId,
    /// Where it stands.
    pub site: SiteIx,
    /// What it is.
    pub profile: Arc<Profile>,
    /// Modes it may run in, ascending.
    pub modes: Vec<ModeIx>,
    /// Whether it must stay on even when idle.
    pub always_on: bool,
}

/// A two-way network link between sites.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// One end.
    pub a: SiteIx,
    /// Other end.
    pub b: SiteIx,
    /// One-way delay.
    pub latency: Millis,
    /// Capacity in each direction.
    pub bandwidth: BytesPerSecond,
}

/// Latency quantile that an SLO speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Quantile {
    P50,
    P95,
    P99,
}

impl Quantile {
    /// Lower-case name, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }
}

/// A latency objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slo {
    /// Which quantile must meet it.
    pub quantile: Quantile,
    /// End-to-end latency, network included.
    pub latency: Millis,
    /// `None`: hard. `Some(price)`: may be broken at this price per ms above it, in objective units.
    pub soft_price: Option<f64>,
}

/// Whether a tenant may go unserved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shedding {
    /// `false` makes the model infeasible rather than leaving the tenant out.
    pub allowed: bool,
    /// Price in objective units; `None`: above anything that serving could cost (equation 17).
    pub price: Option<f64>,
}

/// One DNN service.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Name.
    pub id: TenantId,
    /// Ladder of models that can serve it.
    pub family: Arc<Family>,
    /// Tiers allowed, positions in the family, ascending (best first).
    pub tiers: Vec<usize>,
    /// Site where its requests arise.
    pub origin: SiteIx,
    /// Mean request rate.
    pub rate: Hertz,
    /// Latency objective.
    pub slo: Slo,
    /// Weight in the objective.
    pub priority: f64,
    /// Least accuracy accepted, in the family's metric.
    pub accuracy_floor: Option<f64>,
    /// Devices it may run on; `None`: any.
    pub devices: Option<Vec<DeviceIx>>,
    /// Compute units it must not use.
    pub forbidden_units: Vec<UnitId>,
    /// Price of moving it away from its running choice, in objective units.
    pub switch_price: f64,
    /// Whether it may be left out.
    pub shedding: Shedding,
}

/// Whether tenants belong together or apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum AffinityKind {
    Together,
    Apart,
}

/// What "together" and "apart" refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Scope {
    Device,
    Site,
}

/// A rule over a group of tenants.
#[derive(Debug, Clone, PartialEq)]
pub struct Affinity {
    /// Together or apart.
    pub kind: AffinityKind,
    /// On one device or at one site.
    pub scope: Scope,
    /// At least two tenants.
    pub tenants: Vec<TenantIx>,
}

/// A contiguous run of blocks on one compute unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment {
    /// First block.
    pub from: usize,
    /// One past the last block.
    pub to: usize,
    /// Unit, position in the profile.
    pub unit: usize,
}

/// What a tenant runs at present.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// Tenant.
    pub tenant: TenantIx,
    /// Device it runs on.
    pub device: DeviceIx,
    /// Tier name.
    pub tier: String,
    /// Segments; `None` leaves the placement free.
    pub segments: Option<Vec<Segment>>,
}

/// Which latency row 7 compares with the SLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SloBasis {
    /// Latency when every unit that the tenant uses is loaded up to its load cap by others: holds
    /// for every plan that row 3 admits.
    LoadCap,
    /// Latency without co-runners: optimistic, a valid relaxation.
    Isolated,
}

/// How options are generated from a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PricingPolicy {
    /// Most segments of a placement, 1 to 3.
    pub max_segments: usize,
    /// Placements within this relative distance of a kept one in every measure are left out; 0
    /// keeps the whole Pareto set.
    pub epsilon: f64,
    /// Most placements kept for a (tier, class, mode).
    pub max_placements: usize,
    /// Which latency row 7 uses.
    pub slo_basis: SloBasis,
    /// Highest utilisation of a compute unit, ρ̄ of row 3.
    pub load_cap: f64,
}

impl Default for PricingPolicy {
    fn default() -> Self {
        Self {
            max_segments: 3,
            epsilon: 0.02,
            max_placements: 12,
            slo_basis: SloBasis::LoadCap,
            load_cap: 0.8,
        }
    }
}

/// The content of a scenario. Read it through [`Scenario`]; change it by making a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioParts {
    /// Name.
    pub name: String,
    /// Grid zones.
    pub zones: Vec<Zone>,
    /// Sites.
    pub sites: Vec<Site>,
    /// Boards.
    pub devices: Vec<Device>,
    /// Links between sites.
    pub links: Vec<Link>,
    /// Tenants.
    pub tenants: Vec<Tenant>,
    /// Affinity rules.
    pub affinities: Vec<Affinity>,
    /// Least priority-weighted mean accuracy over the served tenants.
    pub fleet_accuracy_floor: Option<f64>,
    /// What to minimise.
    pub objective: Objective,
    /// How options are generated.
    pub pricing: PricingPolicy,
    /// The running plan, for switching prices.
    pub running: Vec<Running>,
    /// How much of the running plan may change.
    pub stability: Stability,
}

/// How much of the running plan a new plan may change (rows 11a and 11b).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stability {
    /// Most tenants that may leave their running choice, those shed included; `None`: any number.
    pub max_moves: Option<usize>,
    /// Tenants that keep their running choice.
    pub frozen: BTreeSet<TenantIx>,
}

impl Stability {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.max_moves.is_none() && self.frozen.is_empty()
    }
}

/// A validated scenario: ids are unique, every reference resolves, every number is in range.
///
/// Built by the readers in [`crate::format`]; reads like its parts, but cannot be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario(ScenarioParts);

impl Scenario {
    /// Wraps parts that a reader has validated.
    pub(crate) fn from_validated(parts: ScenarioParts) -> Self {
        Self(parts)
    }

    /// The same scenario with latencies priced on another basis.
    #[must_use]
    pub fn with_slo_basis(&self, basis: SloBasis) -> Self {
        let mut parts = self.0.clone();
        parts.pricing.slo_basis = basis;
        Self(parts)
    }

    /// The same scenario with every site's power cap multiplied by `factor` (at least 0). Sites
    /// without a cap stay without.
    #[must_use]
    pub fn with_caps_scaled(&self, factor: f64) -> Self {
        let mut parts = self.0.clone();
        let factor = if factor.is_finite() { factor.max(0.0) } else { 1.0 };
        for site in &mut parts.sites {
            let carbon = parts.zones[site.zone.at()].carbon;
            if let Some(cap) = site.budget.cap(carbon) {
                site.budget = Budget::Fixed(cap * factor);
            }
        }
        Self(parts)
    }

    /// The same scenario with latency objectives that may be broken at no price, and without
    /// accuracy floors: pricing it keeps the options that these would have left out.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        let mut parts = self.0.clone();
        for tenant in &mut parts.tenants {
            tenant.slo.soft_price.get_or_insert(0.0);
            tenant.accuracy_floor = None;
        }
        Self(parts)
    }

    /// The same scenario with another objective.
    #[must_use]
    pub fn with_objective(&self, objective: Objective) -> Self {
        let mut parts = self.0.clone();
        parts.objective = objective;
        Self(parts)
    }
}

impl std::ops::Deref for Scenario {
    type Target = ScenarioParts;
    fn deref(&self) -> &ScenarioParts {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_budget_is_clamped_at_both_ends() {
        let budget = Budget::Linear {
            clean: GramsPerKwh::new(100.0),
            dirty: GramsPerKwh::new(500.0),
            max: Watts::new(200.0),
            min: Watts::new(100.0),
        };
        let cap = |g| budget.cap(GramsPerKwh::new(g)).map(Watts::get);
        assert_eq!(cap(0.0), Some(200.0));
        assert_eq!(cap(100.0), Some(200.0));
        assert_eq!(cap(300.0), Some(150.0));
        assert_eq!(cap(900.0), Some(100.0));
    }
}
