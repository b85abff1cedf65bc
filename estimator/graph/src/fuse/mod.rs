//! Operators → layers: what an inference engine runs as one kernel is one layer.
//!
//! Folded into the layer before: batch normalisation and per-channel scale and shift, `Relu`,
//! `Clip` and `LeakyRelu`. Recognised as one layer: attention, and layer normalisation, GELU, SiLU
//! and hard-swish where the file spells them out. The catalogue counts the same way.

mod patterns;

use crate::build::{Op, Program};
use crate::cost::{Class, is_matmul};
use ecomap_instances::family::OpKind;

/// Operators that run as one.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Positions of the operators, ascending.
    pub(crate) ops: Vec<usize>,
    pub(crate) class: Class,
    /// The operator that names the layer.
    pub(crate) head: usize,
    /// Whether a normalisation or a scale and shift was folded in: then the layer keeps a bias.
    pub(crate) affine: bool,
    /// Constants of a scale and shift that repeats a normalisation's own: not counted twice.
    pub(crate) repeated: Vec<usize>,
}

/// Who makes and who takes each tensor.
pub(crate) struct Uses {
    producer: Vec<Option<usize>>,
    consumers: Vec<Vec<usize>>,
    output: Vec<bool>,
}

impl Uses {
    pub(crate) fn of(program: &Program<'_>) -> Self {
        let count = program.tensors.len();
        let mut uses = Self {
            producer: vec![None; count],
            consumers: vec![Vec::new(); count],
            output: vec![false; count],
        };
        for (n, op) in program.ops.iter().enumerate() {
            for t in &op.outputs {
                if let Some(slot) = uses.producer.get_mut(*t) {
                    *slot = Some(n);
                }
            }
            for t in op.inputs.iter().flatten() {
                if let Some(list) = uses.consumers.get_mut(*t).filter(|l| l.last() != Some(&n)) {
                    list.push(n);
                }
            }
        }
        for t in &program.outputs {
            if let Some(slot) = uses.output.get_mut(*t) {
                *slot = true;
            }
        }
        uses
    }

    pub(crate) fn producer(&self, tensor: usize) -> Option<usize> {
        self.producer.get(tensor).copied().flatten()
    }

    pub(crate) fn consumers(&self, tensor: usize) -> &[usize] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_output(&self, tensor: usize) -> bool {
        self.output.get(tensor).copied().unwrap_or(false)
    }

    /// The only operator that takes `tensor`.
    fn sole(&self, tensor: usize) -> Option<usize> {
        match self.consumers(tensor) {
            [one] if !self.is_output(tensor) => Some(*one),
            _ => None,
        }
    }
}

/// Groups every operator, in an order in which the groups can run.
pub(crate) fn fuse(program: &Program<'_>, uses: &Uses) -> Vec<Group> {
    let mut groups: Vec<Option<Group>> = Vec::new();
    let mut owner: Vec<Option<usize>> = vec![None; program.ops.len()];
    for n in 0..program.ops.len() {
        if let Some((class, head, mut ops)) = patterns::find(program, uses, n) {
            ops.sort_unstable();
            ops.dedup();
            let free = ops.iter().all(|o| owner.get(*o).copied().flatten().is_none());
            if free && patterns::is_closed(program, uses, &ops) {
                for o in &ops {
                    if let Some(slot) = owner.get_mut(*o) {
                        *slot = Some(groups.len());
                    }
                }
                groups.push(Some(Group { ops, class, head, affine: false, repeated: Vec::new() }));
            }
        }
    }
    for (n, op) in program.ops.iter().enumerate() {
        if owner.get(n).copied().flatten().is_some() {
            continue;
        }
        let host = absorbing(program, uses, &owner, &groups, op);
        let place = match host {
            Some((g, fold)) => {
                if let Some(Some(group)) = groups.get_mut(g) {
                    group.ops.push(n);
                    if let Fold::Affine { repeats } = fold {
                        group.affine = true;
                        if repeats {
                            group.repeated.extend(op.inputs.iter().flatten().copied());
                        }
                    }
                }
                g
            }
            None => {
                groups.push(Some(Group {
                    ops: vec![n],
                    class: op.class,
                    head: n,
                    affine: false,
                    repeated: Vec::new(),
                }));
                groups.len() - 1
            }
        };
        if let Some(slot) = owner.get_mut(n) {
            *slot = Some(place);
        }
    }
    let mut groups: Vec<Group> = groups.into_iter().flatten().collect();
    groups.sort_by_key(|g| g.ops.last().copied());
    groups
}

