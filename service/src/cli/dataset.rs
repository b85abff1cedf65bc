//! `ecomap dataset`.

use super::{Exit, out};
use crate::ServiceError;
use ecomap_estimator::dataset::{Effort, Sampler, Spec, Split, write, write_pairs};
use ecomap_estimator::measure::{compare, rows::rows as measured_rows};
use ecomap_instances::Seed;
use std::path::PathBuf;

/// Most rows of one file.
const MOST_ROWS: u64 = 10_000_000;

/// Largest number of a first plan: the column of the file is of 64 bits with a sign.
const MOST_FIRST: u64 = 1 << 62;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Parquet file to write
    #[arg(long, value_name = "FILE.parquet")]
    out: PathBuf,
    /// Part of the data: `train`, `validation`, `test`, `test-device`, `test-family`, or `pairs`
    #[arg(long, default_value = "train")]
    split: String,
    /// Plans
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=MOST_ROWS))]
    rows: u64,
    /// Number of the first plan: files with other ranges are parts of one data set
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=MOST_FIRST))]
    first: u64,
    /// Seed; the same seed, split and number give the same plan
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Requests that the slowest tenant of a plan should see; by default 800 for `train`, else 4000
    #[arg(long)]
    requests: Option<f64>,
    /// Events simulated for a plan at most
    #[arg(long, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    max_events: Option<u64>,
    /// Co-runs measured by `ecomap profile run`: their rows, of split `measured`, follow the simulated ones
    #[arg(long, value_name = "FILE.json")]
    measured: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let sampler = Sampler::embedded().map_err(ServiceError::from)?;
    let seed = Seed(args.seed);
    let (mut rows, mut left) = (Vec::new(), 0);
    for path in &args.measured {
        let measured = super::profile::open(path)?;
        let tuning = compare(&measured).map_err(ServiceError::from)?.tuning;
        let (more, without) = measured_rows(&measured, &tuning).map_err(ServiceError::from)?;
        let disturbed = measured.runs.iter().filter(|r| r.kept && r.noisy).count();
        if disturbed > 0 {
            out::note(&format!("{}: {disturbed} of its runs were disturbed by other work", path.display()));
        }
        rows.extend(more);
        left += without;
    }
    if args.split == "pairs" {
        if !args.measured.is_empty() {
            return Err(ServiceError::Usage("--measured does not go with pairs".to_owned()).into());
        }
        write_pairs(&sampler, seed, args.rows, &args.out).map_err(ServiceError::from)?;
        return Ok(Exit::Ok);
    }
    let split = Split::named(&args.split).ok_or_else(|| {
        let known = Split::ALL.map(Split::as_str).join(", ");
        ServiceError::Usage(format!("there is no split `{}`; known: {known}, pairs", args.split))
    })?;
    let usual = if split == Split::Train { Effort::TRAIN } else { Effort::TEST };
    let requests = args.requests.unwrap_or(usual.requests);
    if !(1.0..=1e7).contains(&requests) {
        return Err(ServiceError::Usage("--requests must lie between 1 and 10 million".to_owned()).into());
    }
    let effort = Effort { requests, max_events: args.max_events.unwrap_or(usual.max_events) };
    let spec = Spec { seed, split, first: args.first, rows: args.rows, effort };
    let mut told = 0;
    write(&sampler, &spec, &rows, &args.out, |done| told = done).map_err(ServiceError::from)?;
    out::print(&format!(
        "{}: {told} simulated plans of split {}, seed {seed}\n",
        args.out.display(),
        args.split
    ))?;
    if !args.measured.is_empty() {
        out::print(&format!("{} measured co-runs; {left} with a closed loop left out\n", rows.len()))?;
    }
    Ok(Exit::Ok)
}
