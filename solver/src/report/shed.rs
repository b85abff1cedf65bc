//! Why a tenant was shed, as far as the instance and the plan tell.
//!
//! A shed tenant either has no admissible option, or none of its placements fits beside the rest
//! of the plan, or one fits and something other than rows (2)–(6) and (9) keeps it out. That a
//! placement does not fit beside *this* plan is no proof that no plan serves the tenant; the
//! certificate speaks of that.

use crate::checker::{DeviceUse, Evaluation, TOLERANCE, check};
use ecomap_instances::Objective;
use ecomap_instances::ids::{CapacityIx, DeviceIx, ModeIx, SiteIx, UnitIx, WeightIx};
use ecomap_instances::instance::{Choice, Host, Instance, InstanceTenant};
use ecomap_instances::plan::Assignment;
use ecomap_instances::units::Watts;
use std::collections::{BTreeMap, BTreeSet};

/// Most tenants with a note of their own; the rest are counted.
const MOST_NOTES: usize = 100;
/// Most placements examined for one tenant.
const MOST_PLACEMENTS: usize = 20_000;
/// Most reasons named for one tenant.
const MOST_REASONS: usize = 4;

/// What a tenant's placement would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Block {
    SiteCap(SiteIx),
    Budget(DeviceIx),
    Load(DeviceIx, UnitIx),
    Memory(DeviceIx),
    Bandwidth(DeviceIx),
    Mode(DeviceIx),
    Capacity(CapacityIx),
}

/// Notes on sites too tight for any board, then one for each shed tenant.
pub(super) fn notes(instance: &Instance, assignment: &Assignment, evaluation: &Evaluation) -> Vec<String> {
    let shed: Vec<&InstanceTenant> = instance
        .tenants
        .iter()
        .enumerate()
        .filter(|(t, _)| assignment.picks.get(*t).copied().flatten().is_none())
        .map(|(_, tenant)| tenant)
        .collect();
    if shed.is_empty() {
        return Vec::new();
    }
    let context = Context { instance, evaluation, weights: weights(instance, assignment) };
    let mut notes = dark_sites(instance, evaluation, &shed);
    let individual = shed.iter().take(MOST_NOTES);
    notes.extend(individual.map(|t| format!("tenant {} is shed: {}", t.id, context.reason(t))));
    if shed.len() > MOST_NOTES {
        notes.push(format!("{} more tenants are shed", shed.len() - MOST_NOTES));
    }
    notes
}

/// Why no plan exists, as far as one look tells: what is broken with nobody served, and which
/// tenants that must be served have no room even alone.
pub(super) fn infeasible(instance: &Instance, objective: &Objective) -> Vec<String> {
    let modes = (0..instance.devices.len())
        .map(|d| {
            let class = instance.class_of(DeviceIx::new(d));
            let least =
                (0..class.modes.len()).min_by(|a, b| class.modes[*a].idle.total_cmp(&class.modes[*b].idle));
            least.filter(|_| class.always_on).map(ModeIx::new)
        })
        .collect();
    let nobody = Assignment { picks: vec![None; instance.tenants.len()], modes };
    let verdict = check(instance, &nobody, objective);
    let broken = verdict.violations.iter().filter(|v| v.row != "1 choice");
    let mut notes: Vec<String> = broken
        .map(|v| {
            format!(
                "with nobody served, {} of {} is {:.4}, at most {:.4}",
                v.row, v.subject, v.value, v.limit
            )
        })
        .collect();
    let context = Context { instance, evaluation: &verdict.evaluation, weights: weights(instance, &nobody) };
    let must = instance.tenants.iter().filter(|t| !t.shedding.allowed);
    let alone: Vec<String> = must
        .filter_map(|t| {
            Some(format!("tenant {} must be served, but even alone: {}", t.id, context.hindrance(t)?))
        })
        .take(MOST_NOTES)
        .collect();
    notes.extend(alone);
    if notes.is_empty() {
        notes.push("each tenant that must be served has room alone; together they have not".to_owned());
    }
    notes
}

