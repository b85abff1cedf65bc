//! Random device plans.
//!
//! Hardware is jittered so that a predictor learns physics rather than boards: speeds, bandwidth,
//! contention, power and scheduling are multiplied by log-normal factors, unit by unit.

use crate::analytic::Roofline;
use crate::coexecution::Coexecution;
use crate::error::EstimatorError;
use crate::features::MAX_LOAD;
use crate::features::analysis::analyse;
use crate::sim::soc::{Discipline, Soc};
use crate::sim::stream::{Arrivals, Jitter, Stream};
use crate::table::CostTable;
use ecomap_instances::Catalog;
use ecomap_instances::family::Family;
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::Profile;
use ecomap_instances::scenario::Segment;
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Board that no training plan uses.
pub const HELD_OUT_PROFILE: &str = "jetson-orin-nx-16gb";
/// Model families that no training plan uses.
pub const HELD_OUT_FAMILIES: [&str; 2] = ["densenet", "yolov8"];

/// Which part of the data a plan belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// For fitting.
    Train,
    /// Same boards and families, other seeds: early stopping and conformal offsets.
    Validation,
    /// Same boards and families, other seeds: judged.
    Test,
    /// The held-out board: judged.
    TestDevice,
    /// Held-out families only: judged.
    TestFamily,
}

impl Split {
    /// All, in the order of their names' seeds.
    pub const ALL: [Self; 5] =
        [Self::Train, Self::Validation, Self::Test, Self::TestDevice, Self::TestFamily];

    /// Name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::TestDevice => "test-device",
            Self::TestFamily => "test-family",
        }
    }

    /// The split of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Random stream of this split: no two share one.
    const fn stream(self) -> u64 {
        match self {
            Self::Train => 1,
            Self::Validation => 2,
            Self::Test => 3,
            Self::TestDevice => 4,
            Self::TestFamily => 5,
        }
    }
}

/// One plan, ready to be simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Draw {
    /// Split.
    pub split: Split,
    /// Number in the split.
    pub index: u64,
    /// Board type.
    pub profile: String,
    /// Mode.
    pub mode: String,
    /// Whether the hardware was jittered.
    pub jittered: bool,
    /// Family and tier of each stream.
    pub models: Vec<(String, String)>,
    /// The board.
    pub soc: Soc,
    /// The tenants.
    pub streams: Vec<Stream>,
    /// Seed for the simulator.
    pub seed: Seed,
}

type TableKey = (usize, usize, usize, usize);

/// Draws plans from a catalogue.
pub struct Sampler {
    profiles: Vec<Arc<Profile>>,
    families: Vec<Arc<Family>>,
    roofline: Roofline,
    rules: Coexecution,
    tables: Mutex<BTreeMap<TableKey, Arc<CostTable>>>,
}

/// What is drawn first: which models, where.
struct Workload {
    profile: usize,
    mode: ModeIx,
    models: Vec<(usize, usize)>,
}

impl Sampler {
    /// Over the embedded catalogue and parameters.
    ///
    /// # Errors
    /// Only if an embedded file is broken.
    pub fn embedded() -> Result<Self, EstimatorError> {
        let catalog = Catalog::embedded().map_err(|e| EstimatorError::Instance(e.clone()))?;
        Ok(Self {
            profiles: catalog.profiles().to_vec(),
            families: catalog.families().to_vec(),
            roofline: Roofline::embedded()?,
            rules: Coexecution::embedded()?.clone(),
            tables: Mutex::new(BTreeMap::new()),
        })
    }

