//! A plan under construction: what every device, site and capacity has left, updated move by
//! move. The heuristics' view of rows 1–6, 9 and 10; rows 7, 8a and 10a are kept by the columns.

use crate::columns::Column;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx, TenantIx};
use ecomap_instances::instance::Host;
use ecomap_instances::plan::Assignment;
use ecomap_instances::scenario::{AffinityKind, Scope};
use std::collections::BTreeMap;

/// Feasibility slack relative to the limit, below the checker's tolerance.
const SLACK: f64 = 1e-9;

fn fits(used: f64, limit: f64) -> bool {
    used <= limit + SLACK * limit.abs().max(1.0)
}

#[derive(Debug, Clone)]
struct DeviceState {
    mode: Option<ModeIx>,
    tenants: usize,
    load: Vec<f64>,
    memory: f64,
    bandwidth: f64,
    dynamic: f64,
    weights: BTreeMap<usize, usize>,
}

/// A partial plan.
#[derive(Debug, Clone)]
pub(crate) struct State<'a> {
    instance: &'a Instance,
    picks: Vec<Option<Column>>,
    devices: Vec<DeviceState>,
    site_power: Vec<f64>,
    used: Vec<f64>,
    rules_of: Vec<Vec<usize>>,
}

impl<'a> State<'a> {
    /// Nobody served; devices that must stay on idle in their least hungry mode.
    #[must_use]
    pub(crate) fn new(instance: &'a Instance) -> Self {
        let mut site_power = vec![0.0; instance.sites.len()];
        let devices = (0..instance.devices.len())
            .map(|d| {
                let class = instance.class_of(DeviceIx::new(d));
                let mode = class.always_on.then(|| least_idle(class)).flatten();
                let draw = mode.map_or(class.off, |m| class.modes[m.at()].idle);
                site_power[class.site.at()] += draw.get();
                DeviceState {
                    mode,
                    tenants: 0,
                    load: vec![0.0; class.units.len()],
                    memory: 0.0,
                    bandwidth: 0.0,
                    dynamic: 0.0,
                    weights: BTreeMap::new(),
                }
            })
            .collect();
        let mut rules_of = vec![Vec::new(); instance.tenants.len()];
        for (a, rule) in instance.affinities.iter().enumerate() {
            for tenant in &rule.tenants {
                rules_of[tenant.at()].push(a);
            }
        }
        Self {
            instance,
            picks: vec![None; instance.tenants.len()],
            devices,
            site_power,
            used: vec![0.0; instance.capacities.len()],
            rules_of,
        }
    }

    /// What a tenant runs.
    #[must_use]
    pub(crate) fn pick(&self, tenant: TenantIx) -> Option<&Column> {
        self.picks[tenant.at()].as_ref()
    }

    /// The device's mode.
    #[must_use]
    pub(crate) fn mode(&self, device: DeviceIx) -> Option<ModeIx> {
        self.devices[device.at()].mode
    }

    /// Tenants on a device.
    #[must_use]
    pub(crate) fn tenants_on(&self, device: DeviceIx) -> usize {
        self.devices[device.at()].tenants
    }

    /// Whether an idle device may change its mode freely.
    fn mode_after(&self, host: &Host, device: DeviceIx) -> Option<(f64, ModeIx)> {
        let state = &self.devices[device.at()];
        let class = self.instance.class_of(device);
        match state.mode {
            Some(mode) if mode == host.mode => Some((0.0, mode)),
            Some(_) if state.tenants > 0 => None,
            current => {
                let now = current.map_or(class.off, |m| class.modes[m.at()].idle);
                Some(((class.modes[host.mode.at()].idle - now).get(), host.mode))
            }
        }
    }

    /// Extra idle power that taking `column` would switch on; `None` when the device runs in
    /// another mode.
    #[must_use]
    pub(crate) fn idle_change(&self, column: &Column) -> Option<f64> {
        match column.host(self.instance) {
            None => Some(0.0),
            Some((host, device)) => self.mode_after(host, device).map(|(idle, _)| idle),
        }
    }

    /// Whether `column` fits beside everything placed. Its tenant must not be placed.
    #[must_use]
    pub(crate) fn admits(&self, column: &Column) -> bool {
        self.under_cap(column) && self.admits_anyhow(column)
    }

    /// Watts that a site draws.
    #[must_use]
    pub(crate) fn site_power(&self, site: usize) -> f64 {
        self.site_power[site]
    }

    /// Whether the cap of its site has room for `column`.
    fn under_cap(&self, column: &Column) -> bool {
        let Some((host, device)) = column.host(self.instance) else { return true };
        let Some((idle, _)) = self.mode_after(host, device) else { return false };
        let site = self.instance.class_of(device).site.at();
        fits(self.site_power[site] + idle + host.dynamic.get(), self.cap(site))
    }

