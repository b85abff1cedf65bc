//! The seam between the agent and whatever runs models.
//!
//! The agent decides *which* plan is to run and when; a [`Runtime`] makes it true. Two
//! implementations exist: ONNX Runtime on this machine, and the emulated board over the simulator.
//!
//! Replacing a plan is make-before-break: [`Runtime::prepare`] loads and warms everything beside the
//! running plan, [`Prepared::commit`] switches the routing of new requests in one step, and the old
//! sessions end when their last request is answered. A [`Prepared`] that is dropped, or given to
//! [`Prepared::abort`], leaves the running plan as it was.

use super::counters::Counters;
use super::refusal::Refused;
use super::tensor::{DataType, Tensor};
use crate::orders::Orders;
use ecomap_instances::ids::{TenantId, TierId, UnitId};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Number of a plan; the service counts them up. The runtime only repeats it: what is stale is the
/// agent's to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanVersion(pub u64);

impl fmt::Display for PlanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What times and counts of a runtime are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// Models really ran, and were timed.
    Measured,
    /// A simulator said how long they would have taken. To be shown wherever the figures are.
    Emulated,
}

impl Basis {
    /// `measured` or `emulated`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Emulated => "emulated",
        }
    }
}

/// Runs the models of one board.
///
/// All methods may be called from any thread, [`Runtime::prepare`] beside requests.
pub trait Runtime: Send + Sync + fmt::Debug {
    /// How its figures are to be labelled.
    fn basis(&self) -> Basis;

    /// Loads and warms all sessions of `orders` beside the running plan. Blocks until they could
    /// answer, for seconds or (an engine that is compiled) minutes: not to be called on an
    /// asynchronous worker.
    ///
    /// # Errors
    /// [`Refused`], with everything that was found wrong; the running plan is untouched.
    fn prepare(&self, version: PlanVersion, orders: &Orders) -> Result<Prepared, Refused>;

    /// The plan that new requests are routed by; `None` before the first.
    fn running(&self) -> Option<PlanVersion>;

    /// Plans that were replaced and still have requests to answer.
    fn draining(&self) -> usize;

    /// Tenants of the running plan, in order of name.
    fn tenants(&self) -> Vec<TenantId>;

    /// The model that answers a tenant now; `None` when the running plan does not serve it.
    fn model(&self, tenant: &TenantId) -> Option<ModelInfo>;

    /// Takes a request in, without waiting for the answer. `within` is the time that the client
    /// grants from now on: a request of which a segment cannot begin in it is answered
    /// [`InferError::Expired`].
    /// Requests run earliest deadline first on each unit; without `within` the tenant's latency
    /// objective is the deadline by which they are ordered and counted, but nothing expires.
    ///
    /// # Errors
    /// [`InferError`], when it is clear at once that there will be no answer.
    fn infer(
        &self,
        tenant: &TenantId,
        request: InferRequest,
        within: Option<Duration>,
    ) -> Result<Pending, InferError>;

    /// What was seen since the runtime began. Counts only grow: a reader takes differences.
    fn counters(&self) -> Counters;
}

/// A plan that could run now. [`Staged`] is the runtime's side of it.
#[must_use = "a prepared plan holds memory until it is committed or aborted"]
pub struct Prepared {
    version: PlanVersion,
    report: PrepareReport,
    staged: Box<dyn Staged>,
}

/// What a runtime keeps for a prepared plan; dropping it aborts.
pub trait Staged: Send {
    /// Switches to the plan. Cannot fail: whatever can fail belongs into preparing.
    fn commit(self: Box<Self>) -> Switched;
}

impl Prepared {
    /// For runtimes.
    pub fn new(version: PlanVersion, report: PrepareReport, staged: Box<dyn Staged>) -> Self {
        Self { version, report, staged }
    }

    /// The plan.
    #[must_use]
    pub fn version(&self) -> PlanVersion {
        self.version
    }

    /// What preparing took.
    #[must_use]
    pub fn report(&self) -> &PrepareReport {
        &self.report
    }

