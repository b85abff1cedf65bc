//! The running plan, with as little taken from it as a lower cap asks for.
//!
//! A greedy descent: while a site draws more than its cap, the step that costs least for each watt still needed is
//! taken. Steps are a lighter option for one tenant where it is, leaving a tenant out, another mode for a board, and a
//! board off, so a site whose boards may all be off and whose tenants may all be left out always comes under its cap.
//! Then those left out return wherever there is room. Nothing is proven and nothing is searched: the work is a few
//! passes over the options of the tenants at the sites concerned.

use super::Resolver;
use super::quick::Menu;
use crate::columns::Column;
use crate::pricing::Costs;
use crate::state::State;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx, OptionIx, TenantIx};
use ecomap_instances::plan::{Assignment, Pick};
use ecomap_instances::units::Watts;

/// Multiplies the price of leaving out a tenant that must be served: it returns first, or the plan is none.
const MUST_SERVE: f64 = 1e3;
/// A step saves at least this, W.
const LEAST: f64 = 1e-9;

/// What is taken from some tenants, and what they get instead.
struct Step {
    off: Vec<TenantIx>,
    on: Vec<Column>,
    watts: f64,
    cost: f64,
}

struct Repair<'a> {
    instance: &'a Instance,
    costs: &'a Costs,
    menu: &'a Menu,
    state: State<'a>,
    /// Tenants on every board, in order.
    on: Vec<Vec<TenantIx>>,
}

impl Resolver {
    /// `running` under the present caps, where taking from it can do that.
    pub(super) fn repaired(&mut self, running: &Assignment) -> Option<Assignment> {
        if !self.linear() || self.instance.classes.is_empty() {
            return None;
        }
        let menu = self.admissible();
        let mut repair = Repair::new(&self.instance, &self.costs, &menu, running)?;
        for site in 0..self.instance.sites.len() {
            while repair.over(site) > 0.0 {
                let step = repair.cheapest(site)?;
                repair.take(step);
            }
        }
        repair.refill();
        Some(repair.state.assignment())
    }
}

impl<'a> Repair<'a> {
    fn new(instance: &'a Instance, costs: &'a Costs, menu: &'a Menu, running: &Assignment) -> Option<Self> {
        let state = State::new(instance);
        let mut repair = Self { instance, costs, menu, state, on: vec![Vec::new(); instance.devices.len()] };
        for (i, pick) in running.picks.iter().enumerate() {
            let Some(pick) = pick else { continue };
            let column = repair.column(TenantIx::new(i), pick.option, pick.device)?;
            repair.place(column);
        }
        Some(repair)
    }

    fn column(&self, tenant: TenantIx, option: OptionIx, device: Option<DeviceIx>) -> Option<Column> {
        let of = self.instance.tenants.get(tenant.at())?;
        let choice = of.options.get(option.at())?;
        let stays = device.is_some_and(|d| self.instance.is_running(of, choice, d));
        let saved = if stays { self.costs.switching(of) } else { 0.0 };
        let cost = self.costs.option(self.instance, of, choice) - saved;
        Some(Column { tenant, pick: Pick { option, device }, cost })
    }

    fn place(&mut self, column: Column) {
        if let Some(device) = column.pick.device {
            self.on[device.at()].push(column.tenant);
        }
        self.state.place(column);
    }

    fn remove(&mut self, tenant: TenantIx) -> Option<Column> {
        let column = self.state.remove(tenant)?;
        if let Some(device) = column.pick.device {
            self.on[device.at()].retain(|t| *t != tenant);
        }
        Some(column)
    }

    /// Watts above the cap, with the slack that a state allows.
    fn over(&self, site: usize) -> f64 {
        let (power, cap) = (self.state.site_power(site), self.state.cap(site));
        if power <= cap + 1e-9 * cap.abs().max(1.0) { 0.0 } else { power - cap }
    }

    fn shed_cost(&self, tenant: TenantIx) -> f64 {
        let price = self.costs.shed(tenant.at());
        if self.instance.tenants[tenant.at()].shedding.allowed { price } else { (price + 1.0) * MUST_SERVE }
    }

    fn idle_cost(&self, device: DeviceIx) -> f64 {
        let class = self.instance.class_of(device);
        let idle = self.state.mode(device).map_or(class.off, |m| class.modes[m.at()].idle);
        self.costs.power(self.instance, class.site, idle)
    }

    /// The step at a site of least cost for each watt that is needed.
    fn cheapest(&mut self, site: usize) -> Option<Step> {
        let needed = self.over(site);
        let mut best: Option<(f64, Step)> = None;
        let mut offer = |step: Option<Step>| {
            let Some(step) = step.filter(|s| s.watts > LEAST) else { return };
            let price = step.cost / step.watts.min(needed);
            if best.as_ref().is_none_or(|(least, _)| price < *least) {
                best = Some((price, step));
            }
        };
        for d in 0..self.instance.devices.len() {
            let device = DeviceIx::new(d);
            let class = self.instance.class_of(device);
            if class.site.at() != site || self.state.mode(device).is_none() {
                continue;
            }
            let here = self.on[d].clone();
            for tenant in &here {
                offer(self.lighter(*tenant, device));
                offer(self.tried(device, vec![*tenant], |_, _| None));
            }
            offer(self.tried(device, here.clone(), |_, _| None));
            let present = self.state.mode(device);
            for mode in (0..class.modes.len()).map(ModeIx::new).filter(|m| Some(*m) != present) {
                offer(
                    self.tried(device, here.clone(), |repair, tenant| repair.best_on(tenant, device, mode)),
                );
            }
        }
        best.map(|(_, step)| step)
    }

