//! The daily allowance beside the linear policy, at the same carbon, over recorded months.
//!
//! ```sh
//! cargo run --release -p ecomap-benches --bin allowance -- --data ../shared/data/carbon/hourly --out allowance.csv
//! ```
//!
//! Chosen before looking, by `--seed`: the files are shuffled, the first file of each of the first ten regions is taken,
//! and of each a month. For each region-month:
//!
//! 1. **linear** runs, its clean and dirty ends at the 5th and 95th percentile of the region's year;
//! 2. the **allowance** of every day is what linear emitted on that day (`day`), or the same each day, the month's mean,
//!    unspent grams staying in the bank (`month`); it may not emit more than linear over the month;
//! 3. it foresees by (27) from hours that are past (`honest`), or the truth (`perfect`, which nobody has).
//!
//! Both policies move one cap of the whole campus, split over the sites in the same shares; plans of both come from the
//! same store, filled once by exact solves along the range of caps, objective `ecomap:carbon=0`: carbon is the
//! policies' business. Intensities are recorded; draws, emissions and losses are predicted by the analytic estimator.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::cast_precision_loss)]

use clap::Parser;
use ecomap_benches::{quantile, scenario};
use ecomap_carbon::forecast::{FADE, hours_ahead};
use ecomap_carbon::policy::{Allowance, Linear, Range};
use ecomap_carbon::{Damper, Policy};
use ecomap_estimator::{Roofline, price};
use ecomap_fleet::{Budgets, Cells, Controller, Effort, Group, Settings};
use ecomap_instances::ids::SiteIx;
use ecomap_instances::scenario::Budget;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_instances::{Objective, Scenario};
use ecomap_solver::SolveOptions;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

type Done<T> = Result<T, Box<dyn Error>>;

/// Hours that a policy is told of.
const AHEAD: usize = 26;

#[derive(Parser)]
struct Args {
    /// Folder of hourly traces, REGION_YEAR.csv
    #[arg(long)]
    data: PathBuf,
    /// Write the table as comma-separated values
    #[arg(long)]
    out: Option<PathBuf>,
    /// Region-months
    #[arg(long, default_value_t = 10)]
    months: usize,
    /// Seed of the choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Gap of the solves that fill the store
    #[arg(long, default_value_t = 0.01)]
    gap: f64,
    /// Most nodes of one of them
    #[arg(long, default_value_t = 200)]
    work_limit: u64,
    /// Height of the cells that they are made for, as a share of a cap
    #[arg(long, default_value_t = 0.04)]
    cell: f64,
}

/// A region's month and the hours around it.
struct Month {
    region: String,
    year: i16,
    month: i8,
    /// The whole year, g/kWh.
    year_hours: Vec<f64>,
    /// Hours of the month within it.
    hours: std::ops::Range<usize>,
    start: Timestamp,
}

/// What a run came to.
#[derive(Clone)]
struct Run {
    carbon_g: f64,
    loss: f64,
    by_day: Vec<f64>,
    above: usize,
    overdrawn: usize,
}

fn main() -> Done<()> {
    let args = Args::parse();
    let months = chosen(&args)?;
    let objective = Objective::parse("ecomap:carbon=0").map_err(|(_, what)| what)?;
    let campus = scenario("campus").with_objective(objective.clone());
    let range = range(&campus)?;
    let mut prepared = controller(&campus, range, &args, objective)?;
    eprintln!("filling the store of plans");
    prepared.trace(&[GramsPerKwh::ZERO, GramsPerKwh::ZERO])?;
    let frontier = prepared.budgets().groups().first().map(|g| g.frontier.clone()).unwrap_or_default();
    for p in &frontier {
        eprintln!("cap {:6.2} W  draw {:6.2} W  loss {:8.3} points", p.cap.get(), p.draw.get(), p.loss);
    }
    let mut csv = String::from(
        "region,year,month,per,foresight,linear_carbon_g,allowance_carbon_g,linear_loss_point_hours,\
         allowance_loss_point_hours,less_loss_percent,hours_overdrawn,wins\n",
    );
    print!("{csv}");
    for per in ["day", "month"] {
        for foresight in ["honest", "perfect"] {
            let mut wins = 0;
            for month in &months {
                let study = Study { prepared: &prepared, campus: &campus, range, frontier: &frontier };
                let linear = study.linear(month)?;
                let spent = study.allowance(month, &linear, per == "month", foresight == "perfect")?;
                let less = 100.0 * (linear.loss - spent.loss) / linear.loss;
                let within = spent.carbon_g <= linear.carbon_g * (1.0 + 1e-9);
                let wins_here = within && spent.loss < linear.loss && spent.above + linear.above == 0;
                wins += usize::from(wins_here);
                let row = format!(
                    "{},{},{},{per},{foresight},{:.1},{:.1},{:.2},{:.2},{less:.2},{},{wins_here}",
                    month.region,
                    month.year,
                    month.month,
                    linear.carbon_g,
                    spent.carbon_g,
                    linear.loss,
                    spent.loss,
                    spent.overdrawn
                );
                println!("{row}");
                writeln!(csv, "{row}")?;
                if let Some(path) = &args.out {
                    std::fs::write(path, &csv)?;
                }
            }
            eprintln!("{per}, {foresight}: less lost in {wins} of {}", months.len());
        }
    }
    Ok(())
}

