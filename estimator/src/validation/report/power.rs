//! Power: tables of errors, of boards left out, and of rails.

use super::super::Measurements;
use super::super::power::PowerRow;
use super::super::power_fit::{self, Features};
use super::super::sample::{Group, Half};
use super::super::stats::{Errors, errors};
use super::{name, rho};
use crate::parameters::Parameters;
use ecomap_instances::Catalog;
use ecomap_instances::profile::UnitKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Errors of the power of one group on one board.
#[derive(Debug, Clone)]
pub struct PowerLine {
    /// Group of the runs; for a DLA those on the GPU and both DLAs at once.
    pub group: Group,
    /// Board and mode, or `all`.
    pub device: String,
    /// Half.
    pub half: Half,
    /// Power at the wall, given what the board drew before the run.
    pub wall: Errors,
    /// The same with the profile's idle draw instead.
    pub profile: Errors,
    /// Power over what the board drew before.
    pub over: Option<Errors>,
}

/// Watts over idle that the parameters predict for a run.
fn predicted(row: &PowerRow, features: &Features, parameters: &Parameters) -> f64 {
    let of = |kind| {
        let group = Group { kind, ..row.sample.group.clone() };
        group.unit(parameters).map(|u| u.power)
    };
    let kind = row.sample.group.kind;
    let own = of(if kind == UnitKind::Dla { UnitKind::Gpu } else { kind });
    let beside = of(UnitKind::Dla).map_or(0.0, |a| a.compute * row.beside.get());
    own.map_or(0.0, |a| power_fit::over(features, &power_fit::point(&a))) + beside
}

fn line(
    parameters: &Parameters,
    rows: &[(&PowerRow, Features)],
    group: &Group,
    half: Half,
    device: &str,
) -> Option<PowerLine> {
    let all: Vec<(f64, &PowerRow)> = rows.iter().map(|(r, f)| (predicted(r, f, parameters), *r)).collect();
    let wall: Vec<(f64, f64)> = all.iter().map(|(p, r)| (r.before + p, r.wall)).collect();
    let idle: Vec<(f64, f64)> = all.iter().map(|(p, r)| (r.sample.mode.idle.get() + p, r.wall)).collect();
    let over: Vec<(f64, f64)> =
        all.iter().filter(|(_, r)| r.wall > r.before).map(|(p, r)| (*p, r.wall - r.before)).collect();
    Some(PowerLine {
        group: group.clone(),
        device: device.to_owned(),
        half,
        wall: errors(&wall)?,
        profile: errors(&idle)?,
        over: errors(&over),
    })
}

/// Errors of the power by group and half, over all boards and by board.
#[must_use]
pub fn power_lines(parameters: &Parameters, all: &Measurements) -> Vec<PowerLine> {
    let groups: BTreeSet<&Group> = all.power.iter().map(|r| &r.sample.group).collect();
    let mut lines = Vec::new();
    for group in groups {
        for half in [Half::Fit, Half::Check] {
            let rows = power_fit::table(&all.power, parameters, |r| {
                r.sample.group == *group && r.half == half && (half == Half::Check || used(r))
            });
            lines.extend(line(parameters, &rows, group, half, "all"));
            let boards: BTreeSet<&str> = rows.iter().map(|(r, _)| r.board.as_str()).collect();
            let devices: BTreeSet<&str> = rows.iter().map(|(r, _)| r.sample.device.as_str()).collect();
            // Rounds are boards of their own for NVIDIA's submissions.
            let by_board = group.kind != UnitKind::Cpu;
            for device in if by_board { boards } else { devices } {
                let some: Vec<_> = rows
                    .iter()
                    .filter(|(r, _)| if by_board { r.board == device } else { r.sample.device == device })
                    .copied()
                    .collect();
                lines.extend(line(parameters, &some, group, half, device));
            }
        }
    }
    lines
}

/// Whether a run of the fit half is fitted on.
fn used(row: &PowerRow) -> bool {
    row.sample.group.kind != UnitKind::Gpu || power_fit::clocks_known(row)
}

