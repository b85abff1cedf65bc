//! Tensors as they travel: raw little-endian bytes with a type and a shape.

use bytes::Bytes;
use std::fmt;

macro_rules! types {
    ($($variant:ident = $name:literal, $bytes:literal;)*) => {
        /// Element type, by its name in the Open Inference Protocol. Strings (`BYTES`) are not served.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        #[non_exhaustive]
        pub enum DataType { $($variant,)* }

        impl DataType {
            /// The type of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Name, as the protocol writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of an element.
            #[must_use]
            pub const fn bytes(self) -> usize {
                match self { $(Self::$variant => $bytes,)* }
            }
        }
    };
}

types! {
    Bool = "BOOL", 1;
    Uint8 = "UINT8", 1;
    Uint16 = "UINT16", 2;
    Uint32 = "UINT32", 4;
    Uint64 = "UINT64", 8;
    Int8 = "INT8", 1;
    Int16 = "INT16", 2;
    Int32 = "INT32", 4;
    Int64 = "INT64", 8;
    Fp32 = "FP32", 4;
    Fp64 = "FP64", 8;
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A tensor whose data is as long as its type and shape say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    name: String,
    datatype: DataType,
    shape: Vec<u64>,
    data: Bytes,
}

/// Data that is not as long as type and shape say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tensor `{name}` has {found} bytes of data, its type and shape ask for {wanted}")]
pub struct WrongLength {
    name: String,
    found: usize,
    wanted: String,
}

impl Tensor {
    /// From little-endian elements in row-major order.
    ///
    /// # Errors
    /// [`WrongLength`].
    pub fn new(
        name: impl Into<String>,
        datatype: DataType,
        shape: Vec<u64>,
        data: Bytes,
    ) -> Result<Self, WrongLength> {
        let name = name.into();
        let wanted = length(datatype, &shape);
        if wanted != Some(data.len()) {
            let wanted = wanted.map_or_else(|| "too many".to_owned(), |n| n.to_string());
            return Err(WrongLength { name, found: data.len(), wanted });
        }
        Ok(Self { name, datatype, shape, data })
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Element type.
    #[must_use]
    pub fn datatype(&self) -> DataType {
        self.datatype
    }

    /// Dimensions, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Little-endian elements in row-major order.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }
}

/// Bytes of a tensor; `None` when that many cannot be addressed.
#[must_use]
pub fn length(datatype: DataType, shape: &[u64]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?))?
        .checked_mul(datatype.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lengths() {
        for t in [DataType::Bool, DataType::Int64, DataType::Fp32] {
            assert_eq!(DataType::from_name(t.as_str()), Some(t));
        }
        assert_eq!(DataType::from_name("BYTES"), None);
        let t = Tensor::new("x", DataType::Fp32, vec![2, 3], Bytes::from(vec![0; 24])).unwrap();
        assert_eq!((t.shape(), t.data().len()), (&[2, 3][..], 24));
        let short = Tensor::new("x", DataType::Fp32, vec![2, 3], Bytes::from(vec![0; 23])).unwrap_err();
        assert!(short.to_string().contains("23 bytes"), "{short}");
        let huge = Tensor::new("x", DataType::Fp64, vec![u64::MAX, 4], Bytes::new()).unwrap_err();
        assert!(huge.to_string().contains("too many"), "{huge}");
        assert_eq!(length(DataType::Bool, &[]), Some(1));
        assert_eq!(length(DataType::Bool, &[0, 7]), Some(0));
    }
}
