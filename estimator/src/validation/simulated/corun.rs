//! Units beside each other, each with one request after another.

use super::super::Measurements;
use super::super::contention::{CoRun, Demand};
use super::super::sample::{Half, Sample};
use super::super::stats::{Errors, errors};
use super::{bandwidth, board, loop_on, rule, run, unit, works};
use crate::coexecution::Rule;
use crate::parameters::Parameters;
use crate::sim::{Jitter, Stream, Work};
use ecomap_instances::profile::UnitKind;

const REQUESTS: f64 = 60.0;

/// Errors of the slowdown in one source.
#[derive(Debug, Clone)]
pub struct CorunLine {
    /// Source and unit.
    pub name: String,
    /// With the shipped rules: fit half, check half.
    pub shipped: [Option<Errors>; 2],
    /// Factor on the contention curve that the fit half asks for.
    pub factor: f64,
    /// With that factor: fit half, check half.
    pub fitted: [Option<Errors>; 2],
    /// Error on the check half of the fit half's mean slowdown.
    pub constant: Option<Errors>,
}

/// A co-run, ready to be simulated at any strength of the victim's curve.
struct Case {
    rule: Rule,
    kind: UnitKind,
    victim: Vec<Work>,
    others: Vec<(UnitKind, Rule, Vec<Work>)>,
    bandwidth: f64,
    measured: f64,
    half: Half,
}

fn scaled(rule: Rule, by: f64) -> Rule {
    Rule { minor: rule.minor * by, steep: rule.steep * by, flat: rule.flat * by, ..rule }
}

impl Case {
    /// Mean latency beside the others over the mean latency alone.
    fn slowdown(&self, factor: f64) -> Option<f64> {
        let units = std::iter::once(unit(scaled(self.rule, factor), self.kind))
            .chain(self.others.iter().map(|(kind, rule, _)| unit(*rule, *kind)))
            .collect();
        let soc = board(units, self.bandwidth, 0.0);
        let mut streams = vec![loop_on(0, self.victim.clone(), Jitter::NONE)];
        streams.extend(self.others.iter().zip(1..).map(|(o, n)| loop_on(n, o.2.clone(), Jitter::NONE)));
        let beside = run(&soc, &streams, REQUESTS)?.streams.first()?.mean_ms;
        let alone = streams.first().map(Stream::base_ms)?;
        Some(beside / alone)
    }
}

/// Synthetic memory-bound work that asks for `gbps`.
fn stream_of(gbps: f64) -> Vec<Work> {
    vec![Work { time_ms: 1.0, memory_share: 1.0, traffic: gbps * 1e6, watts: 0.0 }]
}

fn alexnet(all: &Measurements) -> Option<&Sample> {
    all.samples
        .iter()
        .find(|s| (s.group.generation, s.group.kind) == ("xavier", UnitKind::Dla) && s.network == "alexnet")
}

fn case(r: &CoRun, parameters: &Parameters, all: &Measurements) -> Option<Case> {
    let own = rule(r.generation, r.kind)?;
    let (victim, others, bandwidth) = match &r.external {
        Demand::Network(gpu) => {
            let other = (UnitKind::Gpu, rule(r.generation, UnitKind::Gpu)?, works(gpu, parameters)?);
            (works(alexnet(all)?, parameters)?, vec![other], bandwidth(gpu))
        }
        Demand::Gbps(x) => {
            // What the others ask for comes from a unit that loses nothing itself: their
            // demand is stated as reached, not as asked for.
            let free = scaled(rule(r.generation, UnitKind::Cpu)?, 0.0);
            let victim = stream_of(r.own_gbps.unwrap_or(1.0));
            // As the rules' shares: 99.6 GB/s reached by streams on Xavier, 149.5 on Orin.
            let usable = if r.generation == "xavier" { 99.6e6 } else { 149.5e6 };
            (victim, vec![(UnitKind::Cpu, free, stream_of(*x))], usable)
        }
    };
    Some(Case { rule: own, kind: r.kind, victim, others, bandwidth, measured: r.slowdown, half: r.half })
}

fn judge(cases: &[Case], half: Half, factor: f64) -> Option<Errors> {
    let pairs: Vec<(f64, f64)> = cases
        .iter()
        .filter(|c| c.half == half)
        .filter_map(|c| Some((c.slowdown(factor)?, c.measured)))
        .collect();
    errors(&pairs)
}

/// Least squares of the relative error over a grid of factors.
fn fit(cases: &[Case]) -> f64 {
    let mut best = (f64::INFINITY, 1.0);
    for step in 0..=60 {
        let factor = f64::from(step) * 0.05;
        let mut sum = 0.0;
        for c in cases.iter().filter(|c| c.half == Half::Fit) {
            sum += c.slowdown(factor).map_or(1.0, |s| (s / c.measured - 1.0).powi(2));
        }
        if sum < best.0 - 1e-12 {
            best = (sum, factor);
        }
    }
    best.1
}

/// One line for each source and unit with co-runs.
#[must_use]
pub fn lines(parameters: &Parameters, all: &Measurements) -> Vec<CorunLine> {
    let mut keys: Vec<_> = all.coruns.iter().map(|r| (r.source, r.generation, r.kind)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| {
            let of = all.coruns.iter().filter(|r| (r.source, r.generation, r.kind) == key);
            let cases: Vec<Case> = of.filter_map(|r| case(r, parameters, all)).collect();
            let factor = fit(&cases);
            let fitted: Vec<f64> = cases.iter().filter(|c| c.half == Half::Fit).map(|c| c.measured).collect();
            #[allow(clippy::cast_precision_loss)]
            let mean = fitted.iter().sum::<f64>() / fitted.len().max(1) as f64;
            let flat: Vec<(f64, f64)> =
                cases.iter().filter(|c| c.half == Half::Check).map(|c| (mean, c.measured)).collect();
            let halves = |factor| [Half::Fit, Half::Check].map(|half| judge(&cases, half, factor));
            CorunLine {
                name: format!("{}; {} {}", key.0, key.1, key.2.as_str()),
                shipped: halves(1.0),
                factor,
                fitted: halves(factor),
                constant: errors(&flat),
            }
        })
        .collect()
}
