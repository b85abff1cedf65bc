//! From a fleet's document to a controller and the chains of its zones.

use super::boards::{Corrected, Known, Outs};
use super::document;
use super::services::Services;
use super::wire::{ControlDto, FleetDto, GroupDto, PolicyDto, SignalDto, SourceDto};
use crate::ServiceError;
use crate::input;
use crate::pipeline::{self, Loaded, Priced, Sizes};
use crate::worker::{Apart, Isolated};
use ecomap_carbon::policy::{Allowance, EmissionRate, Linear, PolicyError, Range, Steps};
use ecomap_carbon::source::synthetic;
use ecomap_carbon::source::trace::{Foresight, Trace};
use ecomap_carbon::{Chain, Damper, Policy, Signal, Source};
use ecomap_fleet::{Budgets, Cause, Controller, Group, Past, Settings};
use ecomap_instances::format::result_v1::PlanDto;
use ecomap_instances::format::{Format, Input};
use ecomap_instances::ids::SiteIx;
use ecomap_instances::plan::Assignment;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_instances::{Instance, Scenario};
use ecomap_solver::clock::Clock;
use ecomap_solver::{CancelToken, SolveOptions};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Name of pushed samples' source.
pub const MANUAL: &str = "manual";
/// Name of made-up traces.
pub const SYNTHETIC: &str = "synthetic";
/// Days of a made-up trace before it starts over.
const SYNTHETIC_DAYS: u32 = 28;
/// Rounds in which what no longer fits is taken out of a plan; each reports up to a hundred places.
const ROUNDS: usize = 2_000;

/// A service that a zone listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Position in the chain.
    pub rank: usize,
    /// Configured service.
    pub service: String,
    /// The zone as it names it.
    pub asked: String,
}

/// The sources of one zone.
pub struct ZoneLinks {
    /// Zone.
    pub zone: Arc<str>,
    /// What was said, and whose word counts.
    pub chain: Chain,
    /// Names in the chain, in order.
    pub names: Vec<Arc<str>>,
    /// Sources that answer without a connection.
    pub local: Vec<(usize, Box<dyn Source>)>,
    /// Services to ask.
    pub remote: Vec<Remote>,
    /// Position of pushed samples.
    pub manual: usize,
    /// Which question the zone's values answer.
    pub signal: Signal,
}

impl std::fmt::Debug for ZoneLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZoneLinks")
            .field("zone", &self.zone)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// A fleet ready to turn.
#[derive(Debug)]
pub struct Built {
    /// The document.
    pub dto: FleetDto,
    /// What is left of its scenario without lost devices.
    pub scenario: Scenario,
    /// Devices that are not there: lost by the document, or out of reach.
    pub absent: Vec<String>,
    /// Tenants that no present device may serve.
    pub stranded: Vec<String>,
    /// The controller; nothing is solved yet.
    pub controller: Controller,
    /// How options were priced.
    pub priced: Priced,
}

/// A plan from before.
#[derive(Debug, Clone)]
pub struct Before {
    /// Its number.
    pub number: u64,
    /// When it was published.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The plan.
    pub plan: Option<PlanDto>,
    /// What changed since, if anything did.
    pub changed: Option<Cause>,
}

/// Where an accelerated fleet's clock begins; `None` for what is no time.
#[must_use]
pub fn start(control: &ControlDto) -> Option<Timestamp> {
    control.start.as_deref().unwrap_or("2026-01-01T00:00:00Z").parse().ok()
}

