//! Wire form of what a board measured in an interval (`ecomap.telemetry/v1`).
//!
//! A report stands for itself: counts are those of the interval, and every number that no sensor gave says so in the
//! `basis` or `origin` beside it.

use super::read_document;
use super::result_v1::LatencyDto;
use crate::ids::is_legal_id;
use crate::issue::{Code, Collector, Issues};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Format tag.
pub const FORMAT: &str = "ecomap.telemetry/v1";
/// Most tenants or units of a report.
const MAX_ITEMS: usize = 1024;
/// Most tiers of a tenant.
const MAX_TIERS: usize = 64;
/// Most rails, and most faults.
pub const MAX_RAILS: usize = 64;
/// Most latencies in a sample.
pub const MAX_SAMPLE: usize = 64;
/// Largest time, 2^53 − 1, and largest count.
const MAX_COUNT: u64 = (1 << 53) - 1;
/// Largest latency, power or energy.
const MAX_NUMBER: f64 = 1e12;

/// How a number came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OriginDto {
    /// A sensor or a clock of the board gave it.
    Measured,
    /// Computed from the hardware profile and from busy times.
    Modelled,
    /// Computed by the simulator of a board that is not there.
    Emulated,
}

/// What a board measured in an interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetryDto {
    /// `ecomap.telemetry/v1`.
    pub format: String,
    /// Board.
    pub device: String,
    /// Its hardware profile.
    pub profile: String,
    /// What latencies, counts and busy times are: `measured` or `emulated`.
    pub basis: OriginDto,
    /// When the agent started, ms since the epoch by the board's clock; with `sequence` it names a report.
    pub started_ms: u64,
    /// Number of the report since the agent started, from 1.
    pub sequence: u64,
    /// Beginning of the interval, ms since the epoch by the board's clock.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
    /// Plan that ran at the end; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Power mode in force at the end; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether the board had lowered itself because its budget had expired.
    pub safe: bool,
    /// Reports that were thrown away since the one before this, because the service was away for too long.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Per tenant that the plans of the interval served.
    pub tenants: Vec<TenantReportDto>,
    /// Per compute unit.
    pub units: Vec<UnitReportDto>,
    /// Power; absent where nothing could be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerReportDto>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // signature that serde asks for
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantReportDto {
    /// Tenant.
    pub tenant: String,
    /// Tier that answered at the end; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Requests that came.
    pub arrivals: u64,
    /// Requests answered.
    pub completions: u64,
    /// Requests that no model answered: turned away, expired, not fitting, given up, or failed.
    pub unanswered: u64,
    /// Answered too late, or not in time at all.
    pub deadline_misses: u64,
    /// Energy attributed to it, J, of the origin that `power` states; absent without power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// What each tier answered, in order of name.
    pub tiers: Vec<TierReportDto>,
}

/// Answers of one tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierReportDto {
    /// Tier.
    pub tier: String,
    /// Requests answered; at least 1.
    pub completions: u64,
    /// Of these, later than their deadline.
    pub late: u64,
    /// Quantiles of the latency on the board, from arrival to answer.
    pub latency_ms: LatencyDto,
    /// Mean of the same.
    pub mean_ms: f64,
    /// At most 64 latencies, evenly spaced in rank.
    pub sample_ms: Vec<f64>,
}

/// One compute unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitReportDto {
    /// Compute unit.
    pub unit: String,
    /// Time that it ran segments.
    pub busy_ms: f64,
    /// Requests that waited for it at the end.
    pub waiting: u64,
}

/// Power of a board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerReportDto {
    /// What was read: `ina3221`, `tegrastats`, `rapl`, `model`, `simulator`.
    pub source: String,
    /// How its numbers came about.
    pub origin: OriginDto,
    /// What the total covers: `module`, `board` or `packages`.
    pub scope: String,
    /// Mean draw over `covered_ms`; absent when nothing was covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_w: Option<f64>,
    /// Energy over `covered_ms`, J.
    pub energy_j: f64,
    /// Time that readings cover.
    pub covered_ms: f64,
    /// Part of the energy that no tenant used, J.
    pub board_j: f64,
    /// Per rail.
    pub rails: Vec<RailReportDto>,
    /// What was wrong with readings, for people; each once, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// One rail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RailReportDto {
    /// Name.
    pub rail: String,
    /// Mean draw over `covered_ms`.
    pub mean_w: f64,
    /// Energy, J.
    pub energy_j: f64,
    /// Time that its readings cover.
    pub covered_ms: f64,
}

