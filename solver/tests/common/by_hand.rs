//! An instance and a plan small enough to work out on paper.

use ecomap_instances::Objective;
use ecomap_instances::ids::{
    CapacityIx, ClassIx, DeviceIx, ModeIx, OptionIx, SiteIx, TenantIx, UnitIx, WeightIx,
};
use ecomap_instances::instance::{
    Capacity, Choice, ClassMode, DeviceClass, Host, InstanceDevice, InstanceParts, InstanceSite,
    InstanceTenant, InstanceTier, Quantiles, RunningChoice, Sense, WeightSet,
};
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_instances::scenario::{
    Affinity, AffinityKind, Quantile, Scope, Segment, Shedding, Slo, Stability,
};
use ecomap_instances::units::{Bytes, BytesPerSecond, GramsPerKwh, Hertz, Millis, Watts};

pub const A: usize = 0;
pub const B: usize = 1;
pub const C: usize = 2;

/// Two boards at `north`, one at `south`; `a` and `b` share weights, `c` runs elsewhere.
pub fn parts() -> InstanceParts {
    InstanceParts {
        name: "by hand".to_owned(),
        sense: Sense::Minimize,
        objective: Objective::default(),
        sites: vec![
            InstanceSite { id: "north".into(), carbon: GramsPerKwh::new(200.0), cap: Some(Watts::new(30.0)) },
            InstanceSite { id: "south".into(), carbon: GramsPerKwh::new(100.0), cap: None },
        ],
        classes: vec![
            DeviceClass {
                id: "orin".to_owned(),
                site: SiteIx::new(0),
                profile: "orin".to_owned(),
                units: vec!["gpu".into(), "dla".into()],
                memory: Bytes::new(100.0),
                off: Watts::new(1.0),
                always_on: false,
                devices: vec![DeviceIx::new(0), DeviceIx::new(1)],
                modes: vec![
                    mode("15w", 4.0, 15.0, &[0.8, 0.0], 50.0),
                    mode("30w", 6.0, 30.0, &[0.8, 0.5], 100.0),
                ],
            },
            DeviceClass {
                id: "nano".to_owned(),
                site: SiteIx::new(1),
                profile: "nano".to_owned(),
                units: vec!["gpu".into()],
                memory: Bytes::new(60.0),
                off: Watts::new(0.5),
                always_on: true,
                devices: vec![DeviceIx::new(2)],
                modes: vec![mode("7w", 2.0, 7.0, &[0.5], 20.0)],
            },
        ],
        devices: [("n0", 0), ("n1", 0), ("s0", 1)]
            .map(|(id, class)| InstanceDevice { id: id.into(), class: ClassIx::new(class) })
            .to_vec(),
        weights: [("w0", 20.0), ("w1", 10.0)]
            .map(|(id, bytes)| WeightSet { id: id.to_owned(), bytes: Bytes::new(bytes) })
            .to_vec(),
        capacities: vec![Capacity { id: "link".to_owned(), capacity: 10.0, unit: "MB/s".to_owned() }],
        tenants: vec![tenant_a(), tenant_b(), tenant_c()],
        affinities: vec![
            affinity(AffinityKind::Together, Scope::Site, &[A, B]),
            affinity(AffinityKind::Apart, Scope::Device, &[A, C]),
        ],
        fleet_accuracy_floor: Some(72.0),
        stability: Stability::default(),
    }
}

pub fn mode(id: &str, idle: f64, budget: f64, load_cap: &[f64], bandwidth: f64) -> ClassMode {
    ClassMode {
        id: id.into(),
        idle: Watts::new(idle),
        budget: Watts::new(budget),
        load_cap: load_cap.to_vec(),
        bandwidth: BytesPerSecond::new(bandwidth),
    }
}

pub fn affinity(kind: AffinityKind, scope: Scope, tenants: &[usize]) -> Affinity {
    Affinity { kind, scope, tenants: tenants.iter().map(|t| TenantIx::new(*t)).collect() }
}

pub fn ms(p50: f64, p95: f64, p99: f64) -> Quantiles {
    Quantiles { p50: Millis::new(p50), p95: Millis::new(p95), p99: Millis::new(p99) }
}

pub fn tenant(
    id: &str,
    priority: f64,
    rate: f64,
    tiers: &[(&str, f64)],
    options: Vec<Choice>,
) -> InstanceTenant {
    InstanceTenant {
        id: id.into(),
        priority,
        rate: Hertz::new(rate),
        slo: None,
        family: "net".to_owned(),
        tiers: tiers
            .iter()
            .map(|(id, accuracy)| InstanceTier { id: (*id).into(), accuracy: *accuracy })
            .collect(),
        accuracy_floor: None,
        devices: None,
        switch_price: 0.0,
        running: None,
        shedding: Shedding { allowed: true, price: None },
        options,
    }
}

