//! Tensors of one plan.

use super::analysis::{Analysis, Lane, Tenant, analyse};
use crate::sim::soc::{Discipline, Soc};
use crate::sim::stream::{Stage, Stream};
use ecomap_instances::profile::UnitKind;

/// Version of the features; a model file names the version that it was trained on.
pub const VERSION: u32 = 1;

/// Features of a block.
pub const BLOCK_FEATURES: usize = 8;
/// Features of a segment.
pub const SEGMENT_FEATURES: usize = 34;
/// Features of a tenant.
pub const TENANT_FEATURES: usize = 14;
/// Features of a device.
pub const DEVICE_FEATURES: usize = 14;

/// From here on the features of a segment come from [`analysis`](super::analysis).
pub const PHYSICS_SEGMENT: usize = 20;
/// From here on the features of a tenant do. The last three are the logarithms of the guessed
/// median excess and of the steps to p95 and p99: the network's output is added to them.
pub const PHYSICS_TENANT: usize = 6;
/// From here on the features of a device do. The last one is the logarithm of the dynamic power,
/// to which the network's output is added; the one before is the idle power in W.
pub const PHYSICS_DEVICE: usize = 8;

/// Smallest relative excess of which a logarithm is taken.
const FLOOR: f64 = 1e-3;

/// One plan without padding.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoded {
    /// Blocks, segment by segment, [`BLOCK_FEATURES`] each.
    pub blocks: Vec<[f32; BLOCK_FEATURES]>,
    /// Blocks of each segment.
    pub block_counts: Vec<usize>,
    /// Segments, tenant by tenant.
    pub segments: Vec<[f32; SEGMENT_FEATURES]>,
    /// Tenant of each segment.
    pub owners: Vec<usize>,
    /// Unit of each segment.
    pub units: Vec<usize>,
    /// Tenants.
    pub tenants: Vec<[f32; TENANT_FEATURES]>,
    /// The device.
    pub device: [f32; DEVICE_FEATURES],
    /// Latency of each tenant alone without waiting or spread, ms.
    pub base_ms: Vec<f64>,
    /// Idle power, W.
    pub idle_w: f64,
    /// Largest stretched load of a unit; above [`MAX_LOAD`] predictions are extrapolations.
    pub bottleneck: f64,
}

/// Largest stretched load of a unit in the training data.
pub const MAX_LOAD: f64 = 0.92;

#[allow(clippy::cast_possible_truncation)]
fn f(x: f64) -> f32 {
    x.clamp(-1e6, 1e6) as f32
}

