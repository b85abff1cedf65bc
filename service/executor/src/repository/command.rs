//! `ecomap-executor repository`: making, extending and checking a repository.

use super::index::{self, Item};
use super::manifest::Weights;
use super::synthetic::tiers;
use super::{Bounds, Repository};
use crate::ExecutorError;
use clap::Subcommand;
use ecomap_graph::Options;
use ecomap_instances::generate::Seed;
use ecomap_instances::{Catalog, Code, Issue, Issues};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Tiers that `make` writes when none is named: small enough for any board.
const DEFAULT_TIERS: [&str; 5] =
    ["resnet-50", "resnet-18", "mobilenet-v2-100", "mobilenet-v2-050", "mobilenet-v2-035"];

/// What to do with a repository.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a repository for demonstrations: published architectures, synthetic weights
    Make {
        /// Folder; must not hold a repository yet
        root: PathBuf,
        /// Tier to make, as often as wanted; `all` for every one
        #[arg(long = "tier", value_name = "TIER")]
        tiers: Vec<String>,
        /// Seed of the weights
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Folder with the light graphs of the onnx package, for tiers that come from them
        #[arg(long, value_name = "FOLDER")]
        light: Option<PathBuf>,
    },
    /// Put a model into a repository, in place of the tier's old one if there is one
    Add {
        /// Folder
        root: PathBuf,
        /// The ONNX file
        model: PathBuf,
        /// Family
        #[arg(long)]
        family: String,
        /// Tier
        #[arg(long)]
        tier: String,
        /// Size of a symbolic dimension, `NAME=VALUE`
        #[arg(long = "dim", value_name = "NAME=VALUE")]
        dims: Vec<String>,
    },
    /// Read every model of a repository and compare it with the manifest
    Check {
        /// Folder
        root: PathBuf,
    },
}

/// Does it; gives what is to be printed.
///
/// # Errors
/// [`ExecutorError`].
pub fn run(action: Action) -> Result<String, ExecutorError> {
    match action {
        Action::Make { root, tiers, seed, light } => make(&root, &tiers, Seed(seed), light.as_deref()),
        Action::Add { root, model, family, tier, dims } => {
            let bytes = crate::input::read(&model)?;
            let options = Options { dims: sizes(&dims)?, ..Options::default() };
            let source = model.file_name().map(|n| n.to_string_lossy().into_owned());
            add(&root, Item { family, tier, bytes, options, source })
        }
        Action::Check { root } => check(&root),
    }
}

fn usage(message: String) -> ExecutorError {
    ExecutorError::Invalid(Issues::one(Issue::new(Code::RunRepository, "", message)))
}

fn catalog() -> Result<&'static Catalog, ExecutorError> {
    Catalog::embedded().map_err(|issues| ExecutorError::Invalid(issues.clone()))
}

fn make(root: &Path, names: &[String], seed: Seed, light: Option<&Path>) -> Result<String, ExecutorError> {
    let all = tiers::all();
    let named: Vec<&str> = match names {
        [] => DEFAULT_TIERS.to_vec(),
        [one] if one == "all" => all.iter().map(|t| t.tier).collect(),
        list => list.iter().map(String::as_str).collect(),
    };
    let mut text = String::new();
    let mut items = Vec::new();
    for name in named {
        let Some(tier) = all.iter().find(|t| t.tier == name) else {
            let known: Vec<&str> = all.iter().map(|t| t.tier).collect();
            return Err(usage(format!("`{name}` cannot be made; these can: {}", known.join(", "))));
        };
        match tier.make(light, seed)? {
            Some(item) => {
                let entry = index::describe(&item, catalog()?)?;
                items.push((entry, item.bytes));
            }
            None => {
                let _ =
                    writeln!(text, "{}/{}: skipped, its light graph is not there", tier.family, tier.tier);
            }
        }
    }
    let manifest = index::write(root, None, &items).map_err(|e| failed(root, e))?;
    for entry in manifest.entries() {
        let _ = writeln!(
            text,
            "{}/{}: {} blocks, {} bytes, synthetic weights",
            entry.family(),
            entry.tier(),
            entry.blocks(),
            entry.bytes()
        );
    }
    Ok(text)
}

fn add(root: &Path, item: Item) -> Result<String, ExecutorError> {
    let old = Repository::open(root, Bounds::default())?;
    let entry = index::describe(&item, catalog()?)?;
    let text =
        format!("{}/{}: {} blocks, {} bytes\n", entry.family, entry.tier, entry.cuts.len() + 1, entry.bytes);
    index::write(root, Some(old.manifest()), &[(entry, item.bytes)]).map_err(|e| failed(root, e))?;
    Ok(text)
}

fn check(root: &Path) -> Result<String, ExecutorError> {
    let repository = Repository::open(root, Bounds::default())?;
    let mut text = String::new();
    for entry in repository.manifest().entries() {
        let loaded = repository.load(entry.family(), entry.tier())?;
        let weights = match entry.weights() {
            Weights::Trained => "trained",
            Weights::Synthetic => "synthetic",
        };
        let _ = writeln!(
            text,
            "{}/{}: fine, {} blocks, {} layers, {weights} weights",
            entry.family(),
            entry.tier(),
            loaded.cuts.len() + 1,
            loaded.layers.len()
        );
    }
    Ok(text)
}

fn failed(root: &Path, source: std::io::Error) -> ExecutorError {
    ExecutorError::Write { path: root.to_owned(), source }
}

fn sizes(list: &[String]) -> Result<BTreeMap<String, u64>, ExecutorError> {
    list.iter()
        .map(|text| {
            let size =
                text.split_once('=').and_then(|(name, size)| Some((name.to_owned(), size.parse().ok()?)));
            size.ok_or_else(|| usage(format!("`{text}` is not NAME=VALUE")))
        })
        .collect()
}
