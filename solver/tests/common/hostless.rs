//! Tiny benchmark-like instances without devices: multiple-choice knapsacks (MMKP), to maximise,
//! and generalised assignment (GAP), to minimise.

use super::draw::Draw;
use ecomap_instances::Objective;
use ecomap_instances::ids::CapacityIx;
use ecomap_instances::instance::{Capacity, Choice, Instance, InstanceParts, InstanceTenant, Sense};
use ecomap_instances::objective::Term;
use ecomap_instances::scenario::{Shedding, Stability};
use ecomap_instances::units::Hertz;

/// The instance of `seed`: even seeds maximise, odd ones minimise.
pub fn instance(seed: u64) -> Instance {
    let parts = if seed.is_multiple_of(2) { mmkp(seed) } else { gap(seed) };
    Instance::try_new(parts).unwrap_or_else(|issues| panic!("seed {seed}: {issues}"))
}

/// Every class takes one item; each item uses every resource.
fn mmkp(seed: u64) -> InstanceParts {
    let mut draw = Draw::new(seed);
    let rows = draw.between(1, 3);
    let classes = draw.between(2, 4);
    let capacities = (0..rows).map(|r| capacity(&mut draw, r, classes)).collect();
    let tenants = (0..classes)
        .map(|t| {
            let options = (0..draw.between(2, 4))
                .map(|_| Choice {
                    value: draw.steps(1.0, 0, 20),
                    host: None,
                    uses: (0..rows).map(|r| (CapacityIx::new(r), draw.steps(1.0, 0, 9))).collect(),
                })
                .collect();
            tenant(&mut draw, t, options)
        })
        .collect();
    parts(format!("mmkp-{seed}"), Sense::Maximize, capacities, tenants)
}

/// Every job goes to one agent, whose capacity it alone uses.
fn gap(seed: u64) -> InstanceParts {
    let mut draw = Draw::new(seed);
    let agents = draw.between(2, 3);
    let jobs = draw.between(2, 4);
    let capacities = (0..agents).map(|r| capacity(&mut draw, r, jobs.div_ceil(2))).collect();
    let tenants = (0..jobs)
        .map(|t| {
            let options = (0..agents)
                .map(|r| Choice {
                    value: draw.steps(1.0, 1, 20),
                    host: None,
                    uses: vec![(CapacityIx::new(r), draw.steps(1.0, 1, 9))],
                })
                .collect();
            tenant(&mut draw, t, options)
        })
        .collect();
    parts(format!("gap-{seed}"), Sense::Minimize, capacities, tenants)
}

/// Two to six agents, up to two options of a job on each, costs of several kinds, and in some a row
/// that all agents share; some have no plan.
pub fn agents(seed: u64) -> Instance {
    let mut draw = Draw::new(seed);
    let shared = draw.chance(50);
    let agents = if shared { draw.between(4, 6) } else { draw.between(2, 4) };
    let jobs = draw.between(3, 6);
    let mut capacities: Vec<Capacity> =
        (0..agents).map(|r| capacity(&mut draw, r, jobs.div_ceil(agents).max(1))).collect();
    if shared {
        capacities.push(capacity(&mut draw, agents, jobs));
    }
    let step = draw.of(&[1.0, 0.1, 0.37, std::f64::consts::SQRT_2]);
    let tenants = (0..jobs)
        .map(|t| {
            let mut options = Vec::new();
            for r in 0..agents {
                for _ in 0..draw.between(0, 2).max(usize::from(r == t % agents)) {
                    let mut uses = vec![(CapacityIx::new(r), draw.steps(1.0, 1, 9))];
                    if shared {
                        uses.push((CapacityIx::new(agents), draw.steps(0.5, 0, 12)));
                    }
                    options.push(Choice { value: draw.steps(step, 1, 40), host: None, uses });
                }
            }
            tenant(&mut draw, t, options)
        })
        .collect();
    let sense = if draw.chance(50) { Sense::Maximize } else { Sense::Minimize };
    Instance::try_new(parts(format!("agents-{seed}"), sense, capacities, tenants))
        .unwrap_or_else(|issues| panic!("seed {seed}: {issues}"))
}

fn capacity(draw: &mut Draw, r: usize, items: usize) -> Capacity {
    let items = f64::from(u8::try_from(items).unwrap());
    Capacity { id: format!("row{r}"), capacity: items * draw.of(&[2.0, 4.0, 6.0]), unit: "1".to_owned() }
}

fn tenant(draw: &mut Draw, t: usize, options: Vec<Choice>) -> InstanceTenant {
    InstanceTenant {
        id: format!("class{t}").as_str().into(),
        priority: draw.of(&[1.0, 3.0]),
        rate: Hertz::ZERO,
        slo: None,
        family: String::new(),
        tiers: Vec::new(),
        accuracy_floor: None,
        devices: None,
        switch_price: 0.0,
        running: None,
        shedding: Shedding {
            allowed: draw.chance(40),
            price: draw.chance(50).then(|| draw.of(&[1.0, 30.0])),
        },
        options,
    }
}

fn parts(
    name: String,
    sense: Sense,
    capacities: Vec<Capacity>,
    tenants: Vec<InstanceTenant>,
) -> InstanceParts {
    InstanceParts {
        name,
        sense,
        objective: Objective::Single(Term::Value),
        sites: Vec::new(),
        classes: Vec::new(),
        devices: Vec::new(),
        weights: Vec::new(),
        capacities,
        tenants,
        affinities: Vec::new(),
        fleet_accuracy_floor: None,
        stability: Stability::default(),
    }
}
