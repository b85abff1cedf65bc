//! Random valid instances.
#![allow(unreachable_pub, clippy::panic)]

use ecomap_instances::generate::Seed;
use ecomap_instances::ids::*;
use ecomap_instances::instance::*;
use ecomap_instances::objective::EcomapWeights;
use ecomap_instances::scenario::{
    Affinity, AffinityKind, Quantile, Scope, Segment, Shedding, Slo, Stability,
};
use ecomap_instances::units::*;
use ecomap_instances::{Instance, Objective, Term};
use rand::Rng;
use rand::seq::IndexedRandom;

fn quantiles(rng: &mut impl Rng) -> Quantiles {
    let p50 = rng.random_range(0.1..50.0);
    let p95 = p50 + rng.random_range(0.0..20.0);
    let p99 = p95 + rng.random_range(0.0..20.0);
    Quantiles { p50: Millis::new(p50), p95: Millis::new(p95), p99: Millis::new(p99) }
}

/// A valid instance with every kind of field somewhere.
pub fn instance(seed: u64) -> Instance {
    let rng = &mut Seed(seed).rng(9);
    let sites: Vec<_> = (0..rng.random_range(1..4_usize))
        .map(|n| InstanceSite {
            id: SiteId::new(format!("s{n}")),
            carbon: GramsPerKwh::new(rng.random_range(0.0..900.0)),
            cap: rng.random_bool(0.7).then(|| Watts::new(rng.random_range(0.0..500.0))),
        })
        .collect();
    let mut devices = Vec::new();
    let classes: Vec<_> = (0..rng.random_range(1..4_usize))
        .map(|c| {
            let units = rng.random_range(1..4_usize);
            let own: Vec<_> = (0..rng.random_range(1..3_usize))
                .map(|_| {
                    devices.push(InstanceDevice {
                        id: DeviceId::new(format!("d{}", devices.len())),
                        class: ClassIx::new(c),
                    });
                    DeviceIx::new(devices.len() - 1)
                })
                .collect();
            DeviceClass {
                id: format!("c{c}"),
                site: SiteIx::new(rng.random_range(0..sites.len())),
                profile: "toy".to_owned(),
                units: (0..units).map(|u| UnitId::new(format!("u{u}"))).collect(),
                memory: Bytes::new(rng.random_range(1e6..1e10)),
                off: Watts::new(rng.random_range(0.0..1.0)),
                always_on: rng.random_bool(0.2),
                devices: own,
                modes: (0..rng.random_range(1..3_usize))
                    .map(|m| ClassMode {
                        id: ModeId::new(format!("m{m}")),
                        idle: Watts::new(rng.random_range(0.0..10.0)),
                        budget: Watts::new(rng.random_range(10.0..60.0)),
                        load_cap: (0..units)
                            .map(|u| if u == 0 { 0.8 } else { rng.random_range(0.0..1.0) })
                            .collect(),
                        bandwidth: BytesPerSecond::new(rng.random_range(1e8..1e11)),
                    })
                    .collect(),
            }
        })
        .collect();
    let weights: Vec<_> = (0..rng.random_range(0..4_usize))
        .map(|n| WeightSet { id: format!("f/k{n}@fp16"), bytes: Bytes::new(rng.random_range(0.0..1e9)) })
        .collect();
    let capacities: Vec<_> = (0..rng.random_range(0..4_usize))
        .map(|n| Capacity {
            id: format!("r{n}"),
            capacity: rng.random_range(-10.0..1e9),
            unit: ["", "B/s"].choose(rng).copied().unwrap_or("").to_owned(),
        })
        .collect();
    let tenants: Vec<_> = (0..rng.random_range(1..6_usize))
        .map(|t| {
            let tiers: Vec<_> = (0..rng.random_range(1..4_usize))
                .map(|k| InstanceTier {
                    id: TierId::new(format!("k{k}")),
                    accuracy: rng.random_range(0.0..100.0),
                })
                .collect();
            let options = (0..rng.random_range(1..8_usize))
                .map(|_| choice(rng, &classes, &tiers, &weights, capacities.len()))
                .collect();
            InstanceTenant {
                id: TenantId::new(format!("t{t}")),
                priority: rng.random_range(0.1..4.0),
                rate: Hertz::new(rng.random_range(0.0..100.0)),
                slo: rng.random_bool(0.8).then(|| Slo {
                    quantile: [Quantile::P50, Quantile::P95, Quantile::P99]
                        .choose(rng)
                        .copied()
                        .unwrap_or(Quantile::P95),
                    latency: Millis::new(rng.random_range(1.0..500.0)),
                    soft_price: rng.random_bool(0.3).then(|| rng.random_range(0.0..2.0)),
                }),
                family: "toy".to_owned(),
                accuracy_floor: rng.random_bool(0.3).then(|| rng.random_range(0.0..80.0)),
                devices: rng
                    .random_bool(0.3)
                    .then(|| vec![DeviceIx::new(rng.random_range(0..devices.len()))]),
                switch_price: rng.random_range(0.0..2.0),
                running: rng.random_bool(0.4).then(|| RunningChoice {
                    device: DeviceIx::new(rng.random_range(0..devices.len())),
                    tier: rng.random_range(0..tiers.len()),
                    segments: rng.random_bool(0.5).then(|| vec![Segment { from: 0, to: 2, unit: 0 }]),
                }),
                shedding: match rng.random_range(0..3) {
                    0 => Shedding { allowed: false, price: None },
                    1 => Shedding { allowed: true, price: None },
                    _ => Shedding { allowed: true, price: Some(rng.random_range(0.0..1e3)) },
                },
                tiers,
                options,
            }
        })
        .collect();
    let affinities = if tenants.len() >= 2 {
        vec![Affinity {
            kind: AffinityKind::Apart,
            scope: Scope::Device,
            tenants: vec![TenantIx::new(0), TenantIx::new(1)],
        }]
    } else {
        Vec::new()
    };
    let (sense, objective) = match rng.random_range(0..5) {
        0 => (Sense::Maximize, Objective::Single(Term::Value)),
        1 => (Sense::Minimize, Objective::Single(Term::Carbon)),
        2 => (Sense::Minimize, Objective::Weighted(vec![(Term::Carbon, 0.1), (Term::Latency, 2.5)])),
        3 => (Sense::Minimize, Objective::Lexicographic(vec![Term::Accuracy, Term::Energy])),
        _ => (Sense::Minimize, Objective::Ecomap(EcomapWeights { latency: 0.3, carbon: 0.7 })),
    };
    let floor = rng.random_bool(0.3).then(|| rng.random_range(0.0..100.0));
    Instance::try_new(InstanceParts {
        name: format!("random-{seed}"),
        sense,
        objective,
        sites,
        classes,
        devices,
        weights,
        capacities,
        tenants,
        affinities,
        fleet_accuracy_floor: floor,
        stability: Stability::default(),
    })
    .unwrap_or_else(|issues| panic!("seed {seed}: {issues}"))
}

