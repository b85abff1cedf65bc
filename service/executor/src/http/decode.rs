//! Body → request.

use super::wire::{Flat, InputDto, RequestDto, Scalar};
use crate::runtime::{DataType, InferRequest, Tensor};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::time::Duration;

/// A request as it came.
#[derive(Debug)]
pub struct Decoded {
    /// Its id.
    pub id: Option<String>,
    /// What is to be computed.
    pub request: InferRequest,
    /// Time that the client grants.
    pub within: Option<Duration>,
    /// Which outputs are to be binary.
    pub binary: Binary,
}

/// Which outputs are to be binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Outputs that are not named below.
    pub default: bool,
    /// By name.
    pub named: Vec<(String, bool)>,
}

impl Binary {
    /// Whether output `name` is to be binary.
    #[must_use]
    pub fn of(&self, name: &str) -> bool {
        self.named.iter().find(|(n, _)| n == name).map_or(self.default, |(_, binary)| *binary)
    }
}

/// Decodes a body; `json_length` is the header `Inference-Header-Content-Length`, behind which the
/// data of binary inputs follows.
///
/// # Errors
/// What is wrong with it, for people.
pub fn decode(body: &Bytes, json_length: Option<usize>) -> Result<Decoded, String> {
    let length = json_length.unwrap_or(body.len());
    if length > body.len() {
        return Err(format!("the JSON is said to be {length} bytes, the body has {}", body.len()));
    }
    let (json, mut rest) = (body.slice(..length), body.slice(length..));
    let dto: RequestDto = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
    let mut inputs = Vec::with_capacity(dto.inputs.len());
    for input in dto.inputs {
        inputs.push(tensor(input, &mut rest)?);
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes behind the last input", rest.len()));
    }
    let named = dto.outputs.iter();
    let named = named.filter_map(|o| Some((o.name.clone(), flag(&o.parameters, "binary_data")?)));
    Ok(Decoded {
        id: dto.id,
        within: timeout(&dto.parameters)?,
        binary: Binary {
            default: flag(&dto.parameters, "binary_data_output").unwrap_or(false),
            named: named.collect(),
        },
        request: InferRequest { inputs, outputs: dto.outputs.into_iter().map(|o| o.name).collect() },
    })
}

fn flag(parameters: &Map<String, Value>, name: &str) -> Option<bool> {
    parameters.get(name).and_then(Value::as_bool)
}

fn timeout(parameters: &Map<String, Value>) -> Result<Option<Duration>, String> {
    match parameters.get("timeout") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(0) => Ok(None),
            Some(us) => Ok(Some(Duration::from_micros(us))),
            None => Err("`timeout` must be a whole number of microseconds".to_owned()),
        },
    }
}

fn tensor(input: InputDto, rest: &mut Bytes) -> Result<Tensor, String> {
    let InputDto { name, shape, datatype, parameters, data } = input;
    let kind = DataType::from_name(&datatype)
        .ok_or_else(|| format!("input `{name}` is of type `{datatype}`, which is not served"))?;
    let data = match (parameters.get("binary_data_size"), data) {
        (Some(size), None) => {
            let size = size.as_u64().and_then(|s| usize::try_from(s).ok());
            let size = size.ok_or_else(|| format!("input `{name}`: `binary_data_size` is no size"))?;
            if size > rest.len() {
                return Err(format!("input `{name}` has {size} bytes, {} follow the JSON", rest.len()));
            }
            rest.split_to(size)
        }
        (None, Some(flat)) => elements(kind, &flat).map_err(|what| format!("input `{name}`: {what}"))?,
        (Some(_), Some(_)) => return Err(format!("input `{name}` has its data twice")),
        (None, None) => return Err(format!("input `{name}` has no data")),
    };
    Tensor::new(name, kind, shape, data).map_err(|e| e.to_string())
}

