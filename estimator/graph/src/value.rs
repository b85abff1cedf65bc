//! Small constant tensors whose values are followed, because shapes are computed from them.

use crate::fault::Fault;
use crate::onnx::is_external;
use crate::onnx::messages::TensorProto;
use crate::shape::{DType, Shape};
use ecomap_instances::Code;

/// Longest tensor whose values are followed.
pub(crate) const MAX_FOLDED: usize = 1024;

/// The elements of a small constant, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Integers and truth values.
    Ints(Vec<i64>),
    /// Reals.
    Reals(Vec<f64>),
}

impl Value {
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Ints(v) => v.len(),
            Self::Reals(v) => v.len(),
        }
    }

    pub(crate) fn ints(&self) -> Option<&[i64]> {
        match self {
            Self::Ints(v) => Some(v),
            Self::Reals(_) => None,
        }
    }

    /// The elements as reals; integers beyond 2^53 are rounded.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn reals(&self) -> Vec<f64> {
        match self {
            Self::Ints(v) => v.iter().map(|x| *x as f64).collect(),
            Self::Reals(v) => v.clone(),
        }
    }

    /// The elements at `places`, of which one beyond the end gives nothing at all.
    pub(crate) fn pick(&self, places: impl Iterator<Item = usize>) -> Option<Self> {
        match self {
            Self::Ints(v) => places.map(|i| v.get(i).copied()).collect::<Option<_>>().map(Self::Ints),
            Self::Reals(v) => places.map(|i| v.get(i).copied()).collect::<Option<_>>().map(Self::Reals),
        }
    }

    /// The elements of a tensor of shape `to`, of which the one at `index` is that at `source(index)`
    /// of this tensor, whose shape is `from`.
    pub(crate) fn rearrange(
        &self,
        from: &Shape,
        to: &Shape,
        source: impl Fn(&[usize]) -> Vec<usize>,
    ) -> Option<Self> {
        let count = usize::try_from(to.elements()).ok().filter(|n| *n <= MAX_FOLDED)?;
        let places = (0..count).map(|n| {
            let mut index = vec![0; to.rank()];
            let mut rest = n;
            for (slot, size) in index.iter_mut().zip(to.dims()).rev() {
                let size = usize::try_from(*size).unwrap_or(usize::MAX).max(1);
                *slot = rest % size;
                rest /= size;
            }
            let at = source(&index);
            let sizes = from.dims().iter().map(|d| usize::try_from(*d).unwrap_or(usize::MAX));
            at.iter()
                .zip(sizes)
                .fold(0_usize, |place, (i, size)| place.saturating_mul(size).saturating_add(*i))
        });
        self.pick(places)
    }

    /// Converted to `dtype` as `Cast` does: reals are cut towards zero, and saturate.
    #[allow(clippy::cast_possible_truncation)] // saturation is what is wanted
    pub(crate) fn cast(&self, dtype: DType) -> Option<Self> {
        use DType::{Bool, Double, Float, Float16, Int8, Int32, Int64, Uint8, Uint32, Uint64};
        match dtype {
            Float | Float16 | Double => Some(Self::Reals(self.reals())),
            Int64 | Int32 | Uint32 | Uint64 | Int8 | Uint8 => Some(Self::Ints(match self {
                Self::Ints(v) => v.clone(),
                Self::Reals(v) => v.iter().map(|x| *x as i64).collect(),
            })),
            Bool => Some(Self::Ints(self.reals().iter().map(|x| i64::from(*x != 0.0)).collect())),
            _ => None,
        }
    }
}

/// The values of an initializer, if it is small, of a type that shapes are made of, and in the file.
///
/// # Errors
/// `E1514` when the data is shorter or longer than the shape.
pub(crate) fn of_tensor(tensor: &TensorProto, shape: &Shape, dtype: DType) -> Result<Option<Value>, Fault> {
    if is_external(tensor) || tensor.segment.is_some() {
        return Ok(None);
    }
    check_length(tensor, shape, dtype)?;
    if shape.elements() > MAX_FOLDED as u64 {
        return Ok(None);
    }
    let raw = tensor.raw_data.as_deref();
    Ok(match dtype {
        DType::Int64 => Some(Value::Ints(match raw {
            Some(raw) => words(raw).map(i64::from_le_bytes).collect(),
            None => tensor.int64_data.clone(),
        })),
        DType::Int32 => Some(Value::Ints(match raw {
            Some(raw) => words(raw).map(|w| i64::from(i32::from_le_bytes(w))).collect(),
            None => tensor.int32_data.iter().copied().map(i64::from).collect(),
        })),
        DType::Bool | DType::Uint8 => Some(Value::Ints(match raw {
            Some(raw) => raw.iter().copied().map(i64::from).collect(),
            None => tensor.int32_data.iter().copied().map(i64::from).collect(),
        })),
        DType::Float => Some(Value::Reals(match raw {
            Some(raw) => words(raw).map(|w| f64::from(f32::from_le_bytes(w))).collect(),
            None => tensor.float_data.iter().copied().map(f64::from).collect(),
        })),
        DType::Double => Some(Value::Reals(match raw {
            Some(raw) => words(raw).map(f64::from_le_bytes).collect(),
            None => tensor.double_data.clone(),
        })),
        _ => None,
    })
}

fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    raw.chunks_exact(N).filter_map(|c| c.try_into().ok())
}

/// The data is as long as the shape says. Graphs without data (shape-only exports) pass: only
/// their sizes are wanted.
fn check_length(tensor: &TensorProto, shape: &Shape, dtype: DType) -> Result<(), Fault> {
    let elements = shape.elements();
    let wrong = |found: u64, unit: &str| {
        Err(Fault::new(
            Code::ModelTensor,
            format!("{found} {unit} of data for a tensor of {} {shape}", dtype.name()),
        ))
    };
    if let Some(raw) = &tensor.raw_data {
        let wanted = elements.saturating_mul(dtype.bits()).div_ceil(8);
        let found = raw.len() as u64;
        return if dtype != DType::String && found != wanted && found != 0 {
            wrong(found, "bytes")
        } else {
            Ok(())
        };
    }
    let small = small_values_per_entry(dtype);
    let lists = [
        (tensor.float_data.len(), elements),
        (tensor.int32_data.len(), elements.div_ceil(small)),
        (tensor.int64_data.len(), elements),
        (tensor.double_data.len(), elements),
        (tensor.uint64_data.len(), elements),
    ];
    // Complex values are stored as pairs; their count is not checked.
    if matches!(dtype, DType::Complex64 | DType::Complex128 | DType::String) {
        return Ok(());
    }
    for (found, wanted) in lists {
        let found = found as u64;
        if found != 0 && found != wanted {
            return wrong(found, "values");
        }
    }
    Ok(())
}

/// Sub-byte values share an `int32_data` entry.
const fn small_values_per_entry(dtype: DType) -> u64 {
    match dtype.bits() {
        4 => 2,
        2 => 4,
        _ => 1,
    }
}
