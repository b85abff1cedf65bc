//! Shapes of what an operator gives, from the shapes of what it takes.
//!
//! One file a group of operators. Results carry values where shapes may be computed from them.

mod contract;
mod elementwise;
mod layout;
mod pick;
mod recurrent;
mod reduce;
mod window;

pub(crate) use contract::letters as contract_letters;
pub(crate) use layout::of_tensor;
pub(crate) use recurrent::gates;
pub(crate) use window::{Window, groups};

use crate::attrs::Attrs;
use crate::fact::Fact;
use crate::fault::Fault;
use crate::value::Value;
use ecomap_instances::Code;
use std::sync::Arc;

/// One node with what is known of its inputs.
pub(crate) struct Call<'a> {
    pub(crate) op: &'a str,
    /// In order; `None` where an optional input is left out.
    pub(crate) inputs: &'a [Option<Fact>],
    pub(crate) attrs: Attrs<'a>,
    /// How many results the node names.
    pub(crate) outputs: usize,
    pub(crate) opset: i64,
}

/// Facts of the results, or `None` for an operator that is not known here.
pub(crate) type Inferred = Result<Option<Vec<Fact>>, Fault>;

impl Call<'_> {
    pub(crate) fn input(&self, n: usize) -> Result<&Fact, Fault> {
        self.optional(n).ok_or_else(|| Fault::operator(format!("`{}` lacks input {n}", self.op)))
    }

    pub(crate) fn optional(&self, n: usize) -> Option<&Fact> {
        self.inputs.get(n).and_then(Option::as_ref)
    }

    /// The values of input `n`, which a shape depends on.
    pub(crate) fn known(&self, n: usize) -> Result<&Arc<Value>, Fault> {
        let fact = self.input(n)?;
        fact.value.as_ref().ok_or_else(|| {
            Fault::new(Code::ModelDynamic, format!("input {n} of `{}` is not a constant", self.op))
        })
    }

    pub(crate) fn known_ints(&self, n: usize) -> Result<Vec<i64>, Fault> {
        let value = self.known(n)?;
        value
            .ints()
            .map(<[i64]>::to_vec)
            .ok_or_else(|| Fault::operator(format!("input {n} of `{}` must hold integers", self.op)))
    }

    /// Integers from input `n` where it is given (newer operator sets), else from an attribute.
    pub(crate) fn ints(&self, n: usize, name: &str) -> Result<Option<Vec<i64>>, Fault> {
        if self.optional(n).is_some() {
            return self.known_ints(n).map(Some);
        }
        Ok(self.attrs.ints(name).map(<[i64]>::to_vec))
    }
}

/// Facts of what `call` gives.
pub(crate) fn infer(call: &Call<'_>) -> Inferred {
    type Group = fn(&Call<'_>) -> Inferred;
    const GROUPS: [Group; 7] = [
        elementwise::infer,
        window::infer,
        contract::infer,
        layout::infer,
        pick::infer,
        reduce::infer,
        recurrent::infer,
    ];
    for group in GROUPS {
        if let Some(facts) = group(call)? {
            return Ok(Some(facts));
        }
    }
    Ok(None)
}

/// One result.
pub(crate) fn one(fact: Fact) -> Inferred {
    Ok(Some(vec![fact]))
}