fn ln(x: f64) -> f64 {
    x.max(1e-6).ln()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Encodes a plan.
#[must_use]
pub fn encode(soc: &Soc, streams: &[Stream]) -> Encoded {
    encode_analysed(soc, streams, &analyse(soc, streams))
}

/// Encodes a plan whose [`analyse`] is at hand.
#[must_use]
pub fn encode_analysed(soc: &Soc, streams: &[Stream], analysis: &Analysis) -> Encoded {
    let mut out = Encoded {
        device: device(soc, streams, analysis),
        base_ms: analysis.tenants.iter().map(|t| t.base).collect(),
        idle_w: soc.idle_w,
        bottleneck: analysis.load.iter().copied().fold(0.0, f64::max),
        ..Encoded::default()
    };
    let mut lanes = analysis.lanes.iter();
    for (n, (stream, tenant)) in streams.iter().zip(&analysis.tenants).enumerate() {
        out.tenants.push(tenant_features(stream, tenant));
        for (stage, lane) in stream.stages.iter().zip(&mut lanes) {
            blocks(soc, stage, &mut out);
            out.segments.push(segment(soc, stage, lane, tenant));
            out.owners.push(n);
            out.units.push(lane.unit);
        }
    }
    out
}

fn blocks(soc: &Soc, stage: &Stage, out: &mut Encoded) {
    let whole = stage.time_ms().max(1e-9);
    let curve = &soc.units[stage.unit].curve;
    for b in &stage.blocks {
        let demand = b.traffic / b.time_ms.max(1e-9) / soc.bandwidth.max(1e-12);
        out.blocks.push([
            1.0,
            f(ln(b.time_ms) / 3.0),
            f(b.time_ms / whole),
            f(b.memory_share),
            f(demand.min(4.0)),
            f(b.memory_share * curve.loss(demand)),
            f(b.memory_share * (curve.slowdown(demand, demand + 0.5) - 1.0)),
            f(ln(b.watts + 0.1) / 3.0),
        ]);
    }
    out.block_counts.push(stage.blocks.len());
}

fn segment(soc: &Soc, stage: &Stage, lane: &Lane, tenant: &Tenant) -> [f32; SEGMENT_FEATURES] {
    let unit = &soc.units[stage.unit];
    let is = |kind| f64::from(u8::from(unit.kind == kind));
    let (quantum, switch) = match unit.discipline {
        Discipline::Fifo => (0.0, 0.0),
        Discipline::RoundRobin { quantum_ms, switch_ms } => (quantum_ms, switch_ms),
    };
    let s = lane.service;
    let base = tenant.base.max(1e-9);
    [
        is(UnitKind::Gpu),
        is(UnitKind::Dla),
        is(UnitKind::Cpu),
        ln(quantum + 1e-2) / 3.0,
        switch / (quantum + 1e-3),
        unit.stall_power,
        unit.curve.knee,
        unit.curve.loss(0.5),
        unit.curve.loss(1.0),
        unit.curve.loss(1.5),
        ln(s) / 3.0,
        s / base,
        lane.longest / s,
        ln(s / (quantum + 1e-2)) / 3.0,
        stage.jitter.p95 - 1.0,
        stage.jitter.p99 - 1.0,
        lane.rate * s,
        lane.demand.min(4.0),
        lane.memory,
        stage.transfer_ms / base,
        // Physics from here.
        lane.stretch - 1.0,
        lane.load,
        lane.others,
        ln(1.0 - (lane.load + lane.others).min(0.98)),
        ln(lane.residual / s + 1e-2) / 3.0,
        ln(lane.rival / s + 1e-2) / 3.0,
        ln(lane.rival / (quantum + 1e-2) + 1e-2) / 3.0,
        count(lane.rivals) / 4.0,
        ln(lane.wait / s + 1e-3) / 3.0,
        ln(lane.wait / base + 1e-3) / 3.0,
        lane.response / base,
        lane.foreign.min(4.0),
        lane.foreign_peak.min(6.0),
        lane.memory * unit.curve.slowdown(lane.demand, lane.demand + lane.foreign),
    ]
    .map(f)
}

fn tenant_features(stream: &Stream, t: &Tenant) -> [f32; TENANT_FEATURES] {
    let spread = stream.stages.iter().map(|g| g.jitter.p95 * g.time_ms()).sum::<f64>() / t.base.max(1e-9);
    [
        ln(t.base) / 3.0,
        t.transfer / t.base.max(1e-9),
        t.rate * t.base,
        t.variability,
        count(stream.stages.len()) - 1.0,
        spread,
        // Physics from here.
        t.bottleneck,
        ln(1.0 - t.bottleneck.min(0.98)),
        ln(t.excess + FLOOR) / 3.0,
        t.excess50.min(20.0),
        t.excess95.min(40.0),
        ln(t.excess50 + FLOOR),
        ln(t.excess95 - t.excess50 + FLOOR),
        ln(t.excess99 - t.excess95 + FLOOR),
    ]
    .map(f)
}

fn device(soc: &Soc, streams: &[Stream], a: &Analysis) -> [f32; DEVICE_FEATURES] {
    let by_kind = |kind: UnitKind| -> f64 {
        a.load.iter().zip(&soc.units).filter(|(_, u)| u.kind == kind).map(|(l, _)| l).sum()
    };
    let nominal: f64 = a.lanes.iter().map(|l| l.rate * l.service * l.watts).sum();
    let demand: f64 = a.lanes.iter().map(|l| l.rate * l.service * l.demand).sum();
    let stall = soc.units.iter().map(|u| u.stall_power).sum::<f64>() / count(soc.units.len()).max(1.0);
    let room = (soc.limit_w - soc.idle_w).max(0.1);
    [
        ln(soc.limit_w) / 3.0,
        ln(room) / 3.0,
        ln(soc.bandwidth) / 10.0,
        count(streams.len()) / 8.0,
        ln(nominal + 1e-3) / 3.0,
        nominal / room,
        demand,
        stall,
        // Physics from here.
        by_kind(UnitKind::Gpu),
        by_kind(UnitKind::Dla),
        by_kind(UnitKind::Cpu),
        (a.peak_w / room).min(10.0),
        soc.idle_w,
        ln(a.stretched_w + 1e-3),
    ]
    .map(f)
}
