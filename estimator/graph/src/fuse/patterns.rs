//! Layers that files spell out in several operators.

use super::{Uses, is_constant};
use crate::build::{Op, Program};
use crate::cost::Class;
use ecomap_instances::family::OpKind;

/// Class, naming operator and members of the pattern whose telling operator is `n`.
pub(super) fn find(program: &Program<'_>, uses: &Uses, n: usize) -> Option<(Class, usize, Vec<usize>)> {
    let look = Look { program, uses };
    let op = program.ops.get(n)?;
    if op.class == Class::Unknown {
        return None;
    }
    let (kind, ops) = match op.node.op_type() {
        "Softmax" => (OpKind::Attention, look.attention(n)?),
        "Sqrt" => (OpKind::Norm, look.layer_norm(n)?),
        "Erf" => (OpKind::Gelu, look.gelu(n)?),
        "Sigmoid" => (OpKind::Silu, look.gate(n)?),
        "HardSigmoid" => (OpKind::Hardswish, look.gate(n)?),
        "Clip" => (OpKind::Hardswish, look.hardswish(n)?),
        _ => return None,
    };
    Some((Class::Op(kind), n, ops))
}

/// Whether only the last operator's results are seen outside of `ops`.
pub(super) fn is_closed(program: &Program<'_>, uses: &Uses, ops: &[usize]) -> bool {
    let Some((_, inner)) = ops.split_last() else { return false };
    inner
        .iter()
        .filter_map(|n| program.ops.get(*n))
        .flat_map(|op| &op.outputs)
        .all(|t| !uses.is_output(*t) && uses.consumers(*t).iter().all(|c| ops.binary_search(c).is_ok()))
}

struct Look<'p, 'm> {
    program: &'p Program<'m>,
    uses: &'p Uses,
}

impl<'p, 'm> Look<'p, 'm> {
    fn op(&self, n: usize) -> Option<&'p Op<'m>> {
        self.program.ops.get(n)
    }

    fn is(&self, n: usize, names: &[&str]) -> bool {
        self.op(n).is_some_and(|op| op.class != Class::Unknown && names.contains(&op.node.op_type()))
    }

    /// The input of operator `n` that is no constant, if there is one only.
    fn entering(&self, n: usize) -> Option<usize> {
        let mut list = self.op(n)?.inputs.iter().flatten().filter(|t| !is_constant(self.program, **t));
        let first = list.next()?;
        list.next().is_none().then_some(*first)
    }

    fn result(&self, n: usize) -> Option<usize> {
        self.op(n)?.outputs.first().copied()
    }

    /// The only operator behind `n`, if it is one of `names`.
    fn next(&self, n: usize, names: &[&str]) -> Option<usize> {
        self.uses.sole(self.result(n)?).filter(|m| self.is(*m, names))
    }

    /// The operator that makes input `slot` of `n`, if it is one of `names`.
    fn before(&self, n: usize, slot: usize, names: &[&str]) -> Option<usize> {
        let tensor = self.op(n)?.inputs.get(slot).copied().flatten()?;
        self.uses.producer(tensor).filter(|m| self.is(*m, names))
    }

    fn takes(&self, n: usize, tensor: usize) -> bool {
        self.op(n).is_some_and(|op| op.inputs.contains(&Some(tensor)))
    }

    /// `softmax(scale · Q Kᵀ + mask) V`.
    fn attention(&self, softmax: usize) -> Option<Vec<usize>> {
        const BETWEEN: [&str; 5] = ["Add", "Mul", "Div", "Sub", "Where"];
        let product = |n: usize| {
            self.op(n)
                .is_some_and(|op| op.class == Class::Op(OpKind::Attention) && op.node.op_type() == "MatMul")
        };
        let mut ops = vec![softmax];
        // Scale and mask: a few operators at most.
        self.towards(softmax, 4, &product, &BETWEEN, &mut ops).then_some(())?;
        let mut end = softmax;
        for _ in 0..3 {
            end = self.uses.sole(self.result(end)?)?;
            ops.push(end);
            if product(end) {
                return Some(ops);
            }
            if !self.is(end, &["Dropout", "Identity", "Cast", "Where"]) {
                return None;
            }
        }
        None
    }

