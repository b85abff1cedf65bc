//! Kinds of boards and their slots.

use super::configure::{Config, Counts, configurations};
use super::layout::{Fixed, Item, Kind, Layout, Means, Rules, Slot, number};
use crate::checker::TOLERANCE;
use crate::columns::Column;
use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx};
use ecomap_instances::instance::{Host, InstanceTenant};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Items by option on one device: option, cost, whether it is the running choice.
type Signature = Vec<(usize, usize, u64, bool)>;

/// Lays out kinds and slots: by configuration where a site has at most `most`, else by kind.
pub(super) fn slots(
    layout: &mut Layout<'_>,
    costs: &Costs,
    columns: &[Vec<Column>],
    rules: &mut Rules<'_>,
    most: usize,
) {
    let instance = layout.instance;
    let mut on: Vec<Vec<&Column>> = vec![Vec::new(); instance.devices.len()];
    for column in columns.iter().flatten() {
        if let Some((_, device)) = column.host(instance) {
            on[device.at()].push(column);
        }
    }
    layout.kinds = kinds(instance, &on);
    for s in 0..instance.sites.len() {
        let here: Vec<usize> = (0..layout.kinds.len())
            .filter(|k| instance.classes[layout.kinds[*k].class.at()].site.at() == s)
            .collect();
        let mut blank: BTreeMap<(usize, usize), Slot> = BTreeMap::new();
        for k in &here {
            let kind = &layout.kinds[*k];
            let first = kind.devices.first().map_or(&[][..], |d| on[d.at()].as_slice());
            for m in 0..instance.classes[kind.class.at()].modes.len() {
                let place = (*k, kind.class, ModeIx::new(m));
                blank.insert((*k, m), slot(layout, costs, rules, place, first));
            }
        }
        let classes = instance.classes.iter().filter(|c| c.site.at() == s);
        let off: f64 = classes.map(|c| number(c.devices.len()) * c.off.get()).sum();
        let cap = instance.sites[s].cap.map(|cap| cap.get() - off);
        match configurations(instance, &layout.kinds, s, most) {
            Some(list) => configured(layout, rules, s, cap.unwrap_or(f64::INFINITY), &blank, list),
            None => loose(layout, rules, cap, &blank, &here),
        }
    }
    for n in 0..layout.slots.len() {
        let (kind, mode) = (layout.slots[n].kind, layout.slots[n].mode);
        let same = |slot: &Slot| slot.kind == kind && slot.mode == mode;
        let ground = layout.slots.iter().position(same).unwrap_or(n);
        layout.slots[n].ground = ground;
        layout.alike.entry(ground).or_default().push(n);
    }
}

/// A limit in W with more slack than the checker gives.
fn loosened(watts: f64) -> f64 {
    watts + 2.0 * TOLERANCE * watts.abs().max(1.0)
}

/// Boards that cannot be told apart.
fn kinds(instance: &Instance, on: &[Vec<&Column>]) -> Vec<Kind> {
    let signature = |column: &&Column| {
        let tenant = &instance.tenants[column.tenant.at()];
        let stays =
            column.pick.device.is_some_and(|d| instance.is_running(tenant, column.choice(instance), d));
        (column.tenant.at(), column.pick.option.at(), column.cost.to_bits(), stays)
    };
    let mut kinds: Vec<Kind> = Vec::new();
    let mut known: BTreeMap<(usize, Signature), usize> = BTreeMap::new();
    for (d, columns) in on.iter().enumerate() {
        let class = instance.devices[d].class;
        let key = (class.at(), columns.iter().map(signature).collect());
        let next = kinds.len();
        let kind = *known.entry(key).or_insert(next);
        if kind == next {
            kinds.push(Kind { class, devices: Vec::new(), slots: Vec::new() });
        }
        kinds[kind].devices.push(DeviceIx::new(d));
    }
    kinds
}

/// Slots of a site by configuration: exactly one is taken.
fn configured(
    layout: &mut Layout<'_>,
    rules: &mut Rules<'_>,
    site: usize,
    cap: f64,
    blank: &BTreeMap<(usize, usize), Slot>,
    list: Vec<Counts>,
) {
    let one = rules.row(true, 1.0);
    for counts in list {
        let config = layout.configs.len();
        let watts = rules.row(false, 0.0);
        rules.watts.push(watts);
        let mut rows = vec![(one, 1.0), (watts, -cap)];
        let mut slots = Vec::new();
        let idle: f64 =
            counts.iter().filter_map(|(k, m, n)| Some(number(*n) * blank.get(&(*k, *m))?.idle)).sum();
        for (k, m, n) in counts {
            let Some(slot) = blank.get(&(k, m)) else { continue };
            let most = slot.most.min(loosened(cap - idle + slot.idle));
            let link = rules.row(true, 0.0);
            rows.push((link, -number(n)));
            slots.push((layout.slots.len(), number(n)));
            let (cap, config) = (Some(watts), Some(config));
            layout.slots.push(Slot { link, cap, config, most, boards: number(n), ..slot.clone() });
        }
        layout.configs.push(Config { site, column: rules.fixed.len(), slots });
        rows.retain(|(_, a)| *a != 0.0);
        rules.fixed.push(Fixed { means: Means::Config(config), cost: 0.0, low: 0.0, high: 1.0, rows });
    }
}

