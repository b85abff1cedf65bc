//! Latency: tables of errors, networks, rankings, spreads and parameters.

use super::super::fit::{self, groups};
use super::super::sample::{Group, Half, Sample};
use super::super::stats::{Errors, errors, quantile};
use super::super::{Measurements, Ranking};
use super::{name, rho};
use crate::parameters::Parameters;
use ecomap_instances::family::OpKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Errors of one group on one board.
#[derive(Debug, Clone)]
pub struct Line {
    /// Samples' group.
    pub group: Group,
    /// Board and mode, or `all`.
    pub device: String,
    /// Half.
    pub half: Half,
    /// Errors over networks: repeated runs of one count once, by their median.
    pub errors: Errors,
    /// Errors over all runs.
    pub runs: Errors,
}

fn pairs(parameters: &Parameters, samples: &[&Sample]) -> Vec<(f64, f64)> {
    samples.iter().filter_map(|s| s.predict(parameters).map(|p| (p, s.measured))).collect()
}

/// Predicted and measured medians of each network on each board.
fn by_network(parameters: &Parameters, samples: &[&Sample]) -> Vec<(f64, f64)> {
    let mut sets: BTreeMap<[&str; 3], Vec<(f64, f64)>> = BTreeMap::new();
    for s in samples {
        if let Some(p) = s.predict(parameters) {
            let key = [s.device.as_str(), s.network.as_str(), s.precision.as_str()];
            sets.entry(key).or_default().push((p, s.measured));
        }
    }
    let median = |list: &[(f64, f64)], k: fn(&(f64, f64)) -> f64| {
        quantile(&list.iter().map(k).collect::<Vec<_>>(), 0.5)
    };
    sets.values().filter_map(|list| median(list, |x| x.0).zip(median(list, |x| x.1))).collect()
}

/// Errors by group and half, over all boards and by board.
#[must_use]
pub fn lines(parameters: &Parameters, all: &Measurements) -> Vec<Line> {
    let mut lines = Vec::new();
    for group in groups(all) {
        for half in [Half::Fit, Half::Check] {
            let of: Vec<&Sample> =
                all.samples.iter().filter(|s| s.group == group && s.half == half).collect();
            let devices: BTreeSet<&str> = of.iter().map(|s| s.device.as_str()).collect();
            let mut push = |device: &str, samples: &[&Sample]| {
                let networks = errors(&by_network(parameters, samples));
                let runs = errors(&pairs(parameters, samples));
                if let (Some(errors), Some(runs)) = (networks, runs) {
                    lines.push(Line { group: group.clone(), device: device.to_owned(), half, errors, runs });
                }
            };
            push("all", &of);
            if half == Half::Check && devices.len() > 1 {
                for device in devices {
                    let some: Vec<&Sample> = of.iter().copied().filter(|s| s.device == device).collect();
                    push(device, &some);
                }
            }
        }
    }
    lines
}

/// Errors of a ranking; only its rank correlation means something.
#[must_use]
pub fn ranking(parameters: &Parameters, ranking: &Ranking) -> Option<Errors> {
    errors(&pairs(parameters, &ranking.samples.iter().collect::<Vec<_>>()))
}

pub(super) fn section(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## Latency\n\nAPE is the absolute percentage error; *ratio* is the median of predicted over measured \
(above 1: predicted too slow); ρ is Spearman's rank correlation. These are over networks (or layers): repeated runs of \
one network on one board count once, by their median. The column *by run* is the median APE over all runs, which also \
holds what one network's runs differ by. Judge by the rows *check*; *fit* rows show how well the model can fit at all.\n\n\
| unit, runtime | half | board, mode | networks | median APE % | p90 APE % | ratio | ρ | runs | by run % |\n\
|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for l in lines(parameters, all) {
        let e = l.errors;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.1} | {:.0} | {:.2} | {} | {} | {:.1} |",
            l.group,
            name(l.half),
            l.device,
            e.n,
            e.median_ape,
            e.p90_ape,
            e.median_ratio,
            rho(e.spearman),
            l.runs.n,
            l.runs.median_ape,
        );
    }
    out.push('\n');
}

/// One board left out of the fit at a time.
pub(super) fn left_out(out: &mut String, fitted: &Parameters, all: &Measurements) {
    out.push_str(
        "## One board left out\n\nParameters fitted on every sample of the other boards of a generation, both halves, and \
judged on all samples of the board left out. Only GPUs were measured on more than one board of a generation.\n\n\
| unit, runtime | board left out | networks | median APE % | p90 APE % | ratio | ρ |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for group in groups(all) {
        let of: Vec<&Sample> = all.samples.iter().filter(|s| s.group == group).collect();
        let boards: BTreeSet<&str> = of.iter().map(|s| s.profile.id.as_str()).collect();
        if boards.len() < 2 {
            continue;
        }
        for board in boards {
            let (own, others): (Vec<&Sample>, Vec<&Sample>) =
                of.iter().copied().partition(|s| s.profile.id.as_str() == board);
            let mut parameters = fitted.clone();
            parameters.units.retain(|u| group.unit(fitted) != Some(u));
            let unit = fit::one(&parameters, &group, &others);
            parameters.units.push(unit);
            if let Some(e) = errors(&by_network(&parameters, &own)) {
                let _ = writeln!(
                    out,
                    "| {group} | {board} | {} | {:.1} | {:.0} | {:.2} | {} |",
                    e.n,
                    e.median_ape,
                    e.p90_ape,
                    e.median_ratio,
                    rho(e.spearman)
                );
            }
        }
    }
    out.push('\n');
}

