//! Why an option costs what it costs: the table behind `ecomap estimate`.
//!
//! The numbers are those of [`price`](crate::price), from the same code, with the latency taken
//! apart and the reason where a placement is not an option.

use crate::error::EstimatorError;
use crate::predictor::{Isolated, Predictor};
use crate::pricing::options::{self, Asked, Desk};
use crate::pricing::routes::{Route, Routes};
use crate::pricing::weights::Weights;
use crate::pricing::{PricingReport, all_menus, classes};
use crate::table::{CostTable, Refusal};
use ecomap_instances::Scenario;
use ecomap_instances::ids::TenantIx;
use ecomap_instances::instance::Quantiles;
use ecomap_instances::scenario::{Quantile, SloBasis, Tenant};
use ecomap_instances::units::{Bytes, Millis};
use serde::Serialize;
use std::collections::BTreeMap;

/// All rows, and what was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Predictor's name and version.
    pub predictor: String,
    /// Which latency row 7 uses.
    pub slo_basis: SloBasis,
    /// One row for each tenant, tier, device class and mode.
    pub rows: Vec<Row>,
}

/// A tenant's tier on a device class in a mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Tenant.
    pub tenant: String,
    /// Model family.
    pub family: String,
    /// Tier.
    pub tier: String,
    /// Accuracy, percent.
    pub accuracy: f64,
    /// Device class, as in the instance.
    pub class: String,
    /// Power mode.
    pub mode: String,
    /// Placements that are options of the instance.
    pub options: usize,
    /// Best placements, options first, then by latency at the SLO's quantile.
    pub best: Vec<Offer>,
    /// Units that cannot run the whole tier, and why.
    pub refusals: Vec<UnitRefusal>,
}

/// A placement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offer {
    /// Segments in chain order.
    pub segments: Vec<SegmentView>,
    /// Why it is not an option; `None`: it is one.
    pub left_out: Option<&'static str>,
    /// SLO's quantile: `p50`, `p95` or `p99`.
    pub quantile: &'static str,
    /// SLO.
    pub slo_ms: f64,
    /// Latency at that quantile, taken apart.
    pub latency: Decomposition,
    /// End-to-end p50, p95, p99 that row 7 compares.
    pub latency_ms: [f64; 3],
    /// End-to-end p50, p95, p99 without co-runners.
    pub isolated_ms: [f64; 3],
    /// Energy over idle of one request.
    pub energy_j: f64,
    /// Rate × energy.
    pub dynamic_w: f64,
    /// Utilisation by unit.
    pub load: BTreeMap<String, f64>,
    /// Relative delay per unit of co-runners' load, by unit.
    pub slopes: BTreeMap<String, f64>,
    /// Memory of its own.
    pub memory_bytes: f64,
    /// Weights, shared with tenants on the same board.
    pub weight_bytes: f64,
    /// Memory traffic.
    pub bandwidth_bytes_per_s: f64,
}

/// A segment with its cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentView {
    /// Compute unit.
    pub unit: String,
    /// First block.
    pub from_block: usize,
    /// One past the last block.
    pub to_block: usize,
    /// Names of the first and last block.
    pub blocks: [String; 2],
    /// Busy time.
    pub service_ms: f64,
    /// Part of it that waits for memory.
    pub memory_bound_ms: f64,
    /// Hand-over to the next segment; 0 for the last.
    pub transfer_ms: f64,
}

/// Parts of an end-to-end latency; they add up to `total_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Decomposition {
    /// Busy time of all segments.
    pub service_ms: f64,
    /// Hand-overs.
    pub transfer_ms: f64,
    /// Waiting behind own requests, and spread of service times, at the quantile.
    pub waiting_ms: f64,
    /// Network.
    pub network_ms: f64,
    /// Margin for co-runners: 0 on the isolated basis.
    pub contention_ms: f64,
    /// Sum.
    pub total_ms: f64,
}

/// A unit that cannot run the whole tier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitRefusal {
    /// Compute unit.
    pub unit: String,
    /// Reason, for people.
    pub reason: String,
}

/// Explains the pricing of a scenario: for each tenant, tier, class and mode the `best` placements.
///
/// # Errors
/// [`EstimatorError::ShortAnswer`] from a broken predictor.
pub fn explain(
    scenario: &Scenario,
    predictor: &dyn Predictor,
    best: usize,
) -> Result<Explanation, EstimatorError> {
    let groups = classes::groups(scenario);
    let classes = classes::classes(&groups, scenario.pricing.load_cap);
    let menus = all_menus(scenario, &groups, predictor);
    let desk = Desk { scenario, groups: &groups, classes: &classes, menus: &menus, predictor };
    let mut report = PricingReport::new(predictor, scenario.pricing.slo_basis);
    let mut routes = Routes::new(scenario);
    let mut weights = Weights::default();
    let mut rows = Vec::new();
    for (n, tenant) in scenario.tenants.iter().enumerate() {
        let ways: Vec<Option<Route>> = groups.iter().map(|g| routes.between(tenant.origin, g.site)).collect();
        let running = options::running(scenario, TenantIx::new(n), tenant);
        let answers = desk.answers(tenant, &ways, running.as_ref(), &mut report)?;
        let mut offers: BTreeMap<(usize, usize, usize), (Row, Vec<Offer>)> = BTreeMap::new();
        for (ask, answer) in answers {
            let Some(one) = answer else { continue };
            let verdict = desk.host(tenant, &ask, one.clone(), &mut weights);
            let latency = desk.latency(&ask, &one);
            let offer = offer(tenant, &ask, &one, latency, verdict.err().map(|r| r.as_str()));
            let entry = offers.entry((ask.tier, ask.class, ask.mode)).or_insert_with(|| {
                let class = classes.get(ask.class);
                let mode = class.and_then(|c| c.modes.get(ask.mode));
                (
                    row(tenant, &ask, class.map_or("", |c| &c.id), mode.map_or("", |m| m.id.as_str())),
                    Vec::new(),
                )
            });
            entry.1.push(offer);
        }
        for (mut row, mut list) in offers.into_values() {
            row.options = list.iter().filter(|o| o.left_out.is_none()).count();
            list.sort_by(|a, b| {
                a.left_out
                    .is_some()
                    .cmp(&b.left_out.is_some())
                    .then(a.latency.total_ms.total_cmp(&b.latency.total_ms))
            });
            list.truncate(best);
            row.best = list;
            rows.push(row);
        }
    }
    Ok(Explanation { predictor: report.predictor, slo_basis: scenario.pricing.slo_basis, rows })
}