/// Elements as little-endian bytes.
fn elements(kind: DataType, flat: &Flat) -> Result<Bytes, String> {
    let mut bytes = Vec::with_capacity(flat.0.len().saturating_mul(kind.bytes()));
    let wrong = |scalar: &Scalar| format!("{scalar:?} is no {kind}");
    for scalar in &flat.0 {
        macro_rules! integer {
            ($type:ty, $as:ident) => {{
                let Scalar::Number(n) = scalar else { return Err(wrong(scalar)) };
                let value = n.$as().and_then(|v| <$type>::try_from(v).ok()).ok_or_else(|| wrong(scalar))?;
                bytes.extend_from_slice(&value.to_le_bytes());
            }};
        }
        match kind {
            DataType::Bool => match scalar {
                Scalar::Bool(b) => bytes.push(u8::from(*b)),
                Scalar::Number(n) => match n.as_u64() {
                    Some(b @ (0 | 1)) => bytes.push(u8::from(b == 1)),
                    _ => return Err(wrong(scalar)),
                },
            },
            DataType::Uint8 => integer!(u8, as_u64),
            DataType::Uint16 => integer!(u16, as_u64),
            DataType::Uint32 => integer!(u32, as_u64),
            DataType::Uint64 => integer!(u64, as_u64),
            DataType::Int8 => integer!(i8, as_i64),
            DataType::Int16 => integer!(i16, as_i64),
            DataType::Int32 => integer!(i32, as_i64),
            DataType::Int64 => integer!(i64, as_i64),
            DataType::Fp32 | DataType::Fp64 => {
                let Scalar::Number(n) = scalar else { return Err(wrong(scalar)) };
                let value = n.as_f64().ok_or_else(|| wrong(scalar))?;
                if kind == DataType::Fp64 {
                    bytes.extend_from_slice(&value.to_le_bytes());
                } else {
                    #[allow(clippy::cast_possible_truncation)] // rounding is what FP32 means
                    let single = value as f32;
                    if !single.is_finite() {
                        return Err(wrong(scalar));
                    }
                    bytes.extend_from_slice(&single.to_le_bytes());
                }
            }
        }
    }
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Decoded, String> {
        decode(&Bytes::copy_from_slice(text.as_bytes()), None)
    }

    #[test]
    fn nested_and_flat_data_are_the_same() {
        let flat =
            r#"{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2.5, -3, 4]}]}"#;
        let nested = flat.replace("[1, 2.5, -3, 4]", "[[1, 2.5], [-3, 4]]");
        let (a, b) = (json(flat).unwrap(), json(&nested).unwrap());
        assert_eq!(a.request, b.request);
        let wanted: Vec<u8> = [1.0_f32, 2.5, -3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(a.request.inputs[0].data()[..], wanted[..]);
        assert_eq!((a.within, a.binary.of("y")), (None, false));
    }

    #[test]
    fn binary_inputs_follow_the_json_in_their_order() {
        let text = r#"{"id": "7", "parameters": {"binary_data_output": true, "timeout": 1500},
            "inputs": [
            {"name": "a", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}},
            {"name": "b", "shape": [1], "datatype": "INT16", "data": [-2]},
            {"name": "c", "shape": [3], "datatype": "BOOL", "parameters": {"binary_data_size": 3}}],
            "outputs": [{"name": "y", "parameters": {"binary_data": false}}, {"name": "z"}]}"#;
        let mut body = text.as_bytes().to_vec();
        body.extend_from_slice(&[9, 8, 1, 0, 1]);
        let body = Bytes::from(body);
        let decoded = decode(&body, Some(text.len())).unwrap();
        let data: Vec<&[u8]> = decoded.request.inputs.iter().map(|t| &t.data()[..]).collect();
        assert_eq!(data, [&[9, 8][..], &[254, 255], &[1, 0, 1]]);
        assert_eq!(decoded.request.outputs, ["y", "z"]);
        assert_eq!(decoded.within, Some(Duration::from_micros(1500)));
        assert_eq!((decoded.binary.of("y"), decoded.binary.of("z")), (false, true));
        // A byte too few, a byte too many, a header beyond the body.
        assert!(decode(&body.slice(..body.len() - 1), Some(text.len())).is_err());
        let more = Bytes::from([&body[..], &[0]].concat());
        assert!(decode(&more, Some(text.len())).unwrap_err().contains("1 bytes behind"));
        assert!(decode(&body, Some(body.len() + 1)).is_err());
    }

    #[test]
    fn what_does_not_fit_its_type_is_refused() {
        let with = |datatype: &str, data: &str| {
            json(&format!(
                r#"{{"inputs": [{{"name": "x", "shape": [1], "datatype": "{datatype}", "data": [{data}]}}]}}"#
            ))
        };
        for (datatype, data) in [
            ("UINT8", "256"),
            ("UINT8", "-1"),
            ("INT8", "1.5"),
            ("INT64", "true"),
            ("BOOL", "2"),
            ("FP32", "1e39"),
            ("FP32", "true"),
            ("FP32", "1, 2"),
            ("FP32", r#""1""#),
            ("BYTES", "1"),
        ] {
            assert!(with(datatype, data).is_err(), "{datatype} {data}");
        }
        assert!(with("UINT64", "18446744073709551615").is_ok());
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert!(with("FP32", &deep).unwrap_err().contains("deep"));
        assert!(json("{").is_err());
    }
}
