//! Wire form of scenarios (`ecomap.scenario/v1`) and their validation.

use super::read_document;
use crate::catalog::Catalog;
use crate::ids::{
    DeviceId, DeviceIx, MAX_ID_LEN, ModeIx, SiteId, SiteIx, TenantId, TenantIx, UnitId, ZoneId, ZoneIx,
    is_legal_id,
};
use crate::issue::{Code, Collector, Issues};
use crate::objective::{EcomapWeights, Objective, Term};
use crate::scenario::{
    Affinity, AffinityKind, Budget, Device, Link, PricingPolicy, Quantile, Running, Scenario, ScenarioParts,
    Scope, Segment, Shedding, Site, Slo, SloBasis, Stability, Tenant, Zone,
};
use crate::units::{BytesPerSecond, GramsPerKwh, Hertz, Millis, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Format tag.
pub const FORMAT: &str = "ecomap.scenario/v1";

/// Most devices after `count` is expanded.
pub const MAX_DEVICES: usize = 10_000;
/// Most tenants.
pub const MAX_TENANTS: usize = 100_000;
/// Most sites, zones, links or affinity rules.
pub const MAX_SITES: usize = 1_000;
/// Most tenants named by all affinity rules together.
pub const MAX_AFFINITY_MEMBERS: usize = 100_000;
/// Most devices that `pin` and `forbid` leave to all tenants together: a `forbid` of one device in
/// ten thousand leaves a long list, a hundred thousand such lists would not fit in memory.
pub const MAX_ALLOWED_DEVICES: usize = 20_000_000;

/// A scenario document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioDto {
    /// `ecomap.scenario/v1`.
    pub format: String,
    /// Name, for people and file names.
    pub name: String,
    /// What this scenario is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Grid zones.
    pub zones: Vec<ZoneDto>,
    /// Sites.
    pub sites: Vec<SiteDto>,
    /// Boards.
    pub devices: Vec<DeviceDto>,
    /// Network links between sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkDto>,
    /// Tenants.
    pub tenants: Vec<TenantDto>,
    /// Rules over groups of tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affinities: Vec<AffinityDto>,
    /// Least priority-weighted mean accuracy over the served tenants, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_accuracy_floor: Option<f64>,
    /// What to minimise; `ecomap` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveDto>,
    /// How options are generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<PricingDto>,
    /// The running plan, for switching prices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<RunningDto>,
    /// How much of the running plan may change; anything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<StabilityDto>,
}

/// How much of the running plan may change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StabilityDto {
    /// Most tenants that may leave their running choice, those shed included; any number when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_moves: Option<u32>,
    /// Tenants that keep their running choice; each must be listed under `running`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
}

/// A grid zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneDto {
    /// Unique name.
    pub id: String,
    /// Carbon intensity now, 0 to 10000.
    pub carbon_g_per_kwh: f64,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteDto {
    /// Unique name.
    pub id: String,
    /// Name of its zone.
    pub zone: String,
    /// Power budget; no cap when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetDto>,
}

/// A power budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum BudgetDto {
    /// A constant cap.
    Fixed {
        /// Cap, W.
        cap_w: f64,
    },
    /// `max_w` up to `clean_g_per_kwh`, `min_w` from `dirty_g_per_kwh` on, linear between.
    Linear {
        /// Intensity up to which the cap is `max_w`.
        clean_g_per_kwh: f64,
        /// Intensity from which the cap is `min_w`.
        dirty_g_per_kwh: f64,
        /// Cap on a clean grid, W.
        max_w: f64,
        /// Cap on a dirty grid, W.
        min_w: f64,
    },
}

/// One board, or `count` identical ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceDto {
    /// Unique name; with `count` the boards are `id-1` … `id-n`.
    pub id: String,
    /// Name of its site.
    pub site: String,
    /// Hardware profile of the catalogue.
    pub profile: String,
    /// How many; one board named `id` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Power modes it may run in; all of the profile when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<Vec<String>>,
    /// Whether it must stay on even when idle.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always_on: bool,
}

