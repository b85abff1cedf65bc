//! `ecomap.repository/v1`: what a repository holds.

use super::confined::is_plain;
use ecomap_instances::ids::is_legal_id;
use ecomap_instances::{Code, Issue, Issues};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Format tag.
pub const FORMAT: &str = "ecomap.repository/v1";
/// Most models.
const MAX_MODELS: usize = 4096;
/// Most blocks of a model: more cuts than a plan could use.
const MAX_CUTS: usize = 11;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDto {
    /// `ecomap.repository/v1`.
    pub format: String,
    /// Models, in any order.
    pub models: Vec<EntryDto>,
}

/// One model in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryDto {
    /// Family: the first folder.
    pub family: String,
    /// Tier: the second folder.
    pub tier: String,
    /// Version: the third folder.
    pub version: u32,
    /// SHA-256 of the file, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Length of the file.
    pub bytes: u64,
    /// Tensors at which the model is cut into blocks, in order: one fewer than blocks.
    pub cuts: Vec<String>,
    /// Sizes of symbolic dimensions, by name or `input.axis`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dims: BTreeMap<String, u64>,
    /// `trained`, or `synthetic` where weights are drawn from a seed and answers mean nothing.
    pub weights: Weights,
    /// Where the model comes from, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Where weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// From training.
    Trained,
    /// Drawn from a seed.
    Synthetic,
}

/// A manifest that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    models: BTreeMap<(String, String), Entry>,
}

/// One model, checked: its names are plain, its hash is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(EntryDto);

impl Entry {
    /// Family.
    #[must_use]
    pub fn family(&self) -> &str {
        &self.0.family
    }

    /// Tier.
    #[must_use]
    pub fn tier(&self) -> &str {
        &self.0.tier
    }

    /// Version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.0.sha256
    }

    /// Length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Tensors between blocks.
    #[must_use]
    pub fn cuts(&self) -> &[String] {
        &self.0.cuts
    }

    /// How many blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.0.cuts.len() as u64 + 1
    }

    /// Sizes of symbolic dimensions.
    #[must_use]
    pub fn dims(&self) -> &BTreeMap<String, u64> {
        &self.0.dims
    }

    /// Where weights come from.
    #[must_use]
    pub fn weights(&self) -> Weights {
        self.0.weights
    }
}

impl Manifest {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// `E1701` at each place that is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, Issues> {
        let dto: ManifestDto = serde_json::from_slice(bytes)
            .map_err(|e| Issues::one(Issue::new(Code::RunRepository, "", e.to_string())))?;
        Self::check(dto)
    }

    /// Checks a document.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn check(dto: ManifestDto) -> Result<Self, Issues> {
        let mut issues = Vec::new();
        let mut say = |pointer: String, message: String| {
            issues.push(Issue::new(Code::RunRepository, pointer, message));
        };
        if dto.format != FORMAT {
            say("/format".to_owned(), format!("`{}`, not {FORMAT}", dto.format));
        }
        if dto.models.len() > MAX_MODELS {
            say("/models".to_owned(), format!("{} models, at most {MAX_MODELS}", dto.models.len()));
        }
        let mut models = BTreeMap::new();
        for (n, entry) in dto.models.into_iter().take(MAX_MODELS).enumerate() {
            for (field, message) in faults(&entry) {
                say(format!("/models/{n}/{field}"), message);
            }
            let key = (entry.family.clone(), entry.tier.clone());
            if models.insert(key, Entry(entry)).is_some() {
                say(format!("/models/{n}"), "the tier again".to_owned());
            }
        }
        Issues::check(issues)?;
        Ok(Self { models })
    }

    /// A tier's entry.
    #[must_use]
    pub fn find(&self, family: &str, tier: &str) -> Option<&Entry> {
        self.models.get(&(family.to_owned(), tier.to_owned()))
    }

    /// All entries, by family and tier.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.models.values()
    }

    /// As a document.
    #[must_use]
    pub fn to_dto(&self) -> ManifestDto {
        ManifestDto { format: FORMAT.to_owned(), models: self.entries().map(|e| e.0.clone()).collect() }
    }
}