/// On the GPU of `n0`, in 30 W: hard SLO, pinned, running there already.
pub fn tenant_a() -> InstanceTenant {
    let host = Host {
        class: ClassIx::new(0),
        mode: ModeIx::new(1),
        tier: 0,
        segments: vec![Segment { from: 0, to: 4, unit: 0 }],
        latency: ms(20.0, 30.0, 40.0),
        network: Millis::new(2.0),
        isolated: ms(15.0, 22.0, 30.0),
        slopes: vec![(UnitIx::new(0), 0.5)],
        dynamic: Watts::new(6.0),
        load: vec![(UnitIx::new(0), 0.4)],
        memory: Bytes::new(30.0),
        weights: vec![WeightIx::new(0)],
        bandwidth: BytesPerSecond::new(30.0),
    };
    let small = Host {
        mode: ModeIx::new(0),
        tier: 1,
        dynamic: Watts::new(3.0),
        weights: vec![WeightIx::new(1)],
        ..host.clone()
    };
    let uses = vec![(CapacityIx::new(0), 4.0)];
    let options =
        [host, small].map(|host| Choice { value: 9.0, host: Some(host), uses: uses.clone() }).to_vec();
    InstanceTenant {
        slo: Some(Slo { quantile: Quantile::P95, latency: Millis::new(50.0), soft_price: None }),
        accuracy_floor: Some(70.0),
        devices: Some(vec![DeviceIx::new(0), DeviceIx::new(1)]),
        switch_price: 3.0,
        running: Some(RunningChoice {
            device: DeviceIx::new(0),
            tier: 0,
            segments: Some(vec![Segment { from: 0, to: 4, unit: 0 }]),
        }),
        ..tenant("a", 2.0, 10.0, &[("large", 80.0), ("small", 75.0)], options)
    }
}

/// On both units of `n0`, in 30 W: soft SLO, 4 ms above it; a shed price of its own. It has a
/// switching price and nothing to switch from.
pub fn tenant_b() -> InstanceTenant {
    let host = Host {
        class: ClassIx::new(0),
        mode: ModeIx::new(1),
        tier: 0,
        segments: vec![Segment { from: 0, to: 2, unit: 0 }, Segment { from: 2, to: 4, unit: 1 }],
        latency: ms(14.0, 18.0, 20.0),
        network: Millis::new(2.0),
        isolated: ms(10.0, 12.0, 14.0),
        slopes: vec![(UnitIx::new(0), 0.5), (UnitIx::new(1), 2.0)],
        dynamic: Watts::new(3.0),
        load: vec![(UnitIx::new(0), 0.3), (UnitIx::new(1), 0.2)],
        memory: Bytes::new(10.0),
        weights: vec![WeightIx::new(0)],
        bandwidth: BytesPerSecond::new(20.0),
    };
    let options = vec![Choice { value: 5.0, host: Some(host), uses: vec![(CapacityIx::new(0), 1.0)] }];
    InstanceTenant {
        slo: Some(Slo { quantile: Quantile::P50, latency: Millis::new(10.0), soft_price: Some(0.2) }),
        switch_price: 11.0,
        shedding: Shedding { allowed: true, price: Some(7.0) },
        ..tenant("b", 1.0, 30.0, &[("large", 78.0)], options)
    }
}

/// On `s0`, in its second tier: no SLO, must be served.
pub fn tenant_c() -> InstanceTenant {
    let host = Host {
        class: ClassIx::new(1),
        mode: ModeIx::new(0),
        tier: 1,
        segments: vec![Segment { from: 0, to: 4, unit: 0 }],
        latency: ms(8.0, 9.0, 10.0),
        network: Millis::ZERO,
        isolated: ms(8.0, 9.0, 10.0),
        slopes: vec![(UnitIx::new(0), 0.5)],
        dynamic: Watts::new(2.0),
        load: vec![(UnitIx::new(0), 0.4)],
        memory: Bytes::new(15.0),
        weights: vec![WeightIx::new(1)],
        bandwidth: BytesPerSecond::new(10.0),
    };
    let options = vec![Choice { value: 2.5, host: Some(host), uses: Vec::new() }];
    InstanceTenant {
        shedding: Shedding { allowed: false, price: None },
        ..tenant("c", 1.0, 20.0, &[("large", 76.0), ("small", 74.0)], options)
    }
}

pub fn pick(option: usize, device: usize) -> Option<Pick> {
    Some(Pick { option: OptionIx::new(option), device: Some(DeviceIx::new(device)) })
}

/// `a` and `b` on `n0` in 30 W, `n1` off, `c` on `s0`.
pub fn plan() -> Assignment {
    Assignment {
        picks: vec![pick(0, 0), pick(0, 0), pick(0, 2)],
        modes: vec![Some(ModeIx::new(1)), None, Some(ModeIx::new(0))],
    }
}
