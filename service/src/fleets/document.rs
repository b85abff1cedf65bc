//! A fleet's document, checked.

use super::boards::Boards;
use super::services::Services;
use super::wire::{ControlDto, FORMAT, FleetDto, SourceDto};
use crate::ServiceError;
use crate::pipeline::{self, Sizes};
use ecomap_instances::format::scenario_v1::{DeviceDto, ScenarioDto};
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_instances::{Catalog, Scenario};
use std::collections::{BTreeMap, BTreeSet};

/// Most sources of one zone.
const SOURCES: usize = 8;
/// Largest trace inside a document, bytes.
const TRACE: usize = 4 << 20;

/// Reads a fleet's document.
///
/// # Errors
/// Every issue found, with pointers into the document.
pub fn read(bytes: &[u8], services: &Services, sizes: Sizes) -> Result<FleetDto, Issues> {
    pipeline::count_objects(bytes, sizes.objects)?;
    let dto: FleetDto = ecomap_instances::format::read_document(bytes)?;
    check(&dto, services, sizes)?;
    Ok(dto)
}

/// Checks what the types of a document do not say; `services` are the configured sources.
///
/// # Errors
/// Every issue found.
pub fn check(dto: &FleetDto, services: &Services, sizes: Sizes) -> Result<(), Issues> {
    let mut bad: Vec<Issue> = Vec::new();
    if dto.format != FORMAT {
        bad.push(Issue::new(
            Code::Format,
            "/format",
            format!("`{}` is not {FORMAT}", dto.format.escape_debug()),
        ));
    }
    if !dto.scenario.running.is_empty() {
        let why = "a fleet's running plan is the service's business";
        bad.push(Issue::new(Code::Contradiction, "/scenario/running", why));
    }
    lost(dto, &mut bad);
    control(&dto.control, &mut bad);
    groups(dto, &mut bad);
    carbon(dto, services, &mut bad);
    let scenario = Catalog::embedded().map(|catalog| {
        let scenario = scenario(dto, catalog)?;
        pipeline::count_candidates(&scenario, sizes.options)
    });
    match scenario {
        // A catalogue that cannot be read is a bug, and found before anything is served.
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(issues)) => bad.extend(
            issues
                .list()
                .iter()
                .map(|i| Issue::new(i.code, format!("/scenario{}", i.pointer), i.message.clone())),
        ),
    }
    Issues::check(bad)
}

/// Checks which boards a fleet names; `boards` are the configured ones.
///
/// # Errors
/// Every issue found.
pub fn executors(dto: &FleetDto, boards: &Boards) -> Result<(), Issues> {
    let mut bad = Vec::new();
    let Some(executors) = &dto.executors else { return Ok(()) };
    let names = device_names(&dto.scenario);
    let mut seen = BTreeSet::new();
    range(
        &mut bad,
        "/executors/lease_s",
        f64::from(executors.lease_s),
        boards.shortest_lease_s(),
        31_536_000.0,
    );
    for (n, device) in executors.devices.iter().enumerate() {
        let at = format!("/executors/devices/{n}");
        if !names.contains(device) {
            bad.push(Issue::new(Code::UnknownDevice, at, short(device)));
        } else if !seen.insert(device) {
            bad.push(Issue::new(Code::DuplicateId, at, short(device)));
        } else if !boards.has(device) {
            let why = format!("{} is not configured as a board of this service (--boards)", short(device));
            bad.push(Issue::new(Code::UnknownName, at, why));
        }
    }
    Issues::check(bad)
}

fn range(bad: &mut Vec<Issue>, at: &str, value: f64, least: f64, most: f64) {
    if !(least..=most).contains(&value) {
        bad.push(Issue::new(Code::OutOfRange, at, format!("{value} is not from {least} to {most}")));
    }
}

fn lost(dto: &FleetDto, bad: &mut Vec<Issue>) {
    let names = device_names(&dto.scenario);
    let mut seen = BTreeSet::new();
    for (n, device) in dto.lost.iter().enumerate() {
        if !names.contains(device) {
            bad.push(Issue::new(Code::UnknownDevice, format!("/lost/{n}"), short(device)));
        } else if !seen.insert(device) {
            bad.push(Issue::new(Code::DuplicateId, format!("/lost/{n}"), short(device)));
        }
    }
}

