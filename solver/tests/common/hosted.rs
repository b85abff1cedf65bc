//! Tiny instances with devices that exercise every row family.

use super::draw::Draw;
use ecomap_instances::Objective;
use ecomap_instances::ids::{CapacityIx, ClassIx, DeviceIx, ModeIx, SiteIx, TenantIx, UnitIx, WeightIx};
use ecomap_instances::instance::{
    Capacity, Choice, ClassMode, DeviceClass, Host, Instance, InstanceDevice, InstanceParts, InstanceSite,
    InstanceTenant, InstanceTier, Quantiles, RunningChoice, Sense, WeightSet,
};
use ecomap_instances::scenario::{
    Affinity, AffinityKind, Quantile, Scope, Segment, Shedding, Slo, Stability,
};
use ecomap_instances::units::{Bytes, BytesPerSecond, GramsPerKwh, Hertz, Millis, Watts};

const MB: f64 = 1e6;

/// The instance of `seed`: up to 3 tenants, 2 sites, 4 devices.
pub fn instance(seed: u64) -> Instance {
    Instance::try_new(parts(seed)).unwrap_or_else(|issues| panic!("seed {seed}: {issues}"))
}

/// The parts of [`instance`], for making a variant.
pub fn parts(seed: u64) -> InstanceParts {
    let mut draw = Draw::new(seed);
    let site_count = draw.between(1, 2);
    let (classes, devices) = classes(&mut draw, site_count);
    let sites = (0..site_count).map(|s| site(&mut draw, s, &classes)).collect();
    let weights: Vec<WeightSet> = (0..draw.between(1, 3))
        .map(|w| WeightSet { id: format!("set/{w}"), bytes: Bytes::new(draw.steps(10.0 * MB, 1, 5)) })
        .collect();
    let capacities: Vec<Capacity> = (0..draw.between(0, 2))
        .map(|r| Capacity {
            id: format!("link{r}"),
            capacity: draw.steps(2.0, 1, 5),
            unit: "MB/s".to_owned(),
        })
        .collect();
    let tenant_count = draw.of(&[1, 2, 3, 3, 3]);
    let affinities = affinities(&mut draw, tenant_count);
    let fleet_accuracy_floor = draw.chance(30).then(|| draw.of(&[75.0, 77.0, 78.5]));
    // What (8b) and (10b) mean for an option without a device is left open.
    let mixed = affinities.is_empty() && fleet_accuracy_floor.is_none() && draw.chance(15);
    let mut parts = InstanceParts {
        name: format!("hosted-{seed}"),
        sense: Sense::Minimize,
        objective: Objective::default(),
        sites,
        classes,
        devices,
        weights,
        capacities,
        tenants: Vec::new(),
        affinities,
        fleet_accuracy_floor,
        stability: Stability::default(),
    };
    parts.tenants = (0..tenant_count).map(|t| tenant(&mut draw, t, &parts, mixed)).collect();
    parts
}

fn classes(draw: &mut Draw, sites: usize) -> (Vec<DeviceClass>, Vec<InstanceDevice>) {
    let mut devices = Vec::new();
    let classes = (0..draw.between(1, 2))
        .map(|c| {
            let first = devices.len();
            for d in 0..draw.between(1, 2) {
                devices.push(InstanceDevice {
                    id: format!("board{c}{d}").as_str().into(),
                    class: ClassIx::new(c),
                });
            }
            let units: Vec<_> = ["gpu", "dla"][..draw.between(1, 2)].iter().map(|u| (*u).into()).collect();
            let modes = (0..draw.between(1, 2)).map(|m| mode(draw, m, units.len())).collect();
            DeviceClass {
                id: format!("class{c}"),
                site: SiteIx::new(draw.between(0, sites - 1)),
                profile: "test".to_owned(),
                units,
                memory: Bytes::new(draw.of(&[60.0, 90.0, 120.0]) * MB),
                off: Watts::new(draw.of(&[0.0, 0.0, 0.5])),
                always_on: draw.chance(20),
                devices: (first..devices.len()).map(DeviceIx::new).collect(),
                modes,
            }
        })
        .collect();
    (classes, devices)
}

fn mode(draw: &mut Draw, m: usize, units: usize) -> ClassMode {
    let idle = draw.of(&[2.0, 3.0, 4.5]);
    let mut load_cap = vec![draw.of(&[0.5, 0.8, 1.0])];
    load_cap.resize_with(units, || draw.of(&[0.0, 0.5, 0.8]));
    ClassMode {
        id: format!("mode{m}").as_str().into(),
        idle: Watts::new(idle),
        budget: Watts::new(idle + draw.of(&[4.0, 8.0, 14.0])),
        load_cap,
        bandwidth: BytesPerSecond::new(draw.of(&[30.0, 60.0, 120.0]) * MB),
    }
}

fn site(draw: &mut Draw, s: usize, classes: &[DeviceClass]) -> InstanceSite {
    let here = classes.iter().filter(|c| c.site.at() == s);
    let boards: usize = here.map(|c| c.devices.len()).sum();
    let cap = match draw.between(0, 9) {
        0 => Some(0.0),
        1..=4 => Some(draw.of(&[6.0, 9.0, 13.0, 20.0])),
        5..=6 => Some(30.0 * f64::from(u8::try_from(boards).unwrap())),
        _ => None,
    };
    InstanceSite {
        id: format!("site{s}").as_str().into(),
        carbon: GramsPerKwh::new(draw.of(&[0.0, 50.0, 120.0, 400.0])),
        cap: cap.map(Watts::new),
    }
}