/// Slots of a site by kind and mode, under one cap.
fn loose(
    layout: &mut Layout<'_>,
    rules: &mut Rules<'_>,
    cap: Option<f64>,
    blank: &BTreeMap<(usize, usize), Slot>,
    kinds: &[usize],
) {
    let cap = cap.map(|cap| rules.row(false, cap));
    rules.watts.extend(cap);
    let (at_site, mut boards) = (rules.row(true, 0.0), 0.0);
    for k in kinds {
        let row = rules.row(true, 0.0);
        let count = layout.kinds[*k].boards();
        for ((_, _), slot) in blank.range((*k, 0)..(*k + 1, 0)) {
            let link = rules.row(true, 0.0);
            rules.fixed.push(Fixed {
                means: Means::Boards(layout.slots.len()),
                cost: 0.0,
                low: 0.0,
                high: count,
                rows: vec![(link, -1.0), (row, 1.0)],
            });
            layout.kinds[*k].slots.push(layout.slots.len());
            layout.slots.push(Slot { link, cap, boards: count, ..slot.clone() });
        }
        boards += count;
        let always_on = layout.instance.classes[layout.kinds[*k].class.at()].always_on;
        rules.fixed.push(Fixed {
            means: Means::On,
            cost: 0.0,
            low: if always_on { count } else { 0.0 },
            high: count,
            rows: vec![(row, -1.0), (at_site, 1.0)],
        });
    }
    let rows = vec![(at_site, -1.0)];
    rules.fixed.push(Fixed { means: Means::On, cost: 0.0, low: 0.0, high: boards, rows });
}

/// A slot with no rows of its own yet.
fn slot(
    layout: &Layout<'_>,
    costs: &Costs,
    rules: &Rules<'_>,
    (kind, class, mode): (usize, ClassIx, ModeIx),
    columns: &[&Column],
) -> Slot {
    let instance = layout.instance;
    let board = &instance.classes[class.at()];
    let way = &board.modes[mode.at()];
    let share = |amount: f64, limit: f64| if amount > 0.0 { amount / limit.max(1e-12) } else { 0.0 };
    let room = |limit: &f64| 1.0 + TOLERANCE * limit.abs().max(1.0) / limit.max(1e-12);
    let limits = way.load_cap.iter().copied();
    let limits: Vec<f64> = limits.chain([way.bandwidth.get(), (way.budget - way.idle).get()]).collect();
    let mut items = Vec::new();
    for column in columns {
        let Some((host, _)) = column.host(instance).filter(|(h, _)| h.mode == mode) else { continue };
        let mut uses = vec![0.0; board.units.len()];
        let (mut loads, mut slopes) = (uses.clone(), uses.clone());
        for (unit, load) in &host.load {
            uses[unit.at()] += share(*load, way.load_cap[unit.at()]);
            loads[unit.at()] += load;
        }
        for (unit, slope) in &host.slopes {
            slopes[unit.at()] += slope;
        }
        uses.push(share(host.bandwidth.get(), way.bandwidth.get()));
        uses.push(share(host.dynamic.get(), (way.budget - way.idle).get()));
        let tenant = &instance.tenants[column.tenant.at()];
        items.push(Item {
            tenant: column.tenant.at(),
            option: column.pick.option,
            cost: column.cost,
            dynamic: host.dynamic.get(),
            uses,
            memory: host.memory.get(),
            weights: host.weights.iter().map(|w| w.at()).collect(),
            rows: rules.of(column),
            tier: host.tier,
            load: loads,
            slopes,
            limit: limit(tenant, host),
        });
    }
    items.sort_by_key(|i| (i.tenant, i.option));
    Slot {
        kind,
        ground: 0,
        config: None,
        boards: 0.0,
        class,
        mode,
        cost: costs.power(instance, board.site, way.idle) - costs.power(instance, board.site, board.off),
        idle: (way.idle - board.off).get(),
        most: loosened((way.budget - board.off).get()),
        off: board.off.get(),
        memory: board.memory.get(),
        room: limits.iter().map(room).collect(),
        link: 0,
        cap: None,
        items: Rc::new(items),
    }
}

/// Slowdown less 1 at which a hard objective breaks under linear interference.
fn limit(tenant: &InstanceTenant, host: &Host) -> f64 {
    let Some(slo) = tenant.slo.filter(|slo| slo.soft_price.is_none()) else { return f64::INFINITY };
    let alone = host.isolated.at(slo.quantile) - host.network;
    if alone.get() <= 0.0 {
        return f64::INFINITY;
    }
    ((slo.latency - host.network) / alone) - 1.0
}
