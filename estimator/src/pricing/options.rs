//! One tenant's options: placements at its rate, through its network, against its limits.

use super::classes::Group;
use super::menus::{Key, Menus};
use super::report::{LeftOut, PricingReport};
use super::routes::Route;
use super::weights::Weights;
use crate::error::EstimatorError;
use crate::predictor::{Candidate, Isolated, Predictor};
use crate::table::CostTable;
use ecomap_instances::Scenario;
use ecomap_instances::ids::{ClassIx, ModeIx, TenantIx, UnitIx};
use ecomap_instances::instance::{Choice, DeviceClass, Host, Quantiles, RunningChoice};
use ecomap_instances::scenario::{Segment, SloBasis, Tenant};
use ecomap_instances::units::{Bytes, Millis};
use std::borrow::Cow;

/// A placement that the predictor is asked about.
pub(crate) struct Asked<'a> {
    /// Device class.
    pub(crate) class: usize,
    /// Mode, position in the class.
    pub(crate) mode: usize,
    /// Position in the tenant's list of tiers.
    pub(crate) tier: usize,
    /// Costs of its (tier, profile, mode).
    pub(crate) table: &'a CostTable,
    /// Placement.
    pub(crate) segments: Cow<'a, [Segment]>,
    /// Network part of the latency.
    pub(crate) network: Millis,
}

/// Everything that one tenant's pricing reads.
pub(crate) struct Desk<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) groups: &'a [Group],
    pub(crate) classes: &'a [DeviceClass],
    pub(crate) menus: &'a Menus,
    pub(crate) predictor: &'a dyn Predictor,
}

/// Tiers of a tenant that meet its floor, as (position in its list, position in the family).
pub(crate) fn tiers(tenant: &Tenant) -> impl Iterator<Item = (usize, usize)> + '_ {
    tenant.tiers.iter().copied().enumerate().filter(|(_, tier)| {
        let accuracy = tenant.family.tiers.get(*tier).map_or(0.0, |t| t.accuracy);
        tenant.accuracy_floor.is_none_or(|floor| accuracy >= floor)
    })
}

/// Whether the tenant may run on some board of the group.
pub(crate) fn admits(tenant: &Tenant, group: &Group) -> bool {
    tenant.devices.as_ref().is_none_or(|list| group.devices.iter().any(|d| list.contains(d)))
}

/// The tenant's running choice in the instance's terms; `None` when its tier is no longer allowed.
pub(crate) fn running(scenario: &Scenario, ix: TenantIx, tenant: &Tenant) -> Option<RunningChoice> {
    let now = scenario.running.iter().find(|r| r.tenant == ix)?;
    let in_family = tenant.family.tier_position(&now.tier)?;
    let tier = tenant.tiers.iter().position(|t| *t == in_family)?;
    Some(RunningChoice { device: now.device, tier, segments: now.segments.clone() })
}

impl<'a> Desk<'a> {
    /// Prices all options of a tenant: by tier, class, mode, then fastest placement first.
    /// `routes` gives the way to each group.
    pub(crate) fn options(
        &self,
        tenant: &Tenant,
        routes: &[Option<Route>],
        running: Option<&RunningChoice>,
        weights: &mut Weights,
        report: &mut PricingReport,
    ) -> Result<Vec<Choice>, EstimatorError> {
        let answers = self.answers(tenant, routes, running, report)?;
        let mut options = Vec::with_capacity(answers.len());
        for (ask, answer) in answers {
            let Some(one) = answer else {
                report.count(LeftOut::Unsupported, 1);
                continue;
            };
            match self.host(tenant, &ask, one, weights) {
                Err(reason) => report.count(reason, 1),
                Ok(host) => {
                    let route = routes.get(ask.class).and_then(Option::as_ref);
                    let model = tenant.family.tiers.get(ask.table.tier());
                    let uses = route
                        .zip(model)
                        .map(|(route, t)| route.uses(tenant.rate, t.request, t.response))
                        .unwrap_or_default();
                    options.push(Choice { value: 0.0, host: Some(host), uses });
                }
            }
        }
        Ok(options)
    }

    /// Every placement on offer to a tenant with the predictor's answer.
    pub(crate) fn answers(
        &self,
        tenant: &Tenant,
        routes: &[Option<Route>],
        running: Option<&RunningChoice>,
        report: &mut PricingReport,
    ) -> Result<Vec<(Asked<'a>, Option<Isolated>)>, EstimatorError> {
        let asked = self.ask(tenant, routes, running, report);
        let batch: Vec<Candidate<'_>> = asked
            .iter()
            .map(|a| Candidate { table: a.table, segments: &a.segments, rate: tenant.rate })
            .collect();
        let answers = self.predictor.isolated(&batch);
        if answers.len() != asked.len() {
            return Err(EstimatorError::ShortAnswer {
                name: self.predictor.name().to_owned(),
                asked: asked.len(),
                got: answers.len(),
            });
        }
        Ok(asked.into_iter().zip(answers).collect())
    }

