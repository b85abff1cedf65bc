//! Operators that take parts of tensors, or put tensors together.

use super::{Call, Inferred, one};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::shape::{DType, Shape};
use crate::value::Value;
use ecomap_instances::Code;

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    match call.op {
        "Concat" => concat(call),
        "Slice" => slice(call),
        "Split" => split(call),
        "Gather" => gather(call),
        "GatherElements" => {
            let x = call.input(0)?;
            one(Fact::new(call.input(1)?.shape.clone(), x.dtype))
        }
        "GatherND" => gather_nd(call),
        "Pad" => pad(call),
        "Resize" => resize(call),
        "Upsample" => {
            let x = call.input(0)?;
            let scales = match call.attrs.floats("scales") {
                Some(s) => s.iter().copied().map(f64::from).collect(),
                None => call.known(1)?.reals(),
            };
            one(Fact::of(scaled(&x.shape, &scales)?, x.dtype)?)
        }
        "TopK" => {
            let x = call.input(0)?;
            let k = match call.attrs.int("k") {
                Some(k) => k,
                None => call.known_ints(1)?.first().copied().unwrap_or(-1),
            };
            let k = u64::try_from(k).map_err(|_| Fault::operator("`k` is negative or missing"))?;
            let axis = x.shape.axis(call.attrs.int_or("axis", -1), 0)?;
            let dims = x.shape.dims().iter().enumerate().map(|(i, d)| if i == axis { k } else { *d });
            let y = Fact::of(dims.collect(), x.dtype)?;
            let places = Fact::new(y.shape.clone(), DType::Int64);
            Ok(Some([y, places].into_iter().take(call.outputs.max(1)).collect()))
        }
        "OneHot" => {
            let x = call.input(0)?;
            let depth = call.known_ints(1)?.first().and_then(|d| u64::try_from(*d).ok());
            let depth = depth.ok_or_else(|| Fault::operator("`depth` is negative or missing"))?;
            let axis = x.shape.axis(call.attrs.int_or("axis", -1), 1)?;
            let mut dims = x.shape.dims().to_vec();
            dims.insert(axis.min(dims.len()), depth);
            one(Fact::of(dims, call.input(2)?.dtype)?)
        }
        "GridSample" => {
            let (x, grid) = (call.input(0)?, call.input(1)?);
            let mut dims = vec![x.shape.dim(0), x.shape.dim(1)];
            dims.extend(grid.shape.dims().iter().skip(1).take(x.shape.rank().saturating_sub(2)));
            one(Fact::of(dims, x.dtype)?)
        }
        "NonZero" | "NonMaxSuppression" | "Unique" | "Compress" => Err(Fault::new(
            Code::ModelDynamic,
            format!("the size of what `{}` gives depends on data", call.op),
        )),
        _ => Ok(None),
    }
}

fn concat(call: &Call<'_>) -> Inferred {
    let first = call.input(0)?;
    let axis = first.shape.axis(call.attrs.int_or("axis", 1), 0)?;
    let mut total = 0_u64;
    for n in 0..call.inputs.len() {
        let x = call.input(n)?;
        let same = x.shape.rank() == first.shape.rank()
            && (0..first.shape.rank()).all(|i| i == axis || x.shape.dim(i) == first.shape.dim(i));
        if !same {
            return Err(Fault::operator(format!(
                "shapes {} and {} do not join along axis {axis}",
                first.shape, x.shape
            )));
        }
        total = total.checked_add(x.shape.dim(axis)).ok_or_else(|| Fault::overflow("shape"))?;
    }
    let dims = first.shape.dims().iter().enumerate().map(|(i, d)| if i == axis { total } else { *d });
    let fact = Fact::of(dims.collect(), first.dtype)?;
    let mut joined = Some(Vec::new());
    if fact.shape.rank() == 1 && fact.shape.elements() <= crate::value::MAX_FOLDED as u64 {
        for x in call.inputs.iter().flatten() {
            match (x.value.as_deref().and_then(Value::ints), &mut joined) {
                (Some(v), Some(list)) => list.extend_from_slice(v),
                _ => joined = None,
            }
        }
    } else {
        joined = None;
    }
    let reals = || {
        let parts = call.inputs.iter().flatten().map(|x| x.value.as_deref().map(Value::reals));
        parts.collect::<Option<Vec<_>>>().map(|p| Value::Reals(p.concat()))
    };
    let value = joined.map(Value::Ints).or_else(|| {
        (fact.shape.rank() == 1 && matches!(first.dtype, DType::Float | DType::Double)).then(reals).flatten()
    });
    one(fact.with(value))
}

