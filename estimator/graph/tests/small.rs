//! Shapes, costs, folding and cuts of small models.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use common::*;
use ecomap_graph::cost::Class;
use ecomap_graph::{Format, Inspection, LayerGraph, Options};
use ecomap_instances::Code;
use ecomap_instances::family::OpKind;

fn classes(graph: &LayerGraph) -> Vec<&'static str> {
    graph.layers().filter(|l| l.class != Class::View).map(|l| l.class.name()).collect()
}

#[test]
fn a_residual_network_is_counted_and_cut_where_one_tensor_crosses() {
    let graph = residual().layers();
    // By hand: 3×3 kernels over 8×8, then 16 × 10.
    assert_eq!(graph.macs(), 64 * 9 * (3 * 16 + 3 * 16 * 16) + 160);
    assert_eq!(graph.params(), 9 * (3 * 16 + 3 * 16 * 16) + 160 + 10);
    assert_eq!(graph.weight_bytes(), 4 * graph.params());
    assert_eq!(
        classes(&graph),
        ["conv", "conv", "conv", "elementwise", "conv", "elementwise", "pool", "gemm"]
    );
    let cuts: Vec<String> = graph.cuts().into_iter().map(|c| c.tensor).collect();
    // Not inside a residual branch: there two tensors cross.
    assert_eq!(cuts, ["ar", "dr", "f", "g", "h"]);
    assert_eq!(cuts, graph.dominating_tensors());
    let pieces = graph.blocks(12);
    assert!(pieces.len() > 2);
    let blocks: Vec<_> = pieces.iter().map(|p| &p.block).collect();
    assert!(blocks.windows(2).all(|w| w[0].output_bytes == w[1].input_bytes));
    assert_eq!(blocks.iter().map(|b| b.flops).sum::<u64>(), graph.flops());
    assert_eq!(blocks.iter().map(|b| b.weight_bytes).sum::<u64>(), graph.weight_bytes());
    let domain: f64 = pieces.iter().map(|p| p.to_block().flops.get()).sum();
    assert_eq!(domain, graph.flops() as f64);
    assert!(pieces.iter().filter_map(|p| p.cut.as_ref()).all(|c| c.extractable));
}

#[test]
fn batch_and_named_dimensions_are_fixed_by_the_caller() {
    let mut net = residual();
    let fixed = |n| common::value("x", &[n, 3, 8, 8]).r#type.unwrap().tensor_type.unwrap().shape.unwrap().dim;
    let mut dims = fixed(1);
    dims[0] = symbolic("N");
    dims[2] = symbolic("H");
    net.0.input[0] = typed("x", dims);
    let text = net.clone().fails(Code::ModelDimension);
    assert!(text.contains("`H`"), "{text}");
    let with = |pairs: &[(&str, u64)]| Options {
        dims: pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
        ..Options::default()
    };
    let one = net.clone().read(&with(&[("H", 8)])).unwrap();
    let four = net.clone().read(&with(&[("H", 8), ("N", 4)])).unwrap();
    assert_eq!(four.macs(), 4 * one.macs());
    assert_eq!(four.params(), one.params());
    assert_eq!(net.read(&with(&[("x.2", 8)])).unwrap().macs(), one.macs());
}

#[test]
fn weights_made_by_constant_of_shape_are_folded_and_counted_once() {
    let graph = Net::default()
        .input("x", &[1, 4, 6, 6])
        .constant(integers("s", &[4, 4, 1, 1]))
        .node("ConstantOfShape", "s", "w", &[])
        .node("Conv", "x w", "a", &[])
        .node("Conv", "a w", "b", &[])
        .output("b")
        .layers();
    assert_eq!((graph.len(), graph.params(), graph.macs()), (2, 16, 2 * 36 * 16));
    assert_eq!(graph.stored_bytes(), 32);
}

#[test]
fn shapes_computed_from_shapes_are_followed() {
    let graph = Net::default()
        .input("x", &[2, 3, 4, 5])
        .node("Shape", "x", "s", &[])
        .constant(integers("zero", &[0]))
        .constant(integers("rest", &[-1]))
        .node("Gather", "s zero", "n", &[])
        .node("Concat", "n rest", "to", &[int("axis", 0)])
        .node("Reshape", "x to", "y", &[])
        .constant(weights("w", &[60, 7]))
        .node("MatMul", "y w", "z", &[])
        .output("z")
        .layers();
    assert_eq!(graph.outputs()[0].shape.dims(), [2, 7]);
    assert_eq!(graph.macs(), 2 * 60 * 7);
    assert_eq!(graph.len(), 2);
}

