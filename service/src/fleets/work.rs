//! A fleet's turns as records: runs on a solver thread, with the controller in hand.

use super::boards::Known;
use super::build::{self, Before, Built, ZoneLinks};
use super::diff;
use super::records::{PLAN_FORMAT, PlanRecordDto, PlanSummaryDto, TurnDto};
use super::state::{DeviceDto, SiteDto, TenantDto, WorthDto};
use super::wire::FleetDto;
use crate::ServiceError;
use crate::pipeline::Sizes;
use crate::worker::Isolated;
use ecomap_carbon::policy::Clip;
use ecomap_fleet::{Cause, FleetError, Meter, Published, Turn};
use ecomap_instances::format::result_v1::{PlanDto, ResultDto};
use ecomap_instances::plan::relative_gap;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::checker::{self, Verdict};
use ecomap_solver::clock::Clock;
use ecomap_solver::report::{Extra, plan_of, to_result};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Changes listed in a plan's summary.
const LISTED: usize = 200;

/// A fleet ready to turn, with what it published last.
#[derive(Debug)]
pub struct Work {
    fleet: String,
    version: u64,
    built: Built,
    /// The last plan's result: what the next one is compared with.
    last: Option<Arc<ResultDto>>,
}

/// Where a controller is, to go on from after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// The fleet's clock at the last turn.
    pub at: String,
    /// Caps held by dampers, and since when, by the first site of their group.
    pub held: BTreeMap<String, (f64, String)>,
    /// Wh, g, and g of the day, by site.
    pub meter: BTreeMap<String, (f64, f64, f64)>,
}

/// What a dashboard shows of the running plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Sites.
    pub sites: Vec<SiteDto>,
    /// Devices.
    pub devices: Vec<DeviceDto>,
    /// Tenants.
    pub tenants: Vec<TenantDto>,
    /// What the plan is worth now.
    pub worth: Option<WorthDto>,
}

impl Work {
    /// Builds the fleet; it goes on from `before`, whose result is `last`, and from what was saved.
    ///
    /// # Errors
    /// Those of [`build::build`].
    pub fn new(
        fleet: &str,
        (version, dto): (u64, FleetDto),
        before: Option<&Before>,
        last: Option<Arc<ResultDto>>,
        saved: Option<&Saved>,
        known: &Known,
        means: (Sizes, Option<Isolated>, &Arc<dyn Clock>),
    ) -> Result<Self, ServiceError> {
        let built = build::build(dto, before, known, means)?;
        let mut work = Self { fleet: fleet.to_owned(), version, built, last };
        if let Some(saved) = saved {
            work.restore(saved);
        }
        Ok(work)
    }