fn slice(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let missing = || Fault::operator("`starts` and `ends` must be given");
    let starts = call.ints(1, "starts")?.ok_or_else(missing)?;
    let ends = call.ints(2, "ends")?.ok_or_else(missing)?;
    let axes = match call.ints(3, "axes")? {
        Some(axes) => axes,
        None => (0..starts.len()).filter_map(|n| i64::try_from(n).ok()).collect(),
    };
    let steps = call.ints(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|n| *n != starts.len()) {
        return Err(Fault::operator("`starts`, `ends`, `axes` and `steps` differ in length"));
    }
    let mut dims = x.shape.dims().to_vec();
    // For each axis where the slice starts, and its step.
    let mut walks = vec![(0_i64, 1_i64); dims.len()];
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = x.shape.axis(axis, 0)?;
        let size = i64::try_from(x.shape.dim(axis)).map_err(|_| Fault::overflow("shape"))?;
        let wrap = |n: i64| if n < 0 { n.saturating_add(size) } else { n };
        let (from, to) = if size == 0 {
            (0, 0)
        } else if step > 0 {
            (wrap(start).clamp(0, size), wrap(end).clamp(0, size))
        } else if step < 0 {
            (wrap(start).clamp(0, size - 1), wrap(end).clamp(-1, size - 1))
        } else {
            (0, 0)
        };
        if step == 0 {
            return Err(Fault::operator("a step of 0"));
        }
        let span = if step > 0 { to - from } else { from - to };
        let width = step.unsigned_abs();
        let count = u64::try_from(span.max(0)).unwrap_or(0).div_ceil(width);
        if let Some(d) = dims.get_mut(axis) {
            *d = count;
        }
        if let Some(walk) = walks.get_mut(axis) {
            *walk = (from, step);
        }
    }
    let fact = Fact::of(dims, x.dtype)?;
    let value = x.value.as_deref().and_then(|v| {
        v.rearrange(&x.shape, &fact.shape, |index| {
            let place = |(i, (from, step)): (&usize, &(i64, i64))| {
                let i = i64::try_from(*i).ok()?;
                usize::try_from(step.checked_mul(i)?.checked_add(*from)?).ok()
            };
            index.iter().zip(&walks).map(|w| place(w).unwrap_or(usize::MAX)).collect()
        })
    });
    one(fact.with(value))
}

fn split(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let axis = x.shape.axis(call.attrs.int_or("axis", 0), 0)?;
    let size = x.shape.dim(axis);
    let parts = match call.ints(1, "split")? {
        Some(list) => {
            let list = list.iter().map(|n| u64::try_from(*n)).collect::<Result<Vec<_>, _>>();
            list.map_err(|_| Fault::operator("a part of negative size"))?
        }
        None => {
            let count = call.attrs.int("num_outputs").and_then(|n| u64::try_from(n).ok());
            let count = count.unwrap_or(call.outputs as u64).max(1);
            if count > call.outputs as u64 {
                return Err(Fault::operator("`num_outputs` differs from the results named"));
            }
            let part = size.div_ceil(count);
            (0..count).map(|i| part.min(size.saturating_sub(i.saturating_mul(part)))).collect()
        }
    };
    let sum = parts.iter().try_fold(0_u64, |a, b| a.checked_add(*b));
    if sum != Some(size) || parts.len() < call.outputs {
        return Err(Fault::operator(format!("the parts do not make up the {size} of axis {axis}")));
    }
    let mut facts = Vec::with_capacity(call.outputs);
    let mut start = 0_usize;
    for part in parts.into_iter().take(call.outputs) {
        let dims = x.shape.dims().iter().enumerate().map(|(i, d)| if i == axis { part } else { *d });
        let fact = Fact::of(dims.collect(), x.dtype)?;
        let end = start.saturating_add(usize::try_from(part).unwrap_or(usize::MAX));
        let value = x.value.as_ref().filter(|_| x.shape.rank() == 1).and_then(|v| v.pick(start..end));
        facts.push(fact.with(value));
        start = end;
    }
    Ok(Some(facts))
}