#[test]
fn batch_normalisation_leaves_one_bias_a_channel() {
    let net = |bias: bool| {
        let net = Net::default().input("x", &[1, 3, 8, 8]).constant(weights("w", &[16, 3, 3, 3]));
        let net = ["s", "b", "m", "v"].into_iter().fold(net, |n, name| n.constant(weights(name, &[16])));
        let inputs = if bias { "x w b0" } else { "x w" };
        net.constant(weights("b0", &[16]))
            .node("Conv", inputs, "a", &[])
            .node("BatchNormalization", "a s b m v", "c", &[])
            .node("Relu", "c", "y", &[])
            .output("y")
            .layers()
    };
    for bias in [false, true] {
        let graph = net(bias);
        let layer = graph.layers().next().unwrap().clone();
        assert_eq!((graph.len(), layer.folded.len()), (1, 2));
        assert_eq!(layer.params, 432 + 32 + if bias { 16 } else { 0 });
        assert_eq!(layer.weight_bytes, 4 * (432 + 16));
    }
}

#[test]
fn spelled_out_activations_are_one_layer() {
    let start = || Net::default().input("x", &[1, 8]).node("Neg", "x", "n", &[]);
    let silu = start().node("Sigmoid", "n", "s", &[]).node("Mul", "n s", "y", &[]).output("y").layers();
    assert_eq!(classes(&silu), ["elementwise", "silu"]);
    let hard = start()
        .constant(scalar("three", 3.0))
        .constant(scalar("zero", 0.0))
        .constant(scalar("six", 6.0))
        .node("Add", "n three", "a", &[])
        .node("Clip", "a zero six", "c", &[])
        .node("Mul", "n c", "m", &[])
        .node("Div", "m six", "y", &[])
        .output("y")
        .layers();
    assert_eq!(classes(&hard), ["elementwise", "hardswish"]);
    assert_eq!(hard.params(), 0);
    let gelu = start()
        .constant(scalar("r", 1.414))
        .constant(scalar("one", 1.0))
        .constant(scalar("half", 0.5))
        .node("Div", "n r", "d", &[])
        .node("Erf", "d", "e", &[])
        .node("Add", "e one", "a", &[])
        .node("Mul", "n a", "m", &[])
        .node("Mul", "m half", "y", &[])
        .output("y")
        .layers();
    assert_eq!(classes(&gelu), ["elementwise", "gelu"]);
}

#[test]
fn attention_and_layer_normalisation_are_one_layer_each() {
    let net =
        Net::default().input("x", &[1, 6, 8]).constant(weights("w", &[8, 8])).constant(weights("wb", &[8]));
    let net = ["q", "k", "v"].into_iter().fold(net, |n, to| n.node("MatMul", "x w", to, &[]));
    let graph = net
        .node("Transpose", "k", "kt", &[ints("perm", &[0, 2, 1])])
        .constant(scalar("root", 2.8))
        .node("MatMul", "q kt", "s", &[])
        .node("Div", "s root", "sd", &[])
        .node("Softmax", "sd", "p", &[])
        .node("MatMul", "p v", "o", &[])
        .constant(scalar("two", 2.0))
        .constant(scalar("eps", 1e-5))
        .constant(weights("gain", &[8]))
        .node("ReduceMean", "o", "mean", &[ints("axes", &[-1])])
        .node("Sub", "o mean", "c", &[])
        .node("Pow", "c two", "sq", &[])
        .node("ReduceMean", "sq", "var", &[ints("axes", &[-1])])
        .node("Add", "var eps", "ve", &[])
        .node("Sqrt", "ve", "sd2", &[])
        .node("Div", "c sd2", "nrm", &[])
        .node("Mul", "nrm gain", "gn", &[])
        .node("Add", "gn wb", "y", &[])
        .output("y")
        .layers();
    assert_eq!(classes(&graph), ["gemm", "gemm", "gemm", "elementwise", "attention", "norm"]);
    let attention = graph.layers().find(|l| l.class == Class::Op(OpKind::Attention)).unwrap();
    assert_eq!(attention.macs, 2 * 6 * 6 * 8);
    // Q, Kᵀ, V in, the result out, and the scores four times.
    assert_eq!(attention.traffic_bytes, 4 * (4 * 48 + 4 * 36));
    // Shared weights count once.
    assert_eq!(graph.params(), 64 + 8 + 8);
}

fn branchy(condition: Option<i64>) -> Net {
    let branch = |outputs: i64, to: &str| {
        Net::default()
            .conv("xx", &format!("{to}c"), 3, outputs)
            .node("GlobalAveragePool", &format!("{to}c"), to, &[])
            .output(to)
            .0
    };
    let net = Net::default().input("x", &[1, 3, 8, 8]).node("Relu", "x", "xx", &[]);
    let net = match condition {
        Some(value) => {
            let mut tensor = integers("cond", &[value]);
            tensor.data_type = Some(9);
            tensor.int32_data = vec![i32::try_from(value).unwrap()];
            tensor.int64_data.clear();
            net.constant(tensor)
        }
        None => {
            net.node("ReduceMax", "x", "m", &[int("keepdims", 0)]).node("Cast", "m", "cond", &[int("to", 9)])
        }
    };
    let branches = [graph("then_branch", branch(4, "t")), graph("else_branch", branch(32, "e"))];
    net.node("If", "cond", "y", &branches).output("y")
}