/// The region-months of the seed.
fn chosen(args: &Args) -> Done<Vec<Month>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(&args.data)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "csv"))
        .collect();
    files.sort();
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    files.shuffle(&mut rng);
    let mut seen = BTreeSet::new();
    let mut months = Vec::new();
    for file in &files {
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        let Some((region, year)) = stem.rsplit_once('_') else { continue };
        if months.len() == args.months || !seen.insert(region.to_owned()) {
            continue;
        }
        months.push(month(file, region, year.parse()?, rng.random_range(1..=12))?);
    }
    Ok(months)
}

fn month(file: &Path, region: &str, year: i16, month: i8) -> Done<Month> {
    let text = std::fs::read_to_string(file)?;
    let first = Date::new(year, month, 1)?.to_zoned(jiff::tz::TimeZone::UTC)?;
    let next = first.checked_add(1.month())?;
    let mut year_hours = Vec::new();
    let (mut begin, mut end) = (usize::MAX, 0);
    for line in text.lines().skip(1) {
        let mut fields = line.split(',');
        let at: Timestamp = fields.next().unwrap_or_default().parse()?;
        let grams: f64 = fields.next().unwrap_or_default().parse()?;
        if (first.timestamp()..next.timestamp()).contains(&at) {
            (begin, end) = (begin.min(year_hours.len()), year_hours.len() + 1);
        }
        year_hours.push(grams);
    }
    let (region, hours) = (region.to_owned(), begin.min(end)..end);
    Ok(Month { region, year, month, year_hours, hours, start: first.timestamp() })
}

fn range(campus: &Scenario) -> Done<Range> {
    let sum = |pick: fn(&Budget) -> f64| campus.sites.iter().map(|s| pick(&s.budget)).sum::<f64>();
    let least = sum(|b| if let Budget::Linear { min, .. } = b { min.get() } else { 0.0 });
    let most = sum(|b| if let Budget::Linear { max, .. } = b { max.get() } else { 0.0 });
    Ok(Range::new(Watts::new(least), Watts::new(most))?)
}

/// One group of all sites: the zones see the same trace.
fn budgets(campus: &Scenario, policy: Box<dyn Policy>, range: Range) -> Done<Budgets> {
    let share = |b: &Budget| if let Budget::Linear { max, .. } = b { max.get() } else { 0.0 };
    let sites = campus.sites.iter().enumerate().map(|(s, site)| (SiteIx::new(s), share(&site.budget)));
    let group = Group {
        zone: 0,
        sites: sites.collect(),
        policy: Some(policy),
        damper: Damper::new(Watts::ZERO, SignedDuration::ZERO),
        frontier: Vec::new(),
        traced: Some(range),
    };
    Ok(Budgets::new(campus, vec![group])?)
}

