//! Products of matrices.

use super::{Call, Inferred, one};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::shape::{DType, Shape};
use std::collections::BTreeMap;

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    match call.op {
        "MatMul" => matmul(call, 0, 1, None),
        "MatMulInteger" => matmul(call, 0, 1, Some(DType::Int32)),
        "QLinearMatMul" => matmul(call, 0, 3, None),
        "Gemm" => gemm(call),
        "Einsum" => einsum(call),
        _ => Ok(None),
    }
}

fn matmul(call: &Call<'_>, a: usize, b: usize, dtype: Option<DType>) -> Inferred {
    let (a, b) = (call.input(a)?, call.input(b)?);
    let dtype = dtype.unwrap_or(a.dtype);
    one(Fact::new(product(&a.shape, &b.shape)?, dtype))
}

/// NumPy's rule: vectors are promoted, leading axes broadcast.
pub(crate) fn product(a: &Shape, b: &Shape) -> Result<Shape, Fault> {
    let wrong = || Fault::operator(format!("shapes {a} and {b} cannot be multiplied"));
    let (mut left, mut right) = (a.dims().to_vec(), b.dims().to_vec());
    if left.is_empty() || right.is_empty() {
        return Err(wrong());
    }
    if a.rank() == 1 {
        left.insert(0, 1);
    }
    if b.rank() == 1 {
        right.push(1);
    }
    let (Some(k), Some(m)) = (left.pop(), left.pop()) else { return Err(wrong()) };
    let (Some(n), Some(same)) = (right.pop(), right.pop()) else { return Err(wrong()) };
    if k != same {
        return Err(wrong());
    }
    let mut dims = Shape::new(left)?.broadcast(&Shape::new(right)?)?.dims().to_vec();
    if a.rank() > 1 {
        dims.push(m);
    }
    if b.rank() > 1 {
        dims.push(n);
    }
    Shape::new(dims)
}

fn gemm(call: &Call<'_>) -> Inferred {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let flip = |s: &Shape, name: &str| {
        let turned = call.attrs.int_or(name, 0) != 0;
        if turned { (s.dim(1), s.dim(0)) } else { (s.dim(0), s.dim(1)) }
    };
    let ((m, k), (same, n)) = (flip(&a.shape, "transA"), flip(&b.shape, "transB"));
    if k != same || a.shape.rank() != 2 || b.shape.rank() != 2 {
        return Err(Fault::operator(format!("shapes {} and {} cannot be multiplied", a.shape, b.shape)));
    }
    one(Fact::of(vec![m, n], a.dtype)?)
}

/// Sizes of the letters of an equation without an ellipsis, and the letters of its result.
pub(crate) fn letters(call: &Call<'_>) -> Result<(BTreeMap<char, u64>, String), Fault> {
    let equation: String = call.attrs.text("equation").chars().filter(|c| !c.is_whitespace()).collect();
    let wrong = || Fault::operator(format!("equation `{}`", crate::fault::short(&equation)));
    let (left, right) = equation.split_once("->").ok_or_else(wrong)?;
    let mut sizes = BTreeMap::new();
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != call.inputs.len() {
        return Err(wrong());
    }
    for (n, term) in terms.iter().enumerate() {
        let shape = &call.input(n)?.shape;
        if term.chars().count() != shape.rank() || !term.chars().all(|c| c.is_ascii_alphabetic()) {
            return Err(wrong());
        }
        for (c, &d) in term.chars().zip(shape.dims()) {
            let size = sizes.entry(c).or_insert(d);
            if *size == 1 {
                *size = d;
            } else if d != 1 && *size != d {
                return Err(wrong());
            }
        }
    }
    Ok((sizes, right.to_owned()))
}

fn einsum(call: &Call<'_>) -> Inferred {
    let (sizes, right) = letters(call)?;
    let dims = right.chars().map(|c| sizes.get(&c).copied());
    let dims =
        dims.collect::<Option<Vec<_>>>().ok_or_else(|| Fault::operator("unknown letter in equation"))?;
    one(Fact::of(dims, call.input(0)?.dtype)?)
}