#[test]
fn the_dearer_branch_is_counted_unless_the_condition_is_known() {
    let dear = branchy(None).layers();
    assert_eq!(dear.macs(), 64 * 27 * 32);
    assert_eq!(dear.notes().len(), 1);
    assert_eq!(branchy(Some(1)).layers().macs(), 64 * 27 * 4);
    assert_eq!(branchy(Some(0)).layers().macs(), 64 * 27 * 32);
    let inner = branchy(Some(1)).layers();
    let cut = inner.cuts().into_iter().find(|c| c.tensor == "tc").unwrap();
    assert!(!cut.extractable, "a tensor inside a branch cannot be cut at");
}

#[test]
fn an_integer_input_can_choose_the_branch() {
    let mut net = branchy(None);
    let mut rate = value("rate", &[1]);
    rate.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().elem_type = Some(7);
    net.0.input.push(rate);
    net.0.node.retain(|n| !matches!(n.op_type(), "ReduceMax" | "Cast"));
    let net = net.constant(integers("known", &[16000])).node("Equal", "rate known", "cond", &[]);
    let with = |rate: u64| Options { dims: [("rate".to_owned(), rate)].into(), ..Options::default() };
    assert_eq!(net.clone().read(&with(16000)).unwrap().macs(), 64 * 27 * 4);
    assert_eq!(net.clone().read(&with(8000)).unwrap().macs(), 64 * 27 * 32);
    assert_eq!(net.layers().macs(), 64 * 27 * 32);
}

#[test]
fn shape_arithmetic_reaches_pads() {
    // As PyTorch exports padding: a list, turned round and flattened.
    let graph = Net::default()
        .input("x", &[1, 2, 5, 7])
        .constant(integers("list", &[1, 2, 3, 4, 0, 0, 0, 0]))
        .constant(integers("pairs", &[-1, 2]))
        .constant(integers("flat", &[-1]))
        .constant(integers("from", &[-1]))
        .constant(integers("to", &[i64::MIN]))
        .constant(integers("axis", &[0]))
        .node("Reshape", "list pairs", "a", &[])
        .node("Slice", "a from to axis from", "b", &[])
        .node("Transpose", "b", "c", &[ints("perm", &[1, 0])])
        .node("Reshape", "c flat", "p", &[])
        .node("Pad", "x p", "y", &[])
        .output("y")
        .layers();
    assert_eq!(graph.outputs()[0].shape.dims(), [1, 2, 5 + 3 + 4, 7 + 1 + 2]);
}

#[test]
fn the_dla_refuses_with_reasons() {
    let graph = Net::default()
        .input("x", &[1, 3, 64, 64])
        .constant(weights("w", &[8, 3, 33, 33]))
        .node("Conv", "x w", "a", &[ints("strides", &[9, 1])])
        .node("MaxPool", "a", "b", &[ints("kernel_shape", &[3, 9]), ints("pads", &[0, 4, 0, 4])])
        .node("Erf", "b", "c", &[])
        .node("LRN", "c", "d", &[int("size", 4)])
        .node("Concat", "d d", "e", &[int("axis", 2)])
        .node("Sigmoid", "e", "y", &[])
        .output("y")
        .layers();
    let refusals: Vec<&[String]> = graph.layers().map(|l| l.support.dla.as_slice()).collect();
    let has = |n: usize, text: &str| assert!(refusals[n].join("; ").contains(text), "{:?}", refusals[n]);
    has(0, "kernel 33×33 outside 1 to 32");
    has(0, "stride 9×1 outside 1 to 8");
    has(1, "window 3×9 outside 1 to 8");
    has(2, "not native");
    has(3, "3, 5, 7 or 9");
    has(4, "along the channels");
    assert!(refusals[5].is_empty());
    assert!(graph.layers().all(|l| l.support.general.is_empty()));
}

#[test]
fn every_format_shows_the_model() {
    let look = Inspection::of("residual", residual().bytes(), &Options::default(), 3, None).unwrap();
    let json: serde_json::Value = serde_json::from_str(&look.render(Format::Json).unwrap()).unwrap();
    assert_eq!(json["params"], look.graph.params());
    assert_eq!(json["blocks"].as_array().unwrap().len(), 3);
    let dot = look.render(Format::Dot).unwrap();
    assert!(dot.starts_with("digraph") && dot.contains("n0 -> n1"), "{dot}");
    let svg = look.render(Format::Svg).unwrap();
    assert_eq!(svg.matches("<g>").count(), look.graph.len());
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    let table = look.render(Format::Table).unwrap();
    for part in ["residual", "legal cuts", "conv", "cut at"] {
        assert!(table.contains(part), "no `{part}` in\n{table}");
    }
}

#[test]
fn names_from_files_stay_text() {
    let mut net = residual();
    net.0.node[0].name = Some("</svg><script>\u{1b}[2J\"".into());
    let look = Inspection::of("a\"<b>", net.bytes(), &Options::default(), 3, None).unwrap();
    let svg = look.render(Format::Svg).unwrap();
    assert!(!svg.contains("<script>") && !svg.contains('\u{1b}'));
    assert!(!look.render(Format::Dot).unwrap().contains("script>\u{1b}"));
    assert!(!look.render(Format::Table).unwrap().contains('\u{1b}'));
}