    /// Routes all new requests by this plan, in one step. Requests that were taken in before are
    /// answered by the plan that took them.
    pub fn commit(self) -> Switched {
        self.staged.commit()
    }

    /// Drops what was loaded for the plan; the running one goes on.
    pub fn abort(self) {
        drop(self);
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("version", &self.version)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// What preparing a plan took.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PrepareReport {
    /// Reading and checking model files, and cutting them.
    pub read: Duration,
    /// Making sessions.
    pub load: Duration,
    /// First runs.
    pub warm: Duration,
    /// Sessions made.
    pub loaded: usize,
    /// Sessions of running plans that serve on.
    pub reused: usize,
    /// Memory that the new sessions were reckoned to take, bytes.
    pub bytes: u64,
    /// Nodes that run elsewhere than on their unit, where the configuration lets that pass.
    pub fell_back: Vec<String>,
}

/// A switch that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// Plan that runs now.
    pub version: PlanVersion,
    /// Plan that ran before.
    pub replaced: Option<PlanVersion>,
    /// How long routing was held for the switch.
    pub took: Duration,
}

/// A tensor of a model's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the ONNX file.
    pub name: String,
    /// Element type.
    pub datatype: DataType,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
}

/// The model that answers a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Tenant.
    pub tenant: TenantId,
    /// Model family.
    pub family: String,
    /// Quality tier.
    pub tier: TierId,
    /// Plan.
    pub version: PlanVersion,
    /// Units that its segments run on, in order.
    pub units: Vec<UnitId>,
    /// What it takes.
    pub inputs: Vec<TensorInfo>,
    /// What it gives.
    pub outputs: Vec<TensorInfo>,
    /// Whether the weights are drawn from a seed: answers then mean nothing.
    pub synthetic: bool,
}

/// A request for one tenant's model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InferRequest {
    /// All inputs of the model, in any order.
    pub inputs: Vec<Tensor>,
    /// Names of wanted outputs; empty for all.
    pub outputs: Vec<String>,
}

/// An answer, and who gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct InferResponse {
    /// Outputs, in the order asked for.
    pub outputs: Vec<Tensor>,
    /// Tier that answered.
    pub tier: TierId,
    /// Plan by which the request was routed.
    pub version: PlanVersion,
    /// From arrival to answer.
    pub latency: Duration,
    /// Of this, time on units.
    pub busy: Duration,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// No plan ever named the tenant.
    #[error("no plan serves a tenant of this name")]
    UnknownTenant,
    /// The running plan does not serve the tenant: it was shed, or moved to another board.
    #[error("the running plan does not serve this tenant here")]
    NotServed,
    /// The request does not fit the model.
    #[error("{0}")]
    Invalid(String),
    /// As many requests of the tenant are under way as may be.
    #[error("{0} requests of this tenant are under way, as many as may be")]
    Busy(usize),
    /// It could not begin within the time that the client granted.
    #[error("the request's time was over before it could run")]
    Expired,
    /// The runtime is shutting down.
    #[error("shutting down")]
    Closed,
    /// The runtime failed on it.
    #[error("{0}")]
    Failed(String),
}

/// An answer to come: a future, or waited for with [`Pending::wait`]. Dropping it gives up: the
/// request is not begun any more, or its answer is thrown away.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<InferResponse, InferError>>);

/// The other end of a [`Pending`].
pub type Answer = oneshot::Sender<Result<InferResponse, InferError>>;

/// An answer to come, and where to send it.
#[must_use]
pub fn pending() -> (Answer, Pending) {
    let (sender, receiver) = oneshot::channel();
    (sender, Pending(receiver))
}

impl Pending {
    /// Waits for the answer. Not to be called on an asynchronous worker.
    ///
    /// # Errors
    /// [`InferError`].
    pub fn wait(self) -> Result<InferResponse, InferError> {
        self.0.blocking_recv().unwrap_or(Err(InferError::Closed))
    }
}

impl Future for Pending {
    type Output = Result<InferResponse, InferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(InferError::Closed)))
    }
}
