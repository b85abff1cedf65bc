//! Reductions over axes.

use super::{Call, Inferred, one};
use crate::fact::Fact;
use crate::shape::DType;
use crate::value::Value;
use std::collections::BTreeSet;

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    match call.op {
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceSumSquare" => reduce(call),
        "ArgMax" | "ArgMin" => {
            let x = call.input(0)?;
            let axis = x.shape.axis(call.attrs.int_or("axis", 0), 0)?;
            let axes = BTreeSet::from([axis]);
            let keep = call.attrs.int_or("keepdims", 1) != 0;
            one(Fact::of(without(x, &axes, keep), DType::Int64)?)
        }
        _ => Ok(None),
    }
}

fn without(x: &Fact, axes: &BTreeSet<usize>, keep: bool) -> Vec<u64> {
    let dims = x.shape.dims().iter().enumerate();
    dims.filter_map(|(i, d)| if !axes.contains(&i) { Some(*d) } else { keep.then_some(1) }).collect()
}

fn reduce(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let given = call.ints(1, "axes")?.unwrap_or_default();
    let axes: BTreeSet<usize> = if given.is_empty() {
        if call.attrs.int_or("noop_with_empty_axes", 0) != 0 {
            return one(Fact::new(x.shape.clone(), x.dtype));
        }
        (0..x.shape.rank()).collect()
    } else {
        given.iter().map(|a| x.shape.axis(*a, 0)).collect::<Result<_, _>>()?
    };
    let keep = call.attrs.int_or("keepdims", 1) != 0;
    let fact = Fact::of(without(x, &axes, keep), x.dtype)?;
    // A shape's size is its product; nothing else is followed.
    let value = match x.value.as_deref() {
        Some(Value::Ints(v)) if axes.len() == x.shape.rank() && !v.is_empty() => match call.op {
            "ReduceProd" => v.iter().try_fold(1_i64, |a, b| a.checked_mul(*b)),
            "ReduceSum" => v.iter().try_fold(0_i64, |a, b| a.checked_add(*b)),
            "ReduceMax" => v.iter().max().copied(),
            "ReduceMin" => v.iter().min().copied(),
            _ => None,
        },
        _ => None,
    };
    one(fact.with(value.map(|v| Value::Ints(vec![v]))))
}
