//! Wire form of hardware profiles and model families (`ecomap.profile/v1`, `ecomap.family/v1`).

use crate::family::{Block, Family, MAX_BLOCKS, OpKind, OpWork, Tier};
use crate::ids::{FamilyId, ModeId, ProfileId, TierId, UnitId, is_legal_id};
use crate::issue::{Code, Collector, Issues};
use crate::profile::{Mode, ModeUnit, Precision, Profile, Transfer, Unit, UnitKind};
use crate::units::{Bytes, BytesPerSecond, Hertz, Millis, Ops, OpsPerSecond, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Field → key of the document's `sources`.
type Sources = BTreeMap<String, String>;

/// A model family file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FamilyDto {
    /// `ecomap.family/v1`.
    pub format: String,
    /// Unique name.
    pub id: String,
    /// Human name.
    pub name: String,
    /// Task.
    pub task: String,
    /// Quality metric.
    pub metric: MetricDto,
    /// Key → citation.
    pub sources: Sources,
    /// Tiers, best accuracy first.
    pub tiers: Vec<TierDto>,
}

/// A quality metric.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricDto {
    /// E.g. `top-1`.
    pub name: String,
    /// Data set.
    pub dataset: String,
    /// `percent`.
    pub unit: String,
}

/// One tier.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierDto {
    /// Name, unique in the family.
    pub id: String,
    /// Published quality, percent.
    pub accuracy: f64,
    /// Parameters.
    pub params: u64,
    /// Published multiply-accumulates.
    pub macs: u64,
    /// Field → source.
    pub source: Sources,
    /// Remark on the figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Input tensor.
    pub input: InputDto,
    /// Block chain.
    pub blocks: Vec<BlockDto>,
}

/// The input of a tier.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputDto {
    /// Tensor shape, batch first.
    pub shape: Vec<u64>,
    /// Bytes of one request on the wire.
    pub request_bytes: u64,
    /// Bytes of one response on the wire.
    pub response_bytes: u64,
}

/// One block.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockDto {
    /// Name.
    pub name: String,
    /// Arithmetic, one multiply-accumulate counting two.
    pub flops: u64,
    /// Weights at fp32.
    pub weight_bytes: u64,
    /// Entering tensor at fp32.
    pub input_bytes: u64,
    /// Leaving tensor at fp32.
    pub output_bytes: u64,
    /// Operator mix.
    pub ops: Vec<OpDto>,
}

/// Work of one operator class.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpDto {
    /// Operator class.
    pub kind: OpKind,
    /// Operators of it.
    pub count: u32,
    /// Arithmetic.
    pub flops: u64,
    /// Unfused memory traffic at fp32.
    pub bytes: u64,
}

/// A hardware profile file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileDto {
    /// `ecomap.profile/v1`.
    pub format: String,
    /// Unique name.
    pub id: String,
    /// Human name.
    pub name: String,
    /// `jetson` or `host`.
    pub kind: String,
    /// Key → citation.
    pub sources: Sources,
    /// Shared memory.
    pub memory: MemoryDto,
    /// Compute units.
    pub units: Vec<UnitDto>,
    /// Cost of crossing units.
    pub transfer: TransferDto,
    /// Power modes.
    pub modes: Vec<ModeDto>,
}

/// Shared memory.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryDto {
    /// Installed.
    pub capacity_bytes: u64,
    /// Kept by the system.
    pub reserved_bytes: u64,
    /// Data-sheet peak.
    pub peak_bandwidth_bytes_per_s: f64,
    /// Share of the peak that streams reach.
    pub usable_bandwidth_share: f64,
    /// Field → source.
    pub source: Sources,
}

