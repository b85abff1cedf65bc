//! Tenants and the rules over them.

use super::fleet::{Boards, site_id};
use super::{GeneratorSpec, Reference, UTILISATION, float, middle, two_digits};
use crate::family::Family;
use crate::format::scenario_v1::{AffinityDto, DeviceDto, ForbidDto, MAX_SITES, SloDto, TenantDto};
use crate::scenario::{AffinityKind, Quantile, Scope};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use std::sync::Arc;

/// Tenants drawn over all families, at origins drawn by the boards that stand there.
pub(super) fn tenants(
    spec: &GeneratorSpec,
    families: &[Arc<Family>],
    boards: &[Boards],
    reference: Reference,
    rng: &mut impl Rng,
) -> Vec<TenantDto> {
    let share = UTILISATION * float(spec.devices) / float(spec.tenants);
    let origins: Vec<usize> = boards.iter().flat_map(|b| std::iter::repeat_n(b.site, b.count)).collect();
    // Every family is met before one is met again.
    let mut deck: Vec<&Arc<Family>> = Vec::new();
    (1..=spec.tenants)
        .filter_map(|number| {
            if deck.is_empty() {
                deck = families.iter().collect();
                deck.shuffle(rng);
            }
            let family = deck.pop()?;
            let home = origins.choose(rng).copied().unwrap_or(0);
            // A few tenants arise where no board stands, or at a site of any size.
            let origin = if rng.random_bool(0.1) { rng.random_range(0..spec.sites) } else { home };
            Some(tenant(number, family, origin, share, reference, rng))
        })
        .collect()
}

fn tenant(
    number: usize,
    family: &Family,
    origin: usize,
    share: f64,
    reference: Reference,
    rng: &mut impl Rng,
) -> TenantDto {
    let service_ms = middle(&family.tiers).map_or(1.0, |tier| reference.service_ms(tier.macs));
    let load = (share * rng.random_range(0.4..1.6)).min(0.3);
    let rate_per_s = two_digits((load * 1000.0 / service_ms).clamp(0.1, 200.0));
    // Language services answer people who type; cameras feed control loops.
    let patience = if family.task.contains("image") || family.task.contains("detection") { 1.0 } else { 1.5 };
    let slack_ms = rng.random_range(2.0..12.0);
    let latency_ms = two_digits(service_ms * patience * rng.random_range(3.5..7.0) + slack_ms);
    let soft = rng.random_bool(0.12);
    let floor = family
        .tiers
        .get(family.tiers.len() / 2..)
        .and_then(|lower| lower.choose(rng))
        .filter(|_| rng.random_bool(0.18))
        .map(|tier| (tier.accuracy * 10.0).floor() / 10.0);
    TenantDto {
        id: format!("{}-{number:03}", verb(&family.task)),
        family: family.id.to_string(),
        tiers: None,
        origin: site_id(origin),
        rate_per_s,
        slo: SloDto {
            quantile: [Quantile::P50, Quantile::P95, Quantile::P95, Quantile::P95, Quantile::P99]
                .choose(rng)
                .copied()
                .unwrap_or(Quantile::P95),
            latency_ms,
            soft_price_per_ms: soft.then(|| two_digits(rng.random_range(1.0..10.0) / latency_ms)),
        },
        priority: [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0].choose(rng).copied().unwrap_or(1.0),
        accuracy_floor: floor,
        pin: None,
        forbid: None,
        switch_price: if rng.random_bool(0.3) { 0.5 } else { 0.0 },
        shed: None,
    }
}

/// What a service of this task does.
fn verb(task: &str) -> &'static str {
    match task {
        "image-classification" => "classify",
        "object-detection" => "detect",
        "question-answering" => "answer",
        "text-classification" => "label",
        _ => "serve",
    }
}

/// Pins and forbids a few tenants, and binds a few others together or apart. No tenant is under
/// two rules, so they cannot contradict each other.
pub(super) fn rules(
    tenants: &mut [TenantDto],
    boards: &[Boards],
    devices: &[DeviceDto],
    rng: &mut impl Rng,
) -> Vec<AffinityDto> {
    let mut free: Vec<usize> = (0..tenants.len()).collect();
    free.shuffle(rng);
    for _ in 0..tenants.len() / 25 {
        let Some(tenant) = free.pop().and_then(|n| tenants.get_mut(n)) else { break };
        let home = boards.iter().zip(devices).filter(|(_, d)| d.site == tenant.origin);
        let names: Vec<String> = home.flat_map(|(b, d)| names(b, d)).take(8).collect();
        if !names.is_empty() {
            tenant.pin = Some(names);
        }
    }
    for _ in 0..tenants.len() / 25 {
        let Some(tenant) = free.pop().and_then(|n| tenants.get_mut(n)) else { break };
        let cpu = boards.choose(rng).and_then(|b| b.profile.units.last()).map(|u| u.id.to_string());
        tenant.forbid = Some(ForbidDto { devices: Vec::new(), units: cpu.into_iter().collect() });
    }
    let mut list = Vec::new();
    for n in 0..(tenants.len() / 20).min(MAX_SITES) {
        let (kind, scope) = match n % 3 {
            0 => (AffinityKind::Apart, Scope::Device),
            1 => (AffinityKind::Apart, Scope::Site),
            _ => (AffinityKind::Together, Scope::Site),
        };
        // A rule that both can keep: tenants of one origin may not reach two sites, and tenants of
        // two origins may not reach one.
        let Some(first) = free.pop().and_then(|n| tenants.get(n)) else { break };
        let one_origin = scope == Scope::Device || kind == AffinityKind::Together;
        let near = |n: &usize| tenants.get(*n).is_some_and(|t| (t.origin == first.origin) == one_origin);
        let Some(second) = free.iter().rposition(near).map(|at| free.remove(at)).and_then(|n| tenants.get(n))
        else {
            continue;
        };
        list.push(AffinityDto { kind, scope, tenants: vec![first.id.clone(), second.id.clone()] });
    }
    list
}

/// Names of an entry's boards after `count` is expanded.
fn names(boards: &Boards, device: &DeviceDto) -> Vec<String> {
    match device.count {
        None => vec![device.id.clone()],
        Some(_) => (1..=boards.count).map(|k| format!("{}-{k}", device.id)).collect(),
    }
}