fn affinities(draw: &mut Draw, tenants: usize) -> Vec<Affinity> {
    if tenants < 2 || !draw.chance(60) {
        return Vec::new();
    }
    let members = if tenants == 2 || draw.chance(50) { vec![0, 1] } else { vec![2, 0, 1] };
    vec![Affinity {
        kind: draw.of(&[AffinityKind::Together, AffinityKind::Apart]),
        scope: draw.of(&[Scope::Device, Scope::Site]),
        tenants: members.into_iter().map(TenantIx::new).collect(),
    }]
}

fn tenant(draw: &mut Draw, t: usize, parts: &InstanceParts, mixed: bool) -> InstanceTenant {
    let tiers: Vec<InstanceTier> = [("large", 80.0), ("medium", 77.5), ("small", 72.0)][..draw.between(2, 3)]
        .iter()
        .map(|(id, accuracy)| InstanceTier { id: (*id).into(), accuracy: *accuracy })
        .collect();
    let slo = (!draw.chance(10)).then(|| Slo {
        quantile: draw.of(&[Quantile::P50, Quantile::P95, Quantile::P99]),
        latency: Millis::new(draw.of(&[20.0, 40.0, 80.0])),
        soft_price: draw.chance(40).then(|| draw.of(&[0.0, 0.25, 1.0])),
    });
    let allowed = draw.chance(75);
    let count = if allowed && draw.chance(4) { 0 } else { draw.between(2, 4) };
    let options: Vec<Choice> = (0..count).map(|_| option(draw, parts, tiers.len(), mixed)).collect();
    let devices = draw.chance(25).then(|| {
        let count = parts.devices.len();
        let first = draw.between(0, count - 1);
        (first..count).map(DeviceIx::new).collect()
    });
    let running = draw.chance(35).then(|| running(draw, parts, tiers.len(), &options));
    InstanceTenant {
        id: format!("tenant{t}").as_str().into(),
        priority: draw.of(&[1.0, 2.0, 5.0]),
        rate: Hertz::new(draw.of(&[5.0, 10.0, 20.0])),
        slo,
        family: "test".to_owned(),
        accuracy_floor: draw.chance(25).then(|| draw.of(&[75.0, 78.0])),
        devices,
        // Also without a running choice, where it is never paid.
        switch_price: draw.of(&[0.0, 0.5, 3.0]),
        running,
        shedding: Shedding { allowed, price: draw.chance(50).then(|| draw.of(&[0.5, 4.0, 50.0])) },
        tiers,
        options,
    }
}

fn running(draw: &mut Draw, parts: &InstanceParts, tiers: usize, options: &[Choice]) -> RunningChoice {
    let hosts: Vec<&Host> = options.iter().filter_map(|o| o.host.as_ref()).collect();
    if hosts.is_empty() || draw.chance(20) {
        let device = DeviceIx::new(draw.between(0, parts.devices.len() - 1));
        return RunningChoice { device, tier: draw.between(0, tiers - 1), segments: None };
    }
    let host = draw.of(&hosts);
    RunningChoice {
        device: draw.of(&parts.classes[host.class.at()].devices),
        tier: host.tier,
        segments: draw.chance(50).then(|| host.segments.clone()),
    }
}

fn option(draw: &mut Draw, parts: &InstanceParts, tiers: usize, mixed: bool) -> Choice {
    let mut uses = Vec::new();
    for r in 0..parts.capacities.len() {
        if draw.chance(60) {
            uses.push((CapacityIx::new(r), draw.steps(1.0, 1, 4)));
        }
    }
    let host = (!(mixed && draw.chance(30))).then(|| host(draw, parts, tiers));
    Choice { value: draw.steps(0.5, 0, 20), host, uses }
}

fn host(draw: &mut Draw, parts: &InstanceParts, tiers: usize) -> Host {
    let class = draw.between(0, parts.classes.len() - 1);
    let shape = &parts.classes[class];
    let mode = draw.between(0, shape.modes.len() - 1);
    let tier = draw.between(0, tiers - 1);
    let mut load = vec![(UnitIx::new(0), draw.steps(0.1, 1, 4))];
    if shape.modes[mode].load_cap.get(1).is_some_and(|cap| *cap > 0.0) && draw.chance(60) {
        load.push((UnitIx::new(1), draw.steps(0.1, 1, 4)));
    }
    let network = draw.of(&[0.0, 2.0, 10.0]);
    let compute = draw.steps(2.0, 1, 12);
    let at = |ms: f64| Quantiles {
        p50: Millis::new(network + ms),
        p95: Millis::new(network + ms * 1.25),
        p99: Millis::new(network + ms * 1.5),
    };
    Host {
        class: ClassIx::new(class),
        mode: ModeIx::new(mode),
        tier,
        segments: vec![Segment { from: 0, to: draw.between(1, 3), unit: load.len() - 1 }],
        latency: at(compute * draw.of(&[1.0, 1.5])),
        network: Millis::new(network),
        isolated: at(compute),
        slopes: vec![(UnitIx::new(0), draw.of(&[0.0, 0.5]))],
        dynamic: Watts::new(draw.steps(0.5, 1, 10)),
        load,
        memory: Bytes::new(draw.steps(5.0 * MB, 1, 8)),
        weights: (0..parts.weights.len()).filter(|_| draw.chance(50)).map(WeightIx::new).collect(),
        bandwidth: BytesPerSecond::new(draw.steps(5.0 * MB, 1, 6)),
    }
}