fn control(control: &ControlDto, bad: &mut Vec<Issue>) {
    range(bad, "/control/every_s", f64::from(control.every_s), 1.0, 86_400.0);
    range(bad, "/control/speed", control.speed, 1e-3, 1e6);
    range(bad, "/control/utc_offset_minutes", f64::from(control.utc_offset_minutes), -1_439.0, 1_439.0);
    range(bad, "/control/threshold_w", control.threshold_w, 0.0, 1e9);
    range(bad, "/control/dwell_minutes", f64::from(control.dwell_minutes), 0.0, 10_080.0);
    range(bad, "/control/gain", control.gain, 0.0, 1e9);
    range(bad, "/control/gap", control.gap, 0.0, 1.0);
    range(bad, "/control/time_limit_s", control.time_limit_s, 0.01, 600.0);
    if super::build::start(control).is_none() {
        let why = "not a time like 2026-01-01T00:00:00Z";
        bad.push(Issue::new(Code::OutOfRange, "/control/start", why));
    }
    if !(1..=100_000_000).contains(&control.work_limit) {
        bad.push(Issue::new(Code::OutOfRange, "/control/work_limit", "not from 1 to 100000000"));
    }
}

fn groups(dto: &FleetDto, bad: &mut Vec<Issue>) {
    let zones: BTreeMap<&str, &str> =
        dto.scenario.sites.iter().map(|s| (s.id.as_str(), s.zone.as_str())).collect();
    let mut seen = BTreeSet::new();
    for (g, group) in dto.budgets.iter().enumerate() {
        let at = format!("/budgets/{g}");
        if group.sites.is_empty() {
            bad.push(Issue::new(Code::Empty, format!("{at}/sites"), "a group needs at least one site"));
        }
        let mut zone = None;
        for (n, share) in group.sites.iter().enumerate() {
            let at = format!("{at}/sites/{n}");
            range(bad, &format!("{at}/share"), share.share, 1e-6, 1e6);
            match zones.get(share.site.as_str()) {
                None => bad.push(Issue::new(Code::UnknownSite, format!("{at}/site"), short(&share.site))),
                Some(own) if *zone.get_or_insert(*own) != *own => {
                    let why = "the sites of a group are in one zone";
                    bad.push(Issue::new(Code::Contradiction, format!("{at}/site"), why));
                }
                Some(_) if !seen.insert(share.site.as_str()) => {
                    bad.push(Issue::new(Code::DuplicateId, format!("{at}/site"), "already in a group"));
                }
                Some(_) => {}
            }
        }
        if let Err(why) = super::build::policy(&group.policy) {
            bad.push(Issue::new(Code::OutOfRange, format!("{at}/policy"), why.to_string()));
        }
    }
}

fn carbon(dto: &FleetDto, services: &Services, bad: &mut Vec<Issue>) {
    for (zone, carbon) in &dto.carbon {
        let at = format!("/carbon/{}", ecomap_instances::issue::pointer_token(zone));
        if !dto.scenario.zones.iter().any(|z| z.id == *zone) {
            bad.push(Issue::new(Code::UnknownZone, at.clone(), short(zone)));
        }
        range(bad, &format!("{at}/fresh_minutes"), f64::from(carbon.fresh_minutes), 1.0, 2_880.0);
        range(bad, &format!("{at}/pessimistic_g_per_kwh"), carbon.pessimistic_g_per_kwh, 0.0, 5_000.0);
        if carbon.sources.len() > SOURCES {
            bad.push(Issue::new(Code::TooMany, format!("{at}/sources"), format!("more than {SOURCES}")));
        }
        for (n, source) in carbon.sources.iter().enumerate() {
            let at = format!("{at}/sources/{n}");
            match source {
                SourceDto::Trace { csv, .. } if csv.len() > TRACE => {
                    bad.push(Issue::new(
                        Code::TooMany,
                        format!("{at}/csv"),
                        format!("more than {TRACE} bytes"),
                    ));
                }
                SourceDto::Service { name, .. } if services.get(name).is_none() => {
                    let names = services.names().collect::<Vec<_>>().join(", ");
                    let known = if names.is_empty() {
                        "this service has no sources configured (--sources)".to_owned()
                    } else {
                        format!("{} is not configured; there are: {names}", short(name))
                    };
                    bad.push(Issue::new(Code::UnknownName, format!("{at}/name"), known));
                }
                #[allow(clippy::float_cmp)] // exactly the default
                SourceDto::Service { .. } if dto.control.speed != 1.0 => {
                    let why = "a service tells the present: `control.speed` must be 1";
                    bad.push(Issue::new(Code::Contradiction, at, why));
                }
                _ => {}
            }
        }
    }
    if bad.is_empty()
        && let Err((pointer, why)) = super::build::zones(dto, services)
    {
        bad.push(Issue::new(Code::Contradiction, pointer, why));
    }
}