    fn table(&self, profile: usize, mode: usize, family: usize, tier: usize) -> Arc<CostTable> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables
            .entry((profile, mode, family, tier))
            .or_insert_with(|| {
                Arc::new(CostTable::new(
                    self.roofline.parameters(),
                    &self.profiles[profile],
                    ModeIx::new(mode),
                    &self.families[family],
                    tier,
                ))
            })
            .clone()
    }

    /// Plan number `index` of a split.
    #[must_use]
    pub fn draw(&self, seed: Seed, split: Split, index: u64) -> Draw {
        let mut rng = Seed(seed.0 ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rng(split.stream());
        loop {
            let workload = self.workload(split, &mut rng);
            if let Some(draw) = self.plan(&workload, split, index, None, &mut rng) {
                return draw;
            }
        }
    }

    /// Up to `count` random plans of one workload: the same models at the same rates on the same
    /// nominal board, with other placements and modes.
    #[must_use]
    pub fn alternatives(&self, seed: Seed, split: Split, index: u64, count: usize) -> Vec<Draw> {
        let mut rng = Seed(seed.0 ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rng(16 + split.stream());
        let mut plans: Vec<Draw> = Vec::new();
        'workload: loop {
            let mut workload = self.workload(split, &mut rng);
            workload.models.truncate(5);
            let Some(first) = self.plan(&workload, split, index, None, &mut rng) else { continue };
            let arrivals: Vec<Arrivals> = first.streams.iter().map(|s| s.arrivals.clone()).collect();
            plans.clear();
            for _ in 0..count * 40 {
                let modes = self.profiles[workload.profile].modes.len();
                workload.mode = ModeIx::new(rng.random_range(0..modes));
                if let Some(plan) = self.plan(&workload, split, index, Some(&arrivals), &mut rng) {
                    plans.push(plan);
                    if plans.len() == count {
                        break 'workload;
                    }
                }
            }
        }
        plans
    }

    fn workload(&self, split: Split, rng: &mut ChaCha12Rng) -> Workload {
        let held = |name: &str| HELD_OUT_FAMILIES.contains(&name);
        let profiles: Vec<usize> = (0..self.profiles.len())
            .filter(|p| (self.profiles[*p].id.as_str() == HELD_OUT_PROFILE) == (split == Split::TestDevice))
            .collect();
        let families: Vec<usize> = (0..self.families.len())
            .filter(|f| held(self.families[*f].id.as_str()) == (split == Split::TestFamily))
            .collect();
        let profile = profiles[rng.random_range(0..profiles.len())];
        let mode = rng.random_range(0..self.profiles[profile].modes.len());
        // Two to five tenants are the common case.
        let count = [1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8][rng.random_range(0..11)];
        let models = (0..count)
            .map(|_| {
                let family = families[rng.random_range(0..families.len())];
                (family, rng.random_range(0..self.families[family].tiers.len()))
            })
            .collect();
        Workload { profile, mode: ModeIx::new(mode), models }
    }

    fn plan(
        &self,
        workload: &Workload,
        split: Split,
        index: u64,
        arrivals: Option<&[Arrivals]>,
        rng: &mut ChaCha12Rng,
    ) -> Option<Draw> {
        let profile = &self.profiles[workload.profile];
        let mode = profile.modes.get(workload.mode.at())?;
        let mut soc =
            Soc::new(&self.rules, self.roofline.parameters().generation(profile), profile, workload.mode)?;
        let mut streams = Vec::new();
        let mut models = Vec::new();
        for &(family, tier) in &workload.models {
            let table = self.table(workload.profile, workload.mode.at(), family, tier);
            let segments = placement(&table, rng)?;
            let jitter = |unit: usize| {
                table.unit_kind(unit).map_or(Jitter::NONE, |kind| {
                    let d = self.roofline.parameters().dispersion(profile, kind);
                    Jitter { p95: d.p95, p99: d.p99 }
                })
            };
            streams.push(Stream::new(&table, &segments, jitter, Arrivals::Poisson { gap_ms: 1.0 })?);
            let f = &self.families[family];
            models.push((f.id.to_string(), f.tiers[tier].id.to_string()));
        }
        let jittered = match split {
            Split::Train | Split::Validation => rng.random_bool(0.8),
            _ => arrivals.is_none() && rng.random_bool(0.5),
        };
        if jittered {
            shake(&mut soc, &mut streams, rng);
        }
        if let Some(given) = arrivals {
            for (stream, a) in streams.iter_mut().zip(given) {
                stream.arrivals = a.clone();
            }
        } else {
            ask(&soc, &mut streams, rng);
        }
        let analysis = analyse(&soc, &streams);
        if analysis.load.iter().any(|l| *l > MAX_LOAD) {
            return None;
        }
        Some(Draw {
            split,
            index,
            profile: profile.id.to_string(),
            mode: mode.id.to_string(),
            jittered,
            models,
            soc,
            streams,
            seed: Seed(rng.random()),
        })
    }
}

/// A random legal placement: one segment in half of the cases, else two or three.
fn placement(table: &CostTable, rng: &mut ChaCha12Rng) -> Option<Vec<Segment>> {
    let units: Vec<usize> = table.units_on().map(|(u, _)| u).collect();
    let end = table.blocks();
    for _ in 0..60 {
        let parts = [1, 1, 1, 2, 2, 3][rng.random_range(0..6)].min(end);
        let mut cuts: Vec<usize> = Vec::new();
        while cuts.len() + 1 < parts {
            let cut = rng.random_range(1..end);
            if !cuts.contains(&cut) {
                cuts.push(cut);
            }
        }
        cuts.sort_unstable();
        cuts.push(end);
        let mut from = 0;
        let mut segments = Vec::new();
        for to in cuts {
            segments.push(Segment { from, to, unit: *units.get(rng.random_range(0..units.len().max(1)))? });
            from = to;
        }
        if table.placement(&segments).is_some() {
            return Some(segments);
        }
    }
    None
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut ChaCha12Rng) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn factor(rng: &mut ChaCha12Rng, sigma: f64) -> f64 {
    (sigma * normal(rng)).exp()
}

