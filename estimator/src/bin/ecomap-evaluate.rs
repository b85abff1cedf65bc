//! Fits the classical regressors, judges every predictor on held-out plans, and writes the model card.
//!
//! ```text
//! ecomap-evaluate --data DIR --model estimator/data/model/joint.onnx --out docs/src/model-card.md
//!                 [--forest estimator/data/model/forest.bin] [--also NAME=FILE.onnx]... [--workloads 50]
//! ```

#![allow(clippy::print_stdout)]

use ecomap_estimator::EstimatorError;
use ecomap_estimator::coexecution::Coexecution;
use ecomap_estimator::dataset::{Draw, Effort, Row, Sampler, Split, parquet};
use ecomap_estimator::evaluation::card::{Card, Entry, page};
use ecomap_estimator::evaluation::{Ask, judge, linear, monotone, ranking};
use ecomap_estimator::features::Encoded;
use ecomap_estimator::learned::artifact::{Artifact, Conformal};
use ecomap_estimator::learned::forest::{Forests, Lesson, Pooled};
use ecomap_estimator::learned::network::Network;
use ecomap_estimator::learned::{Factors, batch};
use ecomap_estimator::parameters::Parameters;
use ecomap_estimator::regress::{KNearest, KNearestParams, Ridge, RidgeParams};
use ecomap_instances::Seed;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tenants (and plans) that the regressors are fitted on.
const FITTED: usize = 60_000;
const NEIGHBOURS: usize = 20_000;
const TESTS: [Split; 3] = [Split::Test, Split::TestDevice, Split::TestFamily];

struct Arguments {
    data: PathBuf,
    model: PathBuf,
    out: PathBuf,
    forest: Option<PathBuf>,
    also: Vec<(String, PathBuf)>,
    workloads: u64,
    plans: usize,
    seed: Seed,
}