/// Weight sets on each device.
fn weights(instance: &Instance, assignment: &Assignment) -> Vec<BTreeSet<WeightIx>> {
    let mut sets = vec![BTreeSet::new(); instance.devices.len()];
    for (tenant, pick) in instance.tenants.iter().zip(&assignment.picks) {
        let Some(pick) = pick else { continue };
        let host = tenant.options.get(pick.option.at()).and_then(|o| o.host.as_ref());
        if let (Some(host), Some(device)) = (host, pick.device)
            && let Some(set) = sets.get_mut(device.at())
        {
            set.extend(&host.weights);
        }
    }
    sets
}

/// Sites where all boards are off and the cap lies below what turning on any one of them takes.
fn dark_sites(instance: &Instance, evaluation: &Evaluation, shed: &[&InstanceTenant]) -> Vec<String> {
    let mut notes = Vec::new();
    for (s, site) in instance.sites.iter().enumerate() {
        let Some(cap) = site.cap else { continue };
        let mut least_step: Option<Watts> = None;
        let mut dark = true;
        for class in instance.classes.iter().filter(|c| c.site.at() == s) {
            dark &= class.devices.iter().all(|d| evaluation.devices[d.at()].mode.is_none());
            for mode in &class.modes {
                let step = mode.idle - class.off;
                least_step = Some(least_step.map_or(step, |l| l.min(step)));
            }
        }
        let Some(least_step) = least_step.filter(|_| dark) else { continue };
        if fits(evaluation.sites[s].power + least_step, cap) {
            continue;
        }
        let at_site =
            |o: &Choice| o.host.as_ref().is_some_and(|h| instance.classes[h.class.at()].site.at() == s);
        let count = shed.iter().filter(|t| t.options.iter().any(at_site)).count();
        if count == 0 {
            continue;
        }
        notes.push(format!(
            "site {}: cap {cap} is below the idle draw of every board, so none is on; {count} tenants that \
             could run there are shed",
            site.id
        ));
    }
    notes
}

fn fits(value: Watts, limit: Watts) -> bool {
    within(value.get(), limit.get())
}

fn within(value: f64, limit: f64) -> bool {
    value <= limit + TOLERANCE * limit.abs().max(1.0)
}

struct Context<'a> {
    instance: &'a Instance,
    evaluation: &'a Evaluation,
    weights: Vec<BTreeSet<WeightIx>>,
}

