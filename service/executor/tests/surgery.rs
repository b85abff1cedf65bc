//! Cut models give what the whole model gives: through ONNX Runtime, at every legal cut.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // tests

mod common;

use common::{difference, onnxruntime};
use ecomap_executor::repository::synthetic::mobilenet::MobilenetV2;
use ecomap_graph::cuts::Cut;
use ecomap_graph::onnx::limits::Limits;
use ecomap_graph::onnx::messages::{GraphProto, ValueInfoProto};
use ecomap_graph::{LayerGraph, Model, Options, Surgery, weights};
use ecomap_instances::Code;
use ecomap_instances::generate::Seed;
use ort::session::Session;
use ort::value::Tensor;
use rand::Rng;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Largest difference allowed, of the largest magnitude of the tensor.
const TOLERANCE: f32 = 1e-5;

type Tensors = BTreeMap<String, (Vec<i64>, Vec<f32>)>;

fn session(model: &Model) -> Session {
    let environment = ecomap_onnxruntime::environment().unwrap();
    Session::builder(environment)
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .commit_from_memory(&model.encode())
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Runs a model on the tensors that it takes; gives its outputs.
fn run(model: &Model, given: &Tensors) -> Tensors {
    let mut session = session(model);
    let inputs: Vec<(String, Tensor<f32>)> = session
        .inputs()
        .iter()
        .map(|i| {
            let (shape, data) = &given[i.name()];
            (i.name().to_owned(), Tensor::from_array((shape.clone(), data.clone())).unwrap())
        })
        .collect();
    let names: Vec<String> = session.outputs().iter().map(|o| o.name().to_owned()).collect();
    let outputs = session.run(inputs).unwrap_or_else(|e| panic!("{e}"));
    names
        .into_iter()
        .map(|name| {
            let (shape, data) = outputs[name.as_str()].try_extract_tensor::<f32>().unwrap();
            let value = (shape.iter().copied().collect(), data.to_vec());
            (name, value)
        })
        .collect()
}

/// Seeded inputs of a model.
fn inputs(layers: &LayerGraph) -> Tensors {
    let mut rng = Seed(7).rng(0);
    let tensor = |port: &ecomap_graph::Port| {
        let data = (0..port.shape.elements()).map(|_| rng.random_range(-1.0_f32..1.0)).collect();
        let dims = port.shape.dims().iter().map(|d| i64::try_from(*d).unwrap()).collect();
        (port.name.clone(), (dims, data))
    };
    layers.inputs().iter().map(tensor).collect()
}

/// The model with the tensors at its cuts as outputs as well: what every segment must give.
fn with_outputs(model: &Model, cuts: &[Cut]) -> Model {
    let mut proto = model.proto().clone();
    let graph: &mut GraphProto = proto.graph.as_mut().unwrap();
    for cut in cuts {
        graph.output.push(ValueInfoProto { name: Some(cut.tensor.clone()), ..Default::default() });
    }
    Model::from_proto(&proto, &Limits::default()).unwrap()
}

fn compare(what: &str, wanted: &Tensors, found: &Tensors) {
    for (name, (shape, data)) in found {
        let (wanted_shape, wanted) = &wanted[name];
        assert_eq!(shape, wanted_shape, "{what}: {name}");
        let d = difference(wanted, data);
        assert!(d <= TOLERANCE, "{what}: {name} differs by {d}");
        let spread =
            wanted.iter().fold(f32::MAX, |m, x| m.min(*x)) < wanted.iter().fold(f32::MIN, |m, x| m.max(*x));
        assert!(spread, "{what}: {name} is constant, so that nothing is compared");
    }
}

/// Cuts a model at all its legal cuts at once, and, when `pairs`, at each by itself.
fn check(name: &str, model: &Model, options: &Options, pairs: bool) -> usize {
    let layers = LayerGraph::of(model, options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let cuts: Vec<Cut> = layers.cuts().into_iter().filter(|c| c.extractable).collect();
    let surgery = Surgery::new(model, &layers).unwrap();
    let given = inputs(&layers);
    let wanted = run(&with_outputs(model, &cuts), &given);
    let mut tensors = given.clone();
    for segment in surgery.chain(&cuts).unwrap_or_else(|e| panic!("{name}: {e}")) {
        // A segment is itself a model that can be read, and costs something.
        let part = LayerGraph::of(&segment, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!part.is_empty(), "{name}");
        let out = run(&segment, &tensors);
        compare(name, &wanted, &out);
        tensors.extend(out);
    }
    if pairs {
        for cut in &cuts {
            let what = format!("{name} at {}", cut.tensor);
            let [head, tail] = [surgery.segment(None, Some(cut)), surgery.segment(Some(cut), None)]
                .map(|s| s.unwrap_or_else(|e| panic!("{what}: {e}")));
            let middle = run(&head, &given);
            compare(&what, &wanted, &middle);
            compare(&what, &wanted, &run(&tail, &middle));
            let weight = |m: &Model| LayerGraph::of(m, &Options::default()).unwrap().weight_bytes();
            // Constants are divided between the parts, not copied into both.
            assert!(weight(&head) + weight(&tail) <= layers.weight_bytes() + (1 << 16), "{what}");
        }
    }
    println!("{name}: {} cuts", cuts.len());
    cuts.len()
}

fn light(name: &str) -> Option<Model> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../.tools/onnx-light")
        .join(format!("light_{name}.onnx"));
    let Ok(bytes) = std::fs::read(&file) else {
        println!("skipped: {} is not there; `make setup` fetches it", file.display());
        return None;
    };
    let model = Model::read(bytes, &Limits::default()).unwrap();
    Some(weights::draw(&model, Seed(1), &Limits::default()).unwrap())
}

#[test]
fn generated_models_at_every_cut() {
    if !onnxruntime() {
        return;
    }
    let options = Options::default();
    assert!(check("small, deep", &common::small(true, 1), &options, true) > 8);
    assert!(check("small, shallow", &common::small(false, 2), &options, true) > 4);
    let mobilenet = MobilenetV2 { percent: 35, size: 64, classes: 10 }.build("mobilenet", Seed(3)).unwrap();
    assert!(check("mobilenet", &mobilenet, &options, true) > 10);
}

#[test]
fn light_graphs_of_few_weights_at_every_cut() {
    if !onnxruntime() {
        return;
    }
    for (name, pairs) in
        [("squeezenet", true), ("shufflenet", false), ("inception_v1", false), ("densenet121", false)]
    {
        if let Some(model) = light(name) {
            assert!(check(name, &model, &Options::default(), pairs) > 1, "{name}");
        }
    }
}

/// All nine, every cut by itself: gigabytes of weights and a quarter of an hour.
#[test]
#[ignore = "long: cargo test -p ecomap-executor --test surgery -- --ignored"]
fn all_light_graphs_at_every_cut() {
    if !onnxruntime() {
        return;
    }
    let all = [
        "squeezenet",
        "shufflenet",
        "inception_v1",
        "inception_v2",
        "densenet121",
        "resnet50",
        "bvlc_alexnet",
        "zfnet512",
        "vgg19",
    ];
    for name in all {
        if let Some(model) = light(name) {
            assert!(check(name, &model, &Options::default(), true) > 1, "{name}");
        }
    }
}

mod by_hand {
    use super::*;
    use ecomap_graph::onnx::messages::*;

    fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
        NodeProto {
            op_type: Some(op.into()),
            name: Some(format!("node-{output}")),
            input: inputs.iter().map(|i| (*i).into()).collect(),
            output: vec![output.into()],
            attribute,
            ..Default::default()
        }
    }

    fn attribute(name: &str, value: i64) -> AttributeProto {
        AttributeProto { name: Some(name.into()), i: Some(value), r#type: Some(2), ..Default::default() }
    }

    fn integers(name: &str, values: &[i64]) -> TensorProto {
        TensorProto {
            name: Some(name.into()),
            dims: vec![values.len() as i64],
            data_type: Some(7),
            int64_data: values.to_vec(),
            ..Default::default()
        }
    }

    fn value(name: &str, dims: &[Option<i64>]) -> ValueInfoProto {
        let dim = dims.iter().map(|d| DimensionProto {
            dim_value: *d,
            dim_param: d.is_none().then(|| "batch".into()),
            ..Default::default()
        });
        let shape = TensorShapeProto { dim: dim.collect() };
        let tensor = TensorTypeProto { elem_type: Some(1), shape: Some(shape) };
        let kind = TypeProto { tensor_type: Some(tensor), ..Default::default() };
        ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
    }

    /// `y = reshape(relu(tanh(x) · w), [shape(x)[0], -1])`, as exporters write a flattening: the last
    /// layer asks for the shape of the first tensor.
    pub(super) fn model() -> Model {
        let weights = TensorProto {
            name: Some("w".into()),
            dims: vec![4, 6],
            data_type: Some(1),
            float_data: (0..24).map(|n| (n as f32 - 11.0) / 7.0).collect(),
            ..Default::default()
        };
        let graph = GraphProto {
            name: Some("by-hand".into()),
            node: vec![
                node("Tanh", &["x"], "t", vec![]),
                node("Shape", &["x"], "s", vec![]),
                node("Gather", &["s", "zero"], "b", vec![attribute("axis", 0)]),
                node("Concat", &["b", "rest"], "target", vec![attribute("axis", 0)]),
                node("MatMul", &["t", "w"], "m", vec![]),
                node("Relu", &["m"], "r", vec![]),
                node("Sigmoid", &["r"], "q", vec![]),
                node("Reshape", &["q", "target"], "y", vec![]),
            ],
            initializer: vec![weights, integers("zero", &[0]), integers("rest", &[-1])],
            input: vec![value("x", &[None, Some(3), Some(4)])],
            output: vec![value("y", &[None, Some(18)])],
            ..Default::default()
        };
        let opset = |domain: &str, version| OperatorSetIdProto {
            domain: Some(domain.into()),
            version: Some(version),
        };
        let proto = ModelProto {
            ir_version: Some(7),
            producer_name: Some("hand".into()),
            opset_import: vec![opset("", 13), opset("com.example", 1)],
            graph: Some(graph),
            ..Default::default()
        };
        Model::from_proto(&proto, &Limits::default()).unwrap()
    }
}

#[test]
fn shapes_of_tensors_before_the_cut_become_constants() {
    if !onnxruntime() {
        return;
    }
    let model = by_hand::model();
    let options = Options { batch: 2, ..Options::default() };
    assert!(check("by hand", &model, &options, true) >= 2);
    let layers = LayerGraph::of(&model, &options).unwrap();
    let cut = layers.cuts().into_iter().find(|c| c.tensor == "r" || c.tensor == "q").unwrap();
    let tail = Surgery::new(&model, &layers).unwrap().segment(Some(&cut), None).unwrap();
    let graph = tail.proto().graph.as_ref().unwrap();
    let ops: Vec<&str> = graph.node.iter().map(|n| n.op_type()).collect();
    assert!(!ops.contains(&"Shape") && ops.contains(&"Reshape"), "{ops:?}");
    // Names, producer, operator sets and the border's shapes are those of the whole.
    assert_eq!(graph.node.last().unwrap().name(), "node-y");
    assert_eq!((graph.input[0].name(), graph.output[0].name()), (cut.tensor.as_str(), "y"));
    assert_eq!(tail.proto().producer_name(), "hand");
    assert_eq!(tail.proto().opset_import, model.proto().opset_import);
    let dims = |v: &ValueInfoProto| {
        let tensor = v.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap().clone();
        tensor.shape.unwrap().dim.iter().map(|d| d.dim_value()).collect::<Vec<_>>()
    };
    assert_eq!(dims(&graph.input[0]), [2, 3, 6]);
}

#[test]
fn what_is_no_legal_cut_is_refused() {
    let model = by_hand::model();
    let layers = LayerGraph::of(&model, &Options::default()).unwrap();
    let cuts = layers.cuts();
    let surgery = Surgery::new(&model, &layers).unwrap();
    let refused = |from: Option<&Cut>, to: Option<&Cut>| {
        let issues = surgery.segment(from, to).unwrap_err();
        assert_eq!(issues.list()[0].code, Code::RunCut, "{issues}");
    };
    let [first, .., last] = &cuts[..] else { panic!("{cuts:?}") };
    // The wrong way round, nothing in between, and a tensor of another model.
    refused(Some(last), Some(first));
    refused(Some(first), Some(first));
    let other = common::small(false, 1);
    let strange = LayerGraph::of(&other, &Options::default()).unwrap().cuts()[0].clone();
    refused(None, Some(&strange));
    refused(Some(&strange), None);
}
