//! Operators that arrange the same elements differently, or make new tensors by shape.

use super::{Call, Inferred, one};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::onnx::messages::TensorProto;
use crate::shape::{DType, Shape, axis_of};
use crate::value::{self, MAX_FOLDED, Value};
use std::collections::BTreeSet;

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    match call.op {
        "Reshape" => reshape(call),
        "Flatten" => {
            let x = call.input(0)?;
            let axis = x.shape.axis(call.attrs.int_or("axis", 1), 1)?;
            let part = |dims: Option<&[u64]>| {
                dims.unwrap_or_default().iter().try_fold(1_u64, |a, d| a.checked_mul(*d))
            };
            let (before, after) = (part(x.shape.dims().get(..axis)), part(x.shape.dims().get(axis..)));
            let (Some(before), Some(after)) = (before, after) else { return Err(Fault::overflow("shape")) };
            one(Fact::of(vec![before, after], x.dtype)?)
        }
        "Squeeze" => squeeze(call),
        "Unsqueeze" => unsqueeze(call),
        "Transpose" => transpose(call),
        "Shape" => {
            let dims = call.input(0)?.shape.dims();
            let rank = i64::try_from(dims.len()).unwrap_or(i64::MAX);
            let clamp =
                |n: i64| usize::try_from(if n < 0 { n.saturating_add(rank) } else { n }.clamp(0, rank));
            let (start, end) = (call.attrs.int_or("start", 0), call.attrs.int_or("end", rank));
            let part = match (clamp(start), clamp(end)) {
                (Ok(a), Ok(b)) => dims.get(a..b).unwrap_or_default(),
                _ => &[],
            };
            let values = part.iter().map(|d| i64::try_from(*d)).collect::<Result<Vec<_>, _>>();
            one(Fact::ints(values.map_err(|_| Fault::overflow("shape"))?))
        }
        "Size" => {
            let n = i64::try_from(call.input(0)?.shape.elements()).map_err(|_| Fault::overflow("size"))?;
            one(Fact::new(Shape::scalar(), DType::Int64).with(Some(Value::Ints(vec![n]))))
        }
        "Constant" => constant(call),
        "ConstantOfShape" => fill(call),
        "Expand" => {
            let x = call.input(0)?;
            let shape = x.shape.broadcast(&sizes(&call.known_ints(1)?)?)?;
            one(Fact::new(shape, x.dtype).with(single(x)))
        }
        "Tile" => {
            let x = call.input(0)?;
            let repeats = sizes(&call.known_ints(1)?)?;
            if repeats.rank() != x.shape.rank() {
                return Err(Fault::operator("`repeats` needs a number an axis"));
            }
            let dims = x.shape.dims().iter().zip(repeats.dims()).map(|(a, b)| a.checked_mul(*b));
            let dims = dims.collect::<Option<_>>().ok_or_else(|| Fault::overflow("shape"))?;
            one(Fact::of(dims, x.dtype)?)
        }
        "Range" => range(call),
        "DepthToSpace" | "SpaceToDepth" => blocks(call),
        "EyeLike" => one(Fact::new(call.input(0)?.shape.clone(), DType::Float)),
        _ => Ok(None),
    }
}

/// Numbers as a shape.
fn sizes(values: &[i64]) -> Result<Shape, Fault> {
    let dims = values.iter().map(|v| u64::try_from(*v)).collect::<Result<Vec<_>, _>>();
    Shape::new(dims.map_err(|_| Fault::operator("a negative size"))?)
}

/// The value of a tensor of one element; repeated, it is still known for shapes of one element.
fn single(x: &Fact) -> Option<Value> {
    x.value.as_deref().cloned()
}

fn reshape(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let wanted = call.ints(1, "shape")?.ok_or_else(|| Fault::operator("no shape given"))?;
    let keep_zero = call.attrs.int_or("allowzero", 0) != 0;
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (i, &w) in wanted.iter().enumerate() {
        match w {
            -1 if open.is_none() => {
                open = Some(i);
                dims.push(1);
            }
            0 if !keep_zero => match x.shape.dims().get(i) {
                Some(d) => dims.push(*d),
                None => return Err(Fault::operator("a 0 in the shape has no axis to copy")),
            },
            _ => dims.push(u64::try_from(w).map_err(|_| Fault::operator(format!("size {w} in the shape")))?),
        }
    }
    let known = Shape::new(dims.clone())?;
    let total = x.shape.elements();
    let wrong = || {
        let text: Vec<String> = wanted.iter().map(i64::to_string).collect();
        Fault::operator(format!("{} elements cannot take the shape [{}]", total, text.join(", ")))
    };
    if let Some(slot) = open.and_then(|i| dims.get_mut(i)) {
        if known.elements() == 0 || total % known.elements() != 0 {
            return Err(wrong());
        }
        *slot = total / known.elements();
    }
    let fact = Fact::of(dims, x.dtype)?;
    if fact.shape.elements() != total {
        return Err(wrong());
    }
    one(fact.with(x.value.as_deref().cloned()))
}

fn squeeze(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let axes: BTreeSet<usize> = match call.ints(1, "axes")? {
        Some(axes) => axes.iter().map(|a| x.shape.axis(*a, 0)).collect::<Result<_, _>>()?,
        None => x.shape.dims().iter().enumerate().filter(|(_, d)| **d == 1).map(|(i, _)| i).collect(),
    };
    if axes.iter().any(|a| x.shape.dim(*a) != 1) {
        return Err(Fault::operator(format!("only axes of size 1 can be squeezed from {}", x.shape)));
    }
    let dims = x.shape.dims().iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, d)| *d);
    one(Fact::of(dims.collect(), x.dtype)?.with(x.value.as_deref().cloned()))
}

