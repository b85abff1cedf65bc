//! Wire form of priced instances (`ecomap.instance/v1`).

use super::read_document;
use super::scenario_v1::ObjectiveDto;
use crate::ids::{
    CapacityIx, ClassIx, DeviceId, DeviceIx, ModeId, ModeIx, SiteId, SiteIx, TenantId, TenantIx, TierId,
    UnitId, UnitIx, WeightIx,
};
use crate::instance::{
    Capacity, Choice, ClassMode, DeviceClass, Host, Instance, InstanceDevice, InstanceParts, InstanceSite,
    InstanceTenant, InstanceTier, Quantiles, RunningChoice, Sense, WeightSet,
};
use crate::issue::{Code, Issue, Issues};
use crate::objective::{Objective, Term};
use crate::scenario::{Affinity, AffinityKind, Quantile, Scope, Segment, Shedding, Slo, Stability};
use crate::units::{Bytes, BytesPerSecond, GramsPerKwh, Hertz, Millis, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Format tag.
pub const FORMAT: &str = "ecomap.instance/v1";

/// An instance document. Lists refer to each other by position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceDto {
    /// `ecomap.instance/v1`.
    pub format: String,
    /// Name.
    pub name: String,
    /// Sense of the options' `value`; `minimize` when absent.
    #[serde(default = "minimize")]
    pub sense: Sense,
    /// What to minimise; `value` when absent and there is no device, else `ecomap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveDto>,
    /// Sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteDto>,
    /// Device classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_classes: Vec<ClassDto>,
    /// Device names; each belongs to one class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Weights that tenants on one device share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weight_sets: Vec<WeightSetDto>,
    /// Global capacity rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacities: Vec<CapacityDto>,
    /// Tenants with their options.
    pub tenants: Vec<TenantDto>,
    /// Affinity rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affinities: Vec<AffinityDto>,
    /// Least priority-weighted mean accuracy over the served tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_accuracy_floor: Option<f64>,
    /// How much of what runs may change; anything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<StabilityDto>,
}

/// How much of what runs may change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceStabilityDto")]
pub struct StabilityDto {
    /// Most tenants that may leave their running choice, those shed included; any number when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_moves: Option<u32>,
    /// Tenants that keep their running choice, by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<u32>,
}

fn minimize() -> Sense {
    Sense::Minimize
}

/// A site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceSiteDto")]
pub struct SiteDto {
    /// Name.
    pub id: String,
    /// Carbon intensity.
    pub carbon_g_per_kwh: f64,
    /// Power cap; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_w: Option<f64>,
}

/// Identical boards at one site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassDto {
    /// Name.
    pub id: String,
    /// Site, by position.
    pub site: u32,
    /// Hardware profile, for people.
    pub profile: String,
    /// Compute units.
    pub units: Vec<String>,
    /// Memory that models may use.
    pub memory_bytes: f64,
    /// Draw when switched off.
    #[serde(default)]
    pub off_w: f64,
    /// Whether its boards must stay on.
    #[serde(default)]
    pub always_on: bool,
    /// Boards, by position.
    pub devices: Vec<u32>,
    /// Power modes.
    pub modes: Vec<ModeDto>,
}

/// A power mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceModeDto")]
pub struct ModeDto {
    /// Name.
    pub id: String,
    /// Idle draw.
    pub idle_w: f64,
    /// Power budget of the mode.
    pub budget_w: f64,
    /// Highest utilisation per unit, 0 where the unit is off.
    pub load_cap: Vec<f64>,
    /// Memory bandwidth that may be used.
    pub bandwidth_bytes_per_s: f64,
}

/// Shared weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightSetDto {
    /// Name.
    pub id: String,
    /// Size.
    pub bytes: f64,
}

/// A global capacity row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityDto {
    /// Name.
    pub id: String,
    /// Right-hand side.
    pub capacity: f64,
    /// Unit of the row, for people.
    #[serde(default)]
    pub unit: String,
}

/// A tenant with its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceTenantDto")]
pub struct TenantDto {
    /// Name.
    pub id: String,
    /// Weight in the objective.
    #[serde(default = "one")]
    pub priority: f64,
    /// Mean request rate.
    #[serde(default)]
    pub rate_per_s: f64,
    /// Latency objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<SloDto>,
    /// Model family, for people.
    #[serde(default)]
    pub family: String,
    /// Tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierDto>,
    /// Least accuracy accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_floor: Option<f64>,
    /// Devices it may run on, by position; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<u32>>,
    /// Price of leaving the running choice.
    #[serde(default)]
    pub switch_price: f64,
    /// What it runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningDto>,
    /// Whether it may be left out; it may not when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedDto>,
    /// Ways to serve it; exactly one is taken.
    pub options: Vec<OptionDto>,
}