/// Jitters the hardware.
fn shake(soc: &mut Soc, streams: &mut [Stream], rng: &mut ChaCha12Rng) {
    soc.bandwidth *= factor(rng, 0.25);
    let room = (soc.limit_w - soc.idle_w) * factor(rng, 0.3);
    soc.idle_w *= factor(rng, 0.2);
    soc.limit_w = soc.idle_w + room;
    let mut speed = Vec::new();
    for unit in &mut soc.units {
        speed.push((factor(rng, 0.3), factor(rng, 0.25), factor(rng, 0.25)));
        if let Discipline::RoundRobin { quantum_ms, switch_ms } = &mut unit.discipline {
            *quantum_ms *= factor(rng, 0.5);
            *switch_ms *= factor(rng, 0.5);
        }
        unit.stall_power = rng.random_range(0.3..0.9);
        let c = &mut unit.curve;
        // Boards differ in shape too: some lines are steep from the start, some flat for ever.
        c.minor = c.minor.max(0.02) * factor(rng, 0.6);
        c.steep = c.steep.max(0.05) * factor(rng, 0.6);
        c.flat = c.flat.max(0.05) * factor(rng, 0.6);
        let width = (c.shoulder - c.knee) * factor(rng, 0.2);
        c.knee *= factor(rng, 0.2);
        c.shoulder = c.knee + width;
    }
    for stream in streams {
        for stage in &mut stream.stages {
            let Some(&(time, traffic, watts)) = speed.get(stage.unit) else { continue };
            let spread = factor(rng, 0.5);
            stage.jitter.p95 = 1.0 + (stage.jitter.p95 - 1.0) * spread;
            stage.jitter.p99 = (1.0 + (stage.jitter.p99 - 1.0) * spread).max(stage.jitter.p95);
            for b in &mut stage.blocks {
                b.time_ms *= time * factor(rng, 0.1);
                b.traffic *= traffic * factor(rng, 0.1);
                b.watts *= watts * factor(rng, 0.1);
                b.memory_share = (b.memory_share * factor(rng, 0.2)).min(1.0);
            }
        }
    }
}

/// Draws rates and kinds of arrival. The busiest unit ends at a load drawn evenly from 0.05 to
/// [`MAX_LOAD`]; rates lie within a factor of six of each other's middle.
fn ask(soc: &Soc, streams: &mut [Stream], rng: &mut ChaCha12Rng) {
    let mut gaps: Vec<f64> = streams
        .iter()
        .map(|s| {
            let slowest = s.stages.iter().map(crate::sim::Stage::time_ms).fold(0.0, f64::max);
            slowest / (0.05_f64.ln() * rng.random::<f64>()).exp()
        })
        .collect();
    let middle = (gaps.iter().map(|g| g.ln()).sum::<f64>() / count(gaps.len())).exp();
    for gap in &mut gaps {
        *gap = gap.clamp(middle / 6.0, middle * 6.0);
    }
    let shapes: Vec<f64> = streams.iter().map(|_| rng.random()).collect();
    let details: Vec<f64> = streams.iter().map(|_| rng.random()).collect();
    let target = rng.random_range(0.05..MAX_LOAD - 0.01);
    for _ in 0..6 {
        for (stream, gap) in streams.iter_mut().zip(&gaps) {
            stream.arrivals = Arrivals::Poisson { gap_ms: *gap };
        }
        let busiest = analyse(soc, streams).load.iter().copied().fold(0.0, f64::max);
        for gap in &mut gaps {
            *gap *= (busiest / target).clamp(0.2, 5.0);
        }
    }
    for (((stream, gap), shape), detail) in streams.iter_mut().zip(&gaps).zip(&shapes).zip(&details) {
        stream.arrivals = if *shape < 0.5 {
            Arrivals::Poisson { gap_ms: *gap }
        } else if *shape < 0.8 {
            Arrivals::Periodic { gap_ms: *gap, jitter: 0.1 + 0.2 * detail }
        } else {
            Arrivals::Trace { gaps_ms: recorded(*gap, *detail, rng) }
        };
    }
}

/// Gaps of a hyper-exponential renewal process, as a recording would hold them: with probability
/// `p` ten times shorter than else.
fn recorded(gap: f64, detail: f64, rng: &mut ChaCha12Rng) -> Arc<[f64]> {
    let p = 0.6 * detail;
    let mean = p * 0.1 + (1.0 - p);
    let mut gaps: Vec<f64> = (0..1024)
        .map(|_| {
            let scale = if rng.random_bool(p) { 0.1 } else { 1.0 };
            -(1.0 - rng.random::<f64>()).ln() * scale * gap / mean
        })
        .collect();
    let got = gaps.iter().sum::<f64>() / count(gaps.len());
    for g in &mut gaps {
        *g *= gap / got;
    }
    gaps.into()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
