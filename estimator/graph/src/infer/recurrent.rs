//! Recurrent layers.

use super::{Call, Inferred};
use crate::fact::Fact;
use crate::fault::Fault;

/// Gates of a recurrent operator: the rows of its weights are this many times the hidden size.
pub(crate) fn gates(op: &str) -> Option<u64> {
    match op {
        "LSTM" => Some(4),
        "GRU" => Some(3),
        "RNN" => Some(1),
        _ => None,
    }
}

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    let Some(gates) = gates(call.op) else { return Ok(None) };
    let (x, w, r) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if x.shape.rank() != 3 || w.shape.rank() != 3 || r.shape.rank() != 3 {
        return Err(Fault::operator("input and weights must have three axes"));
    }
    let hidden = r.shape.dim(2);
    let directions = w.shape.dim(0);
    if w.shape.dim(2) != x.shape.dim(2) || hidden.checked_mul(gates) != Some(w.shape.dim(1)) {
        return Err(Fault::operator(format!("weights {} do not fit an input of {}", w.shape, x.shape)));
    }
    let (a, b) = (x.shape.dim(0), x.shape.dim(1));
    let facts = if call.attrs.int_or("layout", 0) == 0 {
        [vec![a, directions, b, hidden], vec![directions, b, hidden], vec![directions, b, hidden]]
    } else {
        [vec![a, b, directions, hidden], vec![a, directions, hidden], vec![a, directions, hidden]]
    };
    let facts = facts.into_iter().take(call.outputs.max(1)).map(|d| Fact::of(d, x.dtype));
    facts.collect::<Result<_, _>>().map(Some)
}