fn arguments() -> Result<Arguments, String> {
    let mut a = Arguments {
        data: PathBuf::new(),
        model: PathBuf::from("estimator/data/model/joint.onnx"),
        out: PathBuf::from("docs/src/model-card.md"),
        forest: None,
        also: Vec::new(),
        workloads: 50,
        plans: 200,
        seed: Seed(7),
    };
    let mut list = std::env::args().skip(1);
    while let Some(name) = list.next() {
        let value = list.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{name} {value}: {e}"));
        match name.as_str() {
            "--data" => a.data = value.into(),
            "--model" => a.model = value.into(),
            "--out" => a.out = value.into(),
            "--forest" => a.forest = Some(value.into()),
            "--also" => {
                let (name, file) = value.split_once('=').ok_or("--also NAME=FILE")?;
                a.also.push((name.to_owned(), file.into()));
            }
            "--workloads" => a.workloads = number()?,
            "--plans" => a.plans = usize::try_from(number()?).map_err(|e| e.to_string())?,
            "--seed" => a.seed = Seed(number()?),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    if a.data.as_os_str().is_empty() { Err("--data DIR is needed".to_owned()) } else { Ok(a) }
}

fn main() -> ExitCode {
    match arguments().and_then(|a| run(&a).map_err(|e| e.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("ecomap-evaluate: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that predictors are judged on.
struct Trial {
    rows: Vec<Row>,
    draws: Vec<Draw>,
    workloads: ranking::Workloads,
    alternatives: Vec<Vec<Draw>>,
}

fn run(a: &Arguments) -> Result<(), EstimatorError> {
    let trial = trial(a)?;
    let training = training(&a.data)?;
    let lessons: Vec<Lesson<'_>> = training.iter().map(lesson).collect();
    let artifact = Artifact::open(&a.model)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let none = Conformal { p95: 1.0, p99: 1.0 };

    let mut entries = Vec::new();
    let network = Network::load(&artifact, cores, batch::PLANS)?;
    entries.push(entry(
        "transformer",
        "the shipped network, served by ONNX Runtime",
        &trial,
        artifact.record.conformal,
        &|p| network.run(p),
    )?);
    for (name, file) in &a.also {
        let other = Artifact::open(file)?;
        let network = Network::load(&other, cores, batch::PLANS)?;
        let what = format!("{}; {} epochs", about(name), read_record(file)?["epochs"]);
        entries.push(entry(name, &what, &trial, other.record.conformal, &|p| network.run(p))?);
    }
    let forest = Forests::fit(&lessons, &Forests::shipped_params(), FITTED, Seed(1))?;
    let bytes = forest.to_bytes()?;
    entries.push(entry(
        "forest",
        "random forests on pooled features (smartcore), the fallback",
        &trial,
        none,
        &|p| forest.run(p),
    )?);
    let ridge = Pooled::<Ridge>::fit(&lessons, &RidgeParams::default(), FITTED, Seed(1))?;
    entries.push(entry(
        "ridge",
        "linear regression with an l2 penalty on the same features",
        &trial,
        none,
        &|p| ridge.run(p),
    )?);
    let nearest = Pooled::<KNearest>::fit(&lessons, &KNearestParams::default(), NEIGHBOURS, Seed(1))?;
    let few = few(&trial);
    entries.push(entry(
        "nearest neighbours",
        "k nearest neighbours on the same features, judged on every tenth plan",
        &few,
        none,
        &|p| nearest.run(p),
    )?);
    entries.push(roofline(&trial)?);

    if let Some(path) = &a.forest {
        write(path, &bytes)?;
    }
    let record = read_record(&a.model)?;
    let number = |key: &str| record.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let real = |key: &str| record.get(key).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    let card = Card {
        model: artifact.short_hash().to_owned(),
        bytes: (artifact.model.len(), bytes.len()),
        parameters: number("parameters"),
        rows: number("rows"),
        minutes: real("minutes"),
        epochs: number("epochs"),
        seed: number("seed"),
        parity: real("parity"),
        conformal: (artifact.record.conformal.p95, artifact.record.conformal.p99),
        splits: std::iter::once("all".to_owned())
            .chain(TESTS.iter().map(|s| s.as_str().to_owned()))
            .collect(),
        workloads: (trial.workloads.plans.len(), a.plans),
        entries,
    };
    write(&a.out, page(&card).as_bytes())?;
    println!("{}", a.out.display());
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EstimatorError> {
    std::fs::write(path, bytes)
        .map_err(|source| EstimatorError::Io { path: path.display().to_string(), source })
}

/// What the exporter wrote beside a model.
fn read_record(model: &Path) -> Result<serde_json::Value, EstimatorError> {
    let path = model.with_extension("json");
    let bytes = std::fs::read(&path)
        .map_err(|source| EstimatorError::Io { path: path.display().to_string(), source })?;
    serde_json::from_slice(&bytes).map_err(|e| EstimatorError::Model(e.to_string()))
}

fn about(name: &str) -> &str {
    match name {
        "no attention across tenants" => {
            "the same network, in which a segment sees its own tenant and the device only"
        }
        "no physics features" => "the same network without the features that the closed-form analysis gives",
        _ => "another network",
    }
}

fn trial(a: &Arguments) -> Result<Trial, EstimatorError> {
    let sampler = Sampler::embedded()?;
    let mut rows = Vec::new();
    for split in TESTS {
        rows.extend(parquet::read(&a.data.join(format!("{}.parquet", split.as_str())))?);
    }
    let draws = rows
        .iter()
        .filter_map(|r| Split::named(&r.split).map(|split| sampler.draw(a.seed, split, r.index)))
        .collect();
    let alternatives: Vec<Vec<Draw>> =
        (0..a.workloads).map(|n| sampler.alternatives(a.seed, Split::Test, n, a.plans)).collect();
    println!("{} plans; simulating {} workloads", rows.len(), alternatives.len());
    let workloads = ranking::simulate(&alternatives, Effort::TEST)?;
    Ok(Trial { rows, draws, workloads, alternatives })
}

/// Every tenth plan and every fifth workload, for predictors that are slow.
fn few(trial: &Trial) -> Trial {
    Trial {
        rows: trial.rows.iter().step_by(10).cloned().collect(),
        draws: trial.draws.iter().step_by(10).cloned().collect(),
        workloads: ranking::Workloads { plans: trial.workloads.plans.iter().step_by(5).cloned().collect() },
        alternatives: Vec::new(),
    }
}

fn training(data: &Path) -> Result<Vec<Row>, EstimatorError> {
    let list = std::fs::read_dir(data)
        .map_err(|source| EstimatorError::Io { path: data.display().to_string(), source })?;
    let mut files: Vec<PathBuf> = list
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| {
            let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            name.starts_with("train") && name.ends_with(".parquet")
        })
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in &files {
        if rows.len() >= FITTED {
            break;
        }
        rows.extend(parquet::read(file)?);
    }
    Ok(rows)
}

fn lesson(row: &Row) -> Lesson<'_> {
    let slowdown = row
        .truth
        .iter()
        .zip(&row.features.base_ms)
        .map(|(t, base)| {
            (t.completed >= judge::MIN_REQUESTS).then(|| {
                let p50 = (t.quantiles[2] / base).max(1.0);
                let p95 = (t.quantiles[8] / base).max(p50);
                [p50, p95, (t.quantiles[12] / base).max(p95)]
            })
        })
        .collect();
    Lesson { plan: &row.features, slowdown, power_w: row.power_w }
}

fn entry(
    name: &str,
    what: &str,
    trial: &Trial,
    conformal: Conformal,
    ask: &Ask<'_>,
) -> Result<Entry, EstimatorError> {
    let encoded: Vec<Encoded> = trial.rows.iter().map(|r| r.features.clone()).collect();
    let answers = ask(&encoded)?;
    let order = ranking::judge(&trial.workloads, ask)?;
    let monotone = monotone::judge(&trial.draws[..trial.draws.len().min(4000)], ask)?;
    Ok(finish(name, what, trial, conformal, &answers, order, monotone))
}

fn finish(
    name: &str,
    what: &str,
    trial: &Trial,
    conformal: Conformal,
    answers: &[Factors],
    order: ranking::Order,
    monotone: monotone::Monotonicity,
) -> Entry {
    let verdict = |split: Option<Split>| {
        let chosen: Vec<usize> = (0..trial.rows.len())
            .filter(|n| split.is_none_or(|s| trial.rows[*n].split == s.as_str()))
            .collect();
        let rows: Vec<&Row> = chosen.iter().map(|n| &trial.rows[*n]).collect();
        let answers: Vec<Factors> = chosen.iter().map(|n| answers[*n].clone()).collect();
        judge::judge(&rows, &answers, conformal)
    };
    let verdicts: Vec<_> = std::iter::once(None).chain(TESTS.map(Some)).map(verdict).collect();
    let all = verdicts[0];
    println!(
        "{name}: p50 {:.2} p95 {:.2} p99 {:.2} power {:.3} % covered {:.1} %, tau {:.3} {:.3}, loss {:.2} {:.2} %, worse {:.2} %",
        all.latency[0],
        all.latency[1],
        all.latency[2],
        all.power,
        all.covered95,
        order.tau50,
        order.tau95,
        order.loss50,
        order.loss95,
        monotone.worse95
    );
    Entry { name: name.to_owned(), what: what.to_owned(), verdicts, order, monotone }
}

/// The analytic predictor asks for streams, not for features.
fn roofline(trial: &Trial) -> Result<Entry, EstimatorError> {
    let parameters = Parameters::embedded()?;
    // The rules are embedded too; reading them here says early if they are broken.
    Coexecution::embedded()?;
    let of = |d: &Draw| linear::predict(parameters, &d.soc, &d.streams);
    let answers: Vec<Factors> = trial.draws.iter().map(of).collect();
    // Workloads come in order, so a counter finds the streams of the features that are asked about.
    let next = std::sync::atomic::AtomicUsize::new(0);
    let order = ranking::judge(&trial.workloads, &|plans| {
        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(trial.alternatives[at].iter().take(plans.len()).map(of).collect())
    })?;
    let some: Vec<&Draw> = trial.draws.iter().take(4000).filter(|d| d.streams.len() > 1).collect();
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let monotone = monotone::judge(&trial.draws[..trial.draws.len().min(4000)], &|_| {
        let less = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1;
        Ok(some
            .iter()
            .enumerate()
            .map(|(n, d)| {
                let mut streams = d.streams.clone();
                if less {
                    streams.remove(n % d.streams.len());
                }
                linear::predict(parameters, &d.soc, &streams)
            })
            .collect())
    })?;
    let none = Conformal { p95: 1.0, p99: 1.0 };
    let what = "the analytic predictor alone: exact waits of own requests, linear interference";
    Ok(finish("roofline", what, trial, none, &answers, order, monotone))
}