/// A policy, and the range that it needs a traced frontier for.
///
/// # Errors
/// [`PolicyError`] for numbers that are none of a policy.
pub fn policy(dto: &PolicyDto) -> Result<(Box<dyn Policy>, Option<Range>), PolicyError> {
    let range = |least: f64, most: f64| Range::new(Watts::new(least), Watts::new(most));
    Ok(match dto {
        PolicyDto::Linear { clean_g_per_kwh, dirty_g_per_kwh, max_w, min_w } => {
            let (clean, dirty) = (GramsPerKwh::new(*clean_g_per_kwh), GramsPerKwh::new(*dirty_g_per_kwh));
            (Box::new(Linear::new(range(*min_w, *max_w)?, clean, dirty)?), None)
        }
        PolicyDto::Steps { steps } => {
            let steps = steps.iter().map(|s| (GramsPerKwh::new(s.from_g_per_kwh), Watts::new(s.cap_w)));
            (Box::new(Steps::new(steps.collect())?), None)
        }
        PolicyDto::EmissionRate { g_per_h, min_w, max_w } => {
            (Box::new(EmissionRate::new(range(*min_w, *max_w)?, *g_per_h)?), None)
        }
        PolicyDto::DailyAllowance { g_per_day, min_w, max_w } => {
            let range = range(*min_w, *max_w)?;
            (Box::new(Allowance::new(range, *g_per_day)?), Some(range))
        }
    })
}

fn signal(dto: SignalDto) -> Signal {
    match dto {
        SignalDto::Average => Signal::Average,
        SignalDto::Marginal => Signal::Marginal,
    }
}

/// The sources of every zone, in the scenario's order.
///
/// # Errors
/// A pointer and what is wrong there.
pub fn zones(dto: &FleetDto, services: &Services) -> Result<Vec<ZoneLinks>, (String, String)> {
    let origin = start(&dto.control).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut all = Vec::new();
    for (z, zone) in dto.scenario.zones.iter().enumerate() {
        let at = format!("/carbon/{}", ecomap_instances::issue::pointer_token(&zone.id));
        let wrong = |what: String| (at.clone(), what);
        let own = dto.carbon.get(&zone.id);
        let mut names: Vec<(Arc<str>, Signal)> = Vec::new();
        let (mut local, mut remote, mut manual) = (Vec::<(usize, Box<dyn Source>)>::new(), Vec::new(), None);
        for (rank, source) in own.iter().flat_map(|o| &o.sources).enumerate() {
            let (name, said): (String, Signal) = match source {
                SourceDto::Manual { signal: said } => {
                    manual = Some(rank);
                    (MANUAL.to_owned(), signal(*said))
                }
                SourceDto::Synthetic { seed } => {
                    let seed = seed.wrapping_add(z as u64);
                    let text = synthetic::hourly(origin, SYNTHETIC_DAYS, seed);
                    let foresight = Foresight::Yesterday(24);
                    let trace = Trace::read(&text, &zone.id, Signal::Average, origin, foresight)
                        .map_err(|e| wrong(e.to_string()))?
                        .named(SYNTHETIC);
                    local.push((rank, Box::new(trace)));
                    (SYNTHETIC.to_owned(), Signal::Average)
                }
                SourceDto::Trace { csv, signal: said } => {
                    let said = signal(*said);
                    let trace = Trace::read(csv, &zone.id, said, origin, Foresight::Yesterday(24))
                        .map_err(|e| wrong(e.to_string()))?;
                    let name = trace.name().to_string();
                    local.push((rank, Box::new(trace)));
                    (name, said)
                }
                SourceDto::Service { name, zone: asked } => {
                    let service =
                        services.get(name).ok_or_else(|| wrong(format!("`{name}` is not configured")))?;
                    let asked = asked.clone().unwrap_or_else(|| zone.id.clone());
                    service.source(&zone.id, &asked).map_err(|e| wrong(e.to_string()))?;
                    remote.push(Remote { rank, service: name.clone(), asked });
                    (name.clone(), service.signal())
                }
            };
            if names.iter().any(|(known, _)| **known == *name) {
                return Err(wrong(format!("`{name}` is listed twice")));
            }
            names.push((name.as_str().into(), said));
        }
        let first = names.first().map_or(Signal::Average, |(_, s)| *s);
        let manual = manual.unwrap_or_else(|| {
            names.push((MANUAL.into(), first));
            names.len() - 1
        });
        let fresh = SignedDuration::from_mins(own.map_or(60, |o| i64::from(o.fresh_minutes)));
        let pessimistic = own.map_or(zone.carbon_g_per_kwh, |o| o.pessimistic_g_per_kwh);
        let mix = own.is_some_and(|o| o.mix_signals);
        let chain = Chain::new(&names, fresh, GramsPerKwh::new(pessimistic), mix)
            .map_err(|e| wrong(e.to_string()))?;
        all.push(ZoneLinks {
            zone: zone.id.as_str().into(),
            chain,
            names: names.into_iter().map(|(name, _)| name).collect(),
            local,
            remote,
            manual,
            signal: first,
        });
    }
    Ok(all)
}