fn row(tenant: &Tenant, ask: &Asked<'_>, class: &str, mode: &str) -> Row {
    let tier = tenant.family.tiers.get(ask.table.tier());
    Row {
        tenant: tenant.id.to_string(),
        family: tenant.family.id.to_string(),
        tier: tier.map_or("", |t| t.id.as_str()).to_owned(),
        accuracy: tier.map_or(0.0, |t| t.accuracy),
        class: class.to_owned(),
        mode: mode.to_owned(),
        options: 0,
        best: Vec::new(),
        refusals: refusals(ask.table),
    }
}

/// Units that cannot run the whole chain of a table.
#[must_use]
pub fn refusals(table: &CostTable) -> Vec<UnitRefusal> {
    let tier = table.family().tiers.get(table.tier());
    (0..table.unit_count())
        .filter_map(|unit| {
            let reason = match table.refusal(0, table.blocks(), unit)? {
                Refusal::UnitOff => "off in this mode".to_owned(),
                Refusal::NoModel => "no parameters or no peak for its precision".to_owned(),
                Refusal::Operator { block, kind } => {
                    let name = tier.and_then(|t| t.blocks.get(block)).map_or("", |b| b.name.as_str());
                    let kind = serde_json::to_value(kind).ok();
                    let kind = kind.as_ref().and_then(|k| k.as_str()).unwrap_or("operator");
                    format!("lacks `{kind}` of block {block} ({name})")
                }
            };
            Some(UnitRefusal { unit: unit_name(table, unit), reason })
        })
        .collect()
}

fn unit_name(table: &CostTable, unit: usize) -> String {
    table.profile().units.get(unit).map_or_else(String::new, |u| u.id.to_string())
}

fn three(q: &Quantiles) -> [f64; 3] {
    [q.p50.get(), q.p95.get(), q.p99.get()]
}

fn offer(
    tenant: &Tenant,
    ask: &Asked<'_>,
    one: &Isolated,
    latency: Quantiles,
    left_out: Option<&'static str>,
) -> Offer {
    let table = ask.table;
    let at: Quantile = tenant.slo.quantile;
    let segments = views(table, ask);
    let transfer: f64 = segments.iter().map(|s| s.transfer_ms).sum();
    let isolated = one.latency.delayed(ask.network);
    let name = |u: &ecomap_instances::ids::UnitIx| unit_name(table, u.at());
    Offer {
        left_out,
        quantile: at.as_str(),
        slo_ms: tenant.slo.latency.get(),
        latency: Decomposition {
            service_ms: one.base.get() - transfer,
            transfer_ms: transfer,
            waiting_ms: (one.latency.at(at) - one.base).get(),
            network_ms: ask.network.get(),
            contention_ms: (latency.at(at) - isolated.at(at)).get(),
            total_ms: latency.at(at).get(),
        },
        latency_ms: three(&latency),
        isolated_ms: three(&isolated),
        energy_j: one.energy.get(),
        dynamic_w: (one.energy * tenant.rate).get(),
        load: one.load.iter().map(|(u, x)| (name(u), *x)).collect(),
        slopes: one.slopes.iter().map(|(u, x)| (name(u), *x)).collect(),
        memory_bytes: one.memory.get(),
        weight_bytes: one.precisions.iter().map(|p| table.weights(p)).sum::<Bytes>().get(),
        bandwidth_bytes_per_s: (one.traffic * tenant.rate).get(),
        segments,
    }
}

fn views(table: &CostTable, ask: &Asked<'_>) -> Vec<SegmentView> {
    let tier = table.family().tiers.get(table.tier());
    let block = |n: usize| tier.and_then(|t| t.blocks.get(n)).map_or_else(String::new, |b| b.name.clone());
    ask.segments
        .iter()
        .map(|s| {
            let cost = table.segment(s.from, s.to, s.unit);
            let last = s.to == table.blocks();
            let transfer = if last { None } else { table.transfer(s.to, s.unit) };
            SegmentView {
                unit: unit_name(table, s.unit),
                from_block: s.from,
                to_block: s.to,
                blocks: [block(s.from), block(s.to.saturating_sub(1))],
                service_ms: cost.map_or(0.0, |c| c.service.get()),
                memory_bound_ms: cost.map_or(0.0, |c| c.memory_bound.get()),
                transfer_ms: transfer.unwrap_or(Millis::ZERO).get(),
            }
        })
        .collect()
}