impl Context<'_> {
    fn reason(&self, tenant: &InstanceTenant) -> String {
        self.hindrance(tenant).unwrap_or_else(|| {
            "this plan leaves room for it, but serving it costs more than shedding it, or breaks a placement rule \
             or the fleet's accuracy floor"
                .to_owned()
        })
    }

    /// What keeps every choice of the tenant out; `None` when one has room.
    fn hindrance(&self, tenant: &InstanceTenant) -> Option<String> {
        if tenant.options.is_empty() {
            return Some(
                "it has no option: none meets its latency objective, accuracy floor and pinning".to_owned(),
            );
        }
        let admissible: Vec<&Choice> =
            tenant.options.iter().filter(|o| self.exclusions(tenant, o).is_empty()).collect();
        if admissible.is_empty() {
            return Some(self.inadmissible(tenant));
        }
        let mut blocks: BTreeMap<Block, usize> = BTreeMap::new();
        let mut placements = 0;
        for option in admissible {
            let places: Vec<Option<DeviceIx>> = match &option.host {
                Some(_) => self.instance.devices_for(tenant, option).map(Some).collect(),
                None => vec![None],
            };
            for device in places {
                let found = self.blocks(option, device);
                if found.is_empty() {
                    return None;
                }
                placements += 1;
                for block in found {
                    *blocks.entry(block).or_default() += 1;
                }
                if placements >= MOST_PLACEMENTS {
                    return Some(self.blocked(&blocks, placements, true));
                }
            }
        }
        Some(self.blocked(&blocks, placements, false))
    }

    /// Which of (7), (8a) and (10a) leave the option out.
    fn exclusions(&self, tenant: &InstanceTenant, option: &Choice) -> Vec<&'static str> {
        let mut found = Vec::new();
        let Some(host) = &option.host else { return found };
        if let Some(slo) = tenant.slo
            && slo.soft_price.is_none()
            && host.latency.at(slo.quantile) > slo.latency
        {
            found.push("the latency objective (7)");
        }
        if tenant.accuracy_floor.is_some_and(|floor| tenant.tiers[host.tier].accuracy < floor) {
            found.push("the accuracy floor (8a)");
        }
        if self.instance.devices_for(tenant, option).next().is_none() {
            found.push("the list of devices (10a)");
        }
        found
    }

    fn inadmissible(&self, tenant: &InstanceTenant) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for option in &tenant.options {
            for reason in self.exclusions(tenant, option) {
                *counts.entry(reason).or_default() += 1;
            }
        }
        let parts: Vec<String> = counts.iter().map(|(reason, n)| format!("{reason} excludes {n}")).collect();
        format!("none of its {} options is admissible: {}", tenant.options.len(), parts.join(", "))
    }

    /// What taking `option` on `device` beside the plan would break.
    fn blocks(&self, option: &Choice, device: Option<DeviceIx>) -> Vec<Block> {
        let mut found = Vec::new();
        for (row, amount) in &option.uses {
            let used = self.evaluation.capacities[row.at()] + amount;
            if !within(used, self.instance.capacities[row.at()].capacity) {
                found.push(Block::Capacity(*row));
            }
        }
        if let (Some(host), Some(device)) = (&option.host, device) {
            self.device_blocks(host, device, &mut found);
        }
        found
    }

    fn device_blocks(&self, host: &Host, device: DeviceIx, found: &mut Vec<Block>) {
        let class = &self.instance.classes[host.class.at()];
        let mode = &class.modes[host.mode.at()];
        let used: &DeviceUse = &self.evaluation.devices[device.at()];
        if used.mode.is_some_and(|m| m != host.mode) {
            found.push(Block::Mode(device));
            return;
        }
        let on = if used.mode.is_some() { Watts::ZERO } else { mode.idle - class.off };
        if let Some(cap) = self.instance.sites[class.site.at()].cap
            && !fits(self.evaluation.sites[class.site.at()].power + on + host.dynamic, cap)
        {
            found.push(Block::SiteCap(class.site));
        }
        if !fits(used.power + on + host.dynamic, mode.budget) {
            found.push(Block::Budget(device));
        }
        for (unit, load) in &host.load {
            if !within(used.load[unit.at()] + load, mode.load_cap[unit.at()]) {
                found.push(Block::Load(device, *unit));
            }
        }
        let present = &self.weights[device.at()];
        let needed: BTreeSet<WeightIx> =
            host.weights.iter().copied().filter(|w| !present.contains(w)).collect();
        let shared = needed.iter().map(|w| self.instance.weights[w.at()].bytes).sum();
        if !within((used.memory + host.memory + shared).get(), class.memory.get()) {
            found.push(Block::Memory(device));
        }
        if !within((used.bandwidth + host.bandwidth).get(), mode.bandwidth.get()) {
            found.push(Block::Bandwidth(device));
        }
    }

    fn blocked(&self, blocks: &BTreeMap<Block, usize>, placements: usize, more: bool) -> String {
        let mut order: Vec<(&Block, &usize)> = blocks.iter().collect();
        order.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut parts: Vec<String> =
            order.iter().take(MOST_REASONS).map(|(block, n)| format!("{} ({n})", self.name(block))).collect();
        if order.len() > MOST_REASONS {
            parts.push("others".to_owned());
        }
        let which = if more { "each of the first" } else { "each of its" };
        format!("beside this plan, {which} {placements} placements would break a row: {}", parts.join(", "))
    }

    fn name(&self, block: &Block) -> String {
        let device = |d: &DeviceIx| &self.instance.devices[d.at()].id;
        match block {
            Block::SiteCap(s) => {
                let site = &self.instance.sites[s.at()];
                let cap = site.cap.unwrap_or_default();
                format!("power cap {cap} of site {} (6b)", site.id)
            }
            Block::Budget(d) => format!("power budget of device {} (6a)", device(d)),
            Block::Load(d, u) => {
                format!(
                    "load of unit {} of device {} (3)",
                    self.instance.class_of(*d).units[u.at()],
                    device(d)
                )
            }
            Block::Memory(d) => format!("memory of device {} (4)", device(d)),
            Block::Bandwidth(d) => format!("memory bandwidth of device {} (5)", device(d)),
            Block::Mode(d) => format!("power mode of device {} (2)", device(d)),
            Block::Capacity(r) => format!("capacity {} (9)", self.instance.capacities[r.at()].id),
        }
    }
}
