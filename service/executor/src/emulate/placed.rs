//! Orders as the simulator runs them.

use crate::orders::{Orders, Task};
use crate::runtime::{Reason, Refusal, Refused};
use ecomap_estimator::coexecution::Coexecution;
use ecomap_estimator::parameters::Parameters;
use ecomap_estimator::sim::{Arrivals, Jitter, Soc, Stream};
use ecomap_estimator::table::{CostTable, Refusal as Unfit};
use ecomap_instances::Catalog;
use ecomap_instances::family::Family;
use ecomap_instances::ids::{ModeIx, TenantId, TierId, UnitId};
use ecomap_instances::profile::Profile;
use ecomap_instances::scenario::Segment;
use ecomap_instances::units::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Figures of the simulator, embedded in the estimator.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Efficiencies of the roofline.
    pub parameters: &'static Parameters,
    /// How units share a board.
    pub sharing: &'static Coexecution,
    /// Model families.
    pub catalog: &'static Catalog,
}

/// One tenant of a plan.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Tenant.
    pub tenant: TenantId,
    /// Its family.
    pub family: Arc<Family>,
    /// Tier, position in the family.
    pub tier: usize,
    /// Segments, by unit of the profile.
    pub segments: Vec<Segment>,
    /// Requests per second.
    pub rate_per_s: f64,
    /// Latency objective on the board.
    pub limit: Option<Duration>,
}

impl Placed {
    /// Tier.
    #[must_use]
    pub fn tier_id(&self) -> Option<&TierId> {
        self.family.tiers.get(self.tier).map(|t| &t.id)
    }

    /// Units, in order of the segments.
    #[must_use]
    pub fn units(&self, profile: &Profile) -> Vec<UnitId> {
        self.segments.iter().filter_map(|s| profile.units.get(s.unit)).map(|u| u.id.clone()).collect()
    }
}

/// Turns orders into tenants on `profile`.
///
/// # Errors
/// Everything that keeps the plan from running on such a board.
pub fn place(rules: Rules, profile: &Arc<Profile>, orders: &Orders) -> Result<Vec<Placed>, Refused> {
    let mut refusals = Vec::new();
    let whole = |reason, message| Refusal { reason, tenant: None, unit: None, message };
    let mode = orders.mode.as_deref().map(|m| (m, profile.mode_position(m)));
    if orders.profile != profile.id.as_str() {
        refusals.push(whole(Reason::WrongBoard, format!("this is a {}", profile.id)));
    }
    if let Some((mode, None)) = mode {
        refusals.push(whole(Reason::WrongBoard, format!("no power mode `{mode}`")));
    }
    let mode = ModeIx::new(mode.and_then(|(_, position)| position).unwrap_or(0));
    let mut placed = Vec::new();
    let mut weights: BTreeMap<(String, String), Bytes> = BTreeMap::new();
    let mut memory = Bytes::ZERO;
    for task in &orders.tasks {
        match one(rules, profile, mode, task) {
            Ok((tenant, table)) => {
                if let Some(cost) = table.placement(&tenant.segments) {
                    memory += cost.memory;
                    let all: Bytes = cost.precisions.iter().map(|p| table.weights(p)).sum();
                    let key = (task.family.clone(), task.tier.clone());
                    let most = weights.entry(key).or_insert(Bytes::ZERO);
                    *most = most.max(all);
                }
                placed.push(tenant);
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    memory += weights.into_values().sum();
    if memory > profile.available_memory() {
        let message = format!("{memory:.0} of {:.0}", profile.available_memory());
        refusals.push(whole(Reason::OutOfMemory, message));
    }
    if refusals.is_empty() { Ok(placed) } else { Err(Refused(refusals)) }
}

fn one(
    rules: Rules,
    profile: &Arc<Profile>,
    mode: ModeIx,
    task: &Task,
) -> Result<(Placed, CostTable), Refusal> {
    let refuse = |reason, unit: Option<&str>, message: String| Refusal {
        reason,
        tenant: Some(task.tenant.as_str().into()),
        unit: unit.map(Into::into),
        message,
    };
    let missing = || refuse(Reason::MissingModel, None, format!("{}/{}", task.family, task.tier));
    let family = rules.catalog.family(&task.family).ok_or_else(missing)?;
    let tier = family.tier_position(&task.tier).ok_or_else(missing)?;
    let table = CostTable::new(rules.parameters, profile, mode, family, tier);
    let mut segments = Vec::with_capacity(task.segments.len());
    for s in &task.segments {
        let position = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (from, to) = (position(s.from_block), position(s.to_block));
        let unit = profile
            .unit_position(&s.unit)
            .ok_or_else(|| refuse(Reason::UnknownUnit, Some(&s.unit), "not in the profile".to_owned()))?;
        if to > table.blocks() {
            let message = format!("blocks {from}..{to} of {}", table.blocks());
            return Err(refuse(Reason::BlockMismatch, Some(&s.unit), message));
        }
        if !table.runs(from, to, unit) {
            let why = match table.refusal(from, to, unit) {
                Some(Unfit::UnitOff) => "the power mode switches the unit off".to_owned(),
                Some(Unfit::Operator { block, kind }) => format!("block {block} needs {kind:?}"),
                Some(Unfit::NoModel) | None => "the unit has no figures for it".to_owned(),
            };
            let message = format!("blocks {from}..{to}: {why}");
            return Err(refuse(Reason::UnsupportedOperator, Some(&s.unit), message));
        }
        segments.push(Segment { from, to, unit });
    }
    if table.placement(&segments).is_none() {
        let message = format!("the model has {} blocks", table.blocks());
        return Err(refuse(Reason::BlockMismatch, None, message));
    }
    let placed = Placed {
        tenant: task.tenant.as_str().into(),
        family: Arc::clone(family),
        tier,
        segments,
        rate_per_s: task.rate_per_s,
        limit: task.slo.as_ref().map(|s| Duration::from_secs_f64(s.latency_ms.clamp(0.0, 1e9) / 1e3)),
    };
    Ok((placed, table))
}

/// The board and one stream for each tenant in a power mode; no stream where the tenant cannot run in that mode.
#[must_use]
pub fn streams(
    rules: Rules,
    profile: &Arc<Profile>,
    mode: ModeIx,
    tenants: &[Placed],
) -> Option<(Soc, Vec<Option<Stream>>)> {
    let soc = Soc::new(rules.sharing, rules.parameters.generation(profile), profile, mode)?;
    let stream = |tenant: &Placed| {
        let gap_ms = 1000.0 / tenant.rate_per_s;
        if !(gap_ms.is_finite() && gap_ms > 0.0) {
            return None;
        }
        let table = CostTable::new(rules.parameters, profile, mode, &tenant.family, tenant.tier);
        let jitter = |unit: usize| {
            table.unit_kind(unit).map_or(Jitter::NONE, |kind| {
                let d = rules.parameters.dispersion(profile, kind);
                Jitter { p95: d.p95, p99: d.p99 }
            })
        };
        Stream::new(&table, &tenant.segments, jitter, Arrivals::Poisson { gap_ms })
    };
    Some((soc, tenants.iter().map(stream).collect()))
}