pub(super) fn networks(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## Network by network\n\nGPU and DLA samples; median over repeated runs, ms. Layers of the DLA table are \
left out.\n\n| unit | board, mode | network | precision | half | runs | predicted | measured | error % |\n\
|---|---|---|---|---|--:|--:|--:|--:|\n",
    );
    let mut seen = BTreeSet::new();
    for s in
        all.samples.iter().filter(|s| s.group.runtime.starts_with("tensorrt") && !s.network.contains('('))
    {
        let key = (s.group.clone(), &s.device, &s.network, s.precision, s.half == Half::Fit);
        if !seen.insert(key) {
            continue;
        }
        let same: Vec<&Sample> = all
            .samples
            .iter()
            .filter(|o| {
                o.group == s.group
                    && o.device == s.device
                    && o.network == s.network
                    && o.precision == s.precision
                    && o.half == s.half
            })
            .collect();
        let both = pairs(parameters, &same);
        let median = |k: fn(&(f64, f64)) -> f64| quantile(&both.iter().map(k).collect::<Vec<_>>(), 0.5);
        let (Some(p), Some(m)) = (median(|x| x.0), median(|x| x.1)) else { continue };
        let _ = writeln!(
            out,
            "| {} {} | {} | {} | {} | {} | {} | {p:.2} | {m:.2} | {:+.0} |",
            s.group.generation,
            s.group.kind.as_str(),
            s.device,
            s.network,
            s.precision.as_str(),
            name(s.half),
            same.len(),
            100.0 * (p / m - 1.0)
        );
    }
    out.push('\n');
}

pub(super) fn ranks(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## Order only\n\nMeasured with another runtime or harness, or at clocks that are not stated. Times are not \
comparable; the order of networks is. The parameters are TensorRT's and saw none of these.\n\n\
| measurements | n | ρ | median measured / predicted |\n|---|--:|--:|--:|\n",
    );
    for r in &all.rankings {
        if let Some(e) = ranking(parameters, r) {
            let ratio = 1.0 / e.median_ratio;
            let _ = writeln!(out, "| {} | {} | {} | {ratio:.1} |", r.name, e.n, rho(e.spearman));
        }
    }
    out.push('\n');
}

pub(super) fn spreads(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## Spread of service times\n\nMLPerf SingleStream runs, no queue: p99 over p50. The factor is the median run of \
the fit half; the last column says how many runs of the check half stay below it (half of them, if the halves are \
alike). A factor of the median run is no bound: one run in ten spreads as the column *p90 run* says.\n\n\
| unit, runtime | factor p95 | factor p99 | runs checked | median p99/p50 | p90 run | below factor % |\n\
|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for group in groups(all) {
        let check: Vec<f64> =
            all.spreads.iter().filter(|s| s.0 == group && s.3 == Half::Check).map(|s| s.2).collect();
        let Some(u) = group.unit(parameters) else { continue };
        let (Some(mid), Some(high)) = (quantile(&check, 0.5), quantile(&check, 0.9)) else { continue };
        #[allow(clippy::cast_precision_loss)]
        let below =
            100.0 * check.iter().filter(|x| **x <= u.dispersion.p99).count() as f64 / check.len() as f64;
        let d = u.dispersion;
        let n = check.len();
        let _ = writeln!(
            out,
            "| {group} | {:.2} | {:.2} | {n} | {mid:.2} | {high:.2} | {below:.0} |",
            d.p95, d.p99
        );
    }
    out.push('\n');
}

pub(super) fn parameters(out: &mut String, parameters: &Parameters) {
    out.push_str(
        "## Fitted parameters\n\nShares of the profile's peaks; overhead in µs for an operator at the unit's top clock. \
Placements use `tensorrt` on GPUs and DLAs and `tflite` on CPUs; the other runtimes are fitted for this page only. A \
value at its start (GPU 0.5, 0.1, 0.4, 0.8, 5, 8; DLA 0.4, 0.03, 0.1, 0.5, 5; CPU 0.4, 0.15, 0.3, 0.5, 5, growth 0.1, intake \
300) was not determined by the data. *B/cycle* is bytes a core moves in a clock cycle, *growth* the exponent of the \
efficiency of convolutions over a layer's size (figures hold at 10 Mop), *intake* µs for each MB of a request's fp32 \
input, *clock* the exponent of the arithmetic rate over the clock; α are shares of the profile's full-load power, ε in \
pJ a byte.\n\n| unit, runtime | conv | depthwise | matrix product | memory | overhead µs | B/cycle | growth | intake | clock | α arithmetic | α memory | α overhead | ε |\n\
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for u in &parameters.units {
        let share = |k| u.compute.get(&k).copied().unwrap_or(0.0);
        let _ = writeln!(
            out,
            "| {} {}, {} | {:.3} | {:.4} | {:.3} | {:.2} | {:.2} | {} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} |",
            u.generation,
            u.kind.as_str(),
            u.runtime,
            share(OpKind::Conv),
            share(OpKind::DepthwiseConv),
            share(OpKind::Gemm),
            u.memory,
            u.op_overhead_us,
            u.core_bytes_per_cycle.map_or_else(|| "–".to_owned(), |b| format!("{b:.1}")),
            u.layer_exponent,
            u.input_us_per_mb,
            u.clock_exponent,
            u.power.compute,
            u.power.memory,
            u.power.overhead,
            u.power.joules_per_byte * 1e12,
        );
    }
    out.push('\n');
}