fn unsqueeze(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let axes = call.ints(1, "axes")?.ok_or_else(|| Fault::operator("no axes given"))?;
    let rank = x.shape.rank() + axes.len();
    let places: BTreeSet<usize> = axes.iter().map(|a| axis_of(*a, rank)).collect::<Result<_, _>>()?;
    if places.len() != axes.len() {
        return Err(Fault::operator("an axis is named twice"));
    }
    let mut old = x.shape.dims().iter().copied();
    let dims = (0..rank).map(|i| if places.contains(&i) { 1 } else { old.next().unwrap_or(1) });
    one(Fact::of(dims.collect(), x.dtype)?.with(x.value.as_deref().cloned()))
}

fn transpose(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let rank = x.shape.rank();
    let order: Vec<usize> = match call.attrs.ints("perm") {
        Some(perm) => perm.iter().map(|a| x.shape.axis(*a, 0)).collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    if order.len() != rank || order.iter().collect::<BTreeSet<_>>().len() != rank {
        return Err(Fault::operator("`perm` must name every axis once"));
    }
    let dims = order.iter().map(|i| x.shape.dim(*i)).collect();
    let fact = Fact::of(dims, x.dtype)?;
    let value = x.value.as_deref().and_then(|v| {
        v.rearrange(&x.shape, &fact.shape, |index| {
            let mut place = vec![0; rank];
            for (from, i) in order.iter().zip(index) {
                if let Some(slot) = place.get_mut(*from) {
                    *slot = *i;
                }
            }
            place
        })
    });
    one(fact.with(value))
}

/// Shape, type and values of a constant in the file.
pub(crate) fn of_tensor(tensor: &TensorProto) -> Result<Fact, Fault> {
    let dtype = DType::from_onnx(tensor.data_type())?;
    let dims = tensor.dims.iter().map(|d| u64::try_from(*d)).collect::<Result<Vec<_>, _>>();
    let dims = dims.map_err(|_| {
        Fault::new(ecomap_instances::Code::ModelDimension, "a constant has a negative dimension")
    })?;
    let shape = Shape::new(dims)?;
    let value = value::of_tensor(tensor, &shape, dtype)?;
    Ok(Fact::new(shape, dtype).with(value))
}

fn constant(call: &Call<'_>) -> Inferred {
    let attrs = call.attrs;
    if let Some(tensor) = attrs.tensor("value") {
        return one(of_tensor(tensor)?);
    }
    if let Some(n) = attrs.int("value_int") {
        return one(Fact::new(Shape::scalar(), DType::Int64).with(Some(Value::Ints(vec![n]))));
    }
    if let Some(list) = attrs.ints("value_ints") {
        return one(Fact::ints(list.to_vec()));
    }
    if let Some(list) = attrs.floats("value_floats") {
        let values = list.iter().copied().map(f64::from).collect();
        return one(Fact::new(Shape::vector(list.len()), DType::Float).with(Some(Value::Reals(values))));
    }
    if let Some(x) = attrs.get("value_float").and_then(|a| a.f) {
        return one(Fact::new(Shape::scalar(), DType::Float).with(Some(Value::Reals(vec![f64::from(x)]))));
    }
    if attrs.get("value_string").is_some() {
        return one(Fact::new(Shape::scalar(), DType::String));
    }
    Err(Fault::operator("a constant without a value"))
}

fn fill(call: &Call<'_>) -> Inferred {
    let shape = sizes(&call.known_ints(0)?)?;
    let content = match call.attrs.tensor("value") {
        Some(tensor) => of_tensor(tensor)?,
        None => Fact::new(Shape::scalar(), DType::Float).with(Some(Value::Reals(vec![0.0]))),
    };
    let count = usize::try_from(shape.elements()).unwrap_or(usize::MAX);
    let value = if count <= MAX_FOLDED {
        content.value.and_then(|v| v.pick(std::iter::repeat_n(0, count)))
    } else {
        None
    };
    one(Fact::new(shape, content.dtype).with(value))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked to be small and positive
fn range(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let get = |n: usize| -> Result<f64, Fault> {
        let values = call.known(n)?.reals();
        values.first().copied().ok_or_else(|| Fault::operator("an empty bound"))
    };
    let (start, limit, step) = (get(0)?, get(1)?, get(2)?);
    let count = ((limit - start) / step).ceil().max(0.0);
    if !count.is_finite() || count > 1e12 {
        return Err(Fault::operator(format!("a range of {count} numbers")));
    }
    let fact = Fact::of(vec![count as u64], x.dtype)?;
    let value = if count <= MAX_FOLDED as f64 {
        let reals = (0..count as u32).map(|n| start + f64::from(n) * step).collect();
        Value::Reals(reals).cast(x.dtype)
    } else {
        None
    };
    one(fact.with(value))
}

fn blocks(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let b =
        call.attrs.int("blocksize").and_then(|b| u64::try_from(b).ok()).filter(|b| *b > 0 && *b < 1 << 16);
    let (Some(b), [n, c, h, w]) = (b, x.shape.dims()) else {
        return Err(Fault::operator("needs a block size and an input of four axes"));
    };
    let square = b * b;
    let dims = if call.op == "DepthToSpace" {
        if c % square != 0 {
            return Err(Fault::operator(format!("{c} channels do not split into blocks of {b}")));
        }
        [Some(*n), Some(c / square), h.checked_mul(b), w.checked_mul(b)]
    } else {
        if h % b != 0 || w % b != 0 {
            return Err(Fault::operator(format!("{h}×{w} does not split into blocks of {b}")));
        }
        [Some(*n), c.checked_mul(square), Some(h / b), Some(w / b)]
    };
    let dims = dims.into_iter().collect::<Option<_>>().ok_or_else(|| Fault::overflow("shape"))?;
    one(Fact::of(dims, x.dtype)?)
}