fn one() -> f64 {
    1.0
}

/// A latency objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceSloDto")]
pub struct SloDto {
    /// Quantile that must meet it.
    pub quantile: Quantile,
    /// End-to-end latency.
    pub latency_ms: f64,
    /// Price per ms above it; hard when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_price_per_ms: Option<f64>,
}

/// A tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceTierDto")]
pub struct TierDto {
    /// Name.
    pub id: String,
    /// Accuracy, percent.
    pub accuracy: f64,
}

/// What a tenant runs now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceRunningDto")]
pub struct RunningDto {
    /// Device, by position.
    pub device: u32,
    /// Tier, by position.
    pub tier: u32,
    /// Placement: first block, one past the last, unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<(u32, u32, u32)>>,
}

/// Whether a tenant may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceShedDto")]
pub struct ShedDto {
    /// Whether it may.
    pub allowed: bool,
    /// Price; above anything that serving could cost when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
}

/// An affinity rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceAffinityDto")]
pub struct AffinityDto {
    /// Together or apart.
    pub kind: AffinityKind,
    /// Device or site.
    pub scope: Scope,
    /// Tenants, by position.
    pub tenants: Vec<u32>,
}

/// One way to serve a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionDto {
    /// Profit or cost in the file's sense.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value: f64,
    /// Use of global capacities: position, amount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<(u32, f64)>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostDto>,
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp)] // signature that serde asks for
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

/// Where an option runs and what it uses there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostDto {
    /// Device class, by position.
    pub class: u32,
    /// Mode, by position in the class.
    pub mode: u32,
    /// Tier, by position in the tenant.
    pub tier: u32,
    /// Placement: first block, one past the last, unit.
    pub segments: Vec<(u32, u32, u32)>,
    /// End-to-end p50, p95, p99 that row 7 compares.
    pub latency_ms: [f64; 3],
    /// Network part.
    #[serde(default)]
    pub network_ms: f64,
    /// End-to-end p50, p95, p99 without co-runners; `latency_ms` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolated_ms: Option<[f64; 3]>,
    /// Relative slowdown per unit of co-runners' load: unit, slope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slopes: Vec<(u32, f64)>,
    /// Extra draw.
    pub dynamic_w: f64,
    /// Utilisation: unit, share.
    pub load: Vec<(u32, f64)>,
    /// Memory of its own.
    #[serde(default)]
    pub memory_bytes: f64,
    /// Shared weight sets, by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<u32>,
    /// Memory traffic.
    #[serde(default)]
    pub bandwidth_bytes_per_s: f64,
}

/// Reads and validates an instance document.
///
/// # Errors
/// Every issue found.
pub fn read(bytes: &[u8]) -> Result<Instance, Issues> {
    read_document::<InstanceDto>(bytes)?.lower()
}

