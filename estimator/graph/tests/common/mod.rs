//! Models built by hand.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::panic)] // helpers of tests; each file uses some

use ecomap_graph::onnx::messages::*;
use ecomap_graph::{LayerGraph, Model, Options};
use ecomap_instances::{Code, Issues};
use prost::Message;

/// A graph in the making.
#[derive(Clone, Default)]
pub struct Net(pub GraphProto);

pub fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|d| DimensionProto { dim_value: Some(*d), ..Default::default() }).collect();
    typed(name, dim)
}

pub fn typed(name: &str, dim: Vec<DimensionProto>) -> ValueInfoProto {
    let tensor = TensorTypeProto { elem_type: Some(1), shape: Some(TensorShapeProto { dim }) };
    let kind = TypeProto { tensor_type: Some(tensor), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

pub fn symbolic(name: &str) -> DimensionProto {
    DimensionProto { dim_param: Some(name.into()), ..Default::default() }
}

/// A tensor of floats without its data: only its size counts.
pub fn weights(name: &str, dims: &[i64]) -> TensorProto {
    TensorProto { name: Some(name.into()), dims: dims.to_vec(), data_type: Some(1), ..Default::default() }
}

pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![values.len() as i64],
        data_type: Some(7),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

pub fn scalar(name: &str, value: f32) -> TensorProto {
    TensorProto { name: Some(name.into()), data_type: Some(1), float_data: vec![value], ..Default::default() }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), ints: values.to_vec(), r#type: Some(7), ..Default::default() }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(value), r#type: Some(2), ..Default::default() }
}

pub fn graph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), g: Some(graph), r#type: Some(5), ..Default::default() }
}

impl Net {
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.0.input.push(value(name, dims));
        self
    }

    pub fn output(mut self, name: &str) -> Self {
        self.0.output.push(ValueInfoProto { name: Some(name.into()), ..Default::default() });
        self
    }

    pub fn constant(mut self, tensor: TensorProto) -> Self {
        self.0.initializer.push(tensor);
        self
    }

    /// A node whose name is its first result's.
    pub fn node(mut self, op: &str, inputs: &str, outputs: &str, attribute: &[AttributeProto]) -> Self {
        let list = |s: &str| s.split_whitespace().map(|n| n.replace('_', "")).collect::<Vec<_>>();
        self.0.node.push(NodeProto {
            op_type: Some(op.into()),
            input: list(inputs),
            output: list(outputs),
            attribute: attribute.to_vec(),
            ..Default::default()
        });
        self
    }

    /// A 3×3 convolution that keeps the size, with its weights.
    pub fn conv(self, from: &str, to: &str, inputs: i64, outputs: i64) -> Self {
        let w = format!("{to}w");
        self.constant(weights(&w, &[outputs, inputs, 3, 3])).node(
            "Conv",
            &format!("{from} {w}"),
            to,
            &[ints("pads", &[1, 1, 1, 1])],
        )
    }

    pub fn model(self) -> ModelProto {
        ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
            graph: Some(self.0),
            ..Default::default()
        }
    }

    pub fn bytes(self) -> Vec<u8> {
        self.model().encode_to_vec()
    }

    pub fn read(self, options: &Options) -> Result<LayerGraph, Issues> {
        read(self.bytes(), options)
    }

    #[track_caller]
    pub fn layers(self) -> LayerGraph {
        self.read(&Options::default()).unwrap_or_else(|e| panic!("{e}"))
    }

    #[track_caller]
    pub fn fails(self, code: Code) -> String {
        fails(self.bytes(), code)
    }
}

pub fn read(bytes: Vec<u8>, options: &Options) -> Result<LayerGraph, Issues> {
    LayerGraph::of(&Model::read(bytes, &options.limits)?, options)
}

#[track_caller]
pub fn fails(bytes: Vec<u8>, code: Code) -> String {
    let issues =
        read(bytes, &Options::default()).err().unwrap_or_else(|| panic!("accepted; {code} expected"));
    assert!(issues.list().iter().any(|i| i.code == code), "{code} expected: {issues}");
    issues.to_string()
}

/// Two residual blocks and a head: 16 channels of 8×8.
pub fn residual() -> Net {
    Net::default()
        .input("x", &[1, 3, 8, 8])
        .conv("x", "a", 3, 16)
        .node("Relu", "a", "ar", &[])
        .conv("ar", "b", 16, 16)
        .node("Relu", "b", "br", &[])
        .conv("br", "c", 16, 16)
        .node("Add", "c ar", "d", &[])
        .node("Relu", "d", "dr", &[])
        .conv("dr", "e", 16, 16)
        .node("Add", "e dr", "f", &[])
        .node("GlobalAveragePool", "f", "g", &[])
        .node("Flatten", "g", "h", &[])
        .constant(weights("hw", &[10, 16]))
        .constant(weights("hb", &[10]))
        .node("Gemm", "h hw hb", "y", &[int("transB", 1)])
        .output("y")
}
