//! `ecomap.measurements/v1`: what a campaign leaves behind.

use super::machine::Machine;
use super::plan::{
    Case, Kind, Load, MAX_CORUNS, MAX_MODELS, MAX_REPETITIONS, MAX_TENANTS, MAX_UNITS, Settings,
};
use ecomap_instances::ids::is_legal_id;
use ecomap_instances::{Code, Issue, Issues};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Format tag.
pub const FORMAT: &str = "ecomap.measurements/v1";

/// Largest document read, bytes.
pub const MAX_BYTES: u64 = 256 << 20;

/// Most latencies kept of a tenant in a run.
pub const MAX_SAMPLE: usize = 512;

/// Largest time in a document, ms.
const MAX_MS: f64 = 1e7;

/// SHA-256 of a file, hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A set of cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitInfo {
    /// Name.
    pub id: String,
    /// Cores, as the operating system numbers them.
    pub cores: Vec<u32>,
}

/// A block of a model, for the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockShare {
    /// Share of the model's time, by the roofline of a generic CPU.
    pub time: f64,
    /// Share of the block's time that memory sets, by the same.
    pub memory: f64,
    /// Memory traffic, bytes.
    pub traffic_bytes: f64,
}

/// A model that was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Name: the file's stem, made a legal identifier.
    pub id: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Parameters.
    pub params: u64,
    /// Blocks in order; times sum to 1.
    pub blocks: Vec<BlockShare>,
}

/// What one tenant saw in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantRun {
    /// Rate of a Poisson tenant, requests per second; `null` in a closed loop.
    pub rate_per_s: Option<f64>,
    /// Requests that came in the window.
    pub arrived: u64,
    /// Of those, answered. All that were not dropped are: a run ends when the last is answered.
    pub completed: u64,
    /// Of those, refused because too many waited.
    pub dropped: u64,
    /// Time of the thread on a core for each request, ms; `null` on units of several cores.
    pub busy_ms_per_request: Option<f64>,
    /// Latencies in ascending order, ms; every n-th when there were more than are kept.
    pub latencies_ms: Vec<f64>,
}

/// One attempt at one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Position of the case.
    pub case: usize,
    /// Repetition, from 0.
    pub repetition: u32,
    /// Attempt, from 0.
    pub attempt: u32,
    /// Whether the run counts: exactly one attempt of a repetition does.
    pub kept: bool,
    /// Whether others took more than the limit all the same.
    pub noisy: bool,
    /// Length of the measured window, ms.
    pub window_ms: f64,
    /// Share of all cores that other processes took, 0 to 1.
    pub foreign_share: f64,
    /// Share of all cores that the hypervisor took, 0 to 1.
    pub steal_share: f64,
    /// Mean draw of the processor's packages, W, where it is measured.
    pub power_w: Option<f64>,
    /// Busy share of each unit's cores, whoever kept them so.
    pub busy: Vec<f64>,
    /// Per tenant of the case.
    pub tenants: Vec<TenantRun>,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// `ecomap.measurements/v1`.
    pub format: String,
    /// Program that wrote it.
    pub generator: String,
    /// The machine.
    pub machine: Machine,
    /// Settings of the campaign.
    pub settings: Settings,
    /// Units.
    pub units: Vec<UnitInfo>,
    /// Models.
    pub models: Vec<ModelInfo>,
    /// Cases.
    pub cases: Vec<Case>,
    /// Runs, in the order in which they were made.
    pub runs: Vec<RunRecord>,
}

