//! Solves a scenario for plans that a joint predictor accepts, and prints one JSON line each: plan, bound and
//! gap, what the best plan without regard to contention breaks, and what it took:
//! `cargo run --release -p ecomap-benches --bin contention -- [--scenario NAME] [--predictor NAME]…
//! [--seconds S] [--gap G] [--seed N]…`. `ECOMAP_LOG` asks for the log of the search.
#![allow(clippy::print_stdout)] // a command line prints

use clap::{Parser, ValueEnum};
use ecomap_estimator::learned::{Learned, Options, Serve};
use ecomap_estimator::{Roofline, price};
use ecomap_instances::scenario::SloBasis;
use ecomap_joint::Boards;
use ecomap_solver::SolveOptions;
use ecomap_solver::clock::{Clock, SystemClock};
use ecomap_solver::contention::{CutPool, Envelope, Settings, accepts, solve};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Predictor {
    Roofline,
    Forest,
    Transformer,
}

/// Plans under contention, with their proofs.
#[derive(Debug, Parser)]
struct Args {
    /// A shipped scenario.
    #[arg(long, default_value = "campus")]
    scenario: String,
    /// What must accept the plan.
    #[arg(long, value_enum, default_values = ["roofline", "transformer"])]
    predictor: Vec<Predictor>,
    /// Seconds for each.
    #[arg(long, default_value_t = 480.0)]
    seconds: f64,
    /// Relative gap asked for.
    #[arg(long, default_value_t = 0.01)]
    gap: f64,
    /// Seeds of random choices.
    #[arg(long, default_values_t = [0])]
    seed: Vec<u64>,
}

fn main() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("ECOMAP_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    if let Err(error) = run(&Args::parse()) {
        eprintln!("contention: {error}");
        std::process::exit(1);
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let scenario = ecomap_benches::scenario(&args.scenario).with_slo_basis(SloBasis::Isolated);
    let (instance, _) = price(&scenario, &Roofline::embedded()?)?;
    let clock = SystemClock::new();
    for (predictor, seed) in args.predictor.iter().flat_map(|p| args.seed.iter().map(move |s| (*p, *s))) {
        let learned = |serve| Learned::load(&Options { serve, ..Options::default() }).map(Arc::new);
        let boards = match predictor {
            Predictor::Roofline => Boards::closed_form(&scenario, &instance, Roofline::embedded()?),
            Predictor::Forest => Boards::learned(&scenario, &instance, learned(Serve::Forest)?),
            Predictor::Transformer => Boards::learned(&scenario, &instance, learned(Serve::Transformer)?),
        };
        let envelope = Envelope::new(boards);
        let options = SolveOptions {
            time_limit: Some(Duration::from_secs_f64(args.seconds)),
            gap: args.gap,
            seed,
            ..SolveOptions::default()
        };
        let begun = clock.now();
        let answer = solve(
            &instance,
            &envelope,
            &options,
            Settings::default(),
            &mut CutPool::default(),
            &mut |_: &ecomap_solver::Incumbent| {},
        )?;
        let spent = (clock.now() - begun).as_secs_f64();
        let certificate = &answer.solution.certificate;
        let plan = answer.solution.assignment.as_ref();
        // Asked again, and not of the search's memory.
        let accepted = plan.map(|plan| accepts(&instance, envelope.inner(), plan).map(|v| v.accepted()));
        let (primal, dual) = (certificate.primal, certificate.dual);
        let gap = primal.zip(dual).map(|(p, d)| (p - d).abs() / p.abs().max(1e-9));
        let report = &answer.report;
        println!(
            "{}",
            serde_json::json!({
                "scenario": args.scenario,
                "predictor": report.source,
                "seed": seed,
                "value": primal,
                "bound": dual,
                "gap": gap,
                "accepted": accepted.transpose()?,
                "method": certificate.method,
                "ended": format!("{:?}", certificate.termination),
                "seconds": spent,
                "nodes": certificate.nodes,
                "states": report.states,
                "boards_predicted": report.boards_judged,
                "broken_without": {
                    "slos": report.first_slos_broken,
                    "budgets": report.first_budgets_broken,
                    "caps": report.first_caps_broken,
                },
            })
        );
    }
    Ok(())
}
