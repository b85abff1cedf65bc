//! Tenants that come and go.

use super::store::Plane;
use super::{Resolver, plane_of};
use crate::checker;
use crate::columns;
use crate::pricing::Costs;
use crate::reduce;
use crate::relax::Relaxation;
use ecomap_instances::ids::{DeviceIx, OptionIx, TenantIx};
use ecomap_instances::instance::{Instance, InstanceParts, RunningChoice};
use ecomap_instances::plan::{Assignment, Pick};
use std::collections::BTreeMap;

/// Most proofs priced anew; the newest.
const REPRICED: usize = 64;
/// Most places tried for a tenant that arrives.
const TRIED: usize = 200;

/// The content of `instance` with `plan` as what runs.
pub(super) fn running(instance: &Instance, plan: &Assignment) -> InstanceParts {
    let mut parts = instance.to_parts();
    for (i, tenant) in parts.tenants.iter_mut().enumerate() {
        let pick = plan.picks.get(i).copied().flatten();
        tenant.running = pick.and_then(|pick| {
            let host = tenant.options.get(pick.option.at())?.host.as_ref()?;
            Some(RunningChoice {
                device: pick.device?,
                tier: host.tier,
                segments: Some(host.segments.clone()),
            })
        });
    }
    parts
}

/// Where tenants, options and boards of an earlier instance are in a new one.
struct Moved {
    /// By old tenant.
    tenant: Vec<Option<usize>>,
    /// By old device.
    device: Vec<Option<DeviceIx>>,
    /// By old tenant and option.
    option: Vec<Vec<Option<OptionIx>>>,
}

impl Moved {
    fn new(old: &Instance, new: &Instance) -> Self {
        let tenants: BTreeMap<&str, usize> =
            new.tenants.iter().enumerate().map(|(i, t)| (t.id.as_str(), i)).collect();
        let devices: BTreeMap<&str, usize> =
            new.devices.iter().enumerate().map(|(d, device)| (device.id.as_str(), d)).collect();
        let tenant: Vec<Option<usize>> =
            old.tenants.iter().map(|t| tenants.get(t.id.as_str()).copied()).collect();
        let device = old.devices.iter().map(|d| {
            let at = *devices.get(d.id.as_str())?;
            (new.devices[at].class == d.class).then(|| DeviceIx::new(at))
        });
        let option = old.tenants.iter().zip(&tenant).map(|(t, to)| {
            let there = to.map(|to| &new.tenants[to].options);
            let same = |choice| there.and_then(|list| list.iter().position(|c| c == choice));
            t.options.iter().map(|choice| same(choice).map(OptionIx::new)).collect()
        });
        Self { device: device.collect(), option: option.collect(), tenant }
    }

    /// A plan for the new instance: who left is gone, who lost its board or option is out.
    fn plan(&self, plan: &Assignment, new: &Instance) -> Assignment {
        let mut moved =
            Assignment { picks: vec![None; new.tenants.len()], modes: vec![None; new.devices.len()] };
        for (i, pick) in plan.picks.iter().enumerate() {
            let (Some(Some(to)), Some(pick)) = (self.tenant.get(i), pick) else { continue };
            let device = match pick.device {
                Some(device) => match self.device.get(device.at()).copied().flatten() {
                    Some(device) => Some(device),
                    None => continue,
                },
                None => None,
            };
            let option = self.option[i].get(pick.option.at()).copied().flatten();
            moved.picks[*to] = option.map(|option| Pick { option, device });
        }
        for (d, mode) in plan.modes.iter().enumerate() {
            if let Some(Some(to)) = self.device.get(d) {
                moved.modes[to.at()] = *mode;
            }
        }
        moved
    }
}