    fn ask(
        &self,
        tenant: &Tenant,
        routes: &[Option<Route>],
        running: Option<&RunningChoice>,
        report: &mut PricingReport,
    ) -> Vec<Asked<'a>> {
        let mut asked = Vec::new();
        let above_floor = tiers(tenant).count();
        report.count(LeftOut::AccuracyFloor, count(tenant.tiers.len().saturating_sub(above_floor)));
        for (tier, in_family) in tiers(tenant) {
            let Some(model) = tenant.family.tiers.get(in_family) else { continue };
            for (class, group) in self.groups.iter().enumerate() {
                let route = routes.get(class).and_then(Option::as_ref);
                let Some(route) = route.filter(|_| admits(tenant, group)) else {
                    report.count(LeftOut::Unreachable, 1);
                    continue;
                };
                let network = route.latency(model.request, model.response);
                for (mode, in_profile) in group.modes.iter().enumerate() {
                    let key = Key::new(tenant, in_family, &group.profile, *in_profile);
                    let Some(entry) = self.menus.get(&key) else { continue };
                    if entry.menu.kept.is_empty() {
                        report.count(LeftOut::Unsupported, 1);
                    }
                    let table = &entry.table;
                    let offer = |segments| Asked { class, mode, tier, table, segments, network };
                    asked.extend(entry.menu.kept.iter().map(|p| offer(Cow::Borrowed(&*p.segments))));
                    // Staying put is always on offer, even where the filter would drop it.
                    let stay = running
                        .filter(|r| r.tier == tier && group.devices.contains(&r.device))
                        .and_then(|r| r.segments.as_ref())
                        .filter(|s| !entry.menu.kept.iter().any(|p| p.segments == **s))
                        .filter(|s| s.iter().all(|x| key.allows(x.unit)));
                    asked.extend(stay.map(|s| offer(Cow::Owned(s.clone()))));
                }
            }
        }
        asked
    }

    /// What an answered placement is as an option, or why it is none.
    pub(crate) fn host(
        &self,
        tenant: &Tenant,
        ask: &Asked<'_>,
        one: Isolated,
        weights: &mut Weights,
    ) -> Result<Host, LeftOut> {
        let class = self.classes.get(ask.class).ok_or(LeftOut::Unsupported)?;
        let mode = class.modes.get(ask.mode).ok_or(LeftOut::Unsupported)?;
        let cap = |unit: UnitIx| mode.load_cap.get(unit.at()).copied().unwrap_or(0.0);
        if one.load.iter().any(|(unit, load)| *load > cap(*unit)) {
            return Err(LeftOut::Overload);
        }
        let dynamic = one.energy * tenant.rate;
        if mode.idle + dynamic > mode.budget {
            return Err(LeftOut::Budget);
        }
        let bandwidth = one.traffic * tenant.rate;
        if bandwidth > mode.bandwidth {
            return Err(LeftOut::Bandwidth);
        }
        let stored: Bytes = one.precisions.iter().map(|p| ask.table.weights(p)).sum();
        if stored + one.memory > class.memory {
            return Err(LeftOut::Memory);
        }
        let isolated = one.latency.delayed(ask.network);
        let latency = self.latency(ask, &one);
        if tenant.slo.soft_price.is_none() && latency.at(tenant.slo.quantile) > tenant.slo.latency {
            return Err(LeftOut::Slo);
        }
        Ok(Host {
            class: ClassIx::new(ask.class),
            mode: ModeIx::new(ask.mode),
            tier: ask.tier,
            segments: ask.segments.to_vec(),
            latency,
            network: ask.network,
            isolated,
            slopes: one.slopes,
            dynamic,
            load: one.load,
            memory: one.memory,
            weights: weights.needed(ask.table, one.precisions),
            bandwidth,
        })
    }
}

impl Desk<'_> {
    /// End-to-end latency on the scenario's SLO basis.
    pub(crate) fn latency(&self, ask: &Asked<'_>, one: &Isolated) -> Quantiles {
        let mode = self.classes.get(ask.class).and_then(|c| c.modes.get(ask.mode));
        let cap = |unit: UnitIx| mode.and_then(|m| m.load_cap.get(unit.at())).copied().unwrap_or(0.0);
        match self.scenario.pricing.slo_basis {
            SloBasis::Isolated => one.latency.delayed(ask.network),
            SloBasis::LoadCap => at_load_cap(one, cap).delayed(ask.network),
        }
    }
}

/// On-device latency when others load every unit up to its cap: `latency × (1 + Σ slope·max(0, cap − own load))`.
fn at_load_cap(one: &Isolated, cap: impl Fn(UnitIx) -> f64) -> Quantiles {
    let delay: f64 = one
        .slopes
        .iter()
        .map(|(unit, slope)| {
            let own = one.load.iter().find(|(u, _)| u == unit).map_or(0.0, |(_, load)| *load);
            slope * (cap(*unit) - own).max(0.0)
        })
        .sum();
    one.latency.scaled(1.0 + delay)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
