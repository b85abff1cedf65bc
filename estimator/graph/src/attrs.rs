//! Attributes of a node.

use crate::fault::Fault;
use crate::onnx::messages::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Typed access to a node's attributes.
#[derive(Clone, Copy)]
pub(crate) struct Attrs<'m>(&'m [AttributeProto]);

impl<'m> Attrs<'m> {
    pub(crate) fn of(node: &'m NodeProto) -> Self {
        Self(&node.attribute)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'m AttributeProto> {
        self.0.iter().find(|a| a.name() == name)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|a| a.i)
    }

    pub(crate) fn int_or(&self, name: &str, default: i64) -> i64 {
        self.int(name).unwrap_or(default)
    }

    pub(crate) fn float_or(&self, name: &str, default: f32) -> f32 {
        self.get(name).and_then(|a| a.f).unwrap_or(default)
    }

    pub(crate) fn ints(&self, name: &str) -> Option<&'m [i64]> {
        self.get(name).map(|a| a.ints.as_slice())
    }

    pub(crate) fn floats(&self, name: &str) -> Option<&'m [f32]> {
        self.get(name).map(|a| a.floats.as_slice())
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&'m TensorProto> {
        self.get(name).and_then(|a| a.t.as_ref())
    }

    pub(crate) fn graph(&self, name: &str) -> Option<&'m GraphProto> {
        self.get(name).and_then(|a| a.g.as_ref())
    }

    pub(crate) fn text(&self, name: &str) -> &'m str {
        self.get(name).and_then(|a| a.s.as_deref()).and_then(|s| std::str::from_utf8(s).ok()).unwrap_or("")
    }

    /// A positive number for each of `count` spatial axes; all `default` when absent.
    pub(crate) fn spatial(&self, name: &str, count: usize, default: u64) -> Result<Vec<u64>, Fault> {
        let Some(given) = self.ints(name).filter(|g| !g.is_empty()) else {
            return Ok(vec![default; count]);
        };
        if given.len() != count {
            return Err(Fault::operator(format!("`{name}` has {} numbers for {count} axes", given.len())));
        }
        given
            .iter()
            .map(|n| u64::try_from(*n).ok().filter(|n| *n > 0))
            .collect::<Option<_>>()
            .ok_or_else(|| Fault::operator(format!("`{name}` must be positive")))
    }
}