/// A two-way link between two sites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkDto {
    /// One end.
    pub from: String,
    /// Other end.
    pub to: String,
    /// One-way delay, ms.
    pub latency_ms: f64,
    /// Capacity in each direction, bytes per second.
    pub bandwidth_bytes_per_s: f64,
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantDto {
    /// Unique name.
    pub id: String,
    /// Model family of the catalogue.
    pub family: String,
    /// Tiers allowed; all of the family when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<String>>,
    /// Site where its requests arise.
    pub origin: String,
    /// Mean request rate, per second.
    pub rate_per_s: f64,
    /// Latency objective.
    pub slo: SloDto,
    /// Weight in the objective; 1 when absent.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub priority: f64,
    /// Least accuracy accepted, percent in the family's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_floor: Option<f64>,
    /// Devices it must run on (one of them).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Vec<String>>,
    /// Devices and compute units it must not use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbid: Option<ForbidDto>,
    /// Price of leaving its running choice, objective units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub switch_price: f64,
    /// Whether it may be left out, and at what price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedDto>,
}

/// A latency objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloDto {
    /// Quantile that must meet it.
    pub quantile: Quantile,
    /// End to end, network included, ms.
    pub latency_ms: f64,
    /// Present: the SLO may be broken at this price per ms above it; absent: hard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_price_per_ms: Option<f64>,
}

/// What a tenant must not use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForbidDto {
    /// Devices by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Compute units by name, e.g. `cpu0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

/// Whether a tenant may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShedDto {
    /// `false`: the problem is infeasible rather than leaving the tenant out.
    pub allowed: bool,
    /// Price in objective units; above anything that serving could cost when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
}

/// A rule over a group of tenants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AffinityDto {
    /// `together` or `apart`.
    pub kind: AffinityKind,
    /// `device` or `site`.
    pub scope: Scope,
    /// At least two tenants.
    pub tenants: Vec<String>,
}

/// What to minimise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveDto {
    /// `ecomap`, `carbon`, `energy`, `latency`, `accuracy`, `value`, `cdp`, `weighted`, `lexicographic`.
    pub name: String,
    /// Weights of `weighted` (by term) or `ecomap` (`latency`, `carbon`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// Terms of `lexicographic`, most important first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
}

/// How options are generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PricingDto {
    /// Most segments of a placement, 1 to 3.
    pub max_segments: u64,
    /// Relative distance within which placements count as equal, 0 to 1.
    pub epsilon: f64,
    /// Most placements kept for a (tier, class, mode), 1 to 1000.
    pub max_placements: u64,
    /// Which latency row 7 uses.
    pub slo_basis: SloBasis,
    /// Highest utilisation of a compute unit, 0.05 to 1.
    pub load_cap: f64,
}

impl Default for PricingDto {
    fn default() -> Self {
        let p = PricingPolicy::default();
        Self {
            max_segments: p.max_segments as u64,
            epsilon: p.epsilon,
            max_placements: p.max_placements as u64,
            slo_basis: p.slo_basis,
            load_cap: p.load_cap,
        }
    }
}

/// What a tenant runs at present.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningDto {
    /// Tenant.
    pub tenant: String,
    /// Device.
    pub device: String,
    /// Tier.
    pub tier: String,
    /// Segments; any placement of the tier on the device when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<SegmentDto>>,
}

/// A contiguous run of blocks on one compute unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentDto {
    /// First block.
    pub from_block: u64,
    /// One past the last block.
    pub to_block: u64,
    /// Compute unit.
    pub unit: String,
}

fn one() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp)] // signature that serde asks for
fn is_one(x: &f64) -> bool {
    *x == 1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp)]
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

/// Reads and validates a scenario document against `catalog`.
///
/// # Errors
/// Every issue found.
pub fn read(bytes: &[u8], catalog: &Catalog) -> Result<Scenario, Issues> {
    read_document::<ScenarioDto>(bytes)?.lower(catalog)
}

impl ScenarioDto {
    /// Validates the document and resolves every name.
    ///
    /// # Errors
    /// Every issue found, in document order.
    pub fn lower(&self, catalog: &Catalog) -> Result<Scenario, Issues> {
        let mut reader = Reader { dto: self, catalog, bad: Collector::default() };
        let parts = reader.parts();
        reader.bad.finish()?;
        Ok(Scenario::from_validated(parts))
    }
}