    /// Adds the operators that lead from `n` back to the nearest product.
    fn towards(
        &self,
        n: usize,
        steps: usize,
        product: &dyn Fn(usize) -> bool,
        between: &[&str],
        ops: &mut Vec<usize>,
    ) -> bool {
        let inputs = self.op(n).into_iter().flat_map(|op| op.inputs.iter().flatten());
        for maker in inputs.filter_map(|t| self.uses.producer(*t)) {
            ops.push(maker);
            let found = product(maker)
                || steps > 1
                    && self.is(maker, between)
                    && self.towards(maker, steps - 1, product, between, ops);
            if found {
                return true;
            }
            ops.pop();
        }
        false
    }

    /// `(x − mean) ÷ √(variance + ε)`, with scale and shift where they follow.
    fn layer_norm(&self, sqrt: usize) -> Option<Vec<usize>> {
        let add = self.before(sqrt, 0, &["Add"])?;
        let variance = self.uses.producer(self.entering(add)?).filter(|n| self.is(*n, &["ReduceMean"]))?;
        let square = self.before(variance, 0, &["Pow", "Mul"])?;
        let centred = self.before(square, 0, &["Sub"])?;
        let mean = self.before(centred, 1, &["ReduceMean"])?;
        let divide =
            self.next(sqrt, &["Div"]).filter(|n| self.result(centred).is_some_and(|t| self.takes(*n, t)))?;
        let mut ops = vec![mean, centred, square, variance, add, sqrt, divide];
        let mut end = divide;
        for name in ["Mul", "Add"] {
            if let Some(n) = self.next(end, &[name]).filter(|n| self.entering(*n).is_some()) {
                ops.push(n);
                end = n;
            }
        }
        Some(ops)
    }

    /// `x · ½ (1 + erf(x ÷ √2))`, in any order.
    fn gelu(&self, erf: usize) -> Option<Vec<usize>> {
        let divide = self.before(erf, 0, &["Div", "Mul"])?;
        let x = self.entering(divide)?;
        let add = self.next(erf, &["Add"]).filter(|n| self.entering(*n).is_some())?;
        let product = self.next(add, &["Mul"])?;
        let mut ops = vec![divide, erf, add, product];
        if self.entering(product).is_some() {
            // ½ (1 + erf) first, then x.
            ops.push(self.next(product, &["Mul"]).filter(|n| self.takes(*n, x))?);
            return Some(ops);
        }
        if self.takes(product, x) {
            let half = self.next(product, &["Mul"]).filter(|n| self.entering(*n).is_some())?;
            ops.push(half);
            return Some(ops);
        }
        let makers = self.op(product)?.inputs.iter().flatten().filter_map(|t| self.uses.producer(*t));
        let half =
            makers.filter(|m| *m != add).find(|m| self.is(*m, &["Mul"]) && self.entering(*m) == Some(x))?;
        ops.push(half);
        Some(ops)
    }

    /// `x · f(x)`.
    fn gate(&self, f: usize) -> Option<Vec<usize>> {
        let x = self.entering(f)?;
        let product = self.next(f, &["Mul"]).filter(|n| self.takes(*n, x))?;
        Some(vec![f, product])
    }

    /// `x · clip(x + 3, 0, 6) ÷ 6`, in either order.
    fn hardswish(&self, clip: usize) -> Option<Vec<usize>> {
        let add = self.before(clip, 0, &["Add"])?;
        let x = self.entering(add)?;
        let then = self.next(clip, &["Mul", "Div"])?;
        let last = self.next(then, &["Mul", "Div"])?;
        let scales = |n: usize| self.entering(n).is_some();
        let fits = self.takes(then, x) && scales(last) || scales(then) && self.takes(last, x);
        fits.then(|| vec![add, clip, then, last])
    }
}
