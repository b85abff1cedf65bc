//! The same network in several power modes: does the simulated time change as the measured one?

use super::super::Measurements;
use super::super::sample::{Group, Half, Sample};
use super::super::stats::{Errors, errors, quantile};
use super::alone;
use crate::parameters::Parameters;
use std::collections::{BTreeMap, BTreeSet};

/// Errors of the ratio between two modes of a board.
#[derive(Debug, Clone)]
pub struct ModeLine {
    /// Unit and runtime.
    pub group: Group,
    /// Board and mode, over the board and mode of the least median time.
    pub device: String,
    /// Reference.
    pub reference: String,
    /// Median ratio measured and simulated.
    pub ratio: (f64, f64),
    /// Errors of the ratio over networks or layers.
    pub errors: Errors,
}

/// Medians over repeated runs: (group, half) → network and precision → device → (simulated, measured).
type Times = BTreeMap<(String, String), BTreeMap<String, (f64, f64)>>;

fn times(parameters: &Parameters, samples: &[&Sample]) -> Times {
    let mut sets: BTreeMap<(String, String), BTreeMap<String, Vec<&Sample>>> = BTreeMap::new();
    for s in samples {
        let key = (s.network.clone(), s.precision.as_str().to_owned());
        sets.entry(key).or_default().entry(s.device.clone()).or_default().push(s);
    }
    let both = |list: Vec<&Sample>| -> Option<(f64, f64)> {
        let said = alone::simulate(list.first()?, parameters, 0.0, 20.0)?.latency[0];
        Some((said, quantile(&list.iter().map(|s| s.measured).collect::<Vec<_>>(), 0.5)?))
    };
    sets.into_iter()
        .map(|(key, devices)| {
            (key, devices.into_iter().filter_map(|(d, l)| Some((d, both(l)?))).collect::<BTreeMap<_, _>>())
        })
        .filter(|(_, devices)| devices.len() > 1)
        .collect()
}

/// Every group with networks that were run in more than one mode of one board; check half.
#[must_use]
pub fn lines(parameters: &Parameters, all: &Measurements) -> Vec<ModeLine> {
    let groups: BTreeSet<&Group> = all.samples.iter().map(|s| &s.group).collect();
    let mut lines = Vec::new();
    for group in groups {
        let boards: BTreeSet<&str> = all.samples.iter().map(|s| s.profile.id.as_str()).collect();
        for name in boards {
            let of: Vec<&Sample> = all
                .samples
                .iter()
                .filter(|s| s.group == *group && s.half == Half::Check && s.profile.id.as_str() == name)
                .collect();
            lines.extend(board(group, &times(parameters, &of)));
        }
    }
    lines
}

fn board(group: &Group, times: &Times) -> Vec<ModeLine> {
    let devices: BTreeSet<&String> = times.values().flat_map(BTreeMap::keys).collect();
    // The fastest mode is the reference: the mode with the least median of measured times.
    let median = |d: &String| {
        quantile(&times.values().filter_map(|m| m.get(d)).map(|x| x.1).collect::<Vec<_>>(), 0.5)
            .unwrap_or(f64::INFINITY)
    };
    let Some(reference) = devices.iter().copied().min_by(|a, b| median(a).total_cmp(&median(b))) else {
        return Vec::new();
    };
    devices
        .iter()
        .copied()
        .filter(|d| *d != reference)
        .filter_map(|d| {
            let pairs: Vec<(f64, f64)> = times
                .values()
                .filter_map(|m| {
                    let ((said, was), (said0, was0)) = (m.get(d)?, m.get(reference)?);
                    Some((said / said0, was / was0))
                })
                .collect();
            let mid = |k: fn(&(f64, f64)) -> f64| quantile(&pairs.iter().map(k).collect::<Vec<_>>(), 0.5);
            Some(ModeLine {
                group: group.clone(),
                device: d.clone(),
                reference: reference.clone(),
                ratio: (mid(|p| p.1)?, mid(|p| p.0)?),
                errors: errors(&pairs)?,
            })
        })
        .collect()
}
