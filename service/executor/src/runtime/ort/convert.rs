//! Tensors of requests ↔ values of ONNX Runtime.

use crate::runtime::port::TensorInfo;
use crate::runtime::tensor::{DataType, Tensor};
use bytes::Bytes;
use ecomap_graph::Port;
use ecomap_graph::shape::DType;
use ort::value::{DynValue, Tensor as OrtTensor, TensorElementType, ValueType};

/// The type in requests; `None` for types that are not served.
fn datatype(dtype: DType) -> Option<DataType> {
    Some(match dtype {
        DType::Bool => DataType::Bool,
        DType::Uint8 => DataType::Uint8,
        DType::Uint16 => DataType::Uint16,
        DType::Uint32 => DataType::Uint32,
        DType::Uint64 => DataType::Uint64,
        DType::Int8 => DataType::Int8,
        DType::Int16 => DataType::Int16,
        DType::Int32 => DataType::Int32,
        DType::Int64 => DataType::Int64,
        DType::Float => DataType::Fp32,
        DType::Double => DataType::Fp64,
        _ => return None,
    })
}

/// How a model's border looks to clients.
///
/// # Errors
/// For element types that are not served, for people.
pub(super) fn interface(ports: &[Port]) -> Result<Vec<TensorInfo>, String> {
    ports
        .iter()
        .map(|p| {
            let datatype = datatype(p.dtype).ok_or_else(|| {
                format!("`{}` has elements of type {}, which is not served", p.name, p.dtype.name())
            })?;
            Ok(TensorInfo { name: p.name.clone(), datatype, shape: p.shape.dims().to_vec() })
        })
        .collect()
}

/// A tensor of zeros.
pub(super) fn zeros(info: &TensorInfo) -> Result<Tensor, String> {
    let length = crate::runtime::tensor::length(info.datatype, &info.shape).ok_or("too many elements")?;
    Tensor::new(info.name.clone(), info.datatype, info.shape.clone(), Bytes::from(vec![0; length]))
        .map_err(|e| e.to_string())
}

/// Elements of `N` bytes each.
fn elements<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.chunks_exact(N).filter_map(|c| Some(read(c.try_into().ok()?))).collect()
}

/// A request's tensor as a value.
pub(super) fn to_value(tensor: &Tensor) -> Result<DynValue, String> {
    let shape: Option<Vec<i64>> = tensor.shape().iter().map(|d| i64::try_from(*d).ok()).collect();
    let shape = shape.ok_or("a dimension out of range")?;
    let data = tensor.data();
    macro_rules! value {
        ($read:expr) => {
            OrtTensor::from_array((shape, elements(data, $read))).map(ort::value::Value::into_dyn)
        };
    }
    let value = match tensor.datatype() {
        DataType::Bool => value!(|b: [u8; 1]| b != [0]),
        DataType::Uint8 => value!(u8::from_le_bytes),
        DataType::Uint16 => value!(u16::from_le_bytes),
        DataType::Uint32 => value!(u32::from_le_bytes),
        DataType::Uint64 => value!(u64::from_le_bytes),
        DataType::Int8 => value!(i8::from_le_bytes),
        DataType::Int16 => value!(i16::from_le_bytes),
        DataType::Int32 => value!(i32::from_le_bytes),
        DataType::Int64 => value!(i64::from_le_bytes),
        DataType::Fp32 => value!(f32::from_le_bytes),
        DataType::Fp64 => value!(f64::from_le_bytes),
    };
    value.map_err(|e| e.to_string())
}

/// A value as an answer's tensor.
pub(super) fn to_tensor(name: &str, value: &DynValue) -> Result<Tensor, String> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return Err(format!("`{name}` is not a tensor"));
    };
    let dims: Option<Vec<u64>> = shape.iter().map(|d| u64::try_from(*d).ok()).collect();
    let dims = dims.ok_or("a dimension out of range")?;
    macro_rules! bytes {
        ($type:ty, $kind:ident) => {{
            let (_, data) = value.try_extract_tensor::<$type>().map_err(|e| e.to_string())?;
            let mut bytes = Vec::with_capacity(size_of_val(data));
            for x in data {
                bytes.extend_from_slice(&x.to_le_bytes());
            }
            (DataType::$kind, bytes)
        }};
    }
    let (datatype, bytes) = match ty {
        TensorElementType::Bool => {
            let (_, data) = value.try_extract_tensor::<bool>().map_err(|e| e.to_string())?;
            (DataType::Bool, data.iter().map(|b| u8::from(*b)).collect())
        }
        TensorElementType::Uint8 => bytes!(u8, Uint8),
        TensorElementType::Uint16 => bytes!(u16, Uint16),
        TensorElementType::Uint32 => bytes!(u32, Uint32),
        TensorElementType::Uint64 => bytes!(u64, Uint64),
        TensorElementType::Int8 => bytes!(i8, Int8),
        TensorElementType::Int16 => bytes!(i16, Int16),
        TensorElementType::Int32 => bytes!(i32, Int32),
        TensorElementType::Int64 => bytes!(i64, Int64),
        TensorElementType::Float32 => bytes!(f32, Fp32),
        TensorElementType::Float64 => bytes!(f64, Fp64),
        other => return Err(format!("`{name}` has elements of type {other}, which is not served")),
    };
    Tensor::new(name, datatype, dims, Bytes::from(bytes)).map_err(|e| e.to_string())
}
