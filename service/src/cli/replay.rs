//! `ecomap replay`.

use super::progress::cancel_on_interrupt;
use super::table::{Table, number, percent};
use super::{Exit, out, parse_gap};
use crate::input;
use crate::pipeline::{self, Sizes};
use crate::worker::{Apart, Isolated, Isolation, SILENCE};
use anyhow::{Context as _, bail};
use ecomap_carbon::policy::{Allowance, Range};
use ecomap_carbon::source::synthetic;
use ecomap_carbon::source::trace::{Foresight, Trace};
use ecomap_carbon::{Chain, Damper, Signal, Source};
use ecomap_fleet::history::{Names, csv};
use ecomap_fleet::{Budgets, Cells, Controller, Effort, FleetError, Group, Replay, Row, Settings, Summary};
use ecomap_instances::Scenario;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::scenario::Budget;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::SolveOptions;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Largest trace file, bytes.
const LARGEST: u64 = 32 << 20;
/// What holds where a trace does not say: dirtier than most grids, so that caps are low.
const PESSIMISTIC: f64 = 900.0;

/// How often a replay says how far it is.
const TOLD: Duration = Duration::from_secs(5);

/// What the trace foretells.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Ahead {
    /// Nothing
    None,
    /// The truth
    Perfect,
    /// The same hours of the day before
    Yesterday,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario file, `-` for standard input, or name of an embedded scenario
    file: String,
    /// Trace of carbon intensity: CSV with `timestamp` and `gco2_per_kwh`, for all zones or as ZONE=FILE for one;
    /// without any, a seeded synthetic one
    #[arg(long, value_name = "[ZONE=]FILE")]
    carbon: Vec<String>,
    /// When the first row of the traces is taken to be
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z")]
    start: Timestamp,
    /// Hours to play
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    hours: u32,
    /// Spend so many grams a day, best over the day, instead of following the sites' own budgets
    #[arg(long, value_name = "GRAMS", value_parser = parse_grams)]
    allowance: Option<f64>,
    /// Whose days an allowance counts: a name such as Europe/Berlin, or a rule such as CET-1CEST,M3.5.0,M10.5.0/3
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = parse_days)]
    time_zone: TimeZone,
    /// What the traces foretell
    #[arg(long, value_enum, default_value = "yesterday")]
    foresight: Ahead,
    /// Watts by which a cap must rise to be taken over
    #[arg(long, value_name = "W", default_value = "0", value_parser = parse_grams)]
    threshold: f64,
    /// Minutes that a cap holds before it may rise
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    dwell: u32,
    /// What a plan must gain to replace one that still fits, in the objective's unit
    #[arg(long, default_value = "0.01", value_parser = parse_grams)]
    gain: f64,
    /// Relative gap at which a solve may stop
    #[arg(long, default_value = "0.01", value_parser = parse_gap)]
    gap: f64,
    /// Most branch-and-bound nodes of one solve; no time limit, so that a run repeats
    #[arg(long, default_value_t = 200)]
    work_limit: u64,
    /// Height of the cells of caps that are solved once each, as a share of the cap; 0 solves every hour
    #[arg(long, value_name = "SHARE", default_value = "0.05", value_parser = parse_grams)]
    cell: f64,
    /// Width of the cells of intensities, g/kWh
    #[arg(long, value_name = "GRAMS", default_value = "50", value_parser = parse_grams)]
    cell_grams: f64,
    /// Restarts of the local search in every hour
    #[arg(long, default_value_t = 1)]
    kicks: u16,
    /// Seed of every random choice, the synthetic trace among them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write the history as comma-separated values
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

fn parse_days(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text)
        .or_else(|_| TimeZone::posix(text))
        .map_err(|_| "neither the name of a time zone that this machine knows nor a POSIX rule".to_owned())
}

