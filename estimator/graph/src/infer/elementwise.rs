//! Operators that work element by element, with broadcasting, and those that keep the shape.

use super::{Call, Inferred, one};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::shape::{DType, Shape};
use crate::value::{MAX_FOLDED, Value};

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    match call.op {
        "Relu"
        | "LeakyRelu"
        | "Elu"
        | "Selu"
        | "Celu"
        | "Sigmoid"
        | "HardSigmoid"
        | "HardSwish"
        | "Tanh"
        | "Softplus"
        | "Softsign"
        | "Softmax"
        | "LogSoftmax"
        | "Hardmax"
        | "ThresholdedRelu"
        | "Shrink"
        | "Mish"
        | "Gelu"
        | "Swish"
        | "Erf"
        | "Sin"
        | "Cos"
        | "Tan"
        | "Asin"
        | "Acos"
        | "Atan"
        | "Sinh"
        | "Cosh"
        | "Asinh"
        | "Acosh"
        | "Atanh"
        | "Exp"
        | "Log"
        | "Reciprocal"
        | "Sign"
        | "Round"
        | "LRN"
        | "LpNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization"
        | "MeanVarianceNormalization"
        | "CumSum"
        | "Trilu"
        | "BitwiseNot"
        | "ReverseSequence"
        | "ScatterND"
        | "ScatterElements"
        | "Scatter"
        | "PRelu" => one(same(call)?),
        "Clip" | "Abs" | "Neg" | "Floor" | "Ceil" | "Sqrt" => unary(call),
        "Identity" => {
            let x = call.input(0)?;
            one(x.clone())
        }
        "Dropout" => {
            let x = call.input(0)?.clone();
            let mask = Fact::new(x.shape.clone(), DType::Bool);
            Ok(Some([x, mask].into_iter().take(call.outputs.max(1)).collect()))
        }
        "BatchNormalization" => batch_norm(call),
        "LayerNormalization" => layer_norm(call),
        "Not" => {
            let x = call.input(0)?;
            let value = x.value.as_ref().and_then(|v| v.ints());
            let value = value.map(|v| Value::Ints(v.iter().map(|n| i64::from(*n == 0)).collect()));
            one(Fact::new(x.shape.clone(), DType::Bool).with(value))
        }
        "IsNaN" | "IsInf" => one(Fact::new(call.input(0)?.shape.clone(), DType::Bool)),
        "Cast" => {
            let to = call.attrs.int("to").and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
            cast(call, DType::from_onnx(to)?)
        }
        "CastLike" => cast(call, call.input(1)?.dtype),
        "QuantizeLinear" => {
            let dtype = call.optional(2).map_or(DType::Uint8, |z| z.dtype);
            one(Fact::new(call.input(0)?.shape.clone(), dtype))
        }
        "DequantizeLinear" => one(Fact::new(call.input(0)?.shape.clone(), call.input(1)?.dtype)),
        "DynamicQuantizeLinear" => {
            let x = call.input(0)?.shape.clone();
            Ok(Some(vec![
                Fact::new(x, DType::Uint8),
                Fact::new(Shape::scalar(), DType::Float),
                Fact::new(Shape::scalar(), DType::Uint8),
            ]))
        }
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Max" | "Min" | "Sum" | "Mean" | "And" | "Or"
        | "Xor" | "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "BitwiseAnd"
        | "BitwiseOr" | "BitwiseXor" | "BitShift" => broadcast(call),
        "Where" => choose(call),
        _ => Ok(None),
    }
}

fn same(call: &Call<'_>) -> Result<Fact, Fault> {
    let x = call.input(0)?;
    Ok(Fact::new(x.shape.clone(), x.dtype))
}

fn unary(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let value = match (call.op, x.value.as_deref()) {
        ("Abs", Some(Value::Ints(v))) => Some(Value::Ints(v.iter().map(|n| n.saturating_abs()).collect())),
        ("Neg", Some(Value::Ints(v))) => Some(Value::Ints(v.iter().map(|n| n.saturating_neg()).collect())),
        ("Abs" | "Neg" | "Floor" | "Ceil" | "Sqrt", Some(Value::Reals(v))) => {
            let f = |n: &f64| match call.op {
                "Abs" => n.abs(),
                "Neg" => -n,
                "Floor" => n.floor(),
                "Ceil" => n.ceil(),
                _ => n.sqrt(),
            };
            Some(Value::Reals(v.iter().map(f).collect()))
        }
        _ => None,
    };
    one(Fact::new(x.shape.clone(), x.dtype).with(value))
}

/// Per-channel statistics must fit the channels: the fold into a convolution relies on it.
fn batch_norm(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let channels = x.shape.dim(1);
    for n in 1..=4 {
        let given = call.input(n)?.shape.elements();
        if given != channels {
            return Err(Fault::operator(format!("input {n} has {given} elements for {channels} channels")));
        }
    }
    one(Fact::new(x.shape.clone(), x.dtype))
}