fn controller(campus: &Scenario, range: Range, args: &Args, objective: Objective) -> Done<Controller> {
    let (instance, _) = price(campus, &Roofline::embedded()?)?;
    let options = SolveOptions {
        gap: args.gap,
        time_limit: None,
        work_limit: Some(args.work_limit),
        objective: Some(objective),
        ..SolveOptions::default()
    };
    let effort = Effort::Cells(Cells { cap: args.cell, grams: 1e6, kicks: 1 });
    let settings = Settings { options, gain: 0.0, effort };
    let zones = campus.sites.iter().map(|s| s.zone.at()).collect();
    let policy = Box::new(Allowance::new(range, 0.0)?);
    Ok(Controller::new(instance, zones, budgets(campus, policy, range)?, settings))
}

struct Study<'a> {
    prepared: &'a Controller,
    campus: &'a Scenario,
    range: Range,
    frontier: &'a [ecomap_carbon::policy::Point],
}

impl Study<'_> {
    fn linear(&self, month: &Month) -> Done<Run> {
        let end = |share| GramsPerKwh::new(quantile(month.year_hours.clone(), share));
        let policy = Linear::new(self.range, end(0.05), end(0.95))?;
        let mut run = Run::new();
        let mut controller = self.begin(Box::new(policy))?;
        self.play(&mut controller, month, month.hours.clone(), false, &mut run)?;
        Ok(run)
    }

    fn allowance(&self, month: &Month, linear: &Run, banked: bool, perfect: bool) -> Done<Run> {
        let mut run = Run::new();
        let days = linear.by_day.len();
        let mean = linear.carbon_g / days as f64;
        let mut bank = 0.0_f64;
        for (day, of_linear) in linear.by_day.iter().enumerate() {
            let from = month.hours.start + day * 24;
            let grams = if banked { mean + bank } else { *of_linear };
            let policy = Allowance::new(self.range, grams.max(0.0))?;
            let mut controller = self.begin(Box::new(policy))?;
            let before = run.carbon_g;
            self.play(&mut controller, month, from..(from + 24).min(month.hours.end), perfect, &mut run)?;
            bank = grams - (run.carbon_g - before);
        }
        Ok(run)
    }

    fn begin(&self, policy: Box<dyn Policy>) -> Done<Controller> {
        let mut budgets = budgets(self.campus, policy, self.range)?;
        if let Some(group) = budgets.group_mut(0) {
            group.frontier = self.frontier.to_vec();
        }
        let mut controller = self.prepared.fork(budgets);
        controller.set_effort(Effort::Stored { kicks: 0 });
        Ok(controller)
    }

    fn play(
        &self,
        controller: &mut Controller,
        month: &Month,
        hours: std::ops::Range<usize>,
        perfect: bool,
        run: &mut Run,
    ) -> Done<()> {
        for hour in hours {
            let past = &month.year_hours[hour.saturating_sub(48)..=hour];
            let ahead: Vec<f64> = if perfect {
                let end = (hour + AHEAD).min(month.year_hours.len());
                month.year_hours[hour..end].to_vec()
            } else {
                hours_ahead(past, AHEAD, FADE)
            };
            let ahead: Vec<GramsPerKwh> = ahead.into_iter().map(GramsPerKwh::new).collect();
            let offset = i64::try_from(hour - month.hours.start)?;
            let now = month.start + SignedDuration::from_hours(offset);
            let left = SignedDuration::from_hours(24 - offset % 24);
            let turn = controller.step(now, &vec![ahead; self.campus.zones.len()], left)?;
            let running = controller.running().ok_or("nothing runs")?;
            let grams = month.year_hours[hour] / 1_000.0;
            let watts: f64 = running.power.iter().map(|p| p.get()).sum();
            let over = |(p, c): (&Watts, &Option<Watts>)| c.is_some_and(|c| p.get() > c.get() + 1e-6);
            run.above += usize::from(running.power.iter().zip(&turn.caps).any(over));
            run.overdrawn +=
                turn.clips.iter().flatten().filter(|c| **c == ecomap_carbon::policy::Clip::Overdrawn).count();
            if offset % 24 == 0 {
                run.by_day.push(0.0);
            }
            run.carbon_g += watts * grams;
            run.loss += running.loss;
            if let Some(day) = run.by_day.last_mut() {
                *day += watts * grams;
            }
        }
        Ok(())
    }
}

impl Run {
    fn new() -> Self {
        Self { carbon_g: 0.0, loss: 0.0, by_day: Vec::new(), above: 0, overdrawn: 0 }
    }
}