fn gather(call: &Call<'_>) -> Inferred {
    let (x, places) = (call.input(0)?, call.input(1)?);
    let axis = x.shape.axis(call.attrs.int_or("axis", 0), 0)?;
    let dims = x.shape.dims();
    let mut result: Vec<u64> = dims.get(..axis).unwrap_or_default().to_vec();
    result.extend(places.shape.dims());
    result.extend(dims.get(axis + 1..).unwrap_or_default());
    let fact = Fact::of(result, x.dtype)?;
    let value = match (x.value.as_deref(), places.value.as_deref().and_then(Value::ints)) {
        (Some(v), Some(list)) if x.shape.rank() == 1 => {
            let at = list.iter().map(|i| crate::shape::axis_of(*i, v.len()).unwrap_or(usize::MAX));
            v.pick(at)
        }
        _ => None,
    };
    one(fact.with(value))
}

fn gather_nd(call: &Call<'_>) -> Inferred {
    let (x, places) = (call.input(0)?, call.input(1)?);
    let batch = usize::try_from(call.attrs.int_or("batch_dims", 0)).unwrap_or(usize::MAX);
    let wrong = || Fault::operator(format!("indices {} do not fit {}", places.shape, x.shape));
    let (last, lead) = places.shape.dims().split_last().ok_or_else(wrong)?;
    let skip = usize::try_from(*last).ok().and_then(|n| n.checked_add(batch)).ok_or_else(wrong)?;
    let mut dims = lead.to_vec();
    dims.extend(x.shape.dims().get(skip..).ok_or_else(wrong)?);
    one(Fact::of(dims, x.dtype)?)
}

fn pad(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let pads = call.ints(1, "pads")?.ok_or_else(|| Fault::operator("`pads` is missing"))?;
    let rank = x.shape.rank();
    let axes: Vec<usize> = match call.optional(3) {
        Some(_) => call.known_ints(3)?.iter().map(|a| x.shape.axis(*a, 0)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(Fault::operator("`pads` needs two numbers an axis"));
    }
    let mut dims = x.shape.dims().to_vec();
    let (before, after) = pads.split_at(axes.len());
    for ((axis, b), a) in axes.iter().zip(before).zip(after) {
        if let Some(d) = dims.get_mut(*axis) {
            let size = d.checked_add_signed(*b).and_then(|d| d.checked_add_signed(*a));
            *d = size.ok_or_else(|| Fault::operator("padding makes an axis negative"))?;
        }
    }
    one(Fact::of(dims, x.dtype)?)
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
fn scaled(shape: &Shape, scales: &[f64]) -> Result<Vec<u64>, Fault> {
    if scales.len() != shape.rank() {
        return Err(Fault::operator(format!("{} scales for a tensor of {shape}", scales.len())));
    }
    let size = |(d, s): (&u64, &f64)| {
        let size = (*d as f64 * s).floor();
        // A shade below an integer is an integer that rounding missed.
        let near = (*d as f64 * s).round();
        let size = if (near - *d as f64 * s).abs() < 1e-4 { near } else { size };
        (size.is_finite() && (0.0..1e12).contains(&size)).then_some(size as u64)
    };
    let dims = shape.dims().iter().zip(scales).map(size).collect::<Option<_>>();
    dims.ok_or_else(|| Fault::operator("a scale out of range"))
}

fn resize(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    // Operator set 10 has (X, scales); later (X, roi, scales, sizes).
    let (scales, sizes) = if call.opset <= 10 { (1, usize::MAX) } else { (2, 3) };
    let axes: Vec<usize> = match call.attrs.ints("axes") {
        Some(axes) => axes.iter().map(|a| x.shape.axis(*a, 0)).collect::<Result<_, _>>()?,
        None => (0..x.shape.rank()).collect(),
    };
    let given = call.optional(sizes).filter(|s| s.shape.elements() > 0);
    let mut dims = x.shape.dims().to_vec();
    if given.is_some() {
        let list = call.known_ints(sizes)?;
        if list.len() != axes.len() {
            return Err(Fault::operator("`sizes` needs a number an axis"));
        }
        for (axis, size) in axes.iter().zip(&list) {
            if let Some(d) = dims.get_mut(*axis) {
                *d = u64::try_from(*size).map_err(|_| Fault::operator("a negative size"))?;
            }
        }
        return one(Fact::of(dims, x.dtype)?);
    }
    let list = call.known(scales)?.reals();
    if list.len() != axes.len() {
        return Err(Fault::operator("`scales` needs a number an axis"));
    }
    let mut all = vec![1.0; dims.len()];
    for (axis, s) in axes.iter().zip(&list) {
        if let Some(slot) = all.get_mut(*axis) {
            *slot = *s;
        }
    }
    one(Fact::of(scaled(&x.shape, &all)?, x.dtype)?)
}
