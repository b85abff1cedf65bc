//! Seeded generator of scenarios: the same [`GeneratorSpec`] gives the same document everywhere.
//!
//! It aims at scenarios that are worth solving, not at statistics: rates and latency objectives
//! come from a crude estimate (the middle tier's multiply-accumulates against the weakest board's
//! peak), so that most tenants can be served, and caps are tight enough that
//! tiers must be traded. No transcendental function is used, since their last digit differs
//! between platforms.

mod accelerators;
mod fleet;
mod tenants;

pub use accelerators::{RESNET_18, WorkloadSpec};

use crate::catalog::Catalog;
use crate::family::Family;
use crate::format::scenario_v1::{FORMAT, MAX_DEVICES, MAX_SITES, MAX_TENANTS, PricingDto, ScenarioDto};
use crate::issue::{Code, Collector, Issues};
use crate::profile::{Mode, Profile, UnitKind};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use std::fmt;
use std::sync::Arc;

/// Seed of a random path. Every random choice in Ecomap starts from one, so that it can be
/// repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator of one independent stream of this seed.
    #[must_use]
    pub fn rng(self, stream: u64) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::seed_from_u64(self.0);
        rng.set_stream(stream);
        rng
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Share of the weakest board's GPU time, in its middle mode, that all tenants together ask for
/// when they run their middle tiers.
const UTILISATION: f64 = 0.45;

/// What to draw from.
type Pool = (Vec<Arc<Profile>>, Vec<Arc<Family>>);

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratorSpec {
    /// Name of the scenario.
    pub name: String,
    /// Its description; when `None`, the specification itself.
    pub description: Option<String>,
    /// Seed.
    pub seed: Seed,
    /// Grid zones, at most as many as sites.
    pub zones: usize,
    /// Sites, joined by a ring of links with chords.
    pub sites: usize,
    /// Boards over all sites.
    pub devices: usize,
    /// Tenants over all sites.
    pub tenants: usize,
    /// Cap of a site on a clean grid over what its boards draw in their middle modes at a typical
    /// load; above 1 the caps hardly bind.
    pub tightness: f64,
    /// Smallest and largest one-way delay of a link, ms; large ones keep tenants near their origin.
    pub link_ms: (f64, f64),
    /// Profiles to draw boards from; empty: the catalogue's Jetson boards.
    pub profiles: Vec<String>,
    /// Families to draw tenants from; empty: all of the catalogue.
    pub families: Vec<String>,
    /// Power modes kept for each board, spread over its list; `None`: all.
    pub modes: Option<usize>,
    /// Most segments of a placement, 1 to 3.
    pub max_segments: u64,
    /// Most placements kept for a (tier, class, mode).
    pub max_placements: u64,
}

impl Default for GeneratorSpec {
    fn default() -> Self {
        Self {
            name: "generated".to_owned(),
            description: None,
            seed: Seed(1),
            zones: 2,
            sites: 4,
            devices: 16,
            tenants: 48,
            tightness: 0.8,
            link_ms: (2.0, 30.0),
            profiles: Vec::new(),
            families: Vec::new(),
            modes: None,
            max_segments: 2,
            max_placements: 6,
        }
    }
}

impl GeneratorSpec {
    /// Generates the scenario.
    ///
    /// # Errors
    /// Sizes beyond the limits of the format, names that `catalog` does not know; pointers name
    /// the field of the specification.
    pub fn generate(&self, catalog: &Catalog) -> Result<ScenarioDto, Issues> {
        let (profiles, families) = self.check(catalog)?;
        let reference = Reference::weakest(&profiles);
        let mut rng = self.seed.rng(0);
        let zones = fleet::zones(self, &mut rng);
        let links = fleet::links(self, &mut self.seed.rng(1));
        let boards = fleet::boards(self, &profiles, &mut self.seed.rng(2));
        let sites = fleet::sites(self, &boards, &mut rng);
        let devices = fleet::devices(self, &boards);
        let mut list = tenants::tenants(self, &families, &boards, reference, &mut self.seed.rng(3));
        let affinities = tenants::rules(&mut list, &boards, &devices, &mut self.seed.rng(4));
        Ok(ScenarioDto {
            format: FORMAT.to_owned(),
            name: self.name.clone(),
            description: Some(self.description.clone().unwrap_or_else(|| self.to_string())),
            zones,
            sites,
            devices,
            links,
            tenants: list,
            affinities,
            fleet_accuracy_floor: None,
            stability: None,
            objective: None,
            pricing: Some(PricingDto {
                max_segments: self.max_segments,
                max_placements: self.max_placements,
                ..PricingDto::default()
            }),
            running: Vec::new(),
        })
    }

