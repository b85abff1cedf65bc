//! Times price decomposition on synthetic pool problems; one JSON line an answer.
//!
//! `cargo run --release -p ecomap-benches --bin pool -- cold --tenants 1000 --options 50 --rows 10`
//!
//! `export` writes the same problems in the MMKP library's layout, so that other solvers can be timed
//! on them: `benches/peers/bench.py` does. Times are those of the solve alone, the problem in memory.
#![allow(clippy::print_stdout)] // a command line prints

use clap::{Args, Parser, Subcommand};
use ecomap_instances::format::mmkp;
use ecomap_mmkp::pool::Pool;
use ecomap_mmkp::{Answer, Limits, Problem, generate, solve};
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::{SolveOptions, by_name};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

type Fault = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Fault>;

#[derive(Parser)]
#[command(about = "Times price decomposition on synthetic pool problems")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Solves from nothing
    Cold(Cold),
    /// Solves again after each of many changes of the power cap
    Resolve(Resolve),
    /// Prepares a pool over power caps, then only looks up
    Lookup(Lookup),
    /// Time by number of tenants, and the exponent of its growth
    Growth(Growth),
    /// Solves to proven optimality by the registered solver, reading and checking included
    Proved(Cold),
    /// Writes a problem in the MMKP library's layout
    Export(Export),
}

#[derive(Args)]
struct Shape {
    #[arg(long, default_value_t = 1000)]
    tenants: usize,
    #[arg(long, default_value_t = 10)]
    options: usize,
    #[arg(long, default_value_t = 10)]
    rows: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; 0 takes all
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Relative gap to prove
    #[arg(long, default_value_t = 1e-3)]
    gap: f64,
}

#[derive(Args)]
struct Cold {
    #[command(flatten)]
    shape: Shape,
    /// Seconds for one solve
    #[arg(long, default_value_t = 60.0)]
    limit: f64,
    /// Solves; the median time counts
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Prints the option of every tenant too
    #[arg(long)]
    plan: bool,
}

#[derive(Args)]
struct Resolve {
    #[command(flatten)]
    shape: Shape,
    /// Changes of the cap
    #[arg(long, default_value_t = 20)]
    changes: usize,
}

#[derive(Args)]
struct Lookup {
    #[command(flatten)]
    shape: Shape,
    /// Caps asked for
    #[arg(long, default_value_t = 2000)]
    asked: usize,
    /// Seconds for preparing
    #[arg(long, default_value_t = 60.0)]
    limit: f64,
}

#[derive(Args)]
struct Growth {
    #[command(flatten)]
    shape: Shape,
    /// Numbers of tenants
    #[arg(long, value_delimiter = ',', default_value = "10000,30000,100000,300000,1000000")]
    sizes: Vec<usize>,
    /// Seeds for each
    #[arg(long, default_value_t = 3)]
    seeds: u64,
}

#[derive(Args)]
struct Export {
    #[command(flatten)]
    shape: Shape,
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<(), Fault> {
    match Cli::parse().command {
        Command::Cold(args) => within(args.shape.threads, || cold(&args))?,
        Command::Resolve(args) => within(args.shape.threads, || resolve(&args))?,
        Command::Lookup(args) => within(args.shape.threads, || lookup(&args))?,
        Command::Growth(args) => within(args.shape.threads, || growth(&args))?,
        Command::Proved(args) => within(args.shape.threads, || proved(&args))?,
        Command::Export(args) => export(&args),
    }
}

/// Runs `work` on so many threads.
fn within<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Result<T, Fault> {
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(work))
}

fn problem(shape: &Shape) -> Result<Problem, Fault> {
    Ok(generate::pool(shape.tenants, shape.options, shape.rows, shape.seed)?)
}

fn described(shape: &Shape, more: Value) -> Value {
    let mut line = json!({
        "solver": "ecomap", "tenants": shape.tenants, "options": shape.options, "rows": shape.rows,
        "seed": shape.seed, "threads": shape.threads,
    });
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    line
}