fn parse_grams(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|g: &f64| g.is_finite() && *g >= 0.0)
        .ok_or_else(|| "not a number, at least 0".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = SolveOptions {
        gap: args.gap,
        time_limit: None,
        work_limit: Some(args.work_limit),
        seed: args.seed,
        ..SolveOptions::default()
    };
    let clock = options.clock.clone();
    let document = input::read(&args.file)?;
    let loaded = pipeline::load(&document.name, &document.bytes, None, Sizes::UNBOUNDED, &*clock)?;
    drop(document);
    let priced = pipeline::price(loaded, Sizes::UNBOUNDED, &*clock)?;
    let Some(scenario) = priced.scenario else { bail!("a replay needs a scenario, with zones and sites") };
    let traces = traces(args, &scenario)?;
    let intensity: Vec<GramsPerKwh> = scenario.zones.iter().map(|z| z.carbon).collect();
    let budgets = budgets(args, &scenario)?;
    let zone_of = scenario.sites.iter().map(|s| s.zone.at()).collect();
    let effort = if args.cell > 0.0 {
        Effort::Cells(Cells {
            cap: args.cell,
            grams: args.cell_grams.max(1.0),
            kicks: usize::from(args.kicks),
        })
    } else {
        Effort::Every
    };
    let settings = Settings { options: options.clone(), gain: args.gain, effort };
    let mut controller = Controller::new(priced.instance, zone_of, budgets, settings);
    if let Ok(program) = std::env::current_exe() {
        let isolated = Isolated { isolation: Isolation::Large, program, silence: SILENCE };
        controller = controller.with_prover(Arc::new(Apart(isolated)));
    }
    let cancel = options.cancel.clone();
    cancel_on_interrupt(cancel);
    let begun = clock.now();
    if args.allowance.is_some() {
        controller.trace(&intensity)?;
    }
    let mut replay = Replay {
        controller,
        zones: traces,
        start: args.start,
        every: SignedDuration::from_hours(1),
        turns: usize::try_from(args.hours)?,
        days: args.time_zone.clone(),
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut times = Vec::new();
    let mut last = clock.now();
    let mut told = clock.now();
    let played = replay.run(|_, row, _| {
        let now = clock.now();
        if now.saturating_sub(told) >= TOLD {
            told = now;
            out::note(&format!("{} of {} hours", rows.len() + 1, args.hours));
        }
        times.push(now.saturating_sub(last).as_secs_f64());
        last = now;
        rows.push(row.clone());
    });
    let took = clock.now().saturating_sub(begun).as_secs_f64();
    if let Some(path) = &args.out {
        let names = Names {
            zones: scenario.zones.iter().map(|z| z.id.to_string()).collect(),
            sites: scenario.sites.iter().map(|s| s.id.to_string()).collect(),
        };
        out::write(path, csv(&names, &rows).as_bytes())?;
    }
    let summary = match played {
        Ok(summary) => summary,
        Err(error @ FleetError::Infeasible { .. }) => {
            out::note(&format!("{}: after {} turns: {error}", scenario.name, rows.len()));
            return Ok(Exit::Infeasible);
        }
        Err(error) => return Err(error.into()),
    };
    show(args, &scenario, &summary, (took, times))?;
    Ok(if summary.above_cap == 0 { Exit::Ok } else { Exit::CheckFailed })
}

/// A source and its chain for every zone.
fn traces(args: &Args, scenario: &Scenario) -> anyhow::Result<Vec<(Box<dyn Source>, Chain)>> {
    let foresight = match args.foresight {
        Ahead::None => Foresight::None,
        Ahead::Perfect => Foresight::Perfect(24),
        Ahead::Yesterday => Foresight::Yesterday(24),
    };
    let named = |zone: &str| {
        let of = |c: &&String| c.split_once('=').is_some_and(|(z, _)| z == zone);
        let all = |c: &&String| !c.contains('=');
        args.carbon.iter().find(of).or_else(|| args.carbon.iter().find(all))
    };
    for (zone, _) in args.carbon.iter().filter_map(|c| c.split_once('=')) {
        if !scenario.zones.iter().any(|z| z.id.as_str() == zone) {
            bail!("--carbon {zone}=…: the scenario has no zone `{zone}`");
        }
    }
    let mut all: Vec<(Box<dyn Source>, Chain)> = Vec::new();
    for (n, zone) in scenario.zones.iter().enumerate() {
        let text = match named(zone.id.as_str()) {
            Some(given) => {
                let path = given.split_once('=').map_or(given.as_str(), |(_, p)| p);
                let length = std::fs::metadata(path).with_context(|| format!("cannot read {path}"))?.len();
                if length > LARGEST {
                    bail!("{path}: larger than {LARGEST} bytes");
                }
                std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?
            }
            None if args.carbon.is_empty() => {
                synthetic::hourly(args.start, args.hours.div_ceil(24), args.seed.wrapping_add(n as u64))
            }
            None => bail!("no trace for zone `{}`: give one file, or ZONE=FILE for every zone", zone.id),
        };
        let trace = Trace::read(&text, zone.id.as_str(), Signal::Average, args.start, foresight)
            .with_context(|| format!("the trace of zone `{}`", zone.id))?;
        let names = [(Arc::clone(trace.name()), Signal::Average)];
        let fresh = SignedDuration::from_hours(1);
        let chain = Chain::new(&names, fresh, GramsPerKwh::new(PESSIMISTIC), false)?;
        all.push((Box::new(trace), chain));
    }
    Ok(all)
}

/// The sites' own budgets, or the allowance: one group a zone, its grams and watts by the sites' largest caps.
fn budgets(args: &Args, scenario: &Scenario) -> anyhow::Result<Budgets> {
    let threshold = Watts::new(args.threshold);
    let dwell = SignedDuration::from_mins(i64::from(args.dwell));
    let Some(grams) = args.allowance else { return Ok(Budgets::of(scenario, threshold, dwell)?) };
    let range = |budget: &Budget| match *budget {
        Budget::Unlimited => None,
        Budget::Fixed(cap) => Some((cap * 0.5, cap)),
        Budget::Linear { max, min, .. } => Some((min, max)),
    };
    let mut all: Vec<(Watts, Watts)> = Vec::new();
    for site in &scenario.sites {
        let Some(range) = range(&site.budget) else {
            bail!("--allowance: site `{}` has no cap to move", site.id)
        };
        all.push(range);
    }
    let whole: f64 = all.iter().map(|(_, most)| most.get()).sum();
    let mut groups = Vec::new();
    for zone in 0..scenario.zones.len() {
        let sites: Vec<(SiteIx, f64)> = (0..all.len())
            .filter(|s| scenario.sites[*s].zone.at() == zone)
            .map(|s| (SiteIx::new(s), all[s].1.get()))
            .collect();
        if sites.is_empty() {
            continue;
        }
        let sum = |pick: fn(&(Watts, Watts)) -> Watts| -> f64 {
            sites.iter().map(|(s, _)| pick(&all[s.at()]).get()).sum()
        };
        let (least, most) = (sum(|r| r.0), sum(|r| r.1));
        let range = Range::new(Watts::new(least), Watts::new(most))?;
        groups.push(Group {
            zone,
            policy: Some(Box::new(Allowance::new(range, grams * most / whole)?)),
            damper: Damper::new(threshold, dwell),
            frontier: Vec::new(),
            traced: Some(range),
            sites,
        });
    }
    Ok(Budgets::new(scenario, groups)?)
}

fn show(args: &Args, scenario: &Scenario, summary: &Summary, times: (f64, Vec<f64>)) -> anyhow::Result<()> {
    let (took, mut each) = times;
    each.sort_by(f64::total_cmp);
    let at = |share: usize| each.get((each.len() * share / 100).min(each.len().saturating_sub(1))).copied();
    let trace = if args.carbon.is_empty() { "synthetic" } else { "recorded" };
    if args.json {
        let summary = json!({
            "scenario": scenario.name, "trace": trace, "turns": summary.turns, "cap_changes": summary.cap_changes,
            "plans": summary.plans, "above_cap": summary.above_cap, "solves": summary.solves, "moves": summary.moves,
            "predicted_energy_wh": summary.energy_wh, "predicted_carbon_g": summary.carbon_g,
            "loss_hours": summary.loss_hours, "worst_gap": summary.worst_gap, "unproven": summary.unproven,
            "seconds": took, "seconds_median": at(50), "seconds_p95": at(95),
        });
        return out::print(&format!("{summary}\n"));
    }
    let mut table = Table::new(&["over the replay", ">"]);
    let text = |n: u64| n.to_string();
    let rows = [
        ("turns of an hour", text(summary.turns as u64)),
        ("with another cap", text(summary.cap_changes as u64)),
        ("above a cap", text(summary.above_cap as u64)),
        ("plans published", text(summary.plans)),
        ("tenants moved", text(summary.moves as u64)),
        ("solves beyond a lookup", text(summary.solves)),
        ("worst gap of a plan", summary.worst_gap.map_or_else(|| "-".to_owned(), percent)),
        ("energy, predicted, Wh", number(summary.energy_wh)),
        ("carbon, predicted, g", number(summary.carbon_g)),
        ("objective beside carbon, point-hours", number(summary.loss_hours)),
        ("seconds in all", number(took)),
        ("seconds a turn, median", at(50).map_or_else(String::new, number)),
        ("seconds a turn, 95 %", at(95).map_or_else(String::new, number)),
    ];
    for (name, value) in rows {
        table.row(vec![name.to_owned(), value]);
    }
    out::print(&format!("{}: {} hours of a {trace} trace\n{}", scenario.name, summary.turns, table.render()))
}
