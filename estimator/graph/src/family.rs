//! A model family from ONNX files and published accuracies, described in one TOML file.

use crate::layer::{ELEMENT_BYTES, LayerGraph};
use crate::onnx::Model;
use crate::options::Options;
use ecomap_instances::family::MAX_BLOCKS;
use ecomap_instances::format::catalog_v1::{FamilyDto, InputDto, MetricDto, TierDto};
use ecomap_instances::{Code, Issue, Issues};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

/// Longest description, bytes.
const MAX_TEXT: usize = 1 << 20;
/// Most tiers.
const MAX_TIERS: usize = 64;
/// Blocks of a tier where the description does not say.
const DEFAULT_BLOCKS: usize = 8;
/// How far a published count may be from the graph's: above, it is taken for a mistake.
const TOLERANCE: f64 = 0.05;

/// Why no family came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// The description or a model is not valid.
    #[error("{0}")]
    Invalid(#[from] Issues),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// File.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    id: String,
    name: String,
    task: String,
    metric: MetricText,
    sources: BTreeMap<String, String>,
    blocks: Option<usize>,
    #[serde(default, rename = "tier")]
    tiers: Vec<TierText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricText {
    name: String,
    dataset: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierText {
    id: String,
    onnx: String,
    accuracy: f64,
    source: String,
    #[serde(default)]
    dims: BTreeMap<String, u64>,
    note: Option<String>,
    params: Option<u64>,
    macs: Option<u64>,
    request_bytes: Option<u64>,
}

fn invalid(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> FamilyError {
    FamilyError::Invalid(Issues::one(Issue::new(code, pointer, message)))
}

/// Reads the description at `path` and the models that it names, and makes the catalogue's file of
/// them. Models are read only from the description's own folder.
///
/// # Errors
/// [`FamilyError`]: the description, a model or a figure is wrong, or a file cannot be read.
pub fn describe(path: &Path) -> Result<FamilyDto, FamilyError> {
    let text = read(path, MAX_TEXT as u64)?;
    let text = String::from_utf8(text).map_err(|_| invalid(Code::FamilyText, "", "not UTF-8"))?;
    let description: Description = toml::from_str(&text)
        .map_err(|e| invalid(Code::FamilyText, "", e.to_string().trim_end().to_owned()))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    if description.tiers.is_empty() || description.tiers.len() > MAX_TIERS {
        return Err(invalid(Code::FamilyText, "/tier", format!("1 to {MAX_TIERS} tiers")));
    }
    let wanted = description.blocks.unwrap_or(DEFAULT_BLOCKS);
    if !(1..=MAX_BLOCKS).contains(&wanted) {
        return Err(invalid(Code::FamilyText, "/blocks", format!("1 to {MAX_BLOCKS} blocks")));
    }
    let mut tiers = Vec::with_capacity(description.tiers.len());
    for (n, tier) in description.tiers.iter().enumerate() {
        tiers.push(one_tier(tier, folder, wanted, &format!("/tier/{n}"))?);
    }
    let mut sources = description.sources;
    sources.insert("onnx".to_owned(), "counted from the ONNX file by `ecomap catalog add`".to_owned());
    let dto = FamilyDto {
        format: "ecomap.family/v1".to_owned(),
        id: description.id,
        name: description.name,
        task: description.task,
        metric: MetricDto {
            name: description.metric.name,
            dataset: description.metric.dataset,
            unit: "percent".to_owned(),
        },
        sources,
        tiers,
    };
    dto.lower()?;
    Ok(dto)
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, FamilyError> {
    let failed = |source| FamilyError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(invalid(
            Code::ModelTooLarge,
            "",
            format!("{} is longer than {most} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// The model's path, if it stays inside `folder`, symbolic links included.
fn confined(folder: &Path, name: &str, pointer: &str) -> Result<PathBuf, FamilyError> {
    let relative = Path::new(name);
    let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !plain || name.is_empty() || name.contains(['\\', '\0']) {
        return Err(invalid(Code::FamilyPath, format!("{pointer}/onnx"), format!("`{name}`")));
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = folder.join(relative);
    let real = |p: &Path| p.canonicalize().map_err(|source| FamilyError::Read { path: p.to_owned(), source });
    if !real(&path)?.starts_with(real(folder)?) {
        return Err(invalid(
            Code::FamilyPath,
            format!("{pointer}/onnx"),
            format!("`{name}` leads out of the folder"),
        ));
    }
    Ok(path)
}

fn one_tier(tier: &TierText, folder: &Path, wanted: usize, pointer: &str) -> Result<TierDto, FamilyError> {
    let options = Options { dims: tier.dims.clone(), ..Options::default() };
    let path = confined(folder, &tier.onnx, pointer)?;
    let bytes = read(&path, options.limits.file_bytes)?;
    let model = Model::read(bytes, &options.limits).map_err(|e| within(&e, pointer))?;
    let graph = LayerGraph::of(&model, &options).map_err(|e| within(&e, pointer))?;
    let [input, ..] = graph.inputs() else {
        return Err(invalid(Code::ModelNoOutput, format!("{pointer}/onnx"), "the model has no input"));
    };
    let (params, params_source) = checked(tier.params, graph.params(), "params", pointer)?;
    let (macs, macs_source) = checked(tier.macs, graph.macs(), "macs", pointer)?;
    let blocks: Vec<_> = graph.blocks(wanted).into_iter().map(|p| p.block).collect();
    // Pictures travel as bytes, token identifiers as 32-bit integers; other inputs as they are.
    let elements: u64 = graph.inputs().iter().map(|p| p.shape.elements()).sum();
    let request = elements * if input.shape.rank() == 4 { 1 } else { ELEMENT_BYTES };
    let source = |n: Option<&str>| n.map_or_else(|| "onnx".to_owned(), |_| tier.source.clone());
    Ok(TierDto {
        id: tier.id.clone(),
        accuracy: tier.accuracy,
        params,
        macs,
        source: [
            ("accuracy", tier.source.clone()),
            ("params", source(params_source)),
            ("macs", source(macs_source)),
            ("blocks", "onnx".to_owned()),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into(),
        note: tier.note.clone(),
        input: InputDto {
            shape: input.shape.dims().to_vec(),
            request_bytes: tier.request_bytes.unwrap_or(request),
            response_bytes: blocks.last().map_or(0, |b| b.output_bytes),
        },
        blocks,
    })
}

/// The published figure where there is one and it agrees with the graph, else the graph's.
#[allow(clippy::cast_precision_loss)] // a share
fn checked(
    published: Option<u64>,
    counted: u64,
    field: &str,
    pointer: &str,
) -> Result<(u64, Option<&'static str>), FamilyError> {
    let Some(figure) = published else { return Ok((counted, None)) };
    if figure.abs_diff(counted) as f64 > TOLERANCE * counted as f64 {
        let message = format!("{figure} published, {counted} counted");
        return Err(invalid(Code::FamilyCount, format!("{pointer}/{field}"), message));
    }
    Ok((figure, Some("published")))
}

/// The issues of a model, at the tier that names it.
fn within(issues: &Issues, pointer: &str) -> FamilyError {
    let list = issues.list().iter().map(|i| Issue {
        code: i.code,
        pointer: format!("{pointer}/onnx{}", i.pointer),
        message: i.message.clone(),
        remedy: i.remedy,
    });
    match Issues::check(list.collect()) {
        Err(issues) => FamilyError::Invalid(issues),
        Ok(()) => invalid(Code::ModelUnreadable, pointer, "not readable"),
    }
}
