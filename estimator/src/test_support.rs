//! Small hand-made profiles, families and parameters for unit tests.

use crate::activity::Activity;
use crate::parameters::{Contention, Dispersion, FORMAT, GENERIC, Parameters, UnitParameters};
use ecomap_instances::family::{Block, Family, OpKind, OpWork, Tier};
use ecomap_instances::ids::{FamilyId, ModeId, ProfileId, TierId, UnitId};
use ecomap_instances::profile::{Mode, ModeUnit, Precision, Profile, Transfer, Unit, UnitKind};
use ecomap_instances::units::{Bytes, BytesPerSecond, Hertz, Millis, Ops, OpsPerSecond, Watts};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One convolution, 0.4 MB of weights, 0.4 MB in and out.
pub(crate) fn block(flops: f64, traffic: f64) -> Block {
    Block {
        name: "b".to_owned(),
        flops: Ops::new(flops),
        weights: Bytes::new(4e5),
        input: Bytes::new(4e5),
        output: Bytes::new(4e5),
        ops: vec![OpWork {
            kind: OpKind::Conv,
            count: 1,
            flops: Ops::new(flops),
            traffic: Bytes::new(traffic),
        }],
    }
}

/// A family of one tier with the given blocks.
pub(crate) fn family(blocks: Vec<Block>) -> Arc<Family> {
    Arc::new(Family {
        id: FamilyId::new("toy"),
        name: "Toy".to_owned(),
        task: "none".to_owned(),
        metric: "none".to_owned(),
        tiers: vec![Tier {
            id: TierId::new("one"),
            accuracy: 50.0,
            params: 1,
            macs: 1,
            request: Bytes::new(1e5),
            response: Bytes::new(1e3),
            blocks,
        }],
    })
}

/// All kinds alike: the same efficiencies for every operator class, no spread.
pub(crate) fn flat_parameters(compute: f64, memory: f64, op_overhead_us: f64) -> Parameters {
    let kinds = [UnitKind::Gpu, UnitKind::Dla, UnitKind::Cpu];
    Parameters {
        format: FORMAT.to_owned(),
        version: "test".to_owned(),
        command: String::new(),
        sources: BTreeMap::from([("test".to_owned(), "test".to_owned())]),
        generations: BTreeMap::new(),
        fused_traffic: BTreeMap::new(),
        units: kinds
            .iter()
            .map(|kind| UnitParameters {
                kind: *kind,
                generation: GENERIC.to_owned(),
                runtime: "test".to_owned(),
                source: "test".to_owned(),
                compute: BTreeMap::from([(OpKind::Gemm, compute)]),
                memory,
                op_overhead_us,
                core_bytes_per_cycle: None,
                clock_exponent: 1.0,
                layer_exponent: 0.0,
                input_us_per_mb: 0.0,
                power: Activity::FULL,
                context_bytes: 0.0,
                dispersion: Dispersion { p95: 1.0, p99: 1.0 },
            })
            .collect(),
        contention: kinds.iter().map(|k| (*k, Contention { queue: 2.0, bandwidth: 0.0 })).collect(),
    }
}

/// gpu (1 Top/s fp16), two alike dla (0.25 Top/s fp16), cpu (0.1 Top/s fp32); 10 GB/s, 0.8 usable.
/// Mode `full`: everything at its peak; mode `half`: gpu at half clock and half its cores, cpu at
/// half clock, no dla1.
pub(crate) fn toy_profile() -> Arc<Profile> {
    let ops: BTreeSet<OpKind> = [OpKind::Conv, OpKind::Gemm].into();
    let unit = |id: &str, kind, precision, cores, peak: f64| Unit {
        id: UnitId::new(id),
        kind,
        precision,
        cores,
        max_clock: Hertz::new(1e9),
        peak: BTreeMap::from([(precision, OpsPerSecond::new(peak))]),
        ops: ops.clone(),
        fixed_overhead: Millis::new(0.1),
    };
    let on = |clock: f64, watts: f64, cores| {
        Some(ModeUnit { clock: Hertz::new(clock), dynamic: Watts::new(watts), cores })
    };
    Arc::new(Profile {
        id: ProfileId::new("toy"),
        name: "Toy".to_owned(),
        kind: "jetson".to_owned(),
        memory: Bytes::new(8e9),
        reserved: Bytes::new(1e9),
        usable_bandwidth: 0.8,
        units: vec![
            unit("gpu", UnitKind::Gpu, Precision::Fp16, Some(8), 1e12),
            unit("dla0", UnitKind::Dla, Precision::Fp16, None, 0.25e12),
            unit("dla1", UnitKind::Dla, Precision::Fp16, None, 0.25e12),
            unit("cpu0", UnitKind::Cpu, Precision::Fp32, Some(4), 0.1e12),
        ],
        transfer: Transfer { latency: Millis::new(0.05), bandwidth: BytesPerSecond::new(10e9) },
        modes: vec![
            Mode {
                id: ModeId::new("full"),
                nvpmodel: Some(0),
                budget: Watts::new(30.0),
                carrier: Watts::ZERO,
                idle: Watts::new(5.0),
                memory_bandwidth: BytesPerSecond::new(10e9),
                units: vec![on(1e9, 20.0, None), on(1e9, 3.0, None), on(1e9, 3.0, None), on(1e9, 4.0, None)],
            },
            Mode {
                id: ModeId::new("half"),
                nvpmodel: Some(1),
                budget: Watts::new(15.0),
                carrier: Watts::ZERO,
                idle: Watts::new(4.0),
                memory_bandwidth: BytesPerSecond::new(10e9),
                units: vec![on(0.5e9, 6.0, Some(4)), on(1e9, 3.0, None), None, on(0.5e9, 1.5, None)],
            },
        ],
    })
}
