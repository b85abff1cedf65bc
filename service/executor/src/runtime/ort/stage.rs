//! One segment on one unit: a session of ONNX Runtime.

use super::convert::{to_value, zeros};
use super::fallback::elsewhere;
use super::provider::{self, Failure};
use super::settings::{Fallback, Provider, UnitSettings};
use crate::clock::Clock;
use crate::runtime::port::TensorInfo;
use crate::runtime::refusal::Reason;
use ort::session::{Session, SessionInputValue};
use ort::value::DynValue;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Tensors on their way from one stage to the next, by name.
pub(super) type Values = Vec<(String, DynValue)>;

/// What makes two segments the same: then they share a session, and weights are in memory once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StageKey {
    /// Hash of the model file.
    pub(super) sha256: String,
    /// First block.
    pub(super) from: u64,
    /// One past the last block.
    pub(super) to: u64,
    /// Unit, by its place in the settings.
    pub(super) unit: usize,
}

/// A model as clients see it.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) inputs: Vec<TensorInfo>,
    pub(super) outputs: Vec<TensorInfo>,
    pub(super) synthetic: bool,
}

/// A loaded segment. Only its unit's worker runs it, so the lock is never waited for.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) key: StageKey,
    /// Interface of the whole model.
    pub(super) interface: Arc<Interface>,
    /// Memory by reckoning.
    pub(super) bytes: u64,
    /// Nodes that run elsewhere, where that is let pass.
    pub(super) fell_back: Vec<String>,
    session: Mutex<Session>,
}

/// What a stage is made from.
pub(super) struct Blueprint {
    pub(super) key: StageKey,
    pub(super) interface: Arc<Interface>,
    pub(super) bytes: u64,
    /// The segment's model, encoded.
    pub(super) model: Vec<u8>,
    /// What the segment takes.
    pub(super) inputs: Vec<TensorInfo>,
}

/// Time that making a stage took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Took {
    pub(super) load: Duration,
    pub(super) warm: Duration,
}

impl Stage {
    /// Loads a segment and runs it once on zeros. To be called on a thread bound to the unit's cores.
    pub(super) fn make(
        blueprint: Blueprint,
        unit: &UnitSettings,
        clock: &dyn Clock,
    ) -> Result<(Self, Took), Failure> {
        let Blueprint { key, interface, bytes, model, inputs } = blueprint;
        let failed = |message: String| (Reason::RuntimeFailed, message);
        let begun = clock.now();
        // On a CPU there is nowhere else to run.
        let folder = match unit.provider {
            Provider::Cpu => None,
            _ => Some(tempfile::tempdir().map_err(|e| failed(format!("no folder for a profile: {e}")))?),
        };
        let prefix = folder.as_ref().map(|f| f.path().join("profile"));
        let session = provider::session(unit, &model, prefix.as_deref())?;
        drop(model);
        let loaded = clock.now();
        let mut stage = Self { key, interface, bytes, fell_back: Vec::new(), session: Mutex::new(session) };
        let mut values = Values::new();
        for input in &inputs {
            let value = zeros(input).and_then(|t| to_value(&t)).map_err(failed)?;
            values.push((input.name.clone(), value));
        }
        stage.run(values).map_err(|e| failed(format!("the first run failed: {e}")))?;
        if folder.is_some() {
            stage.look_where(unit)?;
        }
        let warm = clock.now();
        let took = Took { load: loaded.saturating_sub(begun), warm: warm.saturating_sub(loaded) };
        Ok((stage, took))
    }

    /// Reads off the profile which nodes ran elsewhere.
    fn look_where(&mut self, unit: &UnitSettings) -> Result<(), Failure> {
        let failed = |message: String| (Reason::RuntimeFailed, message);
        let session = self.session.get_mut().unwrap_or_else(PoisonError::into_inner);
        let file = session.end_profiling().map_err(|e| failed(e.to_string()))?;
        let nodes = elsewhere(file.as_ref(), unit.provider.names())
            .map_err(|e| failed(format!("cannot tell where nodes ran: {e}")))?;
        match unit.fallback {
            Fallback::Refuse if !nodes.is_empty() => Err((Reason::FellBack, some(&nodes))),
            _ => {
                self.fell_back = nodes;
                Ok(())
            }
        }
    }

    /// Runs the segment.
    ///
    /// # Errors
    /// The runtime's message.
    pub(super) fn run(&self, values: Values) -> Result<Values, String> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = session.outputs().iter().map(|o| o.name().to_owned()).collect();
        let inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            values.into_iter().map(|(name, value)| (Cow::from(name), value.into())).collect();
        let mut outputs = session.run(inputs).map_err(|e| e.to_string())?;
        names
            .into_iter()
            .map(|name| match outputs.remove(&name) {
                Some(value) => Ok((name, value)),
                None => Err(format!("the runtime gave no `{name}`")),
            })
            .collect()
    }
}

/// The first of a list, for a message.
fn some(nodes: &[String]) -> String {
    const SHOWN: usize = 5;
    let first: Vec<&str> = nodes.iter().take(SHOWN).map(String::as_str).collect();
    let more = nodes.len().saturating_sub(SHOWN);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}