/// Whether a family or tier can be a folder: a legal identifier of one step.
#[must_use]
pub fn is_folder(name: &str) -> bool {
    is_legal_id(name) && is_plain(name) && !name.contains(':')
}

fn faults(entry: &EntryDto) -> Vec<(&'static str, String)> {
    let mut list = Vec::new();
    for (field, name) in [("family", &entry.family), ("tier", &entry.tier)] {
        if !is_folder(name) {
            list.push((field, format!("`{name}` cannot be the name of a folder")));
        }
    }
    if entry.version == 0 {
        list.push(("version", "versions count from 1".to_owned()));
    }
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if entry.sha256.len() != 64 || !entry.sha256.bytes().all(hex) {
        list.push(("sha256", "64 hexadecimal digits in lower case".to_owned()));
    }
    if entry.cuts.len() > MAX_CUTS {
        list.push(("cuts", format!("{} cuts, at most {MAX_CUTS}", entry.cuts.len())));
    }
    let distinct: BTreeSet<&String> = entry.cuts.iter().collect();
    if distinct.len() != entry.cuts.len() {
        list.push(("cuts", "a tensor again".to_owned()));
    }
    list
}

/// SHA-256, 64 hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> EntryDto {
        EntryDto {
            family: "resnet".into(),
            tier: "resnet-50".into(),
            version: 1,
            sha256: sha256(b""),
            bytes: 0,
            cuts: vec!["a".into(), "b".into()],
            dims: BTreeMap::new(),
            weights: Weights::Synthetic,
            source: None,
        }
    }

    fn read(models: Vec<EntryDto>) -> Result<Manifest, Issues> {
        let dto = ManifestDto { format: FORMAT.into(), models };
        Manifest::read(&serde_json::to_vec(&dto).unwrap())
    }

    #[test]
    fn a_manifest_survives_writing_and_reading() {
        let manifest = read(vec![entry()]).unwrap();
        assert_eq!(read(manifest.to_dto().models).unwrap(), manifest);
        assert_eq!(manifest.find("resnet", "resnet-50").unwrap().blocks(), 3);
        assert!(manifest.find("resnet", "resnet-18").is_none());
    }

    /// A place, and what makes it wrong.
    type Wrong = (&'static str, fn(&mut EntryDto));

    #[test]
    fn what_could_leave_the_root_or_hide_a_change_is_refused() {
        let wrong: [Wrong; 9] = [
            ("/models/0/family", |e| e.family = "a/../..".into()),
            ("/models/0/tier", |e| e.tier = "..".into()),
            ("/models/0/tier", |e| e.tier = "x/y".into()),
            ("/models/0/family", |e| e.family = String::new()),
            ("/models/0/version", |e| e.version = 0),
            ("/models/0/sha256", |e| e.sha256 = e.sha256.to_uppercase()),
            ("/models/0/sha256", |e| e.sha256 = "00".into()),
            ("/models/0/cuts", |e| e.cuts = vec!["a".into(), "a".into()]),
            ("/models/0/cuts", |e| e.cuts = (0..12).map(|n| n.to_string()).collect()),
        ];
        for (pointer, change) in wrong {
            let mut e = entry();
            change(&mut e);
            let issues = read(vec![e]).unwrap_err();
            let found: Vec<_> = issues.list().iter().map(|i| (i.code, i.pointer.as_str())).collect();
            assert_eq!(found, [(Code::RunRepository, pointer)]);
        }
        assert!(read(vec![entry(), entry()]).is_err());
        assert!(Manifest::read(br#"{"format": "ecomap.repository/v1", "models": [], "more": 1}"#).is_err());
        assert!(Manifest::read(br#"{"format": "ecomap.repository/v2", "models": []}"#).is_err());
    }
}