impl ObjectiveDto {
    /// Reads an objective.
    ///
    /// # Errors
    /// The code and message of the first rule broken.
    pub fn lower(&self) -> Result<Objective, (Code, String)> {
        let weight = |key: &str, value: f64| {
            if value.is_finite() && (0.0..=1e9).contains(&value) {
                Ok(value)
            } else {
                Err((Code::OutOfRange, format!("weight of `{key}` is not a number from 0 to 1e9")))
            }
        };
        let stray =
            |what: &str| Err((Code::Contradiction, format!("objective `{}` takes no {what}", self.name)));
        match self.name.as_str() {
            "ecomap" => {
                if !self.order.is_empty() {
                    return stray("order");
                }
                let mut weights = EcomapWeights::default();
                for (key, value) in &self.weights {
                    match key.as_str() {
                        "latency" => weights.latency = weight(key, *value)?,
                        "carbon" => weights.carbon = weight(key, *value)?,
                        _ => return Err((Code::UnknownObjective, format!("ecomap has no weight `{key}`"))),
                    }
                }
                Ok(Objective::Ecomap(weights))
            }
            "weighted" => {
                if !self.order.is_empty() {
                    return stray("order");
                }
                if self.weights.is_empty() {
                    return Err((Code::Empty, "weighted needs at least one term".to_owned()));
                }
                let mut list = Vec::new();
                for (key, value) in &self.weights {
                    let term = Term::parse(key).ok_or_else(|| unknown_term(key))?;
                    list.push((term, weight(key, *value)?));
                }
                Ok(Objective::Weighted(list))
            }
            "lexicographic" => {
                if !self.weights.is_empty() {
                    return stray("weights");
                }
                if self.order.is_empty() {
                    return Err((Code::Empty, "lexicographic needs at least one term".to_owned()));
                }
                let mut list = Vec::new();
                for name in &self.order {
                    let term = Term::parse(name).ok_or_else(|| unknown_term(name))?;
                    if list.contains(&term) {
                        return Err((
                            Code::DuplicateId,
                            format!("`{term}` is named twice", term = term.as_str()),
                        ));
                    }
                    list.push(term);
                }
                Ok(Objective::Lexicographic(list))
            }
            name => {
                if !self.weights.is_empty() {
                    return stray("weights");
                }
                if !self.order.is_empty() {
                    return stray("order");
                }
                if name == "cdp" {
                    return Ok(Objective::Cdp);
                }
                // Not the command line's short form: `weighted:…` is no name.
                Term::parse(name).map(Objective::Single).ok_or_else(|| {
                    (Code::UnknownObjective, format!("`{}` is not an objective", name.escape_debug()))
                })
            }
        }
    }

    /// The wire form of an objective.
    #[must_use]
    pub fn raise(objective: &Objective) -> Self {
        let mut dto = Self { name: objective.name().to_owned(), weights: BTreeMap::new(), order: Vec::new() };
        match objective {
            Objective::Ecomap(w) => {
                dto.weights.insert("latency".to_owned(), w.latency);
                dto.weights.insert("carbon".to_owned(), w.carbon);
            }
            Objective::Weighted(list) => {
                dto.weights = list.iter().map(|(t, w)| (t.as_str().to_owned(), *w)).collect();
            }
            Objective::Lexicographic(list) => {
                dto.order = list.iter().map(|t| t.as_str().to_owned()).collect();
            }
            Objective::Single(_) | Objective::Cdp => {}
        }
        dto
    }
}

fn unknown_term(name: &str) -> (Code, String) {
    (Code::UnknownObjective, format!("`{}` is not a term", name.escape_debug()))
}

/// Names met so far in one list, with the position of each.
struct Names<'a> {
    list: &'static str,
    seen: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn read(
        list: &'static str,
        ids: impl Iterator<Item = &'a str>,
        most: usize,
        bad: &mut Collector,
    ) -> Self {
        let mut seen = BTreeMap::new();
        for (n, id) in ids.enumerate() {
            let pointer = || format!("/{list}/{n}/id");
            if n >= most {
                bad.push(Code::TooMany, format!("/{list}"), format!("more than {most} items"));
                break;
            }
            if !is_legal_id(id) {
                let shown: String = id.chars().take(MAX_ID_LEN).collect();
                bad.push(Code::IllegalId, pointer(), format!("`{}`", shown.escape_debug()));
            }
            if seen.insert(id, n).is_some() {
                bad.push(Code::DuplicateId, pointer(), format!("`{id}` is already used"));
            }
        }
        Self { list, seen }
    }

    fn find(&self, id: &str, code: Code, pointer: impl Into<String>, bad: &mut Collector) -> usize {
        if let Some(position) = self.seen.get(id) {
            return *position;
        }
        let shown: String = id.chars().take(MAX_ID_LEN).collect();
        bad.push(code, pointer, format!("`{}` is not listed under `{}`", shown.escape_debug(), self.list));
        0
    }
}