/// A compute unit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitDto {
    /// Unique name.
    pub id: String,
    /// Kind.
    pub kind: UnitKind,
    /// Precision that tenants run at.
    pub precision: Precision,
    /// Cores, for CPU clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Clock at which the peaks hold.
    pub max_clock_hz: f64,
    /// Dense peaks, one multiply-accumulate counting two.
    pub peak_ops_per_s: BTreeMap<Precision, f64>,
    /// Operators that run natively.
    pub ops: BTreeSet<OpKind>,
    /// Launch cost of one segment.
    pub fixed_overhead_ms: f64,
    /// Field → source.
    pub source: Sources,
}

/// Cost of handing a tensor over.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferDto {
    /// Fixed part.
    pub latency_ms: f64,
    /// Copy rate.
    pub bandwidth_bytes_per_s: f64,
    /// Field → source.
    pub source: Sources,
}

/// A power mode.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeDto {
    /// Unique name.
    pub id: String,
    /// Number that `nvpmodel -m` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvpmodel_id: Option<u32>,
    /// Power budget.
    pub budget_w: f64,
    /// Idle draw of the board.
    pub idle_w: f64,
    /// Part of `idle_w` outside the module, which `budget_w` does not cover; 0 when absent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub carrier_w: f64,
    /// Memory bandwidth.
    pub memory_bandwidth_bytes_per_s: f64,
    /// Units switched on.
    pub units: BTreeMap<String, ModeUnitDto>,
    /// Field → source.
    pub source: Sources,
}

/// A compute unit within a mode.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeUnitDto {
    /// Clock.
    pub clock_hz: f64,
    /// Extra draw at full utilisation.
    pub dynamic_w: f64,
    /// Cores online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp)] // signature that serde asks for
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

#[allow(clippy::cast_precision_loss)] // counts stay far below 2^53
fn float(count: u64) -> f64 {
    count as f64
}

impl FamilyDto {
    /// Checks the file and gives the domain type.
    ///
    /// # Errors
    /// All broken rules: ids, ranges, chain of blocks, sums, order of tiers.
    pub fn lower(&self) -> Result<Family, Issues> {
        let mut bad = Collector::default();
        if self.format != "ecomap.family/v1" {
            bad.push(Code::Format, "/format", format!("`{}` is not ecomap.family/v1", self.format));
        }
        if !is_legal_id(&self.id) {
            bad.push(Code::IllegalId, "/id", format!("`{}`", self.id));
        }
        if self.tiers.is_empty() {
            bad.push(Code::Empty, "/tiers", "a family needs a tier");
        }
        let mut seen = BTreeSet::new();
        for (t, tier) in self.tiers.iter().enumerate() {
            let at = format!("/tiers/{t}");
            if !is_legal_id(&tier.id) {
                bad.push(Code::IllegalId, format!("{at}/id"), format!("`{}`", tier.id));
            }
            if !seen.insert(&tier.id) {
                bad.push(Code::DuplicateId, format!("{at}/id"), format!("`{}` again", tier.id));
            }
            bad.range(&format!("{at}/accuracy"), tier.accuracy, 0.0, 100.0);
            if t > 0 && tier.accuracy > self.tiers[t - 1].accuracy {
                bad.push(Code::OutOfRange, format!("{at}/accuracy"), "tiers go from best to worst");
            }
            if tier.blocks.is_empty() || tier.blocks.len() > MAX_BLOCKS {
                bad.push(Code::TooMany, format!("{at}/blocks"), format!("1 to {MAX_BLOCKS} blocks"));
            }
            for (key, source) in &tier.source {
                if !self.sources.contains_key(source) {
                    bad.push(
                        Code::BadReference,
                        format!("{at}/source/{key}"),
                        format!("no source `{source}`"),
                    );
                }
            }
            for (b, pair) in tier.blocks.windows(2).enumerate() {
                if pair[0].output_bytes != pair[1].input_bytes {
                    bad.push(
                        Code::Inconsistent,
                        format!("{at}/blocks/{b}"),
                        "output differs from the next input",
                    );
                }
            }
            for (b, block) in tier.blocks.iter().enumerate() {
                let sum: u64 = block.ops.iter().map(|o| o.flops).sum();
                if sum != block.flops {
                    bad.push(
                        Code::Inconsistent,
                        format!("{at}/blocks/{b}/flops"),
                        "differs from the sum over ops",
                    );
                }
            }
        }
        bad.finish()?;
        let tiers = self.tiers.iter().map(lower_tier).collect();
        Ok(Family {
            id: FamilyId::new(&*self.id),
            name: self.name.clone(),
            task: self.task.clone(),
            metric: format!("{} on {}", self.metric.name, self.metric.dataset),
            tiers,
        })
    }
}

