//! How units share a board: the rules of the simulator, `estimator/data/coexecution.json`, embedded.

use crate::error::EstimatorError;
use crate::parameters::GENERIC;
use crate::sim::contention::Curve;
use ecomap_instances::profile::UnitKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Format tag.
pub const FORMAT: &str = "ecomap.coexecution/v1";

static EMBEDDED: &[u8] = include_bytes!("../data/coexecution.json");

/// The rules file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coexecution {
    /// `ecomap.coexecution/v1`.
    pub format: String,
    /// Version of the values.
    pub version: String,
    /// Field → where its values come from.
    pub sources: BTreeMap<String, String>,
    /// Rules per hardware generation and unit kind; `generic` serves profiles of no known generation.
    pub generations: BTreeMap<String, BTreeMap<UnitKind, Rule>>,
}

/// How one kind of unit behaves among others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Slice between tenants that share the unit, ms; without meaning on a DLA.
    pub quantum_ms: f64,
    /// Cost of turning to another tenant, ms.
    pub switch_ms: f64,
    /// Share of its dynamic power that a unit draws while it waits for memory.
    pub stall_power: f64,
    /// Loss per requested share of the bandwidth, up to the knee.
    pub minor: f64,
    /// Requested share of the bandwidth at which contention begins in earnest.
    pub knee: f64,
    /// Loss per requested share between knee and shoulder.
    pub steep: f64,
    /// Requested share at which the loss flattens.
    pub shoulder: f64,
    /// Loss per requested share beyond the shoulder.
    pub flat: f64,
}

const NO_RULE: Rule = Rule {
    quantum_ms: 1.0,
    switch_ms: 0.0,
    stall_power: 1.0,
    minor: 0.0,
    knee: 1.0,
    steep: 0.0,
    shoulder: 1.0,
    flat: 0.0,
};

impl Rule {
    /// The contention curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        Curve {
            minor: self.minor,
            knee: self.knee,
            steep: self.steep,
            shoulder: self.shoulder,
            flat: self.flat,
        }
    }
}

impl Coexecution {
    /// The embedded file.
    ///
    /// # Errors
    /// Only if the embedded file is broken, which a test rules out.
    pub fn embedded() -> Result<&'static Self, EstimatorError> {
        static RULES: OnceLock<Result<Coexecution, String>> = OnceLock::new();
        RULES
            .get_or_init(|| Coexecution::read(EMBEDDED).map_err(|e| e.to_string()))
            .as_ref()
            .map_err(|e| EstimatorError::Parameters(e.clone()))
    }

    /// Reads and checks a rules file.
    ///
    /// # Errors
    /// [`EstimatorError::Parameters`] on bad JSON, a missing unit kind or a number out of range.
    pub fn read(bytes: &[u8]) -> Result<Self, EstimatorError> {
        let read: Self =
            serde_json::from_slice(bytes).map_err(|e| EstimatorError::Parameters(e.to_string()))?;
        let bad = |what: String| Err(EstimatorError::Parameters(what));
        if read.format != FORMAT {
            return bad(format!("format `{}` is not {FORMAT}", read.format));
        }
        if !read.generations.contains_key(GENERIC) {
            return bad(format!("no rules for the generation {GENERIC}"));
        }
        let kinds = [UnitKind::Gpu, UnitKind::Dla, UnitKind::Cpu];
        for (generation, kind) in read.generations.keys().flat_map(|g| kinds.map(|k| (g, k))) {
            let Some(r) = read.generations.get(generation).and_then(|units| units.get(&kind)) else {
                return bad(format!("no rule for {} of {generation}", kind.as_str()));
            };
            let within = |x: f64, most: f64| x.is_finite() && (0.0..=most).contains(&x);
            let sound = within(r.quantum_ms, 1e3)
                && r.quantum_ms > 0.0
                && within(r.switch_ms, 1e2)
                && within(r.stall_power, 1.0)
                && [r.minor, r.steep, r.flat].into_iter().all(|x| within(x, 100.0))
                && within(r.knee, r.shoulder)
                && within(r.shoulder, 10.0);
            if !sound {
                return bad(format!("rule of {} of {generation} is out of range", kind.as_str()));
            }
        }
        Ok(read)
    }

    /// Rule of a unit kind in a hardware generation, else the generic one.
    #[must_use]
    pub fn unit(&self, generation: &str, kind: UnitKind) -> Rule {
        let units = self.generations.get(generation).or_else(|| self.generations.get(GENERIC));
        units.and_then(|u| u.get(&kind)).copied().unwrap_or(NO_RULE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_rules_are_sound() {
        let rules = Coexecution::embedded().unwrap();
        assert_eq!(rules.generations.len(), 3);
        for field in ["quantum_ms", "switch_ms", "stall_power", "curve"] {
            assert!(rules.sources.keys().any(|k| k.contains(field)), "{field} has no source");
        }
    }

    #[test]
    fn refuses_a_knee_beyond_the_shoulder() {
        let mut rules = Coexecution::embedded().unwrap().clone();
        rules.generations.get_mut("orin").unwrap().get_mut(&UnitKind::Gpu).unwrap().knee = 9.0;
        let text = serde_json::to_vec(&rules).unwrap();
        assert!(matches!(Coexecution::read(&text), Err(EstimatorError::Parameters(_))));
    }
}
