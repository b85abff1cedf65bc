//! What is known of a tensor.

use crate::fault::Fault;
use crate::shape::{DType, Shape};
use crate::value::{MAX_FOLDED, Value};
use std::sync::Arc;

/// Shape, type, and the values where shapes may depend on them.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    pub(crate) value: Option<Arc<Value>>,
}

impl Fact {
    pub(crate) const fn new(shape: Shape, dtype: DType) -> Self {
        Self { shape, dtype, value: None }
    }

    /// With dimensions still to be checked.
    pub(crate) fn of(dims: Vec<u64>, dtype: DType) -> Result<Self, Fault> {
        Ok(Self::new(Shape::new(dims)?, dtype))
    }

    /// A vector of known integers.
    pub(crate) fn ints(values: Vec<i64>) -> Self {
        Self::new(Shape::vector(values.len()), DType::Int64).with(Some(Value::Ints(values)))
    }

    /// The same with values, kept where they are small and fit the shape.
    pub(crate) fn with(mut self, value: Option<Value>) -> Self {
        self.value =
            value.filter(|v| v.len() <= MAX_FOLDED && v.len() as u64 == self.shape.elements()).map(Arc::new);
        self
    }
}