impl Resolver {
    /// Goes on with the tenants and boards of `instance`, at its budgets. Proofs are priced anew over the new tenants
    /// where classes, sites and rows are the same; plans lose who left, and give who arrived the cheapest place that
    /// is free, else leave them out. Returns how many plans could be kept.
    pub fn rebase(&mut self, instance: Instance) -> usize {
        let moved = Moved::new(&self.instance, &instance);
        let old = std::mem::replace(&mut self.instance, instance);
        self.epoch += 1;
        self.objective = self.options.objective.clone().unwrap_or_else(|| self.instance.objective.clone());
        self.options.warm_start = None;
        self.costs = Costs::new(&self.instance, &self.objective);
        self.knapsack = self.knapsack();
        self.admissible = None;
        self.store.forget_steps();
        let (plans, planes) = (self.store.take_plans(), self.store.take_planes());
        self.reweigh();
        let same_rows = {
            let shape = |i: &Instance| -> Vec<(String, usize)> {
                i.classes.iter().map(|c| (c.id.clone(), c.modes.len())).collect()
            };
            let names = |i: &Instance| -> Vec<String> {
                let sites = i.sites.iter().map(|s| s.id.to_string());
                sites.chain(i.capacities.iter().map(|c| c.id.clone())).collect()
            };
            shape(&old) == shape(&self.instance) && names(&old) == names(&self.instance)
        };
        if same_rows {
            self.reprice(planes, |tenant| moved.tenant.get(tenant).copied().flatten());
        }
        for stored in plans {
            let mut plan = moved.plan(&stored.plan, &self.instance);
            self.place(&mut plan);
            self.keep(&plan);
        }
        self.store.plans().len()
    }

    /// Gives tenants without a choice the cheapest one that leaves no more rows broken, on boards that are on.
    fn place(&self, plan: &mut Assignment) {
        let broken = |plan: &Assignment| -> u64 {
            checker::check(&self.instance, plan, &self.objective).rows.iter().map(|r| r.violated).sum()
        };
        let mut present = broken(plan);
        for i in 0..self.instance.tenants.len() {
            if plan.picks[i].is_some() {
                continue;
            }
            let tenant = &self.instance.tenants[i];
            let mut order: Vec<(f64, OptionIx)> = tenant
                .options
                .iter()
                .enumerate()
                .map(|(o, choice)| (self.costs.option(&self.instance, tenant, choice), OptionIx::new(o)))
                .collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            let places = order.into_iter().flat_map(|(_, option)| {
                let choice = self.instance.option(TenantIx::new(i), option);
                let free = choice.host.is_none().then_some(None);
                let boards = self
                    .instance
                    .devices_for(tenant, choice)
                    .filter(|d| choice.host.as_ref().is_some_and(|h| plan.modes[d.at()] == Some(h.mode)));
                let places: Vec<Option<DeviceIx>> = free.into_iter().chain(boards.map(Some)).collect();
                places.into_iter().map(move |device| Pick { option, device })
            });
            let places: Vec<Pick> = places.take(TRIED).collect();
            for pick in places {
                plan.picks[i] = Some(pick);
                let now = broken(plan);
                if now <= present {
                    present = now;
                    break;
                }
                plan.picks[i] = None;
            }
        }
    }

    /// Prices stored planes over the present tenants: their multipliers stay, what they prove is counted anew.
    pub(super) fn reprice(&mut self, planes: Vec<Plane>, renumbered: impl Fn(usize) -> Option<usize>) {
        let newest = planes.len().saturating_sub(REPRICED);
        if let Some(knapsack) = &self.knapsack {
            let sites = self.instance.sites.len();
            for mut plane in planes.into_iter().skip(newest) {
                let certificate = knapsack.problem.certify(&plane.slope[sites..]);
                plane.constant = certificate.priced_capacity - certificate.bound;
                self.store.add_plane(plane);
            }
            return;
        }
        if self.instance.classes.is_empty() || planes.is_empty() {
            return;
        }
        let kept = reduce::admissible(&self.loosened()).kept;
        let free = self.free();
        let columns = columns::expand(&free, &self.costs, &kept);
        let relaxation = Relaxation::new(&free, &self.costs, &columns, &[]);
        for plane in planes.iter().skip(newest) {
            let prices = plane.prices.as_ref().map(|p| p.map(&renumbered));
            if let Some(multipliers) = prices.and_then(|p| relaxation.multipliers_of(&p)) {
                self.store.add_plane(plane_of(&relaxation, &multipliers, self.store.carbon()));
            }
        }
    }
}
