//! Describing models: the manifest's entry for a file, and writing both.

use super::manifest::{EntryDto, FORMAT, Manifest, ManifestDto, Weights, is_folder, sha256};
use super::{MANIFEST, MODEL};
use ecomap_graph::weights::is_synthetic;
use ecomap_graph::{LayerGraph, Model, Options};
use ecomap_instances::{Catalog, Code, Issue, Issues};
use std::io::{self, Write as _};
use std::path::Path;

/// Blocks of a tier that the catalogue does not know.
const DEFAULT_BLOCKS: usize = 8;

/// A model to be put into a repository.
#[derive(Debug, Clone)]
pub struct Item {
    /// Family.
    pub family: String,
    /// Tier.
    pub tier: String,
    /// The ONNX file.
    pub bytes: Vec<u8>,
    /// How it is read.
    pub options: Options,
    /// Where it comes from, for people.
    pub source: Option<String>,
}

/// The manifest's entry for a model: it is cut into as many blocks as the catalogue gives its tier,
/// as evenly as its legal cuts allow, so that plans priced by the catalogue fit.
///
/// # Errors
/// What is wrong with the model, or `E1701` for names that cannot be folders.
pub fn describe(item: &Item, catalog: &Catalog) -> Result<EntryDto, Issues> {
    for name in [&item.family, &item.tier] {
        if !is_folder(name) {
            let message = format!("`{name}` cannot be the name of a folder");
            return Err(Issues::one(Issue::new(Code::RunRepository, "", message)));
        }
    }
    let model = Model::read(item.bytes.clone(), &item.options.limits)?;
    let layers = LayerGraph::of(&model, &item.options)?;
    let known = catalog
        .family(&item.family)
        .and_then(|f| f.tiers.iter().find(|t| t.id.as_str() == item.tier))
        .map(|t| t.blocks.len());
    let pieces = layers.blocks(known.unwrap_or(DEFAULT_BLOCKS));
    Ok(EntryDto {
        family: item.family.clone(),
        tier: item.tier.clone(),
        version: 1,
        sha256: sha256(&item.bytes),
        bytes: item.bytes.len() as u64,
        cuts: pieces.into_iter().filter_map(|p| Some(p.cut?.tensor)).collect(),
        dims: item.options.dims.clone(),
        weights: if is_synthetic(&model) { Weights::Synthetic } else { Weights::Trained },
        source: item.source.clone(),
    })
}

/// Writes models and manifest below `root`: beside those of `old`, replacing the same tiers, or, without
/// `old`, where there is no manifest yet. Files appear whole or not at all; the manifest comes last.
///
/// # Errors
/// Of kind `AlreadyExists` when there is a manifest and no `old`, `InvalidData` when an entry is wrong, or the
/// system's.
pub fn write(root: &Path, old: Option<&Manifest>, items: &[(EntryDto, Vec<u8>)]) -> io::Result<Manifest> {
    let same = |a: &EntryDto| items.iter().any(|(b, _)| (&a.family, &a.tier) == (&b.family, &b.tier));
    let kept = old.map(|m| m.to_dto().models).unwrap_or_default().into_iter().filter(|e| !same(e));
    let models = kept.chain(items.iter().map(|(entry, _)| entry.clone())).collect();
    let manifest = Manifest::check(ManifestDto { format: FORMAT.to_owned(), models })
        .map_err(|issues| io::Error::new(io::ErrorKind::InvalidData, issues))?;
    std::fs::create_dir_all(root)?;
    if old.is_none() && root.join(MANIFEST).symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a manifest already"));
    }
    for (entry, bytes) in items {
        let folder = root.join(&entry.family).join(&entry.tier).join(entry.version.to_string());
        std::fs::create_dir_all(&folder)?;
        put(&folder, MODEL, bytes)?;
    }
    let text = serde_json::to_vec_pretty(&manifest.to_dto())?;
    put(root, MANIFEST, &text)?;
    Ok(manifest)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map_err(|e| e.error)?;
    Ok(())
}