struct Reader<'a> {
    dto: &'a ScenarioDto,
    catalog: &'a Catalog,
    bad: Collector,
}

impl Reader<'_> {
    fn parts(&mut self) -> ScenarioParts {
        let dto = self.dto;
        if dto.format != FORMAT {
            let message = format!("`{}` is not {FORMAT}", dto.format.escape_debug());
            self.bad.push(Code::Format, "/format", message);
        }
        if !is_legal_id(&dto.name) {
            self.bad.push(Code::IllegalId, "/name", format!("`{}`", dto.name.escape_debug()));
        }
        for (name, empty) in [
            ("/zones", dto.zones.is_empty()),
            ("/sites", dto.sites.is_empty()),
            ("/devices", dto.devices.is_empty()),
            ("/tenants", dto.tenants.is_empty()),
        ] {
            if empty {
                self.bad.push(Code::Empty, name, "a scenario needs at least one");
            }
        }
        let zone_names =
            Names::read("zones", dto.zones.iter().map(|z| z.id.as_str()), MAX_SITES, &mut self.bad);
        let zones = self.zones();
        let site_names =
            Names::read("sites", dto.sites.iter().map(|s| s.id.as_str()), MAX_SITES, &mut self.bad);
        let sites = self.sites(&zone_names);
        let links = self.links(&site_names);
        let devices = self.devices(&site_names);
        let device_names: BTreeMap<&str, usize> =
            devices.iter().enumerate().map(|(n, d)| (d.id.as_str(), n)).collect();
        let tenant_names =
            Names::read("tenants", dto.tenants.iter().map(|t| t.id.as_str()), MAX_TENANTS, &mut self.bad);
        let tenants = self.tenants(&site_names, &devices, &device_names);
        let affinities = self.affinities(&tenant_names);
        let running = self.running(&tenant_names, &devices, &device_names);
        if let Some(floor) = dto.fleet_accuracy_floor {
            self.bad.range("/fleet_accuracy_floor", floor, 0.0, 100.0);
        }
        let objective = match dto.objective.as_ref().map(ObjectiveDto::lower) {
            None => Objective::default(),
            Some(Ok(Objective::Single(Term::Value))) => {
                self.bad.push(
                    Code::UnknownObjective,
                    "/objective/name",
                    "a scenario has no values of its own",
                );
                Objective::default()
            }
            Some(Ok(objective)) => objective,
            Some(Err((code, message))) => {
                self.bad.push(code, "/objective", message);
                Objective::default()
            }
        };
        ScenarioParts {
            name: dto.name.clone(),
            zones,
            sites,
            devices,
            links,
            tenants,
            affinities,
            fleet_accuracy_floor: dto.fleet_accuracy_floor,
            objective,
            pricing: self.pricing(),
            stability: self.stability(&tenant_names, &running),
            running,
        }
    }

    fn stability(&mut self, tenants: &Names<'_>, running: &[Running]) -> Stability {
        let Some(dto) = &self.dto.stability else { return Stability::default() };
        let mut frozen = BTreeSet::new();
        for (n, name) in dto.frozen.iter().enumerate() {
            let at = format!("/stability/frozen/{n}");
            let tenant = TenantIx::new(tenants.find(name, Code::UnknownTenant, at.clone(), &mut self.bad));
            if !running.iter().any(|r| r.tenant == tenant) {
                let message = format!("`{}` is frozen but not listed under `running`", name.escape_debug());
                self.bad.push(Code::Contradiction, at, message);
            }
            frozen.insert(tenant);
        }
        let max_moves = dto.max_moves.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        Stability { max_moves, frozen }
    }

    fn zones(&mut self) -> Vec<Zone> {
        let mut zones = Vec::new();
        for (n, zone) in self.dto.zones.iter().enumerate() {
            self.bad.range(&format!("/zones/{n}/carbon_g_per_kwh"), zone.carbon_g_per_kwh, 0.0, 10_000.0);
            zones.push(Zone { id: ZoneId::new(&*zone.id), carbon: GramsPerKwh::new(zone.carbon_g_per_kwh) });
        }
        zones
    }

    fn sites(&mut self, zones: &Names<'_>) -> Vec<Site> {
        let mut sites = Vec::new();
        for (n, site) in self.dto.sites.iter().enumerate() {
            let zone = zones.find(&site.zone, Code::UnknownZone, format!("/sites/{n}/zone"), &mut self.bad);
            let at = format!("/sites/{n}/budget");
            let budget = match &site.budget {
                None => Budget::Unlimited,
                Some(BudgetDto::Fixed { cap_w }) => {
                    self.bad.range(&format!("{at}/cap_w"), *cap_w, 0.0, 1e9);
                    Budget::Fixed(Watts::new(*cap_w))
                }
                Some(BudgetDto::Linear { clean_g_per_kwh, dirty_g_per_kwh, max_w, min_w }) => {
                    self.bad.range(&format!("{at}/clean_g_per_kwh"), *clean_g_per_kwh, 0.0, 10_000.0);
                    self.bad.range(&format!("{at}/dirty_g_per_kwh"), *dirty_g_per_kwh, 0.0, 10_000.0);
                    self.bad.range(&format!("{at}/max_w"), *max_w, 0.0, 1e9);
                    self.bad.range(&format!("{at}/min_w"), *min_w, 0.0, 1e9);
                    if dirty_g_per_kwh <= clean_g_per_kwh || max_w < min_w {
                        self.bad.push(Code::Contradiction, at, "needs clean < dirty and min_w <= max_w");
                    }
                    Budget::Linear {
                        clean: GramsPerKwh::new(*clean_g_per_kwh),
                        dirty: GramsPerKwh::new(*dirty_g_per_kwh),
                        max: Watts::new(*max_w),
                        min: Watts::new(*min_w),
                    }
                }
            };
            sites.push(Site { id: SiteId::new(&*site.id), zone: ZoneIx::new(zone), budget });
        }
        sites
    }

    fn links(&mut self, sites: &Names<'_>) -> Vec<Link> {
        let mut links = Vec::new();
        if self.dto.links.len() > MAX_SITES {
            self.bad.push(Code::TooMany, "/links", format!("more than {MAX_SITES} items"));
            return links;
        }
        for (n, link) in self.dto.links.iter().enumerate() {
            let at = format!("/links/{n}");
            let a = sites.find(&link.from, Code::UnknownSite, format!("{at}/from"), &mut self.bad);
            let b = sites.find(&link.to, Code::UnknownSite, format!("{at}/to"), &mut self.bad);
            if link.from == link.to {
                self.bad.push(Code::Contradiction, at.clone(), "a link joins two different sites");
            }
            self.bad.range(&format!("{at}/latency_ms"), link.latency_ms, 0.0, 1e6);
            self.bad.range(&format!("{at}/bandwidth_bytes_per_s"), link.bandwidth_bytes_per_s, 1.0, 1e13);
            links.push(Link {
                a: SiteIx::new(a),
                b: SiteIx::new(b),
                latency: Millis::new(link.latency_ms),
                bandwidth: BytesPerSecond::new(link.bandwidth_bytes_per_s),
            });
        }
        links
    }

    fn devices(&mut self, sites: &Names<'_>) -> Vec<Device> {
        let mut devices: Vec<Device> = Vec::new();
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for (n, dto) in self.dto.devices.iter().enumerate() {
            let at = format!("/devices/{n}");
            let site = sites.find(&dto.site, Code::UnknownSite, format!("{at}/site"), &mut self.bad);
            let count = dto.count.unwrap_or(1);
            let room = MAX_DEVICES.saturating_sub(devices.len());
            let Some(count) = usize::try_from(count).ok().filter(|c| *c <= room) else {
                self.bad.push(
                    Code::TooMany,
                    format!("{at}/count"),
                    format!("more than {MAX_DEVICES} devices"),
                );
                continue;
            };
            if count == 0 {
                self.bad.push(Code::OutOfRange, format!("{at}/count"), "at least 1");
            }
            let Some(profile) = self.catalog.profile(&dto.profile) else {
                self.bad.push(
                    Code::UnknownProfile,
                    format!("{at}/profile"),
                    format!("`{}` is not in the catalogue", dto.profile.escape_debug()),
                );
                continue;
            };
            let modes = match &dto.modes {
                None => (0..profile.modes.len()).map(ModeIx::new).collect(),
                Some(list) => {
                    if list.is_empty() {
                        self.bad.push(
                            Code::Empty,
                            format!("{at}/modes"),
                            "name a mode, or leave `modes` out",
                        );
                    }
                    let mut modes: Vec<ModeIx> = Vec::new();
                    for (m, mode) in list.iter().enumerate() {
                        match profile.mode_position(mode) {
                            Some(position) => modes.push(ModeIx::new(position)),
                            None => self.bad.push(
                                Code::UnknownMode,
                                format!("{at}/modes/{m}"),
                                format!("`{}` is not a mode of {}", mode.escape_debug(), profile.id),
                            ),
                        }
                    }
                    modes.sort_unstable();
                    modes.dedup();
                    modes
                }
            };
            for k in 1..=count {
                let id = if dto.count.is_some() { format!("{}-{k}", dto.id) } else { dto.id.clone() };
                if !is_legal_id(&id) {
                    let shown: String = id.chars().take(MAX_ID_LEN).collect();
                    self.bad.push(Code::IllegalId, format!("{at}/id"), format!("`{}`", shown.escape_debug()));
                    break;
                }
                if names.insert(id.clone(), n).is_some() {
                    self.bad.push(Code::DuplicateId, format!("{at}/id"), format!("`{id}` is already used"));
                }
                devices.push(Device {
                    id: DeviceId::new(id),
                    site: SiteIx::new(site),
                    profile: profile.clone(),
                    modes: modes.clone(),
                    always_on: dto.always_on,
                });
            }
        }
        devices
    }

    fn tenants(
        &mut self,
        sites: &Names<'_>,
        devices: &[Device],
        device_names: &BTreeMap<&str, usize>,
    ) -> Vec<Tenant> {
        let mut tenants = Vec::new();
        let units: BTreeSet<&str> =
            devices.iter().flat_map(|d| &d.profile.units).map(|u| u.id.as_str()).collect();
        let mut room = MAX_ALLOWED_DEVICES;
        for (n, dto) in self.dto.tenants.iter().enumerate().take(MAX_TENANTS) {
            let at = format!("/tenants/{n}");
            let origin = sites.find(&dto.origin, Code::UnknownSite, format!("{at}/origin"), &mut self.bad);
            self.bad.range(&format!("{at}/rate_per_s"), dto.rate_per_s, 1e-6, 1e6);
            self.bad.range(&format!("{at}/priority"), dto.priority, 1e-3, 1e3);
            self.bad.range(&format!("{at}/switch_price"), dto.switch_price, 0.0, 1e6);
            self.bad.range(&format!("{at}/slo/latency_ms"), dto.slo.latency_ms, 1e-3, 1e7);
            if let Some(price) = dto.slo.soft_price_per_ms {
                self.bad.range(&format!("{at}/slo/soft_price_per_ms"), price, 0.0, 1e6);
            }
            let shedding = match &dto.shed {
                None => Shedding { allowed: true, price: None },
                Some(shed) => {
                    if let Some(price) = shed.price {
                        self.bad.range(&format!("{at}/shed/price"), price, 0.0, 1e9);
                        if !shed.allowed {
                            self.bad.push(
                                Code::Contradiction,
                                format!("{at}/shed"),
                                "a price, though shedding is not allowed",
                            );
                        }
                    }
                    Shedding { allowed: shed.allowed, price: shed.price }
                }
            };
            let allowed = self.allowed_devices(&at, dto, device_names);
            room = room.saturating_sub(allowed.as_ref().map_or(0, Vec::len));
            if room == 0 {
                let message =
                    format!("pins and forbids leave more than {MAX_ALLOWED_DEVICES} devices in all");
                self.bad.push(Code::TooMany, at, message);
                break;
            }
            let forbidden_units = self.forbidden_units(&at, dto, &units);
            let Some(family) = self.catalog.family(&dto.family) else {
                self.bad.push(
                    Code::UnknownFamily,
                    format!("{at}/family"),
                    format!("`{}` is not in the catalogue", dto.family.escape_debug()),
                );
                continue;
            };
            let tiers = self.tiers(&at, dto, family);
            let best = tiers.iter().map(|t| family.tiers[*t].accuracy).fold(0.0, f64::max);
            if let Some(floor) = dto.accuracy_floor
                && self.bad.range(&format!("{at}/accuracy_floor"), floor, 0.0, 100.0)
                && floor > best
            {
                self.bad.push(
                    Code::UnreachableFloor,
                    format!("{at}/accuracy_floor"),
                    format!("the best allowed tier reaches {best}"),
                );
            }
            tenants.push(Tenant {
                id: TenantId::new(&*dto.id),
                family: family.clone(),
                tiers,
                origin: SiteIx::new(origin),
                rate: Hertz::new(dto.rate_per_s),
                slo: Slo {
                    quantile: dto.slo.quantile,
                    latency: Millis::new(dto.slo.latency_ms),
                    soft_price: dto.slo.soft_price_per_ms,
                },
                priority: dto.priority,
                accuracy_floor: dto.accuracy_floor,
                devices: allowed,
                forbidden_units,
                switch_price: dto.switch_price,
                shedding,
            });
        }
        tenants
    }

    fn tiers(&mut self, at: &str, dto: &TenantDto, family: &crate::family::Family) -> Vec<usize> {
        let Some(list) = &dto.tiers else {
            return (0..family.tiers.len()).collect();
        };
        if list.is_empty() {
            self.bad.push(Code::Empty, format!("{at}/tiers"), "name a tier, or leave `tiers` out");
        }
        let mut tiers = Vec::new();
        for (k, tier) in list.iter().enumerate() {
            match family.tier_position(tier) {
                Some(position) => tiers.push(position),
                None => self.bad.push(
                    Code::UnknownTier,
                    format!("{at}/tiers/{k}"),
                    format!("`{}` is not a tier of {}", tier.escape_debug(), family.id),
                ),
            }
        }
        tiers.sort_unstable();
        tiers.dedup();
        tiers
    }

    fn allowed_devices(
        &mut self,
        at: &str,
        dto: &TenantDto,
        names: &BTreeMap<&str, usize>,
    ) -> Option<Vec<DeviceIx>> {
        let mut lookup = |list: &[String], what: &str| -> Vec<DeviceIx> {
            let mut found = Vec::new();
            for (k, id) in list.iter().enumerate() {
                match names.get(id.as_str()) {
                    Some(position) => found.push(DeviceIx::new(*position)),
                    None => self.bad.push(
                        Code::UnknownDevice,
                        format!("{at}/{what}/{k}"),
                        format!("`{}` is not listed under `devices`", id.escape_debug()),
                    ),
                }
            }
            found.sort_unstable();
            found.dedup();
            found
        };
        let pinned = dto.pin.as_ref().map(|list| lookup(list, "pin"));
        let forbidden = dto.forbid.as_ref().map_or_else(Vec::new, |f| lookup(&f.devices, "forbid/devices"));
        if pinned.as_ref().is_some_and(Vec::is_empty) && dto.pin.as_ref().is_some_and(Vec::is_empty) {
            self.bad.push(Code::Empty, format!("{at}/pin"), "name a device, or leave `pin` out");
        }
        if pinned.is_none() && forbidden.is_empty() {
            return None;
        }
        let base = pinned.unwrap_or_else(|| (0..names.len()).map(DeviceIx::new).collect());
        let allowed: Vec<DeviceIx> =
            base.iter().copied().filter(|d| forbidden.binary_search(d).is_err()).collect();
        if allowed.is_empty() && !base.is_empty() {
            self.bad.push(
                Code::Contradiction,
                format!("{at}/forbid"),
                "pinning and forbidding leave no device",
            );
        }
        Some(allowed)
    }

    fn forbidden_units(&mut self, at: &str, dto: &TenantDto, known: &BTreeSet<&str>) -> Vec<UnitId> {
        let mut units = Vec::new();
        for (k, unit) in dto.forbid.iter().flat_map(|f| f.units.iter().enumerate()) {
            if known.contains(unit.as_str()) {
                units.push(UnitId::new(&**unit));
            } else {
                self.bad.push(
                    Code::UnknownUnit,
                    format!("{at}/forbid/units/{k}"),
                    format!("no device has a unit `{}`", unit.escape_debug()),
                );
            }
        }
        units
    }

    fn affinities(&mut self, tenants: &Names<'_>) -> Vec<Affinity> {
        let mut list: Vec<Affinity> = Vec::new();
        if self.dto.affinities.len() > MAX_SITES {
            self.bad.push(Code::TooMany, "/affinities", format!("more than {MAX_SITES} items"));
            return list;
        }
        if self.dto.affinities.iter().map(|a| a.tenants.len()).sum::<usize>() > MAX_AFFINITY_MEMBERS {
            let message = format!("more than {MAX_AFFINITY_MEMBERS} tenants in all rules");
            self.bad.push(Code::TooMany, "/affinities", message);
            return list;
        }
        for (n, dto) in self.dto.affinities.iter().enumerate() {
            let at = format!("/affinities/{n}");
            let mut members = Vec::new();
            for (k, id) in dto.tenants.iter().enumerate() {
                let found = tenants.find(id, Code::UnknownTenant, format!("{at}/tenants/{k}"), &mut self.bad);
                members.push(TenantIx::new(found));
            }
            members.sort_unstable();
            members.dedup();
            if members.len() < 2 && self.bad.is_empty() {
                self.bad.push(
                    Code::Contradiction,
                    format!("{at}/tenants"),
                    "a group needs two different tenants",
                );
            }
            for other in &list {
                let (together, apart) = if dto.kind == AffinityKind::Together {
                    (dto.scope, other.scope)
                } else {
                    (other.scope, dto.scope)
                };
                // Together on a device is together at its site, so it contradicts both ways apart;
                // together at a site leaves room for apart on devices.
                let clash = other.kind != dto.kind && (together == apart || together == Scope::Device);
                let shared =
                    || members.iter().filter(|m| other.tenants.binary_search(m).is_ok()).take(2).count();
                if clash && shared() == 2 {
                    self.bad.push(Code::Contradiction, at.clone(), "two tenants are both together and apart");
                }
            }
            list.push(Affinity { kind: dto.kind, scope: dto.scope, tenants: members });
        }
        list
    }

    fn running(
        &mut self,
        tenants: &Names<'_>,
        devices: &[Device],
        device_names: &BTreeMap<&str, usize>,
    ) -> Vec<Running> {
        let mut list: Vec<Running> = Vec::new();
        let mut seen = BTreeSet::new();
        for (n, dto) in self.dto.running.iter().enumerate() {
            let at = format!("/running/{n}");
            let tenant =
                tenants.find(&dto.tenant, Code::UnknownTenant, format!("{at}/tenant"), &mut self.bad);
            if !seen.insert(tenant) {
                self.bad.push(Code::DuplicateId, format!("{at}/tenant"), "the tenant runs one thing only");
            }
            let Some(device) = device_names.get(dto.device.as_str()).copied() else {
                self.bad.push(
                    Code::UnknownDevice,
                    format!("{at}/device"),
                    format!("`{}` is not listed under `devices`", dto.device.escape_debug()),
                );
                continue;
            };
            let family = self.dto.tenants.get(tenant).and_then(|t| self.catalog.family(&t.family));
            if family.is_some_and(|f| f.tier_position(&dto.tier).is_none()) {
                self.bad.push(Code::UnknownTier, format!("{at}/tier"), "not a tier of the tenant's family");
            }
            let profile = &devices[device].profile;
            let mut segments = None;
            if let Some(list) = &dto.segments {
                let mut found = Vec::new();
                for (k, s) in list.iter().enumerate() {
                    let at = format!("{at}/segments/{k}");
                    let unit = profile.unit_position(&s.unit);
                    if unit.is_none() {
                        self.bad.push(
                            Code::UnknownUnit,
                            format!("{at}/unit"),
                            format!("not a unit of {}", profile.id),
                        );
                    }
                    match (usize::try_from(s.from_block), usize::try_from(s.to_block), unit) {
                        (Ok(from), Ok(to), Some(unit)) if from < to && to <= crate::family::MAX_BLOCKS => {
                            found.push(Segment { from, to, unit });
                        }
                        _ => {
                            self.bad.push(Code::OutOfRange, at, "a segment runs from a block to a later one");
                        }
                    }
                }
                segments = Some(found);
            }
            list.push(Running {
                tenant: TenantIx::new(tenant),
                device: DeviceIx::new(device),
                tier: dto.tier.clone(),
                segments,
            });
        }
        list
    }

    fn pricing(&mut self) -> PricingPolicy {
        let dto = self.dto.pricing.clone().unwrap_or_default();
        let mut count = |at: &str, value: u64, most: u64| -> usize {
            if value == 0 || value > most {
                self.bad.push(Code::OutOfRange, at, format!("{value} is not a number from 1 to {most}"));
            }
            usize::try_from(value.clamp(1, most)).unwrap_or(1)
        };
        let max_segments = count("/pricing/max_segments", dto.max_segments, 3);
        let max_placements = count("/pricing/max_placements", dto.max_placements, 1000);
        self.bad.range("/pricing/epsilon", dto.epsilon, 0.0, 1.0);
        self.bad.range("/pricing/load_cap", dto.load_cap, 0.05, 1.0);
        PricingPolicy {
            max_segments,
            epsilon: dto.epsilon,
            max_placements,
            slo_basis: dto.slo_basis,
            load_cap: dto.load_cap,
        }
    }
}
