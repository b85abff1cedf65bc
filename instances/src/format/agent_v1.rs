//! Wire form of what service and agent say to each other about plans (`/agent/v1`). The plans themselves are
//! [`orders_v1`](super::orders_v1), reports [`telemetry_v1`](super::telemetry_v1).

use super::telemetry_v1::OriginDto;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Header with the signature of a request: `ed25519 ` and 128 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "ecomap-signature";
/// What every signed text begins with, so that a signature serves no other purpose.
pub const SIGNED_PREFIX: &str = "ecomap.agent/v1\n";

/// The bytes that a request's signature covers: prefix, device, method and path on a line each, then the body. The
/// device is in it, so that what one board was told cannot be told to another.
#[must_use]
pub fn signed_bytes(device: &str, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{SIGNED_PREFIX}{device}\n{method}\n{path}\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Path of a plan on the agent.
#[must_use]
pub fn plan_path(version: u64) -> String {
    format!("/agent/v1/plans/{version}")
}

/// How far an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentStatusDto {
    /// Board.
    pub device: String,
    /// Its hardware profile.
    pub profile: String,
    /// Whether models run here or are simulated: `measured` or `emulated`.
    pub basis: OriginDto,
    /// Plan that runs; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<u64>,
    /// Plan that is prepared; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<u64>,
    /// Highest version ever heard of; a new plan must be above it. 0: none.
    pub highest: u64,
    /// Power mode in force; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Power modes of the board.
    pub modes: Vec<String>,
    /// Whether the board has lowered itself because its budget had expired.
    pub safe: bool,
    /// Seconds until the budget expires; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_left_s: Option<u64>,
    /// Number of the last renewal; the next one must be higher.
    pub renewal: u64,
    /// Plans that were replaced and still answer requests.
    pub draining: u64,
}

/// Announces a board to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrationDto {
    /// Where the agent listens, e.g. `http://10.0.0.7:8090`.
    pub address: String,
    /// How far it is.
    pub status: AgentStatusDto,
}

/// A plan is prepared, and could be committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreparedDto {
    /// Plan.
    pub version: u64,
    /// SHA-256 of the orders, as they were sent.
    pub digest: String,
    /// Time that it took, ms.
    pub took_ms: f64,
    /// Sessions made.
    pub loaded: u64,
    /// Sessions that serve on from the running plan.
    pub reused: u64,
    /// Nodes that run elsewhere than planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fell_back: Vec<String>,
}

/// A plan runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommittedDto {
    /// Plan.
    pub version: u64,
    /// Plan that ran before; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u64>,
    /// Power mode in force; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Why the plan's power mode could not be raised to; the plan runs in a lower one then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_fault: Option<String>,
    /// Time that setting the power mode took, ms.
    pub mode_ms: f64,
    /// Time for which routing was held, ms.
    pub switch_ms: f64,
}

/// Prolongs a board's budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewDto {
    /// Higher than that of every renewal before.
    pub renewal: u64,
    /// Seconds from now on.
    pub lease_s: u64,
}

/// Why an agent does not do what it was told (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentProblemDto {
    /// `urn:ecomap:problem:` and the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// Short title, the same for every occurrence of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// What is wrong here.
    pub detail: String,
    /// Highest version that the agent has heard of.
    pub highest: u64,
    /// What keeps the plan from running, option by option.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<RefusalDto>,
}

/// One thing that keeps a plan from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalDto {
    /// Stable code.
    pub code: String,
    /// Tenant whose option it is; absent where it concerns the whole board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Compute unit that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What exactly, for people.
    pub message: String,
}