fn lower_tier(tier: &TierDto) -> Tier {
    let blocks = tier
        .blocks
        .iter()
        .map(|b| Block {
            name: b.name.clone(),
            flops: Ops::new(float(b.flops)),
            weights: Bytes::new(float(b.weight_bytes)),
            input: Bytes::new(float(b.input_bytes)),
            output: Bytes::new(float(b.output_bytes)),
            ops: b
                .ops
                .iter()
                .map(|o| OpWork {
                    kind: o.kind,
                    count: o.count,
                    flops: Ops::new(float(o.flops)),
                    traffic: Bytes::new(float(o.bytes)),
                })
                .collect(),
        })
        .collect();
    Tier {
        id: TierId::new(&*tier.id),
        accuracy: tier.accuracy,
        params: tier.params,
        macs: tier.macs,
        request: Bytes::new(float(tier.input.request_bytes)),
        response: Bytes::new(float(tier.input.response_bytes)),
        blocks,
    }
}

impl ProfileDto {
    /// Checks the file and gives the domain type.
    ///
    /// # Errors
    /// All broken rules: ids, ranges, unknown units in modes, missing sources.
    pub fn lower(&self) -> Result<Profile, Issues> {
        let mut bad = Collector::default();
        if self.format != "ecomap.profile/v1" {
            bad.push(Code::Format, "/format", format!("`{}` is not ecomap.profile/v1", self.format));
        }
        if !is_legal_id(&self.id) {
            bad.push(Code::IllegalId, "/id", format!("`{}`", self.id));
        }
        if self.units.is_empty() {
            bad.push(Code::Empty, "/units", "a profile needs a compute unit");
        }
        if self.modes.is_empty() {
            bad.push(Code::Empty, "/modes", "a profile needs a power mode");
        }
        if self.memory.reserved_bytes >= self.memory.capacity_bytes {
            bad.push(Code::OutOfRange, "/memory/reserved_bytes", "must leave memory for models");
        }
        bad.range("/memory/usable_bandwidth_share", self.memory.usable_bandwidth_share, 0.01, 1.0);
        bad.range("/transfer/latency_ms", self.transfer.latency_ms, 0.0, 1e3);
        bad.range("/transfer/bandwidth_bytes_per_s", self.transfer.bandwidth_bytes_per_s, 1e6, 1e13);
        self.check_sources(&mut bad);
        let mut seen = BTreeSet::new();
        for (u, unit) in self.units.iter().enumerate() {
            let at = format!("/units/{u}");
            if !is_legal_id(&unit.id) || !seen.insert(&unit.id) {
                bad.push(Code::DuplicateId, format!("{at}/id"), format!("`{}`", unit.id));
            }
            bad.range(&format!("{at}/max_clock_hz"), unit.max_clock_hz, 1e6, 1e11);
            bad.range(&format!("{at}/fixed_overhead_ms"), unit.fixed_overhead_ms, 0.0, 1e3);
            for peak in unit.peak_ops_per_s.values() {
                bad.range(&format!("{at}/peak_ops_per_s"), *peak, 1e6, 1e16);
            }
            if !unit.peak_ops_per_s.contains_key(&unit.precision) {
                bad.push(
                    Code::Inconsistent,
                    format!("{at}/peak_ops_per_s"),
                    "no peak for the unit's precision",
                );
            }
        }
        for (m, mode) in self.modes.iter().enumerate() {
            let at = format!("/modes/{m}");
            bad.range(&format!("{at}/budget_w"), mode.budget_w, 0.1, 1e5);
            bad.range(&format!("{at}/carrier_w"), mode.carrier_w, 0.0, mode.idle_w);
            bad.range(&format!("{at}/idle_w"), mode.idle_w, 0.0, mode.budget_w + mode.carrier_w);
            bad.range(
                &format!("{at}/memory_bandwidth_bytes_per_s"),
                mode.memory_bandwidth_bytes_per_s,
                1e6,
                1e13,
            );
            for (name, unit) in &mode.units {
                if !self.units.iter().any(|u| u.id == *name) {
                    bad.push(Code::UnknownUnit, format!("{at}/units/{name}"), "not a unit of this profile");
                }
                bad.range(&format!("{at}/units/{name}/clock_hz"), unit.clock_hz, 1e6, 1e11);
                bad.range(&format!("{at}/units/{name}/dynamic_w"), unit.dynamic_w, 0.0, 1e4);
            }
        }
        bad.finish()?;
        Ok(self.build())
    }