pub(super) fn section(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## Power\n\nMean power at the wall of MLPerf runs. Predicted is what the board drew before the run plus the \
predicted energy of a request over its predicted time; *profile's idle* takes the hardware profile's idle draw instead of \
the board's own, *over idle* leaves it out of both sides. Fitted are, by relative least squares with non-negative, bounded \
numbers, three shares of the profile's full-load power and an energy per byte: for all GPUs together, for each CPU \
generation and runtime; and one share for DLAs. GPU clocks of the runs are those of the submission's configuration files, \
the profile's full-load power scaled by f^1.4. **The scale is not independent on GPUs and DLAs:** the profiles' full-load \
figures are medians of these and other runs, the check half included; the shares, which say how power depends on the \
network, saw the fit half only.\n\n\
| unit, runtime | half | board, mode | runs | median APE % | p90 APE % | ρ | profile's idle: median % | over idle: median % |\n\
|---|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for l in power_lines(parameters, all) {
        let over = l.over.map_or_else(|| "–".to_owned(), |e| format!("{:.0}", e.median_ape));
        let _ = writeln!(
            out,
            "| {}{} | {} | {} | {} | {:.1} | {:.0} | {} | {:.1} | {over} |",
            l.group,
            if l.group.kind == UnitKind::Dla { ", GPU and both DLAs" } else { "" },
            name(l.half),
            l.device,
            l.wall.n,
            l.wall.median_ape,
            l.wall.p90_ape,
            rho(l.wall.spearman),
            l.profile.median_ape,
        );
    }
    out.push_str(
        "\nGPU and DLA runs one by one, W. Runs in *batches* and of networks outside the catalogue (3D-UNet, RetinaNet) are \
taken as bound by arithmetic all the time, without a latency model.\n\n\
| board | network | half | before | measured | predicted | error % |\n|---|---|---|--:|--:|--:|--:|\n",
    );
    for (r, f) in power_fit::table(&all.power, parameters, |r| r.sample.group.kind != UnitKind::Cpu) {
        let p = r.before + predicted(r, &f, parameters);
        let with = if r.sample.group.kind == UnitKind::Dla { " with both DLAs" } else { "" };
        let half = if used(r) || r.half == Half::Check { name(r.half) } else { "left out" };
        let _ = writeln!(
            out,
            "| {} | {}{with} | {half} | {:.1} | {:.1} | {p:.1} | {:+.0} |",
            r.board,
            r.sample.network,
            r.before,
            r.wall,
            100.0 * (p / r.wall - 1.0)
        );
    }
    out.push_str(
        "\n*Left out* of the fit is BERT of the v2.0 round on AGX Orin: it runs 1.7 (one at a time) and 1.4 times (batches) as fast as \
its configuration file expects, so the clocks in that file are not the run's. ResNet-50 of the v2.1 round runs 1.4 times \
as slow as its file expects, which repeats the round before, and BERT of that round has a memory clock of 0 in its file, \
taken as uncapped; both stay in the check half.\n\n",
    );
}

/// One board, or for CPUs one generation, left out at a time.
pub(super) fn left_out(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "### One board left out\n\nShares fitted on every run of the other boards (CPU: on the other generation), both halves, \
and judged on all runs of the one left out, at the wall.\n\n\
| unit, runtime | left out | runs | median APE % | p90 APE % | ρ |\n|---|---|--:|--:|--:|--:|\n",
    );
    let mut sets: BTreeMap<(UnitKind, &str), BTreeSet<&str>> = BTreeMap::new();
    for r in all.power.iter().filter(|r| r.sample.group.kind != UnitKind::Dla) {
        let g = &r.sample.group;
        sets.entry((g.kind, g.runtime)).or_default().insert(r.sample.profile.id.as_str());
    }
    for ((kind, runtime), boards) in sets {
        if boards.len() < 2 {
            continue;
        }
        for board in boards {
            let of = |own: bool| {
                power_fit::table(&all.power, parameters, |r| {
                    let g = &r.sample.group;
                    (g.kind, g.runtime) == (kind, runtime) && (r.sample.profile.id.as_str() == board) == own
                })
            };
            let x = power_fit::fit(&of(false));
            let pairs: Vec<(f64, f64)> =
                of(true).iter().map(|(r, f)| (r.before + power_fit::over(f, &x), r.wall)).collect();
            if let Some(e) = errors(&pairs) {
                let _ = writeln!(
                    out,
                    "| {}, {runtime} | {board} | {} | {:.1} | {:.0} | {} |",
                    kind.as_str(),
                    e.n,
                    e.median_ape,
                    e.p90_ape,
                    rho(e.spearman)
                );
            }
        }
    }
    out.push('\n');
}

pub(super) fn rails(out: &mut String, all: &Measurements) {
    out.push_str(
        "## Rails of the module\n\nAGX Orin, INA3221 rails at 1 Hz (BroncoSpace-Lab tegrastats), against the profile of the \
64 GB kit. Rails leave out carrier board and supply, so only differences over idle compare; they are divided by 0.9 for \
the supply, as in [Hardware profiles](hardware.md). The depth network and the training at 30W are sources of the profile's \
GPU figure, the other rows are not; the board is a 32 GB module. *Share* is measured over the profile's full-load GPU \
power; α for arithmetic is fitted elsewhere.\n\n\
| load | mode | busy s | rails busy, median W | p95 | rails idle W | over idle / 0.9 | profile: GPU at full load | share |\n\
|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let number = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{x:.1}"));
    let full = |mode: &str| -> Option<f64> {
        let profile = Catalog::embedded().ok()?.profile("jetson-agx-orin-64gb")?;
        let mode = profile.modes.get(profile.mode_position(mode)?)?;
        let gpu = profile.units.iter().position(|u| u.kind == UnitKind::Gpu)?;
        Some(mode.units.get(gpu)?.as_ref()?.dynamic.get())
    };
    for t in &all.rails {
        let over = t.busy_w.zip(t.idle_w).map(|((busy, _), idle)| (busy - idle) / 0.9);
        let gpu = full(t.mode);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            t.load,
            t.mode,
            t.busy_s,
            number(t.busy_w.map(|b| b.0)),
            number(t.busy_w.map(|b| b.1)),
            number(t.idle_w),
            number(over),
            number(gpu),
            over.zip(gpu).map_or_else(|| "–".to_owned(), |(o, g)| format!("{:.2}", o / g)),
        );
    }
    out.push_str(
        "\nRows without idle seconds cannot be compared. FP16 and FP32 work, and training, draw more than the INT8 runs above; \
no run in this table has a network of the catalogue, so no energy of a request can be checked.\n\n",
    );
}