fn choice(
    rng: &mut impl Rng,
    classes: &[DeviceClass],
    tiers: &[InstanceTier],
    weights: &[WeightSet],
    capacities: usize,
) -> Choice {
    let mut uses = Vec::new();
    for row in 0..capacities {
        if rng.random_bool(0.5) {
            uses.push((CapacityIx::new(row), rng.random_range(0.0..1e6)));
        }
    }
    let host = rng.random_bool(0.8).then(|| {
        let class = rng.random_range(0..classes.len());
        let mode = rng.random_range(0..classes[class].modes.len());
        let latency = quantiles(rng);
        Host {
            class: ClassIx::new(class),
            mode: ModeIx::new(mode),
            tier: rng.random_range(0..tiers.len()),
            segments: vec![Segment { from: 0, to: 3, unit: 0 }],
            latency,
            network: Millis::new(rng.random_range(0.0..20.0)),
            isolated: if rng.random_bool(0.5) { latency } else { quantiles(rng) },
            slopes: (0..rng.random_range(0..2_usize))
                .map(|u| (UnitIx::new(u), rng.random_range(0.0..3.0)))
                .collect(),
            dynamic: Watts::new(rng.random_range(0.0..20.0)),
            load: vec![(UnitIx::new(0), rng.random_range(0.0..1.0))],
            memory: Bytes::new(rng.random_range(0.0..1e8)),
            weights: (0..weights.len()).filter(|_| rng.random_bool(0.4)).map(WeightIx::new).collect(),
            bandwidth: BytesPerSecond::new(rng.random_range(0.0..1e9)),
        }
    });
    Choice { value: if rng.random_bool(0.5) { 0.0 } else { rng.random_range(-50.0..50.0) }, host, uses }
}
