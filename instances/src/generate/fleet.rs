//! Zones, sites, links and boards.

use super::{GeneratorSpec, float, middle, two_digits, typical_w};
use crate::format::scenario_v1::{BudgetDto, DeviceDto, LinkDto, MAX_SITES, SiteDto, ZoneDto};
use crate::profile::Profile;
use rand::Rng;
use rand::seq::IndexedRandom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Intensities up to which, and from which, a site's cap is its largest and its smallest.
const CLEAN_G_PER_KWH: f64 = 100.0;
const DIRTY_G_PER_KWH: f64 = 600.0;

/// Cap on a dirty grid over the cap on a clean one.
const DIRTY_SHARE: f64 = 0.7;

/// Boards of one profile at one site.
#[derive(Debug, Clone)]
pub(super) struct Boards {
    pub(super) site: usize,
    pub(super) profile: Arc<Profile>,
    pub(super) count: usize,
}

impl Boards {
    /// Name of the document's entry.
    pub(super) fn id(&self) -> String {
        let short: String = self.profile.id.as_str().trim_start_matches("jetson-").chars().take(40).collect();
        format!("{}-{short}", site_id(self.site))
    }
}

pub(super) fn site_id(site: usize) -> String {
    format!("site-{:02}", site + 1)
}

fn zone_id(zone: usize) -> String {
    format!("zone-{}", zone + 1)
}

/// Intensities spread over 20 to 700 g/kWh: one draw in each of as many equal bands, ascending.
pub(super) fn zones(spec: &GeneratorSpec, rng: &mut impl Rng) -> Vec<ZoneDto> {
    let band = 680.0 / float(spec.zones);
    (0..spec.zones)
        .map(|zone| {
            let carbon = 20.0 + band * (float(zone) + rng.random_range(0.0..1.0));
            ZoneDto { id: zone_id(zone), carbon_g_per_kwh: carbon.round() }
        })
        .collect()
}

/// A ring, and a chord for every third site.
pub(super) fn links(spec: &GeneratorSpec, rng: &mut impl Rng) -> Vec<LinkDto> {
    let sites = spec.sites;
    let (low, high) = spec.link_ms;
    let mut pairs: Vec<(usize, usize)> = match sites {
        0 | 1 => Vec::new(),
        2 => vec![(0, 1)],
        _ => (0..sites).map(|a| (a, (a + 1) % sites)).collect(),
    };
    let mut known: BTreeSet<(usize, usize)> = pairs.iter().map(|(a, b)| (*a.min(b), *a.max(b))).collect();
    for _ in 0..(sites / 3).min(MAX_SITES - pairs.len().min(MAX_SITES)) {
        let (a, b) = (rng.random_range(0..sites), rng.random_range(0..sites));
        if a != b && known.insert((a.min(b), a.max(b))) {
            pairs.push((a, b));
        }
    }
    pairs
        .into_iter()
        .map(|(a, b)| LinkDto {
            from: site_id(a),
            to: site_id(b),
            latency_ms: two_digits(rng.random_range(low..=high)),
            bandwidth_bytes_per_s: [12.5e6, 125e6, 125e6, 1.25e9].choose(rng).copied().unwrap_or(125e6),
        })
        .collect()
}

/// Boards over the sites: one for each site while they last, the others at random, each of a
/// random profile. Sorted by site, then in the order of the profiles given.
pub(super) fn boards(spec: &GeneratorSpec, profiles: &[Arc<Profile>], rng: &mut impl Rng) -> Vec<Boards> {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for device in 0..spec.devices {
        let site = if device < spec.sites { device } else { rng.random_range(0..spec.sites) };
        *counts.entry((site, rng.random_range(0..profiles.len()))).or_default() += 1;
    }
    let boards = counts
        .into_iter()
        .filter_map(|((site, p), count)| Some(Boards { site, profile: profiles.get(p)?.clone(), count }));
    boards.collect()
}

/// Sites take zones in turn, from a random start, so that neighbours differ in intensity; each has a
/// linear budget.
pub(super) fn sites(spec: &GeneratorSpec, boards: &[Boards], rng: &mut impl Rng) -> Vec<SiteDto> {
    let start = rng.random_range(0..spec.zones);
    (0..spec.sites)
        .map(|site| {
            let typical: f64 = boards
                .iter()
                .filter(|b| b.site == site)
                .map(|b| float(b.count) * typical_w(&b.profile))
                .sum();
            let max_w = (spec.tightness * typical).round();
            SiteDto {
                id: site_id(site),
                zone: zone_id((start + site) % spec.zones),
                budget: Some(BudgetDto::Linear {
                    clean_g_per_kwh: CLEAN_G_PER_KWH,
                    dirty_g_per_kwh: DIRTY_G_PER_KWH,
                    max_w,
                    min_w: (DIRTY_SHARE * max_w).round(),
                }),
            }
        })
        .collect()
}

/// The document's entries.
pub(super) fn devices(spec: &GeneratorSpec, boards: &[Boards]) -> Vec<DeviceDto> {
    boards
        .iter()
        .map(|b| DeviceDto {
            id: b.id(),
            site: site_id(b.site),
            profile: b.profile.id.to_string(),
            count: (b.count > 1).then_some(b.count as u64),
            modes: spec.modes.filter(|n| *n < b.profile.modes.len()).map(|n| modes(&b.profile, n)),
            always_on: false,
        })
        .collect()
}

/// `keep` modes spread over the profile's list; a single one is the middle one.
fn modes(profile: &Profile, keep: usize) -> Vec<String> {
    let last = profile.modes.len().saturating_sub(1);
    let mut picks: Vec<String> = Vec::new();
    for n in 0..keep {
        let mode = if keep == 1 { middle(&profile.modes) } else { profile.modes.get(n * last / (keep - 1)) };
        picks.extend(mode.map(|m| m.id.to_string()));
    }
    picks.dedup();
    picks
}