/// How an operator joins the layer before it.
enum Fold {
    Activation,
    /// A scale and shift; `repeats` when the layer has one already.
    Affine {
        repeats: bool,
    },
}

/// The group that `op` can join: the one that makes its input, if nothing else takes that.
fn absorbing(
    program: &Program<'_>,
    uses: &Uses,
    owner: &[Option<usize>],
    groups: &[Option<Group>],
    op: &Op<'_>,
) -> Option<(usize, Fold)> {
    let name = op.node.op_type();
    let activation = matches!(name, "Relu" | "Clip" | "LeakyRelu");
    let normalisation = name == "BatchNormalization";
    let scale = matches!(name, "Mul" | "Add") && op.class == Class::Op(OpKind::Elementwise);
    if op.class == Class::Unknown || !(activation || normalisation || scale) {
        return None;
    }
    let mut entering = op.inputs.iter().flatten().filter(|t| !is_constant(program, **t));
    let tensor = *entering.next()?;
    if entering.next().is_some() || uses.consumers(tensor).len() != 1 || uses.is_output(tensor) {
        return None;
    }
    let before = uses.producer(tensor)?;
    let host = owner.get(before).copied().flatten()?;
    let group = groups.get(host)?.as_ref()?;
    // Only what leaves the group can be worked on in passing.
    if group.ops.last() != Some(&before) || program.ops.get(before)?.outputs.first() != Some(&tensor) {
        return None;
    }
    let Class::Op(kind) = group.class else { return None };
    let computes = is_matmul(kind) && kind != OpKind::Attention;
    if activation {
        return Some((host, Fold::Activation));
    }
    let ends_in_normalisation = group.class == Class::Op(OpKind::Norm)
        && group.ops.iter().all(|o| {
            let name = program.ops.get(*o).map_or("", |o| o.node.op_type());
            matches!(name, "BatchNormalization" | "Mul" | "Add")
        });
    // Behind an activation nothing can be folded into the weights any more.
    let linear = group.ops.iter().all(|o| {
        let name = program.ops.get(*o).map_or("", |o| o.node.op_type());
        !matches!(name, "Relu" | "Clip" | "LeakyRelu")
    });
    let recurrent = matches!(program.ops.get(group.head)?.node.op_type(), "LSTM" | "GRU" | "RNN");
    if !linear || recurrent {
        return None;
    }
    if normalisation && computes {
        return Some((host, Fold::Affine { repeats: false }));
    }
    let rows = kind == OpKind::Gemm;
    if scale && (ends_in_normalisation || computes) && is_per_channel(program, op, tensor, rows) {
        // Caffe's BatchNorm and Scale, each with a scale and a shift once converted.
        let normalises =
            |o: &usize| program.ops.get(*o).is_some_and(|o| o.node.op_type() == "BatchNormalization");
        let repeats = group.ops.iter().any(normalises);
        return Some((host, Fold::Affine { repeats }));
    }
    None
}

pub(crate) fn is_constant(program: &Program<'_>, tensor: usize) -> bool {
    program.tensors.get(tensor).is_some_and(|t| t.constant.is_some())
}

/// Whether the constant operand of `op` holds one value for each channel of `tensor`: axis 1 of
/// maps, the last axis of rows of vectors.
fn is_per_channel(program: &Program<'_>, op: &Op<'_>, tensor: usize, rows: bool) -> bool {
    let shape = |t: usize| program.tensors.get(t).and_then(|t| t.fact.as_ref()).map(|f| &f.shape);
    let constant = op.inputs.iter().flatten().find(|t| is_constant(program, **t));
    let (Some(c), Some(x)) = (constant.and_then(|t| shape(*t)), shape(tensor)) else { return false };
    let axis = if rows { x.rank().wrapping_sub(1) } else { 1 };
    let channels = x.dim(axis);
    let place = (axis + c.rank()).checked_sub(x.rank());
    channels > 1 && c.elements() == channels && place.is_some_and(|p| c.dim(p) == channels)
}