/// Which question each zone's values answer.
#[must_use]
pub fn signals(dto: &FleetDto, services: &Services) -> BTreeMap<String, Signal> {
    let of = |source: &SourceDto| match source {
        SourceDto::Manual { signal: said } | SourceDto::Trace { signal: said, .. } => signal(*said),
        SourceDto::Synthetic { .. } => Signal::Average,
        SourceDto::Service { name, .. } => services.get(name).map_or(Signal::Average, |s| s.signal()),
    };
    let own = |zone: &str| {
        let sources = &dto.carbon.get(zone)?.sources;
        let manual = sources.iter().find(|s| matches!(s, SourceDto::Manual { .. }));
        manual.or(sources.first()).map(of)
    };
    let zones = dto.scenario.zones.iter();
    zones.map(|z| (z.id.clone(), own(&z.id).unwrap_or(Signal::Average))).collect()
}

/// Prices the fleet and makes its controller, which goes on from the plan before. Keeps a core busy.
///
/// # Errors
/// [`ServiceError`] for a document that does not hold, or is too large.
pub fn build(
    dto: FleetDto,
    before: Option<&Before>,
    known: &Known,
    (sizes, isolated, clock): (Sizes, Option<Isolated>, &Arc<dyn Clock>),
) -> Result<Built, ServiceError> {
    let catalog = input::catalog()?;
    let absent = absent(&dto, &known.outs);
    let without = FleetDto { lost: absent.clone(), ..dto.clone() };
    let (present, stranded) = document::present(&without, catalog);
    let scenario = present.lower(catalog)?;
    let loaded = Loaded {
        input: Input::Scenario(scenario),
        format: Format::Scenario,
        timings: pipeline::Timings::default(),
    };
    let mut priced = match &known.calibration {
        Some(corrections) => {
            let predictor = Corrected::new(pipeline::predictor()?, corrections);
            pipeline::price_by(loaded, &predictor, sizes, &**clock)?
        }
        None => pipeline::price(loaded, sizes, &**clock)?,
    };
    if let Some(left) = known.outs.without(&priced.instance)? {
        priced.instance = left;
    }
    let Some(scenario) = priced.scenario.take() else {
        return Err(ServiceError::NotAScenario(dto.scenario.name));
    };
    let control = &dto.control;
    let plan = before.and_then(|b| b.plan.as_ref()).and_then(|plan| carry(plan, &priced.instance));
    let options = SolveOptions {
        gap: control.gap,
        time_limit: Some(Duration::from_secs_f64(control.time_limit_s)),
        work_limit: Some(control.work_limit),
        seed: control.seed,
        warm_start: plan.clone(),
        cancel: CancelToken::default(),
        clock: Arc::clone(clock),
        ..SolveOptions::default()
    };
    let budgets = budgets(&dto, &scenario).map_err(|why| ServiceError::Usage(why.to_string()))?;
    let zone_of = scenario.sites.iter().map(|s| s.zone.at()).collect();
    let settings = Settings { options, gain: control.gain, effort: ecomap_fleet::Effort::Every };
    let traced = budgets.groups().iter().any(|g| g.traced.is_some());
    let mut controller = Controller::new(priced.instance.clone(), zone_of, budgets, settings);
    controller.reserve(known.outs.reserved(&absent, scenario.sites.iter().map(|s| s.id.as_str())));
    if let Some(isolated) = isolated {
        controller = controller.with_prover(Arc::new(Apart(isolated)));
    }
    if let Some(before) = before {
        let Before { number, at, cause, changed, .. } = *before;
        controller.resume(Past { number, at, cause, plan, changed });
    }
    if traced {
        let intensity: Vec<GramsPerKwh> = scenario.zones.iter().map(|z| z.carbon).collect();
        controller.trace(&intensity).map_err(|why| ServiceError::Usage(why.to_string()))?;
    }
    Ok(Built { dto, scenario, absent, stranded, controller, priced })
}

