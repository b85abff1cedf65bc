//! Reading the file: bytes → messages, within limits.

pub mod limits;
pub mod messages;
pub(crate) mod wire;

use crate::fault::Fault;
use bytes::Bytes;
use ecomap_instances::{Code, Issues};
use limits::Limits;
use messages::{ModelProto, TensorProto};
use prost::Message;

/// Oldest and newest operator set of the default domain that is understood.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;

/// A model as the file has it, decoded and within the limits, not yet understood.
#[derive(Debug, Clone)]
pub struct Model {
    proto: ModelProto,
    opset: i64,
}

impl Model {
    /// Decodes a model. Nothing outside `bytes` is read: external data is never opened.
    ///
    /// # Errors
    /// `E1501`, `E1502` or `E1503`.
    pub fn read(bytes: impl Into<Bytes>, limits: &Limits) -> Result<Self, Issues> {
        let bytes = bytes.into();
        Self::decode(bytes, limits).map_err(|fault| Issues::one(fault.at("")))
    }

    fn decode(bytes: Bytes, limits: &Limits) -> Result<Self, Fault> {
        if bytes.len() as u64 > limits.file_bytes {
            return Err(Fault::new(
                Code::ModelTooLarge,
                format!("{} bytes; at most {} are read", bytes.len(), limits.file_bytes),
            ));
        }
        wire::scan(&bytes, limits)?;
        let proto = ModelProto::decode(bytes)
            .map_err(|e| Fault::new(Code::ModelUnreadable, format!("not a protobuf message of ONNX: {e}")))?;
        if proto.graph.is_none() || proto.opset_import.is_empty() {
            return Err(Fault::new(Code::ModelUnreadable, "it has no graph, or names no operator set"));
        }
        let opset = proto.opset_import.iter().find(|o| is_default_domain(o.domain()));
        let opset = opset.map_or(0, messages::OperatorSetIdProto::version);
        if !OPSETS.contains(&opset) {
            return Err(Fault::new(
                Code::ModelVersion,
                format!("operator set {opset}; {} to {} are understood", OPSETS.start(), OPSETS.end()),
            ));
        }
        Ok(Self { proto, opset })
    }

    /// Checks messages that were made in memory as if they came from a file.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn from_proto(proto: &ModelProto, limits: &Limits) -> Result<Self, Issues> {
        Self::read(proto.encode_to_vec(), limits)
    }

    /// Part of a model that was checked.
    pub(crate) const fn part(proto: ModelProto, opset: i64) -> Self {
        Self { proto, opset }
    }

    /// The messages, for those who cut models apart.
    #[must_use]
    pub const fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// Version of the default operator set.
    #[must_use]
    pub const fn opset(&self) -> i64 {
        self.opset
    }

    /// Encodes the model again. Fields that are unknown to this version of the schema are lost.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }
}

/// Whether `domain` is the one of the operators that ONNX itself defines.
pub(crate) fn is_default_domain(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Whether the tensor's data lies in another file.
pub(crate) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location() == 1 || !tensor.external_data.is_empty()
}