fn layer_norm(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let axis = x.shape.axis(call.attrs.int_or("axis", -1), 0)?;
    let kept: Vec<u64> =
        x.shape.dims().iter().enumerate().map(|(i, d)| if i < axis { *d } else { 1 }).collect();
    let statistics = Fact::of(kept, DType::Float)?;
    let facts = [Fact::new(x.shape.clone(), x.dtype), statistics.clone(), statistics];
    Ok(Some(facts.into_iter().take(call.outputs.max(1)).collect()))
}

fn cast(call: &Call<'_>, to: DType) -> Inferred {
    let x = call.input(0)?;
    let value = x.value.as_ref().and_then(|v| v.cast(to));
    one(Fact::new(x.shape.clone(), to).with(value))
}

fn broadcast(call: &Call<'_>) -> Inferred {
    let first = call.input(0)?;
    if call.inputs.len() != 2 && !matches!(call.op, "Max" | "Min" | "Sum" | "Mean") {
        return Err(Fault::operator(format!("{} operands instead of two", call.inputs.len())));
    }
    let mut shape = first.shape.clone();
    for n in 1..call.inputs.len() {
        shape = shape.broadcast(&call.input(n)?.shape)?;
    }
    let compares = matches!(
        call.op,
        "And" | "Or" | "Xor" | "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual"
    );
    let dtype = if compares { DType::Bool } else { first.dtype };
    let mut value = first.value.as_deref().cloned();
    let mut at = first.shape.clone();
    for n in 1..call.inputs.len() {
        let b = call.input(n)?;
        let to = at.broadcast(&b.shape)?;
        value = match (&value, &b.value) {
            (Some(x), Some(y)) => combine(call.op, (x, &at), (y, &b.shape), &to),
            _ => None,
        };
        at = to;
    }
    one(Fact::new(shape, dtype).with(value))
}

/// Where element `n` of `to` lies in a tensor of shape `from` that was broadcast to it.
fn source(n: usize, from: &Shape, to: &Shape) -> usize {
    let (mut rest, mut place, mut stride) = (n, 0, 1);
    for i in (0..to.rank()).rev() {
        let size = usize::try_from(to.dim(i)).unwrap_or(usize::MAX).max(1);
        let index = rest % size;
        rest /= size;
        if let Some(j) = (i + from.rank()).checked_sub(to.rank()) {
            let own = usize::try_from(from.dim(j)).unwrap_or(usize::MAX);
            if own != 1 {
                place += index * stride;
            }
            stride = stride.saturating_mul(own);
        }
    }
    place
}

fn spread(value: &Value, from: &Shape, to: &Shape) -> Option<Value> {
    let count = usize::try_from(to.elements()).ok().filter(|n| *n <= MAX_FOLDED)?;
    value.pick((0..count).map(|n| source(n, from, to)))
}

fn combine(op: &str, a: (&Value, &Shape), b: (&Value, &Shape), to: &Shape) -> Option<Value> {
    let (x, y) = (spread(a.0, a.1, to)?, spread(b.0, b.1, to)?);
    if let (Value::Ints(x), Value::Ints(y)) = (&x, &y) {
        let f = |(a, b): (&i64, &i64)| match op {
            "Add" | "Sum" => a.checked_add(*b),
            "Sub" => a.checked_sub(*b),
            "Mul" => a.checked_mul(*b),
            "Div" => a.checked_div(*b),
            "Mod" => a.checked_rem_euclid(*b),
            "Max" => Some(*a.max(b)),
            "Min" => Some(*a.min(b)),
            "And" => Some(i64::from(*a != 0 && *b != 0)),
            "Or" => Some(i64::from(*a != 0 || *b != 0)),
            "Equal" => Some(i64::from(a == b)),
            "Greater" => Some(i64::from(a > b)),
            "Less" => Some(i64::from(a < b)),
            "GreaterOrEqual" => Some(i64::from(a >= b)),
            "LessOrEqual" => Some(i64::from(a <= b)),
            _ => None,
        };
        return x.iter().zip(y).map(f).collect::<Option<_>>().map(Value::Ints);
    }
    let f = |(a, b): (&f64, &f64)| match op {
        "Add" | "Sum" => Some(a + b),
        "Sub" => Some(a - b),
        "Mul" => Some(a * b),
        "Div" => Some(a / b),
        "Max" => Some(a.max(*b)),
        "Min" => Some(a.min(*b)),
        _ => None,
    };
    x.reals().iter().zip(&y.reals()).map(f).collect::<Option<_>>().map(Value::Reals)
}

fn choose(call: &Call<'_>) -> Inferred {
    let (c, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let shape = c.shape.broadcast(&x.shape)?.broadcast(&y.shape)?;
    let value = match (&c.value, &x.value, &y.value) {
        (Some(cv), Some(xv), Some(yv)) => (|| {
            let c = spread(cv, &c.shape, &shape)?;
            let x = spread(xv, &x.shape, &shape)?;
            let y = spread(yv, &y.shape, &shape)?;
            let (c, x, y) = (c.ints()?, x.ints()?, y.ints()?);
            let picked = c.iter().zip(x).zip(y).map(|((c, x), y)| if *c != 0 { *x } else { *y });
            Some(Value::Ints(picked.collect()))
        })(),
        _ => None,
    };
    one(Fact::new(shape, x.dtype).with(value))
}