/// Solves until the gap or the limit; seconds taken.
fn timed(problem: &Problem, gap: f64, limit: f64, clock: &SystemClock) -> (Answer, f64) {
    let start = clock.now();
    let until = start + Duration::from_secs_f64(limit);
    let stop = || clock.now() >= until;
    let answer = solve(problem, &Limits { gap, work: u64::MAX, seed: 1, stop: &stop });
    (answer, (clock.now() - start).as_secs_f64())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn cold(args: &Cold) -> Done {
    let problem = problem(&args.shape)?;
    let clock = SystemClock::new();
    let mut seconds = Vec::new();
    let mut last = None;
    for _ in 0..args.repeat.max(1) {
        let (answer, took) = timed(&problem, args.shape.gap, args.limit, &clock);
        seconds.push(took);
        last = Some(answer);
    }
    let Some(answer) = last else { return Ok(()) };
    let choice = answer.choice.as_deref().unwrap_or_default();
    let (value, used) = problem.judge(choice);
    let mut line = described(
        &args.shape,
        json!({
            "seconds": median(seconds), "value": answer.value, "bound": answer.bound, "gap": answer.gap(),
            "fits": !choice.is_empty() && problem.fits(&used) && value == answer.value,
        }),
    );
    if args.plan {
        line["plan"] = json!(choice);
    }
    println!("{line}");
    Ok(())
}

/// The n-th power cap, as a share of the full one: 60 to 100 %, well spread, the same for every solver.
fn share(n: usize) -> f64 {
    0.6 + 0.4 * (0.618_033_988_749_895 * (n + 1) as f64).fract()
}

/// The capacities with the power row, the last but one, at `share`.
fn capped(full: &[f64], share: f64) -> Vec<f64> {
    let mut capacity = full.to_vec();
    let power = capacity.len().saturating_sub(2);
    if let Some(c) = capacity.get_mut(power) {
        *c = (*c * share).floor();
    }
    capacity
}

fn resolve(args: &Resolve) -> Done {
    let problem = problem(&args.shape)?;
    let full = problem.capacity().to_vec();
    let clock = SystemClock::new();
    let limits = Limits { gap: args.shape.gap, work: u64::MAX, seed: 1, stop: &|| false };
    let mut pool = Pool::new(problem);
    pool.resolve(&full, &limits)?;
    for n in 0..args.changes {
        let capacity = capped(&full, share(n));
        let start = clock.now();
        let answer = pool.resolve(&capacity, &limits)?;
        let took = (clock.now() - start).as_secs_f64();
        let fits = answer.choice.as_ref().is_some_and(|c| {
            let (_, used) = pool.problem().judge(c);
            used.iter().zip(&capacity).all(|(u, c)| u <= c)
        });
        println!(
            "{}",
            described(
                &args.shape,
                json!({
                    "change": n, "share": share(n), "seconds": took, "value": answer.value,
                    "bound": answer.bound, "gap": answer.gap(), "searched": answer.work > 0, "fits": fits,
                })
            )
        );
    }
    Ok(())
}

fn lookup(args: &Lookup) -> Done {
    let problem = problem(&args.shape)?;
    let full = problem.capacity().to_vec();
    let clock = SystemClock::new();
    let start = clock.now();
    let until = start + Duration::from_secs_f64(args.limit);
    let stop = || clock.now() >= until;
    let limits = Limits { gap: args.shape.gap, work: u64::MAX, seed: 1, stop: &stop };
    let mut pool = Pool::new(problem);
    pool.prepare(&capped(&full, 0.6), &full, args.shape.gap, &limits)?;
    let prepared = (clock.now() - start).as_secs_f64();
    let asked: Vec<Vec<f64>> = (0..args.asked).map(|n| capped(&full, share(n))).collect();
    let start = clock.now();
    let answers: Vec<_> = asked.iter().map(|c| pool.lookup(std::hint::black_box(c))).collect();
    let each = (clock.now() - start).as_secs_f64() / args.asked.max(1) as f64;
    let mut gaps: Vec<f64> = answers.iter().map(ecomap_mmkp::pool::Lookup::gap).collect();
    gaps.sort_by(f64::total_cmp);
    let fits = answers.iter().zip(&asked).all(|(a, c)| {
        a.plan.and_then(|p| pool.plan(p)).is_some_and(|p| p.used.iter().zip(c).all(|(u, c)| u <= c))
    });
    println!(
        "{}",
        described(
            &args.shape,
            json!({
                "prepared_seconds": prepared, "stored": pool.len(), "seconds": each,
                "gap_median": gaps.get(gaps.len() / 2), "gap_worst": gaps.last(), "fits": fits,
            })
        )
    );
    Ok(())
}

fn growth(args: &Growth) -> Done {
    let clock = SystemClock::new();
    let mut points = Vec::new();
    for &tenants in &args.sizes {
        let (mut seconds, mut worst) = (Vec::new(), 0.0_f64);
        for seed in 0..args.seeds.max(1) {
            let problem = generate::pool(tenants, args.shape.options, args.shape.rows, seed)?;
            let (answer, took) = timed(&problem, args.shape.gap, 600.0, &clock);
            worst = worst.max(answer.gap());
            seconds.push(took);
        }
        let middle = median(seconds);
        points.push(((tenants as f64).ln(), middle.ln()));
        let line = json!({
            "solver": "ecomap", "tenants": tenants, "options": args.shape.options, "rows": args.shape.rows,
            "threads": args.shape.threads, "seeds": args.seeds, "seconds": middle, "gap_worst": worst,
        });
        println!("{line}");
    }
    println!("{}", json!({ "exponent": slope(&points) }));
    Ok(())
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (sx, sy) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mx, my) = (sx / n, sy / n);
    let (over, under) =
        points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + (x - mx) * (y - my), b + (x - mx) * (x - mx)));
    over / under
}