    /// The document.
    #[must_use]
    pub fn dto(&self) -> &FleetDto {
        &self.built.dto
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A token that ends solves early.
    #[must_use]
    pub fn cancel_token(&self) -> ecomap_solver::CancelToken {
        self.built.controller.cancel_token()
    }

    /// Where the next version of the fleet goes on from.
    #[must_use]
    pub fn before(&self, why: Cause) -> Option<(Before, Option<Arc<ResultDto>>)> {
        let running = self.built.controller.running()?;
        let plan = self.last.as_ref().and_then(|r| r.plan.clone());
        let (number, at, cause) = (running.number, running.at, running.cause);
        let before = Before { number, at, cause, plan, changed: Some(why) };
        Some((before, self.last.clone()))
    }

    fn site_name(&self, at: usize) -> String {
        self.built.scenario.sites.get(at).map_or_else(String::new, |s| s.id.to_string())
    }

    fn restore(&mut self, saved: &Saved) {
        let names: Vec<String> = (0..self.built.scenario.sites.len()).map(|s| self.site_name(s)).collect();
        let Ok(at) = saved.at.parse::<Timestamp>() else { return };
        let sites: Vec<(f64, f64, f64)> =
            names.iter().map(|n| saved.meter.get(n).copied().unwrap_or_default()).collect();
        self.built.controller.restore_meter(Meter::restored(at, &sites));
        let budgets = self.built.controller.budgets_mut();
        for g in 0..budgets.groups().len() {
            let Some(group) = budgets.group_mut(g) else { continue };
            let first = group.sites.first().and_then(|(s, _)| names.get(s.at()));
            let held = first.and_then(|name| saved.held.get(name));
            if let Some((watts, since)) = held
                && let Ok(since) = since.parse()
            {
                group.damper.restore(Watts::new(*watts), since);
            }
        }
    }

    /// Where the controller is.
    #[must_use]
    pub fn saved(&self, at: Timestamp) -> Saved {
        let controller = &self.built.controller;
        let groups = controller.budgets().groups().iter();
        let held = groups.filter_map(|g| {
            let (watts, since) = g.damper.held()?;
            let (first, _) = g.sites.first()?;
            Some((self.site_name(first.at()), (watts.get(), since.to_string())))
        });
        Saved {
            at: at.to_string(),
            held: held.collect(),
            meter: controller.meter().sites().enumerate().map(|(s, m)| (self.site_name(s), m)).collect(),
        }
    }

    /// A day begins.
    pub fn new_day(&mut self, now: Timestamp) {
        self.built.controller.new_day(now);
    }

    /// First half of a turn; see [`ecomap_fleet::Controller::begin`].
    ///
    /// # Errors
    /// [`FleetError`].
    pub fn begin(
        &mut self,
        now: Timestamp,
        ahead: &[Vec<GramsPerKwh>],
        left: SignedDuration,
    ) -> Result<(Turn, Vec<PlanRecordDto>), FleetError> {
        let turn = self.built.controller.begin(now, ahead, left)?;
        let records = turn.published.iter().filter_map(|p| self.record(p, &turn)).collect();
        Ok((turn, records))
    }

    /// Second half of a turn; see [`ecomap_fleet::Controller::finish`]. Returns the plans that it published.
    ///
    /// # Errors
    /// [`FleetError`].
    pub fn finish(&mut self, turn: &mut Turn) -> Result<Vec<PlanRecordDto>, FleetError> {
        let known = turn.published.len();
        self.built.controller.finish(turn)?;
        Ok(turn.published.iter().skip(known).filter_map(|p| self.record(p, turn)).collect())
    }

    fn by_site<T>(&self, values: &[T], of: impl Fn(&T) -> T) -> BTreeMap<String, T> {
        values.iter().enumerate().map(|(s, v)| (self.site_name(s), of(v))).collect()
    }

    fn by_zone(&self, values: &[GramsPerKwh]) -> BTreeMap<String, f64> {
        let zones = self.built.scenario.zones.iter();
        zones.zip(values).map(|(z, g)| (z.id.to_string(), g.get())).collect()
    }

    fn caps(&self, caps: &[Option<Watts>]) -> BTreeMap<String, Option<f64>> {
        caps.iter().enumerate().map(|(s, c)| (self.site_name(s), c.map(Watts::get))).collect()
    }

    fn record(&mut self, published: &Published, turn: &Turn) -> Option<PlanRecordDto> {
        let instance = self.built.controller.instance();
        let priced = &self.built.priced;
        // Every plan that a controller publishes comes from a solution; one carried over is not published again.
        let mut solution = (**published.solution.as_ref()?).clone();
        // Answers given at once leave the hash to whoever shows them.
        if solution.certificate.instance_hash.is_empty() {
            solution.certificate.instance_hash = ecomap_solver::solution::instance_hash(instance);
        }
        let extra = Extra {
            name: priced.name.clone(),
            pricing: priced.pricing.clone(),
            versions: priced.versions.clone(),
            ..Extra::default()
        };
        let result = to_result(instance, &solution, extra);
        let plans = self.last.as_ref().and_then(|l| l.plan.as_ref()).zip(result.plan.as_ref());
        let mut changes =
            plans.map_or_else(Vec::new, |(a, b)| diff::changes(a, b, &[published.cause.as_str()]));
        changes.truncate(LISTED);
        let shed = published.plan.picks.iter().filter(|p| p.is_none()).count();
        let watts: Vec<f64> = published.power.iter().map(|w| w.get()).collect();
        let summary = PlanSummaryDto {
            format: PLAN_FORMAT.to_owned(),
            fleet: self.fleet.clone(),
            number: published.number,
            at: published.at.to_string(),
            cause: published.cause.as_str().to_owned(),
            fleet_version: self.version,
            intensity_g_per_kwh: self.by_zone(&turn.intensity),
            cap_w: self.caps(&turn.caps),
            predicted_w: self.by_site(&watts, |w| *w),
            value: published.value,
            bound: published.bound.filter(|b| b.is_finite()),
            gap: published.gap().filter(|g| g.is_finite()),
            checked: result.certificate.checker.verdict == "pass",
            moves: published.moves as u64,
            shed: shed as u64,
            changes,
        };
        self.last = Some(Arc::new(result.clone()));
        Some(PlanRecordDto { summary, result })
    }

    /// The turn as history keeps it.
    #[must_use]
    pub fn turn(&self, turn: &Turn, figures: &Figures) -> TurnDto {
        let controller = &self.built.controller;
        let running = controller.running();
        let watts: Vec<f64> = running.map_or_else(Vec::new, |r| r.power.iter().map(|w| w.get()).collect());
        let lost: Vec<f64> = figures.tenants.iter().filter_map(|t| t.accuracy_lost).collect();
        #[allow(clippy::cast_precision_loss)] // a count of tenants
        let mean = (!lost.is_empty()).then(|| lost.iter().sum::<f64>() / lost.len() as f64);
        TurnDto {
            at: turn.at.to_string(),
            fleet_version: self.version,
            intensity_g_per_kwh: self.by_zone(&turn.intensity),
            cap_w: self.caps(&turn.caps),
            predicted_w: self.by_site(&watts, |w| *w),
            reported_w: BTreeMap::new(),
            reported_basis: BTreeMap::new(),
            plan: running.map_or(0, |r| r.number),
            cause: ecomap_fleet::Row::cause(turn),
            moves: turn.published.iter().map(|p| p.moves as u64).sum(),
            shed: running.map_or(0, |r| r.plan.picks.iter().filter(|p| p.is_none()).count() as u64),
            value: running.map(|r| r.value),
            bound: running.and_then(|r| r.bound).filter(|b| b.is_finite()),
            loss: running.map(|r| r.loss),
            accuracy_lost: mean,
            predicted_carbon_g: controller.meter().carbon_g(),
            solves: turn.solves,
        }
    }

    /// The running plan at the present intensities and caps.
    #[must_use]
    pub fn figures(&self, turn: Option<&Turn>) -> Figures {
        let controller = &self.built.controller;
        let instance = controller.instance();
        let Some(running) = controller.running() else { return self.unplanned() };
        let verdict = checker::check(instance, &running.plan, &instance.objective);
        let plan = plan_of(instance, &running.plan, &verdict);
        let value = verdict.evaluation.value;
        let bound = running.bound.filter(|b| b.is_finite());
        Figures {
            sites: self.sites(&plan, turn),
            devices: self.devices(&plan, turn),
            tenants: self.tenants(&plan),
            worth: Some(WorthDto {
                objective: instance.objective.name().to_owned(),
                unit: instance.objective.unit().to_owned(),
                value,
                bound,
                gap: bound.map(|b| relative_gap(value, b)),
                checked: Verdict::passes(&verdict),
            }),
        }
    }

    fn unplanned(&self) -> Figures {
        let none = PlanDto { tenants: vec![], devices: vec![], sites: vec![], capacities: vec![] };
        Figures { tenants: self.tenants(&none), ..Figures::default() }
    }

    fn sites(&self, plan: &PlanDto, turn: Option<&Turn>) -> Vec<SiteDto> {
        let controller = &self.built.controller;
        let instance = controller.instance();
        let clip = |site: usize| {
            let group = controller
                .budgets()
                .groups()
                .iter()
                .position(|g| g.sites.iter().any(|(s, _)| s.at() == site))?;
            Some(match turn?.clips.get(group).copied().flatten()? {
                Clip::Least => "least",
                Clip::Most => "most",
                Clip::Overdrawn => "overdrawn",
                Clip::Blind => "blind",
            })
        };
        let idle = |site: usize| -> f64 {
            let own = instance.devices.iter().map(|d| &instance.classes[d.class.at()]);
            own.filter(|c| c.site.at() == site)
                .map(|c| c.modes.iter().map(|m| m.idle.get()).fold(f64::INFINITY, f64::min))
                .filter(|w| w.is_finite())
                .sum()
        };
        let zone = |site: usize| {
            let zone = self.built.scenario.sites.get(site).map(|s| s.zone.at());
            zone.and_then(|z| self.built.scenario.zones.get(z)).map_or_else(String::new, |z| z.id.to_string())
        };
        let sites = plan.sites.iter().enumerate();
        sites
            .map(|(s, site)| SiteDto {
                site: site.site.clone(),
                zone: zone(s),
                cap_w: site.cap_w,
                predicted_w: site.power_w,
                idle_w: idle(s),
                predicted_carbon_g_per_h: site.carbon_g_per_h,
                clip: clip(s).map(str::to_owned),
            })
            .collect()
    }

    fn devices(&self, plan: &PlanDto, turn: Option<&Turn>) -> Vec<DeviceDto> {
        let off = |d: usize| turn.is_some_and(|t| t.forced_off.iter().any(|f| f.at() == d));
        let mut all: Vec<DeviceDto> = plan
            .devices
            .iter()
            .enumerate()
            .map(|(d, device)| DeviceDto {
                device: device.device.clone(),
                site: device.site.clone(),
                profile: device.profile.clone(),
                lost: false,
                forced_off: off(d),
                mode: device.mode.clone(),
                predicted_w: device.power_w,
                budget_w: device.budget_w,
                load: device.load.clone(),
            })
            .collect();
        for name in &self.built.absent {
            let of = |d: &&ecomap_instances::format::scenario_v1::DeviceDto| {
                d.id == *name
                    || name.rsplit_once('-').is_some_and(|(stem, _)| d.count.is_some() && d.id == stem)
            };
            let Some(device) = self.built.dto.scenario.devices.iter().find(of) else { continue };
            all.push(DeviceDto {
                device: name.clone(),
                site: device.site.clone(),
                profile: device.profile.clone(),
                lost: true,
                forced_off: false,
                mode: None,
                predicted_w: 0.0,
                budget_w: None,
                load: BTreeMap::new(),
            });
        }
        all
    }

    fn tenants(&self, plan: &PlanDto) -> Vec<TenantDto> {
        let runs: BTreeMap<&str, _> =
            plan.tenants.iter().filter(|t| t.served).map(|t| (t.tenant.as_str(), t.run.as_ref())).collect();
        let tenants = self.built.dto.scenario.tenants.iter();
        tenants
            .map(|tenant| {
                let run = runs.get(tenant.id.as_str()).copied().flatten();
                let quantile = tenant.slo.quantile;
                TenantDto {
                    tenant: tenant.id.clone(),
                    served: run.is_some(),
                    stranded: self.built.stranded.contains(&tenant.id),
                    priority: tenant.priority,
                    rate_per_s: tenant.rate_per_s,
                    family: tenant.family.clone(),
                    tier: run.map(|r| r.tier.clone()),
                    accuracy: run.map(|r| r.accuracy),
                    accuracy_lost: run.map(|r| r.accuracy_lost),
                    device: run.map(|r| r.device.clone()),
                    units: run.map_or_else(Vec::new, |r| r.segments.iter().map(|s| s.unit.clone()).collect()),
                    predicted_ms: run.map(|r| r.latency_ms.at(quantile)),
                    quantile: quantile.as_str().to_owned(),
                    slo_ms: tenant.slo.latency_ms,
                    headroom_ms: run.map(|r| tenant.slo.latency_ms - r.latency_ms.at(quantile)),
                }
            })
            .collect()
    }
}

/// The causes as stored.
#[must_use]
pub fn cause(text: &str) -> Cause {
    match text {
        "cap" => Cause::Cap,
        "gain" => Cause::Gain,
        "change" => Cause::Change,
        "boards" => Cause::Boards,
        "drift" => Cause::Drift,
        _ => Cause::First,
    }
}

/// What zones say ahead, hour by hour.
#[must_use]
pub fn ahead(zones: &[ZoneLinks], now: Timestamp, hours: usize) -> Vec<Vec<GramsPerKwh>> {
    zones.iter().map(|z| z.chain.ahead(now, hours)).collect()
}
