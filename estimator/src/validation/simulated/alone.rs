//! One request at a time, as MLPerf's SingleStream scenario sends them: quantiles, mean and power.

use super::super::sample::{Group, Half, Sample};
use super::super::stats::{Errors, errors};
use super::super::{Measurements, power_fit};
use super::{bandwidth, board, jitter, loop_on, rule, run, unit, works};
use crate::parameters::Parameters;
use ecomap_instances::profile::UnitKind;
use std::collections::BTreeSet;

/// Requests of a run: the sampling error of p99 is then below that of the published logs.
const REQUESTS: f64 = 4000.0;

/// One published run with its quantiles.
#[derive(Debug, Clone)]
pub struct TimedRun {
    /// What ran; its `measured` is the median.
    pub sample: Sample,
    /// Mean, p90 and p99 of the run, ms.
    pub quantiles: [f64; 3],
}

/// What the simulator says of one sample alone.
#[derive(Debug, Clone, Copy)]
pub struct Alone {
    /// p50, mean, p90, p99, ms.
    pub latency: [f64; 4],
    /// Mean draw, W.
    pub power_w: f64,
}

/// Simulates a closed loop of one sample; `idle_w` is what the board draws without it.
#[must_use]
pub fn simulate(sample: &Sample, parameters: &Parameters, idle_w: f64, requests: f64) -> Option<Alone> {
    let g = &sample.group;
    let soc = board(vec![unit(rule(g.generation, g.kind)?, g.kind)], bandwidth(sample), idle_w);
    let stream = loop_on(0, works(sample, parameters)?, jitter(sample, parameters));
    let out = run(&soc, &[stream], requests)?;
    let s = out.streams.first()?;
    Some(Alone { latency: [s.at(0.5)?, s.mean_ms, s.at(0.9)?, s.at(0.99)?], power_w: out.power_w })
}

/// Errors of one group on one half.
#[derive(Debug, Clone)]
pub struct AloneLine {
    /// Unit and runtime.
    pub group: Group,
    /// Half.
    pub half: Half,
    /// Of p50, mean, p90 and p99, over runs.
    pub latency: [Errors; 4],
    /// Of p99 over p50: the spread alone, without the error of the median.
    pub spread: Errors,
    /// Of the mean power at the wall, given what the board drew before the run.
    pub wall: Option<Errors>,
}

/// Every group that has runs with quantiles.
#[must_use]
pub fn lines(parameters: &Parameters, all: &Measurements) -> Vec<AloneLine> {
    let groups: BTreeSet<&Group> = all.runs.iter().map(|r| &r.sample.group).collect();
    let mut lines = Vec::new();
    for group in groups {
        for half in [Half::Fit, Half::Check] {
            let mut columns: [Vec<(f64, f64)>; 5] = std::array::from_fn(|_| Vec::new());
            for r in all.runs.iter().filter(|r| r.sample.group == *group && r.sample.half == half) {
                let Some(a) = simulate(&r.sample, parameters, 0.0, REQUESTS) else { continue };
                let [mean, p90, p99] = r.quantiles;
                let measured = [r.sample.measured, mean, p90, p99];
                for ((column, said), was) in columns.iter_mut().zip(a.latency).zip(measured) {
                    column.push((said, was));
                }
                columns[4].push((a.latency[3] / a.latency[0], p99 / r.sample.measured));
            }
            let [p50, mean, p90, p99, spread] = columns.map(|c| errors(&c));
            let (Some(p50), Some(mean), Some(p90), Some(p99), Some(spread)) = (p50, mean, p90, p99, spread)
            else {
                continue;
            };
            lines.push(AloneLine {
                group: group.clone(),
                half,
                latency: [p50, mean, p90, p99],
                spread,
                wall: wall(parameters, all, group, half),
            });
        }
    }
    lines
}

/// Runs with power, on one unit alone and with known clocks.
fn wall(parameters: &Parameters, all: &Measurements, group: &Group, half: Half) -> Option<Errors> {
    let pairs: Vec<(f64, f64)> = all
        .power
        .iter()
        .filter(|r| r.sample.group == *group && r.half == half && r.beside.get() <= 0.0)
        .filter(|r| group.kind == UnitKind::Cpu || power_fit::clocks_known(r))
        .filter_map(|r| Some((simulate(&r.sample, parameters, r.before, 200.0)?.power_w, r.wall)))
        .collect();
    errors(&pairs)
}
