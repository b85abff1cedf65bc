//! Where a layer can run.

mod dla;

use crate::build::{Op, Program};
use crate::cost::Class;
use crate::fuse::Group;
use serde::Serialize;

/// What a unit of the given kind says to a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Support {
    /// Why a GPU or CPU cannot run it; empty when it can.
    pub general: Vec<String>,
    /// Why Orin's DLA cannot run it through TensorRT; empty when it can.
    pub dla: Vec<String>,
}

/// A kind of compute unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitClass {
    /// A GPU.
    Gpu,
    /// Deep-learning accelerator of an Orin.
    Dla,
    /// A CPU cluster.
    Cpu,
}

impl Support {
    /// Why `unit` cannot run the layer; empty when it can.
    #[must_use]
    pub fn refusals(&self, unit: UnitClass) -> &[String] {
        match unit {
            UnitClass::Gpu | UnitClass::Cpu => &self.general,
            UnitClass::Dla => &self.dla,
        }
    }
}

/// Checks a layer against the rules of each kind of unit.
pub(crate) fn of(program: &Program<'_>, group: &Group, ops: &[&Op<'_>]) -> Support {
    if group.class == Class::Unknown {
        let reason = vec!["the operator is not known".to_owned()];
        return Support { general: reason.clone(), dla: reason };
    }
    let mut dla = Vec::new();
    for op in ops {
        // A scale and shift that was folded into weights is no operation any more.
        let folded = group.affine && matches!(op.node.op_type(), "Mul" | "Add" | "BatchNormalization");
        if folded {
            continue;
        }
        for reason in dla::refusals(program, op) {
            let named = format!("{}: {reason}", op.node.op_type());
            if !dla.contains(&named) {
                dla.push(named);
            }
        }
    }
    Support { general: Vec::new(), dla }
}