fn proved(args: &Cold) -> Done {
    let text = text(&problem(&args.shape)?)?;
    let instance = mmkp::read(text.as_bytes(), "pool")?;
    let clock = SystemClock::new();
    let mut seconds = Vec::new();
    for _ in 0..args.repeat.max(1) {
        let options = SolveOptions {
            gap: 0.0,
            time_limit: Some(Duration::from_secs_f64(args.limit)),
            ..SolveOptions::default()
        };
        let start = clock.now();
        let solution = by_name("exact")?.solve(&instance, &options, &mut ())?;
        seconds.push((clock.now() - start).as_secs_f64());
        if seconds.len() == args.repeat.max(1) {
            let c = &solution.certificate;
            let more = json!({
                "seconds": median(seconds.clone()), "value": c.primal, "bound": c.dual, "gap": c.gap(),
                "fits": solution.verdict.as_ref().is_some_and(ecomap_solver::checker::Verdict::passes),
                "method": c.method,
            });
            println!("{}", described(&args.shape, more));
        }
    }
    Ok(())
}

fn export(args: &Export) -> Done {
    std::fs::write(&args.out, text(&problem(&args.shape)?)?)?;
    Ok(())
}

/// The problem in the MMKP library's layout.
fn text(problem: &Problem) -> Result<String, Fault> {
    let mut text = format!("{} {}\n", problem.classes(), problem.rows());
    for c in problem.capacity() {
        write!(text, "{c} ")?;
    }
    for class in 0..problem.classes() {
        write!(text, "\n{}", problem.options(class))?;
        for option in 0..problem.options(class) {
            write!(text, "\n{}", problem.value(class, option))?;
            for row in 0..problem.rows() {
                write!(text, " {}", problem.weight(class, option, row))?;
            }
        }
    }
    text.push('\n');
    Ok(text)
}
