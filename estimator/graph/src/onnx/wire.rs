//! A look at a model's bytes before anything is allocated for them.
//!
//! Two bytes of protobuf can ask for a message of hundreds of bytes in memory, so a file of
//! modest size could exhaust the machine. This pass walks the wire format with a cursor only, by
//! the same schema as [`messages`](super::messages), and adds up what decoding would take.

use super::limits::Limits;
use crate::fault::Fault;
use ecomap_instances::Code;

/// What one message takes in memory at most, bytes: the largest of the messages, rounded up.
const MESSAGE_BYTES: u64 = 512;
/// What a string takes beside its text.
const TEXT_BYTES: u64 = 32;
/// What a varint of one byte on the wire takes decoded.
const VARINT_BYTES: u64 = 8;

#[derive(Clone, Copy)]
enum Kind {
    ModelProto,
    GraphProto,
    NodeProto,
    AttributeProto,
    TensorProto,
    SegmentProto,
    SparseTensorProto,
    ValueInfoProto,
    TypeProto,
    TensorTypeProto,
    ElementTypeProto,
    MapTypeProto,
    TensorShapeProto,
    DimensionProto,
    OperatorSetIdProto,
    StringStringEntryProto,
    TensorAnnotation,
    FunctionProto,
    TrainingInfoProto,
    DeviceConfigurationProto,
    NodeDeviceConfigurationProto,
    ShardingSpecProto,
    ShardedDimProto,
    SimpleShardedDimProto,
    IntIntListEntryProto,
}

enum Child {
    /// A message of its own.
    Message(Kind),
    /// A string, copied.
    Text,
    /// Bytes, shared with the file.
    Shared,
    /// Integers, packed or one by one.
    Varints,
    /// Fixed-size values, or a field that the schema does not know.
    Plain,
}

#[rustfmt::skip]
fn child(kind: Kind, field: u64) -> Child {
    match (kind, field) {
        (Kind::ModelProto, 2 | 3 | 4 | 6) => Child::Text,
        (Kind::ModelProto, 7) => Child::Message(Kind::GraphProto),
        (Kind::ModelProto, 8) => Child::Message(Kind::OperatorSetIdProto),
        (Kind::ModelProto, 14) => Child::Message(Kind::StringStringEntryProto),
        (Kind::ModelProto, 20) => Child::Message(Kind::TrainingInfoProto),
        (Kind::ModelProto, 25) => Child::Message(Kind::FunctionProto),
        (Kind::ModelProto, 26) => Child::Message(Kind::DeviceConfigurationProto),
        (Kind::GraphProto, 1) => Child::Message(Kind::NodeProto),
        (Kind::GraphProto, 2 | 10) => Child::Text,
        (Kind::GraphProto, 5) => Child::Message(Kind::TensorProto),
        (Kind::GraphProto, 11..=13) => Child::Message(Kind::ValueInfoProto),
        (Kind::GraphProto, 14) => Child::Message(Kind::TensorAnnotation),
        (Kind::GraphProto, 15) => Child::Message(Kind::SparseTensorProto),
        (Kind::GraphProto, 16) => Child::Message(Kind::StringStringEntryProto),
        (Kind::NodeProto, 1 | 2 | 3 | 4 | 6 | 7 | 8) => Child::Text,
        (Kind::NodeProto, 5) => Child::Message(Kind::AttributeProto),
        (Kind::NodeProto, 9) => Child::Message(Kind::StringStringEntryProto),
        (Kind::NodeProto, 10) => Child::Message(Kind::NodeDeviceConfigurationProto),
        (Kind::AttributeProto, 1 | 13 | 21) => Child::Text,
        (Kind::AttributeProto, 4 | 9) => Child::Shared,
        (Kind::AttributeProto, 5 | 10) => Child::Message(Kind::TensorProto),
        (Kind::AttributeProto, 6 | 11) => Child::Message(Kind::GraphProto),
        (Kind::AttributeProto, 8) => Child::Varints,
        (Kind::AttributeProto, 14 | 15) => Child::Message(Kind::TypeProto),
        (Kind::AttributeProto, 22 | 23) => Child::Message(Kind::SparseTensorProto),
        (Kind::TensorProto, 1 | 5 | 7 | 11) => Child::Varints,
        (Kind::TensorProto, 3) => Child::Message(Kind::SegmentProto),
        (Kind::TensorProto, 6 | 9) => Child::Shared,
        (Kind::TensorProto, 8 | 12) => Child::Text,
        (Kind::TensorProto, 13 | 16) => Child::Message(Kind::StringStringEntryProto),
        (Kind::SparseTensorProto, 1 | 2) => Child::Message(Kind::TensorProto),
        (Kind::SparseTensorProto, 3) => Child::Varints,
        (Kind::ValueInfoProto, 1 | 3) => Child::Text,
        (Kind::ValueInfoProto, 2) => Child::Message(Kind::TypeProto),
        (Kind::ValueInfoProto, 4) => Child::Message(Kind::StringStringEntryProto),
        (Kind::TypeProto, 1 | 8) => Child::Message(Kind::TensorTypeProto),
        (Kind::TypeProto, 4 | 9) => Child::Message(Kind::ElementTypeProto),
        (Kind::TypeProto, 5) => Child::Message(Kind::MapTypeProto),
        (Kind::TypeProto, 6) => Child::Text,
        (Kind::TensorTypeProto, 2) => Child::Message(Kind::TensorShapeProto),
        (Kind::ElementTypeProto, 1) => Child::Message(Kind::TypeProto),
        (Kind::MapTypeProto, 2) => Child::Message(Kind::TypeProto),
        (Kind::TensorShapeProto, 1) => Child::Message(Kind::DimensionProto),
        (Kind::DimensionProto, 2 | 3) => Child::Text,
        (Kind::OperatorSetIdProto, 1) => Child::Text,
        (Kind::StringStringEntryProto, 1 | 2) => Child::Text,
        (Kind::TensorAnnotation, 1) => Child::Text,
        (Kind::TensorAnnotation, 2) => Child::Message(Kind::StringStringEntryProto),
        (Kind::FunctionProto, 1 | 4 | 5 | 6 | 8 | 10 | 13) => Child::Text,
        (Kind::FunctionProto, 7) => Child::Message(Kind::NodeProto),
        (Kind::FunctionProto, 9) => Child::Message(Kind::OperatorSetIdProto),
        (Kind::FunctionProto, 11) => Child::Message(Kind::AttributeProto),
        (Kind::FunctionProto, 12) => Child::Message(Kind::ValueInfoProto),
        (Kind::FunctionProto, 14) => Child::Message(Kind::StringStringEntryProto),
        (Kind::TrainingInfoProto, 1 | 2) => Child::Message(Kind::GraphProto),
        (Kind::TrainingInfoProto, 3 | 4) => Child::Message(Kind::StringStringEntryProto),
        (Kind::DeviceConfigurationProto, 1 | 3) => Child::Text,
        (Kind::NodeDeviceConfigurationProto, 1) => Child::Text,
        (Kind::NodeDeviceConfigurationProto, 2) => Child::Message(Kind::ShardingSpecProto),
        (Kind::ShardingSpecProto, 1) => Child::Text,
        (Kind::ShardingSpecProto, 2) => Child::Varints,
        (Kind::ShardingSpecProto, 3) => Child::Message(Kind::IntIntListEntryProto),
        (Kind::ShardingSpecProto, 4) => Child::Message(Kind::ShardedDimProto),
        (Kind::ShardedDimProto, 2) => Child::Message(Kind::SimpleShardedDimProto),
        (Kind::SimpleShardedDimProto, 2) => Child::Text,
        (Kind::IntIntListEntryProto, 2) => Child::Varints,
        _ => Child::Plain,
    }
}