fn short(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("`{}`", short.escape_debug())
}

fn expanded(device: &DeviceDto) -> Vec<String> {
    match device.count {
        None => vec![device.id.clone()],
        // More than any fleet has is refused when the scenario is read.
        Some(count) => (1..=count.min(20_000)).map(|k| format!("{}-{k}", device.id)).collect(),
    }
}

/// The names of all devices, lost ones too.
#[must_use]
pub fn device_names(scenario: &ScenarioDto) -> BTreeSet<String> {
    scenario.devices.iter().flat_map(expanded).collect()
}

/// What is left of the scenario without the lost devices, and the tenants that are pinned to lost ones alone.
#[must_use]
pub fn present(dto: &FleetDto, catalog: &Catalog) -> (ScenarioDto, Vec<String>) {
    let mut scenario = dto.scenario.clone();
    if dto.lost.is_empty() {
        return (scenario, Vec::new());
    }
    let lost: BTreeSet<&str> = dto.lost.iter().map(String::as_str).collect();
    scenario.devices = scenario
        .devices
        .into_iter()
        .flat_map(|device| {
            let names = expanded(&device);
            if !names.iter().any(|name| lost.contains(name.as_str())) {
                return vec![device];
            }
            let left = names.into_iter().filter(|name| !lost.contains(name.as_str()));
            left.map(|id| DeviceDto { id, count: None, ..device.clone() }).collect()
        })
        .collect();
    let profiles = scenario.devices.iter().filter_map(|d| catalog.profile(&d.profile));
    let units: BTreeSet<String> =
        profiles.flat_map(|p| p.units.iter().map(|u| u.id.to_string()).collect::<Vec<_>>()).collect();
    let mut stranded = Vec::new();
    for tenant in &mut scenario.tenants {
        if let Some(pin) = &mut tenant.pin {
            let before = pin.len();
            pin.retain(|d| !lost.contains(d.as_str()));
            if pin.is_empty() && before > 0 {
                stranded.push(tenant.id.clone());
            }
        }
        if let Some(forbid) = &mut tenant.forbid {
            forbid.devices.retain(|d| !lost.contains(d.as_str()));
            forbid.units.retain(|u| units.contains(u));
        }
    }
    for tenant in &stranded {
        without_tenant(&mut scenario, tenant);
    }
    (scenario, stranded)
}

/// Takes a tenant out, from wherever it is named.
pub fn without_tenant(scenario: &mut ScenarioDto, tenant: &str) {
    scenario.tenants.retain(|t| t.id != tenant);
    scenario.running.retain(|r| r.tenant != tenant);
    for affinity in &mut scenario.affinities {
        affinity.tenants.retain(|t| t != tenant);
    }
    scenario.affinities.retain(|a| a.tenants.len() > 1);
    if let Some(stability) = &mut scenario.stability {
        stability.frozen.retain(|t| t != tenant);
    }
}

fn scenario(dto: &FleetDto, catalog: &Catalog) -> Result<Scenario, Issues> {
    // The whole first: what is wrong with a lost board is wrong.
    let whole = dto.scenario.lower(catalog)?;
    if dto.lost.is_empty() { Ok(whole) } else { present(dto, catalog).0.lower(catalog) }
}

/// A document as it is stored.
///
/// # Errors
/// [`ServiceError::Json`]; a bug.
pub fn text(dto: &FleetDto) -> Result<String, ServiceError> {
    Ok(serde_json::to_string(dto)?)
}