impl Measured {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// Every mistake with its code and place.
    pub fn read(bytes: &[u8]) -> Result<Self, Issues> {
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(Issues::one(Issue::new(Code::TooLarge, "", format!("more than {MAX_BYTES} bytes"))));
        }
        let value: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|e| Issues::one(Issue::new(Code::NotJson, "", e.to_string())))?;
        let format = value.get("format").and_then(|f| f.as_str()).unwrap_or_default();
        if format != FORMAT {
            let message = format!("`{format}` is not {FORMAT}");
            return Err(Issues::one(Issue::new(Code::Format, "/format", message)));
        }
        let read: Self = serde_json::from_value(value)
            .map_err(|e| Issues::one(Issue::new(Code::Shape, "", e.to_string())))?;
        read.check()?;
        Ok(read)
    }

    /// The document as JSON.
    ///
    /// # Errors
    /// Only for numbers that JSON cannot hold, which [`Measured::check`] rules out.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|mut text| {
            text.push('\n');
            text
        })
    }

    /// Runs that count, with their case.
    pub fn kept(&self) -> impl Iterator<Item = (&RunRecord, &Case)> {
        self.runs.iter().filter(|r| r.kept).filter_map(|r| Some((r, self.cases.get(r.case)?)))
    }

    /// Everything that later stages rely on.
    ///
    /// # Errors
    /// Every mistake with its code and place.
    pub fn check(&self) -> Result<(), Issues> {
        let mut list = Vec::new();
        let mut bad = |code, pointer: String, message: String| list.push(Issue::new(code, pointer, message));
        if let Err((field, message)) = self.settings.check() {
            bad(Code::OutOfRange, format!("/settings/{field}"), message);
        }
        if !is_legal_id(&self.machine.name) {
            bad(Code::IllegalId, "/machine/name".into(), "not a legal identifier".into());
        }
        let most_cases = MAX_MODELS * MAX_UNITS + MAX_CORUNS as usize;
        let most_runs = self.cases.len().saturating_mul(MAX_REPETITIONS as usize * 11);
        for (name, length, most) in [
            ("units", self.units.len(), MAX_UNITS),
            ("models", self.models.len(), MAX_MODELS),
            ("cases", self.cases.len(), most_cases),
            ("runs", self.runs.len(), most_runs),
        ] {
            if length == 0 {
                bad(Code::Empty, format!("/{name}"), "nothing is listed".into());
            } else if length > most {
                bad(Code::TooMany, format!("/{name}"), format!("{length}; at most {most}"));
            }
        }
        for (n, model) in self.models.iter().enumerate() {
            if !is_legal_id(&model.id) {
                bad(Code::IllegalId, format!("/models/{n}/id"), "not a legal identifier".into());
            }
            let sum: f64 = model.blocks.iter().map(|b| b.time).sum();
            let sound = |b: &BlockShare| {
                (0.0..=1.0).contains(&b.time)
                    && (0.0..=1.0).contains(&b.memory)
                    && (0.0..=1e15).contains(&b.traffic_bytes)
            };
            if !((sum - 1.0).abs() < 1e-6 && model.blocks.len() <= 64 && model.blocks.iter().all(sound)) {
                let message = "shares must lie between 0 and 1, and times sum to 1, in at most 64 blocks";
                bad(Code::OutOfRange, format!("/models/{n}/blocks"), message.into());
            }
        }
        for (n, case) in self.cases.iter().enumerate() {
            let count = case.tenants.len();
            if count == 0 || count > MAX_TENANTS || (case.kind == Kind::Isolated && count != 1) {
                bad(Code::OutOfRange, format!("/cases/{n}/tenants"), format!("{count} tenants"));
            }
            for (k, t) in case.tenants.iter().enumerate() {
                if t.model >= self.models.len() || t.unit >= self.units.len() {
                    let message = "there is no model or unit of that number".into();
                    bad(Code::BadReference, format!("/cases/{n}/tenants/{k}"), message);
                }
                if let Load::Poisson(load) = t.load
                    && !(0.001..=1.0).contains(&load)
                {
                    bad(Code::OutOfRange, format!("/cases/{n}/tenants/{k}/load"), format!("{load}"));
                }
            }
        }
        for (n, run) in self.runs.iter().enumerate() {
            if let Some((field, message)) = self.run_fault(run) {
                bad(Code::OutOfRange, format!("/runs/{n}/{field}"), message);
            }
        }
        Issues::check(list)
    }

    fn run_fault(&self, run: &RunRecord) -> Option<(String, String)> {
        let fault = |field: &str, message: &str| Some((field.to_owned(), message.to_owned()));
        let Some(case) = self.cases.get(run.case) else {
            return fault("case", "there is no case of that number");
        };
        if run.tenants.len() != case.tenants.len() || run.busy.len() != self.units.len() {
            return fault("tenants", "not as many as the case has, or not as many busy shares as units");
        }
        if run.repetition >= self.settings.repetitions || run.attempt > self.settings.retries {
            return fault("repetition", "beyond the settings' repetitions or retries");
        }
        let share = |x: f64| (0.0..=1.0).contains(&x);
        if !(share(run.foreign_share) && share(run.steal_share) && run.busy.iter().all(|b| share(*b))) {
            return fault("foreign_share", "shares must lie between 0 and 1");
        }
        if !(run.window_ms > 0.0 && run.window_ms <= MAX_MS) {
            return fault("window_ms", "must be above 0 and at most 1e7");
        }
        if !run.power_w.is_none_or(|p| (0.0..=1e5).contains(&p)) {
            return fault("power_w", "must lie between 0 and 1e5");
        }
        for (k, t) in run.tenants.iter().enumerate() {
            let sample = &t.latencies_ms;
            let ordered = sample.windows(2).all(|w| w[0] <= w[1]);
            let ranged = sample.iter().all(|x| *x > 0.0 && *x <= MAX_MS);
            if !(ordered && ranged) || sample.len() > MAX_SAMPLE {
                let message = "latencies must ascend, be above 0, and be at most 512";
                return fault(&format!("tenants/{k}/latencies_ms"), message);
            }
            let counted = u64::try_from(sample.len()).unwrap_or(u64::MAX);
            if t.completed.checked_add(t.dropped) != Some(t.arrived) || counted > t.completed {
                let message = "arrived must be completed plus dropped, and no fewer than latencies";
                return fault(&format!("tenants/{k}/completed"), message);
            }
            let positive = |x: Option<f64>| x.is_none_or(|x| x > 0.0 && x <= MAX_MS);
            if !(positive(t.rate_per_s) && positive(t.busy_ms_per_request)) {
                return fault(&format!("tenants/{k}/rate_per_s"), "must be above 0 and at most 1e7");
            }
        }
        None
    }
}

/// Reads a file.
///
/// # Errors
/// The operating system's, or every mistake in the document.
pub fn open(path: &Path) -> Result<Measured, crate::EstimatorError> {
    let io = |source| crate::EstimatorError::Io { path: path.display().to_string(), source };
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > MAX_BYTES {
        let issue = Issue::new(Code::TooLarge, "", format!("{length} bytes; at most {MAX_BYTES}"));
        return Err(Issues::one(issue).into());
    }
    Ok(Measured::read(&std::fs::read(path).map_err(io)?)?)
}
