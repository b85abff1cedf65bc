//! Why a plan cannot be run here.

use ecomap_instances::Code;
use ecomap_instances::ids::{TenantId, UnitId};
use std::fmt;

/// Kind of a refusal. The service re-solves without the option that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The repository has no such family or tier.
    MissingModel,
    /// The model file is not the one that the manifest describes.
    HashMismatch,
    /// A path leads out of the repository, or a file in it is too large or unreadable.
    BadRepository,
    /// The plan counts other blocks than the model has.
    BlockMismatch,
    /// The model cannot be cut where the plan cuts it.
    IllegalCut,
    /// The new sessions do not fit beside the running ones.
    OutOfMemory,
    /// The unit cannot run an operator.
    UnsupportedOperator,
    /// The unit's execution provider is not in this ONNX Runtime, or does not start.
    MissingProvider,
    /// Nodes would run elsewhere than on the unit.
    FellBack,
    /// This board has no such unit, or the unit cannot have its cores.
    UnknownUnit,
    /// The plan is for another hardware profile or power mode than this board has.
    WrongBoard,
    /// The runtime refuses the model for another reason.
    RuntimeFailed,
}

impl Reason {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::MissingModel => Code::RunModelMissing,
            Self::HashMismatch => Code::RunModelHash,
            Self::BadRepository => Code::RunRepository,
            Self::BlockMismatch => Code::RunBlocks,
            Self::IllegalCut => Code::RunCut,
            Self::OutOfMemory => Code::RunMemory,
            Self::UnsupportedOperator => Code::RunOperator,
            Self::MissingProvider => Code::RunProvider,
            Self::FellBack => Code::RunFellBack,
            Self::UnknownUnit => Code::RunUnit,
            Self::WrongBoard => Code::RunBoard,
            Self::RuntimeFailed => Code::RunFailed,
        }
    }
}

/// One thing that keeps a plan from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kind.
    pub reason: Reason,
    /// Tenant whose option it is; absent where it concerns the whole plan.
    pub tenant: Option<TenantId>,
    /// Unit that it concerns, if it concerns one.
    pub unit: Option<UnitId>,
    /// What exactly, for people.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.reason.code();
        write!(f, "{code} {}", code.title())?;
        if let Some(tenant) = &self.tenant {
            write!(f, ", tenant `{tenant}`")?;
        }
        if let Some(unit) = &self.unit {
            write!(f, ", unit `{unit}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A plan that is not run, with everything that was found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Vec<Refusal>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(Refusal::to_string).collect();
        f.write_str(&list.join("; "))
    }
}

impl std::error::Error for Refused {}
