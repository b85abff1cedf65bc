//! A graph in the making: layers of image classifiers, without data for their weights.

use ecomap_graph::Model;
use ecomap_graph::onnx::limits::Limits;
use ecomap_graph::onnx::messages::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use ecomap_graph::weights;
use ecomap_instances::Issues;
use ecomap_instances::generate::Seed;

/// Operator set of generated graphs.
const OPSET: i64 = 13;
/// Element type of all tensors: float.
const FLOAT: i32 = 1;

/// A tensor of the graph: its name and channels.
#[derive(Debug, Clone)]
pub struct Value {
    name: String,
    channels: i64,
}

impl Value {
    /// Channels.
    #[must_use]
    pub fn channels(&self) -> i64 {
        self.channels
    }
}

/// A convolution.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Channels of the result.
    pub channels: i64,
    /// Window, on both axes; padded to keep the size at stride 1.
    pub kernel: i64,
    /// Stride, on both axes.
    pub stride: i64,
    /// Whether each channel is filtered alone.
    pub depthwise: bool,
}

/// The graph.
#[derive(Debug, Default)]
pub struct Net {
    graph: GraphProto,
}

impl Net {
    /// A graph with one input `input` of shape `[1, channels, size, size]`.
    #[must_use]
    pub fn new(name: &str, channels: i64, size: i64) -> (Self, Value) {
        let mut net = Self { graph: GraphProto { name: Some(name.to_owned()), ..Default::default() } };
        net.graph.input.push(declare("input", &[1, channels, size, size]));
        (net, Value { name: "input".to_owned(), channels })
    }

    fn node(&mut self, op: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.graph.node.push(NodeProto {
            name: Some(name.to_owned()),
            op_type: Some(op.to_owned()),
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.to_owned()],
            attribute,
            ..Default::default()
        });
        name.to_owned()
    }

    fn weight(&mut self, name: &str, dims: &[i64]) {
        self.graph.initializer.push(TensorProto {
            name: Some(name.to_owned()),
            dims: dims.to_vec(),
            data_type: Some(FLOAT),
            ..Default::default()
        });
    }

    /// A convolution with bias.
    pub fn conv(&mut self, name: &str, x: &Value, conv: Conv) -> Value {
        let Conv { channels, kernel, stride, depthwise } = conv;
        let groups = if depthwise { x.channels } else { 1 };
        let (w, b) = (format!("{name}.weight"), format!("{name}.bias"));
        self.weight(&w, &[channels, x.channels / groups, kernel, kernel]);
        self.weight(&b, &[channels]);
        let pad = kernel / 2;
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("pads", &[pad, pad, pad, pad]),
            int("group", groups),
        ];
        let name = self.node("Conv", name, &[&x.name, &w, &b], attributes);
        Value { name, channels }
    }

    /// A rectifier.
    pub fn relu(&mut self, name: &str, x: &Value) -> Value {
        Value { name: self.node("Relu", name, &[&x.name], Vec::new()), channels: x.channels }
    }

    /// A rectifier that saturates at 6.
    pub fn relu6(&mut self, name: &str, x: &Value) -> Value {
        for (bound, value) in [("relu6.min", 0.0), ("relu6.max", 6.0)] {
            if !self.graph.initializer.iter().any(|t| t.name() == bound) {
                self.graph.initializer.push(TensorProto {
                    name: Some(bound.to_owned()),
                    data_type: Some(FLOAT),
                    float_data: vec![value],
                    ..Default::default()
                });
            }
        }
        let name = self.node("Clip", name, &[&x.name, "relu6.min", "relu6.max"], Vec::new());
        Value { name, channels: x.channels }
    }

    /// The sum of two tensors of one shape.
    pub fn add(&mut self, name: &str, x: &Value, y: &Value) -> Value {
        Value { name: self.node("Add", name, &[&x.name, &y.name], Vec::new()), channels: x.channels }
    }

    /// The largest of each 3×3 window, at stride 2.
    pub fn max_pool(&mut self, name: &str, x: &Value) -> Value {
        let attributes =
            vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])];
        Value { name: self.node("MaxPool", name, &[&x.name], attributes), channels: x.channels }
    }

    /// Mean over the picture, then a linear layer to `classes` logits, the output `logits`.
    pub fn classify(mut self, x: &Value, classes: i64, seed: Seed) -> Result<Model, Issues> {
        let pooled = self.node("GlobalAveragePool", "pool", &[&x.name], Vec::new());
        let flat = self.node("Flatten", "flat", &[&pooled], Vec::new());
        self.weight("fc.weight", &[classes, x.channels]);
        self.weight("fc.bias", &[classes]);
        self.node("Gemm", "logits", &[&flat, "fc.weight", "fc.bias"], vec![int("transB", 1)]);
        self.graph.output.push(declare("logits", &[1, classes]));
        let proto = ModelProto {
            ir_version: Some(8),
            producer_name: Some("ecomap".to_owned()),
            opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
            graph: Some(self.graph),
            ..Default::default()
        };
        let limits = Limits::default();
        weights::draw(&Model::from_proto(&proto, &limits)?, seed, &limits)
    }
}

fn declare(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|d| DimensionProto { dim_value: Some(*d), ..Default::default() });
    let shape = TensorShapeProto { dim: dim.collect() };
    let tensor = TensorTypeProto { elem_type: Some(FLOAT), shape: Some(shape) };
    let kind = TypeProto { tensor_type: Some(tensor), ..Default::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), ints: values.to_vec(), r#type: Some(7), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(value), r#type: Some(2), ..Default::default() }
}
