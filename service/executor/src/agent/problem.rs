//! What an agent answers when it does not do what it was told.

use crate::power::PowerError;
use crate::runtime::Refused;
use ecomap_instances::format::agent_v1::{AgentProblemDto, RefusalDto};
use ecomap_instances::{Code, Issues};
use std::fmt;

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable code.
    pub code: Code,
    /// What is wrong here.
    pub detail: String,
    /// What keeps the plan from running, option by option.
    pub refusals: Vec<RefusalDto>,
}

/// Most refusals that are sent.
const MAX_REFUSALS: usize = 100;

impl Problem {
    /// Of a code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), refusals: Vec::new() }
    }

    /// HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.code {
            Code::AgentSignature => 401,
            Code::AgentStale
            | Code::AgentConflict
            | Code::AgentNotPrepared
            | Code::AgentRunning
            | Code::AgentRenewal => 409,
            Code::AgentStore => 507,
            Code::AgentBusy => 503,
            _ => 422,
        }
    }

    /// On the wire.
    #[must_use]
    pub fn dto(&self, highest: u64) -> AgentProblemDto {
        AgentProblemDto {
            type_uri: format!("urn:ecomap:problem:{}", self.code),
            title: self.code.title().to_owned(),
            status: self.status(),
            code: self.code.to_string(),
            detail: self.detail.clone(),
            highest,
            refusals: self.refusals.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.code.title(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let refusals = refused.0.iter().take(MAX_REFUSALS).map(|r| RefusalDto {
            code: r.reason.code().to_string(),
            tenant: r.tenant.as_ref().map(ToString::to_string),
            unit: r.unit.as_ref().map(ToString::to_string),
            message: r.message.clone(),
        });
        Self { code: Code::AgentRefused, detail: refused.to_string(), refusals: refusals.collect() }
    }
}

impl From<PowerError> for Problem {
    fn from(error: PowerError) -> Self {
        let code = match error {
            PowerError::NeedsReboot { .. } => Code::AgentReboot,
            _ => Code::AgentMode,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Issues> for Problem {
    fn from(issues: Issues) -> Self {
        Self::new(Code::AgentOrders, issues.to_string())
    }
}