/// Checks that decoding `bytes` as a model stays within the limits.
pub(crate) fn scan(bytes: &[u8], limits: &Limits) -> Result<(), Fault> {
    let mut scan = Scan { limits, memory: 0, nodes: 0 };
    scan.message(bytes, Kind::ModelProto, 0)
}

struct Scan<'l> {
    limits: &'l Limits,
    memory: u64,
    nodes: u64,
}

impl Scan<'_> {
    fn take(&mut self, bytes: u64) -> Result<(), Fault> {
        self.memory = self.memory.saturating_add(bytes);
        if self.memory > self.limits.decoded_bytes {
            return Err(Fault::new(
                Code::ModelTooLarge,
                format!("decoded, the model would take more than {} bytes", self.limits.decoded_bytes),
            ));
        }
        Ok(())
    }

    fn message(&mut self, mut bytes: &[u8], kind: Kind, depth: usize) -> Result<(), Fault> {
        if depth > self.limits.depth {
            return Err(Fault::new(
                Code::ModelTooLarge,
                format!("messages nest more than {} deep", self.limits.depth),
            ));
        }
        self.take(MESSAGE_BYTES)?;
        if matches!(kind, Kind::NodeProto) {
            self.nodes += 1;
            if self.nodes > self.limits.nodes {
                return Err(Fault::new(
                    Code::ModelTooLarge,
                    format!("more than {} nodes", self.limits.nodes),
                ));
            }
        }
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let what = child(kind, tag >> 3);
            match tag & 7 {
                0 => {
                    varint(&mut bytes)?;
                    if matches!(what, Child::Varints) {
                        self.take(VARINT_BYTES)?;
                    }
                }
                1 => {
                    split(&mut bytes, 8)?;
                    self.take(8)?;
                }
                5 => {
                    split(&mut bytes, 4)?;
                    self.take(4)?;
                }
                2 => {
                    let length = varint(&mut bytes)?;
                    let inner = split(&mut bytes, length)?;
                    match what {
                        Child::Message(kind) => self.message(inner, kind, depth + 1)?,
                        Child::Text => self.take(length.saturating_add(TEXT_BYTES))?,
                        Child::Varints => self.take(length.saturating_mul(VARINT_BYTES))?,
                        Child::Shared => self.take(TEXT_BYTES)?,
                        Child::Plain => self.take(length)?,
                    }
                }
                other => return Err(unreadable(&format!("wire type {other}"))),
            }
        }
        Ok(())
    }
}

fn unreadable(what: &str) -> Fault {
    Fault::new(Code::ModelUnreadable, format!("not a protobuf message of ONNX: {what}"))
}

fn split<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b [u8], Fault> {
    let cut = usize::try_from(length).ok().and_then(|n| bytes.split_at_checked(n));
    let (head, tail) = cut.ok_or_else(|| unreadable("a field is longer than the file"))?;
    *bytes = tail;
    Ok(head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(|| unreadable("it ends within a number"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(unreadable("a number of more than ten bytes"))
}