    fn check_sources(&self, bad: &mut Collector) {
        let maps = [("/memory/source", &self.memory.source), ("/transfer/source", &self.transfer.source)]
            .into_iter()
            .map(|(at, map)| (at.to_owned(), map))
            .chain(self.units.iter().enumerate().map(|(u, x)| (format!("/units/{u}/source"), &x.source)))
            .chain(self.modes.iter().enumerate().map(|(m, x)| (format!("/modes/{m}/source"), &x.source)));
        for (at, map) in maps {
            if map.is_empty() {
                bad.push(Code::Empty, at.clone(), "every figure names its source");
            }
            for (field, source) in map {
                if !self.sources.contains_key(source) {
                    bad.push(Code::BadReference, format!("{at}/{field}"), format!("no source `{source}`"));
                }
            }
        }
    }

    fn build(&self) -> Profile {
        let units = self
            .units
            .iter()
            .map(|u| Unit {
                id: UnitId::new(&*u.id),
                kind: u.kind,
                precision: u.precision,
                cores: u.cores,
                max_clock: Hertz::new(u.max_clock_hz),
                peak: u.peak_ops_per_s.iter().map(|(p, v)| (*p, OpsPerSecond::new(*v))).collect(),
                ops: u.ops.clone(),
                fixed_overhead: Millis::new(u.fixed_overhead_ms),
            })
            .collect();
        let modes = self
            .modes
            .iter()
            .map(|m| Mode {
                id: ModeId::new(&*m.id),
                nvpmodel: m.nvpmodel_id,
                budget: Watts::new(m.budget_w),
                carrier: Watts::new(m.carrier_w),
                idle: Watts::new(m.idle_w),
                memory_bandwidth: BytesPerSecond::new(m.memory_bandwidth_bytes_per_s),
                units: self
                    .units
                    .iter()
                    .map(|u| {
                        m.units.get(&u.id).map(|x| ModeUnit {
                            clock: Hertz::new(x.clock_hz),
                            dynamic: Watts::new(x.dynamic_w),
                            cores: x.cores,
                        })
                    })
                    .collect(),
            })
            .collect();
        Profile {
            id: ProfileId::new(&*self.id),
            name: self.name.clone(),
            kind: self.kind.clone(),
            memory: Bytes::new(float(self.memory.capacity_bytes)),
            reserved: Bytes::new(float(self.memory.reserved_bytes)),
            usable_bandwidth: self.memory.usable_bandwidth_share,
            units,
            transfer: Transfer {
                latency: Millis::new(self.transfer.latency_ms),
                bandwidth: BytesPerSecond::new(self.transfer.bandwidth_bytes_per_s),
            },
            modes,
        }
    }
}
