//! Answer → body.

use super::decode::Binary;
use super::wire::{ResponseDto, ResultDto};
use crate::runtime::{Basis, DataType, InferResponse, Tensor};
use bytes::Bytes;
use ecomap_instances::ids::TenantId;
use serde_json::{Map, Number, Value, json};

/// An encoded answer.
#[derive(Debug)]
pub struct Encoded {
    /// The body.
    pub body: Bytes,
    /// Length of its JSON, where binary data follows.
    pub json_length: Option<usize>,
}

/// Where an answer comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Tenant.
    pub tenant: TenantId,
    /// What its times are.
    pub basis: Basis,
    /// Whether the model's weights are drawn from a seed.
    pub synthetic: bool,
}

/// Encodes an answer. Its parameters say who answered: `tier`, `plan_version`,
/// `basis` (`measured` or `emulated`), `latency_us`, and `synthetic_weights` where the weights are
/// drawn from a seed.
///
/// # Errors
/// When an output has a value that JSON does not know (infinity, not a number).
pub fn encode(
    id: Option<String>,
    from: &Origin,
    answer: &InferResponse,
    binary: &Binary,
) -> Result<Encoded, String> {
    let mut parameters = Map::new();
    parameters.insert("tier".to_owned(), json!(answer.tier.as_str()));
    parameters.insert("plan_version".to_owned(), json!(answer.version.0));
    parameters.insert("basis".to_owned(), json!(from.basis.as_str()));
    let us = u64::try_from(answer.latency.as_micros()).unwrap_or(u64::MAX);
    parameters.insert("latency_us".to_owned(), json!(us));
    if from.synthetic {
        parameters.insert("synthetic_weights".to_owned(), json!(true));
    }
    let mut tail = Vec::new();
    let mut outputs = Vec::with_capacity(answer.outputs.len());
    let any = answer.outputs.iter().any(|o| binary.of(o.name()));
    for tensor in &answer.outputs {
        let mut result = ResultDto {
            name: tensor.name().to_owned(),
            shape: tensor.shape().to_vec(),
            datatype: tensor.datatype().as_str(),
            parameters: Map::new(),
            data: None,
        };
        if binary.of(tensor.name()) {
            result.parameters.insert("binary_data_size".to_owned(), json!(tensor.data().len()));
            tail.extend_from_slice(tensor.data());
        } else {
            result.data = Some(elements(tensor)?);
        }
        outputs.push(result);
    }
    let response = ResponseDto {
        model_name: from.tenant.as_str().to_owned(),
        model_version: answer.version.to_string(),
        id,
        parameters,
        outputs,
    };
    let mut body = serde_json::to_vec(&response).map_err(|e| e.to_string())?;
    let json_length = any.then_some(body.len());
    body.extend_from_slice(&tail);
    Ok(Encoded { body: Bytes::from(body), json_length })
}

fn elements(tensor: &Tensor) -> Result<Value, String> {
    macro_rules! integers {
        ($type:ty) => {
            list(tensor, |b| Some(Value::from(<$type>::from_le_bytes(b))))
        };
    }
    let values = match tensor.datatype() {
        DataType::Bool => list(tensor, |b: [u8; 1]| Some(Value::Bool(b != [0]))),
        DataType::Uint8 => integers!(u8),
        DataType::Uint16 => integers!(u16),
        DataType::Uint32 => integers!(u32),
        DataType::Uint64 => integers!(u64),
        DataType::Int8 => integers!(i8),
        DataType::Int16 => integers!(i16),
        DataType::Int32 => integers!(i32),
        DataType::Int64 => integers!(i64),
        DataType::Fp32 => {
            list(tensor, |b| Number::from_f64(f64::from(f32::from_le_bytes(b))).map(Value::Number))
        }
        DataType::Fp64 => list(tensor, |b| Number::from_f64(f64::from_le_bytes(b)).map(Value::Number)),
    };
    values.map(Value::Array).ok_or_else(|| {
        format!("output `{}` has values that JSON does not know; ask for binary data", tensor.name())
    })
}

fn list<const N: usize>(tensor: &Tensor, read: impl Fn([u8; N]) -> Option<Value>) -> Option<Vec<Value>> {
    tensor.data().chunks_exact(N).map(|c| read(c.try_into().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::PlanVersion;
    use std::time::Duration;

    fn answer(values: &[f32], basis: Basis) -> (Origin, InferResponse) {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let shape = vec![1, values.len() as u64];
        let from = Origin { tenant: "cam".into(), basis, synthetic: true };
        let answer = InferResponse {
            outputs: vec![Tensor::new("y", DataType::Fp32, shape, Bytes::from(data)).unwrap()],
            tier: "t".into(),
            version: PlanVersion(3),
            latency: Duration::from_millis(2),
            busy: Duration::from_millis(1),
        };
        (from, answer)
    }

    #[test]
    fn says_who_answered() {
        let (from, answer) = answer(&[1.0, -2.5], Basis::Measured);
        let json = Binary { default: false, named: vec![] };
        let encoded = encode(Some("7".into()), &from, &answer, &json).unwrap();
        assert_eq!(encoded.json_length, None);
        let found: Value = serde_json::from_slice(&encoded.body).unwrap();
        let wanted = json!({
            "model_name": "cam", "model_version": "3", "id": "7",
            "parameters": { "tier": "t", "plan_version": 3, "basis": "measured", "latency_us": 2000,
                            "synthetic_weights": true },
            "outputs": [{ "name": "y", "shape": [1, 2], "datatype": "FP32", "data": [1.0, -2.5] }],
        });
        assert_eq!(found, wanted);
    }

    #[test]
    fn binary_data_follows() {
        let (from, answer) = answer(&[f32::NAN], Basis::Emulated);
        let binary = Binary { default: true, named: vec![] };
        let encoded = encode(None, &from, &answer, &binary).unwrap();
        let length = encoded.json_length.unwrap();
        let head: Value = serde_json::from_slice(&encoded.body[..length]).unwrap();
        assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], 4);
        assert_eq!(encoded.body[length..], f32::NAN.to_le_bytes());
        let json = Binary { default: false, named: vec![] };
        let refused = encode(None, &from, &answer, &json).unwrap_err();
        assert!(refused.contains("ask for binary"), "{refused}");
    }
}
