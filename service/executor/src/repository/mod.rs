//! The model repository on the board: one folder, one model a tier.
//!
//! The layout is that of Triton and KServe, so that the same folder serves there:
//!
//! ```text
//! ROOT/manifest.json                    what is in it, with SHA-256: the only file that is trusted
//! ROOT/<family>/<tier>/<version>/model.onnx
//! ```
//!
//! 1. [`confined`] opens files below the root and nowhere else.
//! 2. [`manifest`] is the document; [`index`] writes it for the files that are there.
//! 3. [`Repository`] loads a model: bounded, its hash checked on the very bytes that will run.
//! 4. [`command`] is the command line's; [`synthetic`] makes models for demonstrations, with weights drawn from a seed.

pub mod command;
pub mod confined;
pub mod index;
pub mod manifest;
pub mod synthetic;

use confined::Folder;
use ecomap_graph::cuts::Cut;
use ecomap_graph::onnx::limits::Limits;
use ecomap_graph::{LayerGraph, Model, Options};
use ecomap_instances::{Code, Issue, Issues};
use manifest::{Entry, Manifest};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the manifest in the root.
pub const MANIFEST: &str = "manifest.json";
/// Name of every model file.
pub const MODEL: &str = "model.onnx";

/// Bounds on what is read from a repository.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Longest manifest, bytes.
    pub manifest_bytes: u64,
    /// Bounds on each model.
    pub model: Limits,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { manifest_bytes: 16 << 20, model: Limits::default() }
    }
}

/// Why a model is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// A file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// Path, from the root.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A file is longer than may be.
    #[error("{path} has more than {most} bytes")]
    TooLarge {
        /// Path, from the root.
        path: PathBuf,
        /// Bound.
        most: u64,
    },
    /// The manifest or a model is not valid.
    #[error("{0}")]
    Invalid(#[from] Issues),
    /// The manifest names no such model.
    #[error("no model of tier `{tier}` of family `{family}`")]
    Missing {
        /// Family.
        family: String,
        /// Tier.
        tier: String,
    },
    /// The file is not the one that the manifest describes.
    #[error("{path} has {found}, the manifest says {wanted}")]
    Differs {
        /// Path, from the root.
        path: PathBuf,
        /// What the file is: its length or its SHA-256.
        found: String,
        /// What it should be.
        wanted: String,
    },
}

/// A repository whose manifest was read.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    bounds: Bounds,
    manifest: Manifest,
}

/// A model, read and understood.
#[derive(Debug)]
pub struct Loaded {
    /// What the manifest says of it.
    pub entry: Entry,
    /// The file's messages.
    pub model: Model,
    /// Its layers.
    pub layers: LayerGraph,
    /// The legal cuts between its blocks, one fewer than blocks.
    pub cuts: Vec<Cut>,
}

impl Repository {
    /// Reads the manifest below `root`.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn open(root: &Path, bounds: Bounds) -> Result<Self, RepositoryError> {
        let folder = Folder::open(root).map_err(|source| io_error(root, source))?;
        let bytes = read(&folder, &[MANIFEST], bounds.manifest_bytes)?;
        let manifest = Manifest::read(&bytes)?;
        Ok(Self { root: root.to_owned(), bounds, manifest })
    }

    /// What is in it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest's entry for a tier.
    ///
    /// # Errors
    /// [`RepositoryError::Missing`].
    pub fn entry(&self, family: &str, tier: &str) -> Result<&Entry, RepositoryError> {
        self.manifest
            .find(family, tier)
            .ok_or_else(|| RepositoryError::Missing { family: family.to_owned(), tier: tier.to_owned() })
    }

    /// Reads a tier's model. The bytes that are hashed are the bytes that are decoded: exchanging the
    /// file in between changes nothing.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub fn load(&self, family: &str, tier: &str) -> Result<Loaded, RepositoryError> {
        let entry = self.entry(family, tier)?.clone();
        let folder = Folder::open(&self.root).map_err(|source| io_error(&self.root, source))?;
        let version = entry.version().to_string();
        let parts = [entry.family(), entry.tier(), &version, MODEL];
        let bytes = match read(&folder, &parts, self.bounds.model.file_bytes) {
            Err(RepositoryError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(RepositoryError::Missing { family: family.to_owned(), tier: tier.to_owned() });
            }
            other => other?,
        };
        let differs = |found: String, wanted: String| RepositoryError::Differs {
            path: parts.iter().collect(),
            found,
            wanted,
        };
        if bytes.len() as u64 != entry.bytes() {
            return Err(differs(format!("{} bytes", bytes.len()), format!("{} bytes", entry.bytes())));
        }
        let found = manifest::sha256(&bytes);
        if found != entry.sha256() {
            return Err(differs(format!("SHA-256 {found}"), entry.sha256().to_owned()));
        }
        let model = Model::read(bytes, &self.bounds.model)?;
        let options =
            Options { dims: entry.dims().clone(), limits: self.bounds.model.clone(), ..Options::default() };
        let layers = LayerGraph::of(&model, &options)?;
        let cuts = named_cuts(&layers, entry.cuts())?;
        Ok(Loaded { entry, model, layers, cuts })
    }
}

/// The cuts that cross at the named tensors, in order.
fn named_cuts(layers: &LayerGraph, names: &[String]) -> Result<Vec<Cut>, Issues> {
    let all = layers.cuts();
    let mut found: Vec<Cut> = Vec::with_capacity(names.len());
    for (n, name) in names.iter().enumerate() {
        let cut = all.iter().find(|c| c.tensor == *name && c.extractable);
        match cut {
            Some(cut) if found.last().is_none_or(|last| last.after < cut.after) => found.push(cut.clone()),
            _ => {
                let message = format!("`{name}` is no legal cut behind the one before");
                return Err(Issues::one(Issue::new(Code::RunCut, format!("/cuts/{n}"), message)));
            }
        }
    }
    Ok(found)
}

fn io_error(path: &Path, source: io::Error) -> RepositoryError {
    RepositoryError::Io { path: path.to_owned(), source }
}

fn read(folder: &Folder, parts: &[&str], most: u64) -> Result<Vec<u8>, RepositoryError> {
    let path = || parts.iter().collect::<PathBuf>();
    match folder.read(parts, most) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(RepositoryError::TooLarge { path: path(), most }),
        Err(source) => Err(RepositoryError::Io { path: path(), source }),
    }
}