    /// The best saving of one tenant that stays on its board and in its mode.
    fn lighter(&mut self, tenant: TenantIx, device: DeviceIx) -> Option<Step> {
        let old = self.remove(tenant)?;
        let draw = |c: &Column| c.host(self.instance).map_or(Watts::ZERO, |(h, _)| h.dynamic).get();
        let mode = old.host(self.instance)?.0.mode;
        let mut best: Option<(f64, Step)> = None;
        for column in self.hosted(tenant, device, mode) {
            let watts = draw(&old) - draw(&column);
            let cost = column.cost - old.cost;
            let price = cost / watts;
            if watts > LEAST
                && best.as_ref().is_none_or(|(least, _)| price < *least)
                && self.state.admits_anyhow(&column)
            {
                best = Some((price, Step { off: vec![tenant], on: vec![column], watts, cost }));
            }
        }
        self.place(old);
        best.map(|(_, step)| step)
    }

    /// What it saves and costs to take `tenants` off a board and give each what `instead` finds.
    fn tried(
        &mut self,
        device: DeviceIx,
        tenants: Vec<TenantIx>,
        instead: impl Fn(&Self, TenantIx) -> Option<Column>,
    ) -> Option<Step> {
        let site = self.instance.class_of(device).site.at();
        let before = (self.state.site_power(site), self.idle_cost(device));
        let mut old = Vec::with_capacity(tenants.len());
        for tenant in &tenants {
            old.push(self.remove(*tenant)?);
        }
        let mut on: Vec<Column> = Vec::new();
        let mut cost = 0.0;
        for (tenant, was) in tenants.iter().zip(&old) {
            let column = instead(self, *tenant);
            cost += column.map_or_else(|| self.shed_cost(*tenant), |c| c.cost) - was.cost;
            if let Some(column) = column {
                self.place(column);
                on.push(column);
            }
        }
        let watts = before.0 - self.state.site_power(site);
        cost += self.idle_cost(device) - before.1;
        for column in &on {
            self.remove(column.tenant);
        }
        for column in old {
            self.place(column);
        }
        Some(Step { off: tenants, on, watts, cost })
    }

    fn take(&mut self, step: Step) {
        for tenant in step.off {
            self.remove(tenant);
        }
        for column in step.on {
            self.place(column);
        }
    }

    /// Columns of `tenant` on `device` in a mode.
    fn hosted(&self, tenant: TenantIx, device: DeviceIx, mode: ModeIx) -> impl Iterator<Item = Column> {
        let class = self.instance.devices[device.at()].class;
        let free = !self.instance.stability.frozen.contains(&tenant);
        let admitted = free && self.instance.tenants[tenant.at()].admits(device);
        let options = if admitted { self.menu.at(tenant, class, mode) } else { &[] };
        options.iter().filter_map(move |option| self.column(tenant, *option, Some(device)))
    }

    /// The cheapest column of `tenant` on `device` in a mode that fits, caps aside.
    fn best_on(&self, tenant: TenantIx, device: DeviceIx, mode: ModeIx) -> Option<Column> {
        self.hosted(tenant, device, mode)
            .filter(|c| self.state.admits_anyhow(c))
            .min_by(|a, b| a.cost.total_cmp(&b.cost).then(a.pick.cmp(&b.pick)))
    }

    /// Those left out return where it costs least, whoever must be served and the most important first.
    fn refill(&mut self) {
        let mut out: Vec<TenantIx> = (0..self.instance.tenants.len())
            .map(TenantIx::new)
            .filter(|t| self.state.pick(*t).is_none())
            .collect();
        out.sort_by(|a, b| self.shed_cost(*b).total_cmp(&self.shed_cost(*a)).then(a.cmp(b)));
        for tenant in out {
            let mut best: Option<(f64, Column)> = None;
            for device in (0..self.instance.devices.len()).map(DeviceIx::new) {
                let class = self.instance.class_of(device);
                for mode in (0..class.modes.len()).map(ModeIx::new) {
                    for column in self.hosted(tenant, device, mode) {
                        let Some(idle) = self.state.idle_change(&column) else { continue };
                        let cost =
                            column.cost + self.costs.power(self.instance, class.site, Watts::new(idle));
                        if best.is_none_or(|(least, _)| cost < least) && self.state.admits(&column) {
                            best = Some((cost, column));
                        }
                    }
                }
            }
            if let Some((_, column)) = best.filter(|(cost, _)| *cost < self.shed_cost(tenant)) {
                self.place(column);
            }
        }
    }
}