    /// Whether `column` fits beside everything placed, the cap of its site left aside.
    #[must_use]
    pub(crate) fn admits_anyhow(&self, column: &Column) -> bool {
        let choice = column.choice(self.instance);
        let global = choice.uses.iter().all(|(row, amount)| {
            fits(self.used[row.at()] + amount, self.instance.capacities[row.at()].capacity)
        });
        if !global {
            return false;
        }
        let Some((host, device)) = column.host(self.instance) else {
            return true;
        };
        if self.mode_after(host, device).is_none() {
            return false;
        }
        let state = &self.devices[device.at()];
        let class = self.instance.class_of(device);
        let mode = &class.modes[host.mode.at()];
        fits(mode.idle.get() + state.dynamic + host.dynamic.get(), mode.budget.get())
            && host.load.iter().all(|(u, load)| fits(state.load[u.at()] + load, mode.load_cap[u.at()]))
            && fits(state.bandwidth + host.bandwidth.get(), mode.bandwidth.get())
            && fits(state.memory + self.memory_change(host, state), class.memory.get())
            && self.rules_of[column.tenant.at()].iter().all(|a| self.keeps_rule(*a, column.tenant, device))
    }

    /// The cap of a site; +∞ without one.
    #[must_use]
    pub(crate) fn cap(&self, site: usize) -> f64 {
        self.instance.sites[site].cap.map_or(f64::INFINITY, |c| c.get())
    }

    fn memory_change(&self, host: &Host, state: &DeviceState) -> f64 {
        let new: f64 = host
            .weights
            .iter()
            .filter(|w| !state.weights.contains_key(&w.at()))
            .map(|w| self.instance.weights[w.at()].bytes.get())
            .sum();
        host.memory.get() + new
    }

    fn keeps_rule(&self, rule: usize, tenant: TenantIx, device: DeviceIx) -> bool {
        let rule = &self.instance.affinities[rule];
        let place = |d: DeviceIx| match rule.scope {
            Scope::Device => d.at(),
            Scope::Site => self.instance.class_of(d).site.at(),
        };
        rule.tenants.iter().filter(|t| **t != tenant).all(|other| {
            let Some(there) = self.picks[other.at()].and_then(|c| c.pick.device) else { return true };
            (place(there) == place(device)) == (rule.kind == AffinityKind::Together)
        })
    }

    /// Places a tenant. The column must be admitted.
    pub(crate) fn place(&mut self, column: Column) {
        let choice = column.choice(self.instance);
        for (row, amount) in &choice.uses {
            self.used[row.at()] += amount;
        }
        if let Some((host, device)) = column.host(self.instance) {
            let (idle, mode) = self.mode_after(host, device).unwrap_or((0.0, host.mode));
            let bytes = self.memory_change(host, &self.devices[device.at()]);
            let site = self.instance.class_of(device).site.at();
            self.site_power[site] += idle + host.dynamic.get();
            let state = &mut self.devices[device.at()];
            state.mode = Some(mode);
            state.tenants += 1;
            for (u, load) in &host.load {
                state.load[u.at()] += load;
            }
            state.memory += bytes;
            state.bandwidth += host.bandwidth.get();
            state.dynamic += host.dynamic.get();
            for w in &host.weights {
                *state.weights.entry(w.at()).or_default() += 1;
            }
        }
        self.picks[column.tenant.at()] = Some(column);
    }

    /// Takes a tenant off; its device is switched off when nobody is left and it may be.
    pub(crate) fn remove(&mut self, tenant: TenantIx) -> Option<Column> {
        let column = self.picks[tenant.at()].take()?;
        let choice = column.choice(self.instance);
        for (row, amount) in &choice.uses {
            self.used[row.at()] -= amount;
        }
        if let Some((host, device)) = column.host(self.instance) {
            let class = self.instance.class_of(device);
            let state = &mut self.devices[device.at()];
            state.tenants -= 1;
            for (u, load) in &host.load {
                state.load[u.at()] -= load;
            }
            let mut bytes = host.memory.get();
            for w in &host.weights {
                if let Some(count) = state.weights.get_mut(&w.at()) {
                    *count -= 1;
                    if *count == 0 {
                        state.weights.remove(&w.at());
                        bytes += self.instance.weights[w.at()].bytes.get();
                    }
                }
            }
            state.memory -= bytes;
            state.bandwidth -= host.bandwidth.get();
            state.dynamic -= host.dynamic.get();
            let mut draw = -host.dynamic.get();
            if state.tenants == 0 {
                // Start again from exact zeros, so that rounding does not pile up.
                state.load.fill(0.0);
                (state.memory, state.bandwidth, state.dynamic) = (0.0, 0.0, 0.0);
                let before = state.mode.map_or(class.off, |m| class.modes[m.at()].idle);
                state.mode = if class.always_on { least_idle(class) } else { None };
                let after = state.mode.map_or(class.off, |m| class.modes[m.at()].idle);
                draw += (after - before).get();
            }
            self.site_power[class.site.at()] += draw;
        }
        Some(column)
    }

    /// The plan as it stands; tenants without a pick are shed.
    #[must_use]
    pub(crate) fn assignment(&self) -> Assignment {
        Assignment {
            picks: self.picks.iter().map(|p| p.map(|c| c.pick)).collect(),
            modes: self.devices.iter().map(|d| d.mode).collect(),
        }
    }
}

fn least_idle(class: &ecomap_instances::instance::DeviceClass) -> Option<ModeIx> {
    (0..class.modes.len())
        .min_by(|a, b| class.modes[*a].idle.total_cmp(&class.modes[*b].idle))
        .map(ModeIx::new)
}
