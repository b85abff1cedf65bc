//! Shapes and element types.

use crate::fault::Fault;
use ecomap_instances::Code;
use std::fmt;

/// Most dimensions of any shape.
const MAX_RANK: usize = 12;
/// Most elements of any tensor.
const MAX_ELEMENTS: u64 = 1 << 40;

/// A static shape whose element count is known to fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    dims: Vec<u64>,
    elements: u64,
}

impl Shape {
    /// Checks rank and size.
    pub(crate) fn new(dims: Vec<u64>) -> Result<Self, Fault> {
        if dims.len() > MAX_RANK {
            return Err(Fault::new(
                Code::ModelTooLarge,
                format!("a tensor of {} dimensions; at most {MAX_RANK}", dims.len()),
            ));
        }
        // A zero would hide an overflow of the other factors, so it is multiplied in last.
        let product = dims.iter().filter(|d| **d != 0).try_fold(1_u64, |a, d| a.checked_mul(*d));
        match product {
            Some(n) if n <= MAX_ELEMENTS => {
                let elements = if dims.contains(&0) { 0 } else { n };
                Ok(Self { dims, elements })
            }
            _ => {
                Err(Fault::new(Code::ModelTooLarge, format!("a tensor of more than {MAX_ELEMENTS} elements")))
            }
        }
    }

    /// The shape of one value.
    pub(crate) const fn scalar() -> Self {
        Self { dims: Vec::new(), elements: 1 }
    }

    /// A vector. Its length is at most that of a list in memory.
    pub(crate) fn vector(length: usize) -> Self {
        let length = length as u64;
        Self { dims: vec![length], elements: length }
    }

    /// The dimensions, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// How many dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// How many elements.
    #[must_use]
    pub const fn elements(&self) -> u64 {
        self.elements
    }

    /// Dimension `axis`, 1 beyond the last.
    pub(crate) fn dim(&self, axis: usize) -> u64 {
        self.dims.get(axis).copied().unwrap_or(1)
    }

    /// An axis that may count from the end, as position; `extra` admits the places past the end.
    pub(crate) fn axis(&self, axis: i64, extra: usize) -> Result<usize, Fault> {
        axis_of(axis, self.rank() + extra)
    }

    /// The shape that both broadcast to (NumPy's rule).
    pub(crate) fn broadcast(&self, other: &Self) -> Result<Self, Fault> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Self, i: usize| (i + s.rank()).checked_sub(rank).map_or(1, |j| s.dim(j));
        let dims = (0..rank).map(|i| match (at(self, i), at(other, i)) {
            (a, b) if a == b => Ok(a),
            (1, b) => Ok(b),
            (a, 1) => Ok(a),
            _ => Err(Fault::operator(format!("shapes {self} and {other} do not broadcast"))),
        });
        Self::new(dims.collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims.iter().map(u64::to_string).collect();
        if dims.is_empty() { f.pad("scalar") } else { f.pad(&dims.join("×")) }
    }
}

/// `axis` in `0..rank`, negative ones counting from the end.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize, Fault> {
    let size = i64::try_from(rank).unwrap_or(i64::MAX);
    let place = if axis < 0 { axis.checked_add(size) } else { Some(axis) };
    place
        .filter(|a| *a < size)
        .and_then(|a| usize::try_from(a).ok())
        .ok_or_else(|| Fault::operator(format!("axis {axis} of a tensor of {rank} dimensions")))
}

macro_rules! types {
    ($($variant:ident = $number:literal, $name:literal, $bits:literal;)*) => {
        /// Element type, as ONNX numbers them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        #[non_exhaustive]
        pub enum DType { $($variant,)* }

        impl DType {
            pub(crate) fn from_onnx(number: i32) -> Result<Self, Fault> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(Fault::new(Code::ModelTensor, format!("element type {number}"))),
                }
            }

            /// Number, as ONNX counts them.
            #[must_use]
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $number,)* }
            }

            /// Name, as ONNX writes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bits of an element; a string counts as none.
            #[must_use]
            pub const fn bits(self) -> u64 {
                match self { $(Self::$variant => $bits,)* }
            }
        }
    };
}

types! {
    Float = 1, "float", 32;
    Uint8 = 2, "uint8", 8;
    Int8 = 3, "int8", 8;
    Uint16 = 4, "uint16", 16;
    Int16 = 5, "int16", 16;
    Int32 = 6, "int32", 32;
    Int64 = 7, "int64", 64;
    String = 8, "string", 0;
    Bool = 9, "bool", 8;
    Float16 = 10, "float16", 16;
    Double = 11, "double", 64;
    Uint32 = 12, "uint32", 32;
    Uint64 = 13, "uint64", 64;
    Complex64 = 14, "complex64", 64;
    Complex128 = 15, "complex128", 128;
    Bfloat16 = 16, "bfloat16", 16;
    Float8E4M3Fn = 17, "float8e4m3fn", 8;
    Float8E4M3Fnuz = 18, "float8e4m3fnuz", 8;
    Float8E5M2 = 19, "float8e5m2", 8;
    Float8E5M2Fnuz = 20, "float8e5m2fnuz", 8;
    Uint4 = 21, "uint4", 4;
    Int4 = 22, "int4", 4;
    Float4E2M1 = 23, "float4e2m1", 4;
    Float8E8M0 = 24, "float8e8m0", 8;
    Uint2 = 25, "uint2", 2;
    Int2 = 26, "int2", 2;
}

impl DType {
    /// Whether tensors of this type can be trained weights: reals, and the integers that
    /// quantisation stores them as. Wider integers and truth values index, shape and mask.
    #[must_use]
    pub const fn is_weight(self) -> bool {
        !matches!(
            self,
            Self::Int32
                | Self::Int64
                | Self::Uint32
                | Self::Uint64
                | Self::Bool
                | Self::String
                | Self::Int16
                | Self::Uint16
        )
    }
}