/// Reads a report.
///
/// # Errors
/// Shape and format issues, illegal names, numbers out of range or that contradict each other, all that are found.
pub fn read(bytes: &[u8]) -> Result<TelemetryDto, Issues> {
    let dto: TelemetryDto = read_document(bytes)?;
    let mut bad = Collector::default();
    if dto.format != FORMAT {
        bad.push(Code::Format, "/format", format!("`{}` is not {FORMAT}", dto.format.escape_debug()));
    }
    legal(&mut bad, "/device", &dto.device);
    legal(&mut bad, "/profile", &dto.profile);
    if dto.basis == OriginDto::Modelled {
        bad.push(Code::Contradiction, "/basis", "latencies are measured or emulated");
    }
    for (pointer, value) in [
        ("/started_ms", dto.started_ms),
        ("/sequence", dto.sequence),
        ("/from_ms", dto.from_ms),
        ("/to_ms", dto.to_ms),
    ] {
        if value > MAX_COUNT {
            bad.push(Code::OutOfRange, pointer, "beyond 2^53 - 1");
        }
    }
    if dto.from_ms > dto.to_ms {
        bad.push(Code::Contradiction, "/to_ms", "the interval ends before it begins");
    }
    for (pointer, length, most) in [
        ("/tenants", dto.tenants.len(), MAX_ITEMS),
        ("/units", dto.units.len(), MAX_ITEMS),
        ("/power/rails", dto.power.as_ref().map_or(0, |p| p.rails.len()), MAX_RAILS),
        ("/power/faults", dto.power.as_ref().map_or(0, |p| p.faults.len()), MAX_RAILS),
    ] {
        if length > most {
            bad.push(Code::TooMany, pointer, format!("{length} items, at most {most}"));
        }
    }
    for (n, tenant) in dto.tenants.iter().take(MAX_ITEMS).enumerate() {
        check_tenant(&mut bad, &format!("/tenants/{n}"), tenant);
    }
    for (n, unit) in dto.units.iter().take(MAX_ITEMS).enumerate() {
        legal(&mut bad, &format!("/units/{n}/unit"), &unit.unit);
        bad.range(&format!("/units/{n}/busy_ms"), unit.busy_ms, 0.0, MAX_NUMBER);
    }
    if let Some(power) = &dto.power {
        check_power(&mut bad, power);
    }
    bad.finish()?;
    Ok(dto)
}

fn legal(bad: &mut Collector, pointer: &str, name: &str) {
    if !is_legal_id(name) {
        bad.push(Code::IllegalId, pointer, format!("`{}`", name.escape_debug()));
    }
}

fn check_tenant(bad: &mut Collector, at: &str, tenant: &TenantReportDto) {
    legal(bad, &format!("{at}/tenant"), &tenant.tenant);
    if let Some(tier) = &tenant.tier {
        legal(bad, &format!("{at}/tier"), tier);
    }
    if let Some(energy) = tenant.energy_j {
        bad.range(&format!("{at}/energy_j"), energy, 0.0, MAX_NUMBER);
    }
    if tenant.tiers.len() > MAX_TIERS {
        bad.push(Code::TooMany, format!("{at}/tiers"), format!("at most {MAX_TIERS}"));
    }
    let by_tier = tenant.tiers.iter().fold(0_u64, |sum, t| sum.saturating_add(t.completions));
    if by_tier != tenant.completions {
        let message = format!("tiers answered {by_tier}, the tenant {}", tenant.completions);
        bad.push(Code::Contradiction, format!("{at}/completions"), message);
    }
    for (n, tier) in tenant.tiers.iter().take(MAX_TIERS).enumerate() {
        let at = format!("{at}/tiers/{n}");
        legal(bad, &format!("{at}/tier"), &tier.tier);
        let within = |n: usize| u64::try_from(n).is_ok_and(|n| n <= tier.completions);
        if tier.sample_ms.is_empty() || tier.sample_ms.len() > MAX_SAMPLE || !within(tier.sample_ms.len()) {
            let message = format!("1 to {MAX_SAMPLE} latencies, and not more than completions");
            bad.push(Code::OutOfRange, format!("{at}/sample_ms"), message);
        }
        let q = &tier.latency_ms;
        for value in [q.p50, q.p95, q.p99, tier.mean_ms].iter().chain(tier.sample_ms.iter().take(MAX_SAMPLE))
        {
            bad.range(&format!("{at}/latency_ms"), *value, 0.0, MAX_NUMBER);
        }
        if !(q.p50 <= q.p95 && q.p95 <= q.p99) {
            bad.push(Code::Contradiction, format!("{at}/latency_ms"), "quantiles are not in order");
        }
    }
}

fn check_power(bad: &mut Collector, power: &PowerReportDto) {
    for (field, value) in [
        ("mean_w", power.mean_w.unwrap_or(0.0)),
        ("energy_j", power.energy_j),
        ("covered_ms", power.covered_ms),
        ("board_j", power.board_j),
    ] {
        bad.range(&format!("/power/{field}"), value, 0.0, MAX_NUMBER);
    }
    for (n, rail) in power.rails.iter().take(MAX_RAILS).enumerate() {
        for value in [rail.mean_w, rail.energy_j, rail.covered_ms] {
            bad.range(&format!("/power/rails/{n}"), value, 0.0, MAX_NUMBER);
        }
    }
}