    fn check(&self, catalog: &Catalog) -> Result<Pool, Issues> {
        let mut bad = Collector::default();
        if !crate::ids::is_legal_id(&self.name) {
            bad.push(Code::IllegalId, "/name", format!("`{}`", self.name.escape_debug()));
        }
        let sizes = [
            ("/sites", self.sites, MAX_SITES),
            ("/devices", self.devices, MAX_DEVICES),
            ("/tenants", self.tenants, MAX_TENANTS),
        ];
        for (at, count, most) in sizes {
            if count == 0 {
                bad.push(Code::OutOfRange, at, "at least 1");
            } else if count > most {
                bad.push(Code::TooMany, at, format!("{count}, at most {most}"));
            }
        }
        if self.zones == 0 || self.zones > self.sites.max(1) {
            bad.push(Code::OutOfRange, "/zones", "from 1 to the number of sites");
        }
        bad.range("/tightness", self.tightness, 0.0, 100.0);
        if bad.range("/link_ms/0", self.link_ms.0, 0.1, 1e4) {
            bad.range("/link_ms/1", self.link_ms.1, self.link_ms.0, 1e4);
        }
        if self.modes == Some(0) {
            bad.push(Code::OutOfRange, "/modes", "at least 1");
        }
        for (at, value, most) in
            [("/max_segments", self.max_segments, 3), ("/max_placements", self.max_placements, 1000)]
        {
            if !(1..=most).contains(&value) {
                bad.push(Code::OutOfRange, at, format!("{value} is not a number from 1 to {most}"));
            }
        }
        let mut profiles = Vec::new();
        for (n, id) in self.profiles.iter().enumerate() {
            match catalog.profile(id) {
                Some(profile) => profiles.push(profile.clone()),
                None => bad.push(
                    Code::UnknownProfile,
                    format!("/profiles/{n}"),
                    format!("`{}` is not in the catalogue", id.escape_debug()),
                ),
            }
        }
        if self.profiles.is_empty() {
            profiles = catalog.profiles().iter().filter(|p| p.kind == "jetson").cloned().collect();
        }
        let mut families = Vec::new();
        for (n, id) in self.families.iter().enumerate() {
            match catalog.family(id) {
                Some(family) => families.push(family.clone()),
                None => bad.push(
                    Code::UnknownFamily,
                    format!("/families/{n}"),
                    format!("`{}` is not in the catalogue", id.escape_debug()),
                ),
            }
        }
        if self.families.is_empty() {
            families = catalog.families().to_vec();
        }
        if bad.is_empty() && (profiles.is_empty() || families.is_empty()) {
            bad.push(Code::Empty, "", "the catalogue has no board or no family to draw from");
        }
        bad.finish()?;
        Ok((profiles, families))
    }
}

impl fmt::Display for GeneratorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Generated: seed {}, {} zones, {} sites, {} boards, {} tenants, tightness {}, links of {} to {} ms.",
            self.seed,
            self.zones,
            self.sites,
            self.devices,
            self.tenants,
            self.tightness,
            self.link_ms.0,
            self.link_ms.1
        )
    }
}

/// The board that rates and objectives are scaled to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reference {
    /// Arithmetic rate reached.
    ops_per_s: f64,
}

impl Reference {
    /// Share of the peak that a network reaches at batch 1; the published Jetson figures lie
    /// between 0.1 and 0.4.
    const EFFICIENCY: f64 = 0.2;
    /// Launch costs that no board escapes, ms.
    const FLOOR_MS: f64 = 1.5;

    /// The weakest of `profiles` in its middle mode.
    fn weakest(profiles: &[Arc<Profile>]) -> Self {
        let peak = profiles
            .iter()
            .filter_map(|p| middle(&p.modes).map(|mode| peak(p, mode)))
            .fold(f64::INFINITY, f64::min);
        let peak = if peak.is_finite() { peak.max(1e6) } else { 1e12 };
        Self { ops_per_s: peak * Self::EFFICIENCY }
    }

    /// Rough service time of a tier, ms.
    fn service_ms(self, macs: u64) -> f64 {
        let macs = u32::try_from(macs / 1_000_000).map_or(f64::from(u32::MAX), f64::from) * 1e6;
        Self::FLOOR_MS + 2.0 * macs / self.ops_per_s * 1000.0
    }
}

/// The item in the middle of a list.
fn middle<T>(list: &[T]) -> Option<&T> {
    list.get(list.len() / 2)
}

/// Peak arithmetic rate of the strongest unit that a mode switches on, at its own precision.
fn peak(profile: &Profile, mode: &Mode) -> f64 {
    profile
        .units
        .iter()
        .zip(&mode.units)
        .filter_map(|(unit, on)| {
            let on = on.as_ref()?;
            let cores = match (on.cores, unit.cores) {
                (Some(on), Some(all)) if all > 0 => f64::from(on) / f64::from(all),
                _ => 1.0,
            };
            Some(unit.peak.get(&unit.precision)?.get() * (on.clock / unit.max_clock) * cores)
        })
        .fold(0.0, f64::max)
}

/// Draw of a board in its middle mode at a typical load: idle, and most of the GPU (or of one CPU
/// cluster where there is none).
fn typical_w(profile: &Profile) -> f64 {
    let Some(mode) = middle(&profile.modes) else { return 0.0 };
    let on = || {
        profile.units.iter().zip(&mode.units).filter_map(|(u, on)| Some((u.kind, on.as_ref()?.dynamic.get())))
    };
    let gpu = on().filter(|(kind, _)| *kind == UnitKind::Gpu).map(|(_, w)| w).fold(0.0, f64::max);
    let busy = if gpu > 0.0 { gpu } else { on().map(|(_, w)| w).fold(0.0, f64::max) };
    mode.idle.get() + 0.6 * busy
}

/// Two significant digits, for numbers that a person reads.
fn two_digits(x: f64) -> f64 {
    if !x.is_finite() || x <= 0.0 {
        return 0.0;
    }
    let (mut up, mut down) = (1.0, 1.0);
    while x * up < 10.0 && up < 1e9 {
        up *= 10.0;
    }
    while x / down >= 100.0 && down < 1e9 {
        down *= 10.0;
    }
    (x * up / down).round() * down / up
}

/// A count as a number.
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_two_digits() {
        for (x, y) in [(1234.0, 1200.0), (0.0567, 0.057), (9.96, 10.0), (55.0, 55.0), (0.0, 0.0)] {
            assert_eq!(two_digits(x), y, "{x}");
        }
    }

    #[test]
    fn streams_of_a_seed_differ() {
        use rand::RngCore;
        let draw = |seed, stream| Seed(seed).rng(stream).next_u64();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }
}