/// SHA-256 of the canonical document of an instance, in hexadecimal.
#[must_use]
pub fn hash(instance: &Instance) -> String {
    struct Sink(Sha256);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = std::io::BufWriter::with_capacity(1 << 16, Sink(Sha256::new()));
    // Writing numbers and strings into a hasher cannot fail: no I/O, no map with odd keys.
    let _ = serde_json::to_writer(&mut sink, &InstanceDto::raise(instance));
    let digest = sink.into_inner().map(|s| s.0.finalize()).unwrap_or_default();
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn at(position: u32) -> usize {
    position as usize
}

fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn segments(list: &[(u32, u32, u32)]) -> Vec<Segment> {
    list.iter().map(|&(from, to, unit)| Segment { from: at(from), to: at(to), unit: at(unit) }).collect()
}

fn raise_segments(list: &[Segment]) -> Vec<(u32, u32, u32)> {
    list.iter().map(|s| (position(s.from), position(s.to), position(s.unit))).collect()
}

fn quantiles(ms: [f64; 3]) -> Quantiles {
    Quantiles { p50: Millis::new(ms[0]), p95: Millis::new(ms[1]), p99: Millis::new(ms[2]) }
}

fn raise_quantiles(q: &Quantiles) -> [f64; 3] {
    [q.p50.get(), q.p95.get(), q.p99.get()]
}

impl InstanceDto {
    /// Validates the document.
    ///
    /// # Errors
    /// Every issue found.
    pub fn lower(self) -> Result<Instance, Issues> {
        if self.format != FORMAT {
            return Err(Issues::one(Issue::new(
                Code::Format,
                "/format",
                format!("`{}` is not {FORMAT}", self.format.escape_debug()),
            )));
        }
        let objective = match &self.objective {
            None if self.devices.is_empty() => Objective::Single(Term::Value),
            None => Objective::default(),
            Some(dto) => {
                dto.lower().map_err(|(code, message)| Issues::one(Issue::new(code, "/objective", message)))?
            }
        };
        let mut class_of = vec![ClassIx::new(0); self.devices.len()];
        for (c, class) in self.device_classes.iter().enumerate() {
            for d in &class.devices {
                if let Some(slot) = class_of.get_mut(at(*d)) {
                    *slot = ClassIx::new(c);
                }
            }
        }
        Instance::try_new(InstanceParts {
            name: self.name,
            sense: self.sense,
            objective,
            sites: self
                .sites
                .into_iter()
                .map(|s| InstanceSite {
                    id: SiteId::new(s.id),
                    carbon: GramsPerKwh::new(s.carbon_g_per_kwh),
                    cap: s.cap_w.map(Watts::new),
                })
                .collect(),
            classes: self.device_classes.into_iter().map(lower_class).collect(),
            devices: self
                .devices
                .into_iter()
                .zip(class_of)
                .map(|(id, class)| InstanceDevice { id: DeviceId::new(id), class })
                .collect(),
            weights: self
                .weight_sets
                .into_iter()
                .map(|w| WeightSet { id: w.id, bytes: Bytes::new(w.bytes) })
                .collect(),
            capacities: self
                .capacities
                .into_iter()
                .map(|c| Capacity { id: c.id, capacity: c.capacity, unit: c.unit })
                .collect(),
            tenants: self.tenants.into_iter().map(lower_tenant).collect(),
            affinities: self
                .affinities
                .into_iter()
                .map(|a| Affinity {
                    kind: a.kind,
                    scope: a.scope,
                    tenants: a.tenants.iter().map(|t| TenantIx::new(at(*t))).collect(),
                })
                .collect(),
            fleet_accuracy_floor: self.fleet_accuracy_floor,
            stability: self.stability.map_or_else(Stability::default, |s| Stability {
                max_moves: s.max_moves.map(at),
                frozen: s.frozen.iter().map(|t| TenantIx::new(at(*t))).collect(),
            }),
        })
    }

    /// The wire form of an instance.
    #[must_use]
    pub fn raise(instance: &Instance) -> Self {
        Self {
            format: FORMAT.to_owned(),
            name: instance.name.clone(),
            sense: instance.sense,
            objective: Some(ObjectiveDto::raise(&instance.objective)),
            sites: instance
                .sites
                .iter()
                .map(|s| SiteDto {
                    id: s.id.to_string(),
                    carbon_g_per_kwh: s.carbon.get(),
                    cap_w: s.cap.map(Watts::get),
                })
                .collect(),
            device_classes: instance.classes.iter().map(raise_class).collect(),
            devices: instance.devices.iter().map(|d| d.id.to_string()).collect(),
            weight_sets: instance
                .weights
                .iter()
                .map(|w| WeightSetDto { id: w.id.clone(), bytes: w.bytes.get() })
                .collect(),
            capacities: instance
                .capacities
                .iter()
                .map(|c| CapacityDto { id: c.id.clone(), capacity: c.capacity, unit: c.unit.clone() })
                .collect(),
            tenants: instance.tenants.iter().map(raise_tenant).collect(),
            affinities: instance
                .affinities
                .iter()
                .map(|a| AffinityDto {
                    kind: a.kind,
                    scope: a.scope,
                    tenants: a.tenants.iter().map(|t| position(t.at())).collect(),
                })
                .collect(),
            fleet_accuracy_floor: instance.fleet_accuracy_floor,
            stability: (!instance.stability.is_free()).then(|| StabilityDto {
                max_moves: instance.stability.max_moves.map(position),
                frozen: instance.stability.frozen.iter().map(|t| position(t.at())).collect(),
            }),
        }
    }
}

fn lower_class(c: ClassDto) -> DeviceClass {
    DeviceClass {
        id: c.id,
        site: SiteIx::new(at(c.site)),
        profile: c.profile,
        units: c.units.into_iter().map(UnitId::new).collect(),
        memory: Bytes::new(c.memory_bytes),
        off: Watts::new(c.off_w),
        always_on: c.always_on,
        devices: c.devices.iter().map(|d| DeviceIx::new(at(*d))).collect(),
        modes: c
            .modes
            .into_iter()
            .map(|m| ClassMode {
                id: ModeId::new(m.id),
                idle: Watts::new(m.idle_w),
                budget: Watts::new(m.budget_w),
                load_cap: m.load_cap,
                bandwidth: BytesPerSecond::new(m.bandwidth_bytes_per_s),
            })
            .collect(),
    }
}

fn raise_class(c: &DeviceClass) -> ClassDto {
    ClassDto {
        id: c.id.clone(),
        site: position(c.site.at()),
        profile: c.profile.clone(),
        units: c.units.iter().map(ToString::to_string).collect(),
        memory_bytes: c.memory.get(),
        off_w: c.off.get(),
        always_on: c.always_on,
        devices: c.devices.iter().map(|d| position(d.at())).collect(),
        modes: c
            .modes
            .iter()
            .map(|m| ModeDto {
                id: m.id.to_string(),
                idle_w: m.idle.get(),
                budget_w: m.budget.get(),
                load_cap: m.load_cap.clone(),
                bandwidth_bytes_per_s: m.bandwidth.get(),
            })
            .collect(),
    }
}

fn lower_tenant(t: TenantDto) -> InstanceTenant {
    InstanceTenant {
        id: TenantId::new(t.id),
        priority: t.priority,
        rate: Hertz::new(t.rate_per_s),
        slo: t.slo.map(|s| Slo {
            quantile: s.quantile,
            latency: Millis::new(s.latency_ms),
            soft_price: s.soft_price_per_ms,
        }),
        family: t.family,
        tiers: t
            .tiers
            .into_iter()
            .map(|k| InstanceTier { id: TierId::new(k.id), accuracy: k.accuracy })
            .collect(),
        accuracy_floor: t.accuracy_floor,
        devices: t.devices.map(|list| list.iter().map(|d| DeviceIx::new(at(*d))).collect()),
        switch_price: t.switch_price,
        running: t.running.map(|r| RunningChoice {
            device: DeviceIx::new(at(r.device)),
            tier: at(r.tier),
            segments: r.segments.as_deref().map(segments),
        }),
        shedding: t.shed.map_or(Shedding { allowed: false, price: None }, |s| Shedding {
            allowed: s.allowed,
            price: s.price,
        }),
        options: t.options.into_iter().map(lower_option).collect(),
    }
}

fn raise_tenant(t: &InstanceTenant) -> TenantDto {
    TenantDto {
        id: t.id.to_string(),
        priority: t.priority,
        rate_per_s: t.rate.get(),
        slo: t.slo.map(|s| SloDto {
            quantile: s.quantile,
            latency_ms: s.latency.get(),
            soft_price_per_ms: s.soft_price,
        }),
        family: t.family.clone(),
        tiers: t.tiers.iter().map(|k| TierDto { id: k.id.to_string(), accuracy: k.accuracy }).collect(),
        accuracy_floor: t.accuracy_floor,
        devices: t.devices.as_ref().map(|list| list.iter().map(|d| position(d.at())).collect()),
        switch_price: t.switch_price,
        running: t.running.as_ref().map(|r| RunningDto {
            device: position(r.device.at()),
            tier: position(r.tier),
            segments: r.segments.as_deref().map(raise_segments),
        }),
        shed: Some(ShedDto { allowed: t.shedding.allowed, price: t.shedding.price }),
        options: t.options.iter().map(raise_option).collect(),
    }
}

fn lower_option(o: OptionDto) -> Choice {
    Choice {
        value: o.value,
        uses: o.uses.into_iter().map(|(row, amount)| (CapacityIx::new(at(row)), amount)).collect(),
        host: o.host.map(|h| Host {
            class: ClassIx::new(at(h.class)),
            mode: ModeIx::new(at(h.mode)),
            tier: at(h.tier),
            segments: segments(&h.segments),
            latency: quantiles(h.latency_ms),
            network: Millis::new(h.network_ms),
            isolated: quantiles(h.isolated_ms.unwrap_or(h.latency_ms)),
            slopes: h.slopes.into_iter().map(|(u, s)| (UnitIx::new(at(u)), s)).collect(),
            dynamic: Watts::new(h.dynamic_w),
            load: h.load.into_iter().map(|(u, l)| (UnitIx::new(at(u)), l)).collect(),
            memory: Bytes::new(h.memory_bytes),
            weights: h.weights.iter().map(|w| WeightIx::new(at(*w))).collect(),
            bandwidth: BytesPerSecond::new(h.bandwidth_bytes_per_s),
        }),
    }
}

fn raise_option(o: &Choice) -> OptionDto {
    OptionDto {
        value: o.value,
        uses: o.uses.iter().map(|(row, amount)| (position(row.at()), *amount)).collect(),
        host: o.host.as_ref().map(|h| HostDto {
            class: position(h.class.at()),
            mode: position(h.mode.at()),
            tier: position(h.tier),
            segments: raise_segments(&h.segments),
            latency_ms: raise_quantiles(&h.latency),
            network_ms: h.network.get(),
            isolated_ms: Some(raise_quantiles(&h.isolated)),
            slopes: h.slopes.iter().map(|(u, s)| (position(u.at()), *s)).collect(),
            dynamic_w: h.dynamic.get(),
            load: h.load.iter().map(|(u, l)| (position(u.at()), *l)).collect(),
            memory_bytes: h.memory.get(),
            weights: h.weights.iter().map(|w| position(w.at())).collect(),
            bandwidth_bytes_per_s: h.bandwidth.get(),
        }),
    }
}
