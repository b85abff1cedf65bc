//! From a cap drop to a published, checked plan, beside a solve from nothing.
//!
//! ```sh
//! cargo run --release -p ecomap-benches --bin capdrop -- campus region
//! ```
//!
//! Every drop goes the same way: the controller runs a plan at a clean hour, then all zones turn dirty at once, so
//! that the sites' own linear budgets lower every cap; [`Controller::begin`] is timed from the call until the plan that
//! keeps the new caps is published, the checker's word included. Clean and dirty are drawn by seed. A drop that the
//! running plan survives counts as none and is drawn again.
//!
//! - `bare`: nothing is stored but the plan that runs, so it is taken from.
//! - `prepared`: the plans of hours before are stored too.
//!
//! The cold solve is the registered `exact` on the same problem at the caps of the drop, to `--gap` or `--limit`
//! seconds. Latencies are measured; watts and worth of plans are predicted by the analytic estimator.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use clap::Parser;
use ecomap_benches::{priced, quantile, scenario};
use ecomap_carbon::policy::PolicyError;
use ecomap_fleet::{Budgets, Controller, Effort, Settings};
use ecomap_instances::Instance;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::{SolveOptions, by_name, checker};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use std::error::Error;
use std::time::Duration;

#[derive(Parser)]
struct Args {
    /// Shipped scenarios
    #[arg(required = true)]
    scenario: Vec<String>,
    /// Drops timed in each state
    #[arg(long, default_value_t = 51)]
    drops: usize,
    /// Dirty hours solved before the prepared state is timed
    #[arg(long, default_value_t = 6)]
    hours: usize,
    /// Gap of every solve
    #[arg(long, default_value_t = 0.02)]
    gap: f64,
    /// Seconds of every solve
    #[arg(long, default_value_t = 10.0)]
    limit: f64,
    /// Cold solves
    #[arg(long, default_value_t = 3)]
    cold: usize,
    /// Seed of the hours
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    for name in &args.scenario {
        measure(name, &args)?;
    }
    Ok(())
}

/// What a drop came to.
struct Drop {
    seconds: f64,
    /// Worth of the plan published, objective's unit.
    value: f64,
    caps: Vec<Option<Watts>>,
    intensity: Vec<GramsPerKwh>,
}

fn measure(name: &str, args: &Args) -> Result<(), Box<dyn Error>> {
    let (scenario, instance) = (scenario(name), priced(name));
    let clock = SystemClock::new();
    let options = SolveOptions {
        gap: args.gap,
        time_limit: Some(Duration::from_secs_f64(args.limit)),
        ..SolveOptions::default()
    };
    let settings = Settings { options: options.clone(), gain: 0.01, effort: Effort::Every };
    let zones: Vec<usize> = scenario.sites.iter().map(|s| s.zone.at()).collect();
    let budgets = || Budgets::of(&scenario, Watts::ZERO, SignedDuration::ZERO);
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut first = Controller::new(instance.clone(), zones, budgets()?, settings);
    let hour = |n: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(n);
    let left = SignedDuration::from_hours(12);
    let ahead = |grams: f64| vec![vec![GramsPerKwh::new(grams); 26]; scenario.zones.len()];
    first.step(hour(1), &ahead(150.0), left)?;
    let bare = drops(&first, &budgets, args.drops, &mut rng, &clock, &ahead)?;
    for n in 0..args.hours {
        let share = (n + 1) as f64 / args.hours as f64;
        first.step(hour(2 + i64::try_from(n)?), &ahead(150.0 + 450.0 * share), left)?;
    }
    first.step(hour(1_000), &ahead(150.0), left)?;
    let prepared = drops(&first, &budgets, args.drops, &mut rng, &clock, &ahead)?;
    let exact = by_name("exact")?;
    let mut cold = Vec::new();
    for drop in prepared.iter().take(args.cold.max(1)) {
        let problem = at(&instance, drop)?;
        let begun = clock.now();
        let solution = exact.solve(&problem, &options, &mut ())?;
        let seconds = (clock.now() - begun).as_secs_f64();
        let value = solution.certificate.primal.unwrap_or(f64::NAN);
        cold.push((seconds, drop.value / value, solution.certificate.gap()));
    }
    let middle = |list: &[Drop], share: f64| quantile(list.iter().map(|d| d.seconds).collect(), share);
    let cold_seconds = quantile(cold.iter().map(|c| c.0).collect(), 0.5);
    for (state, list) in [("bare", &bare), ("prepared", &prepared)] {
        println!(
            "{}",
            json!({
                "scenario": scenario.name, "state": state, "drops": list.len(),
                "ms_median": middle(list, 0.5) * 1e3, "ms_p95": middle(list, 0.95) * 1e3,
                "ms_most": middle(list, 1.0) * 1e3,
                "cold_seconds_median": cold_seconds, "cold_solves": cold.len(),
                "cold_gap": cold.iter().map(|c| c.2).collect::<Vec<_>>(),
                "times_faster_than_cold": cold_seconds / middle(list, 0.5),
                "worth_beside_cold": (state == "prepared").then(|| cold.iter().map(|c| c.1).collect::<Vec<_>>()),
            })
        );
    }
    Ok(())
}

/// Times `count` drops, each from a copy of the same controller.
fn drops(
    from: &Controller,
    budgets: &impl Fn() -> Result<Budgets, PolicyError>,
    count: usize,
    rng: &mut ChaCha8Rng,
    clock: &SystemClock,
    ahead: &impl Fn(f64) -> Vec<Vec<GramsPerKwh>>,
) -> Result<Vec<Drop>, Box<dyn Error>> {
    let mut all = Vec::new();
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(2_000);
    for _ in 0..count * 4 {
        if all.len() == count {
            break;
        }
        let dirty = ahead(rng.random_range(250.0..650.0));
        let mut controller = from.fork(budgets()?);
        let begun = clock.now();
        let turn = controller.begin(now, &dirty, SignedDuration::from_hours(12))?;
        let seconds = (clock.now() - begun).as_secs_f64();
        let Some(published) = turn.published.first() else {
            let power = controller.running().map(|r| r.power.clone()).unwrap_or_default();
            let over = power.iter().zip(&turn.caps).any(|(p, c)| c.is_some_and(|c| p.get() > c.get() + 1e-6));
            if over {
                return Err("a drop without an answer".into());
            }
            continue;
        };
        let drop = Drop { seconds, value: published.value, caps: turn.caps, intensity: turn.intensity };
        let instance = controller.instance();
        let verdict = checker::check(instance, &published.plan, &instance.objective);
        if !verdict.passes() {
            return Err(format!("a published plan that fails: {}", verdict.summary()).into());
        }
        all.push(drop);
    }
    Ok(all)
}

/// The problem at the caps and intensities of a drop.
fn at(instance: &Instance, drop: &Drop) -> Result<Instance, Box<dyn Error>> {
    let mut parts = instance.to_parts();
    for (site, cap) in parts.sites.iter_mut().zip(&drop.caps) {
        site.cap = *cap;
        // All zones are equally dirty.
        site.carbon = drop.intensity.first().copied().unwrap_or(site.carbon);
    }
    Instance::try_new(parts).map_err(|issues| format!("{issues:?}").into())
}