/// Devices that are not there. A fleet of which no board answers keeps all of them: its plans wait for the boards.
fn absent(dto: &FleetDto, outs: &Outs) -> Vec<String> {
    let all = document::device_names(&dto.scenario);
    let mut absent: BTreeSet<&String> = dto.lost.iter().collect();
    absent.extend(outs.boards.keys().filter(|d| all.contains(*d)));
    if absent.len() >= all.len() {
        return dto.lost.clone();
    }
    absent.into_iter().cloned().collect()
}

fn budgets(dto: &FleetDto, scenario: &Scenario) -> Result<Budgets, Box<dyn std::error::Error>> {
    let threshold = Watts::new(dto.control.threshold_w);
    let dwell = SignedDuration::from_mins(i64::from(dto.control.dwell_minutes));
    let own = Budgets::of(scenario, threshold, dwell)?;
    if dto.budgets.is_empty() {
        return Ok(own);
    }
    let site = |name: &str| scenario.sites.iter().position(|s| s.id.as_str() == name);
    let mut groups: Vec<Group> = Vec::new();
    for GroupDto { sites, policy: rule } in &dto.budgets {
        let sites: Vec<(SiteIx, f64)> =
            sites.iter().filter_map(|s| Some((SiteIx::new(site(&s.site)?), s.share))).collect();
        let Some((first, _)) = sites.first() else { continue };
        let (rule, traced) = policy(rule)?;
        groups.push(Group {
            zone: scenario.sites.get(first.at()).map_or(0, |s| s.zone.at()),
            policy: Some(rule),
            damper: Damper::new(threshold, dwell),
            frontier: Vec::new(),
            traced,
            sites,
        });
    }
    let grouped: BTreeSet<usize> = groups.iter().flat_map(|g| &g.sites).map(|(s, _)| s.at()).collect();
    groups.extend(
        own.into_groups().into_iter().filter(|g| !g.sites.iter().any(|(s, _)| grouped.contains(&s.at()))),
    );
    Ok(Budgets::new(scenario, groups)?)
}

/// What is left of a plan in another instance: tenants and devices that are still there, with options that are still
/// on offer. Everybody else is shed until the next solve; `None` where nothing is left.
#[must_use]
pub fn carry(plan: &PlanDto, instance: &Instance) -> Option<Assignment> {
    let tenants: BTreeSet<&str> = instance.tenants.iter().map(|t| t.id.as_str()).collect();
    let devices: BTreeSet<&str> = instance.devices.iter().map(|d| d.id.as_str()).collect();
    let mut left = plan.clone();
    left.tenants.retain(|t| tenants.contains(t.tenant.as_str()));
    left.devices.retain(|d| devices.contains(d.device.as_str()));
    for tenant in &mut left.tenants {
        let lost = tenant.run.as_ref().is_some_and(|run| !devices.contains(run.device.as_str()));
        if lost {
            tenant.served = false;
        }
    }
    for _ in 0..ROUNDS {
        let issues = match left.resolve(instance) {
            Ok(assignment) => return Some(assignment),
            Err(issues) => issues,
        };
        for issue in issues.list() {
            let mut parts = issue.pointer.split('/').skip(2);
            let (list, at) = (parts.next()?, parts.next()?.parse::<usize>().ok()?);
            match list {
                "tenants" => left.tenants.get_mut(at)?.served = false,
                "devices" => left.devices.get_mut(at)?.mode = None,
                _ => return None,
            }
        }
    }
    None
}
