//! Files that are broken, or made to break the reader.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use common::*;
use ecomap_graph::onnx::limits::Limits;
use ecomap_graph::onnx::messages::*;
use ecomap_graph::{Format, Inspection, Options};
use ecomap_instances::Code;
use ecomap_instances::issue::MAX_ISSUES;
use proptest::prelude::*;
use prost::Message;

#[test]
fn bytes_that_are_no_model() {
    for bytes in [vec![], b"hello".to_vec(), vec![0xff; 64], vec![0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        fails(bytes, Code::ModelUnreadable);
    }
    let whole = residual().bytes();
    for cut in 1..whole.len() {
        // A prefix may end between fields and still be a message; then something else is missing.
        assert!(read(whole[..cut].to_vec(), &Options::default()).is_err(), "{cut}");
    }
    let mut model = residual().model();
    model.opset_import[0].version = Some(999);
    fails(model.encode_to_vec(), Code::ModelVersion);
}

#[test]
fn limits_hold_before_memory_is_taken() {
    let small = |limits: Limits| Options { limits, ..Options::default() };
    let check = |bytes: Vec<u8>, limits: Limits| {
        let issues = read(bytes, &small(limits)).err().unwrap();
        assert_eq!(issues.list()[0].code, Code::ModelTooLarge, "{issues}");
    };
    check(residual().bytes(), Limits { file_bytes: 100, ..Limits::default() });
    check(residual().bytes(), Limits { nodes: 3, ..Limits::default() });
    check(residual().bytes(), Limits { decoded_bytes: 4000, ..Limits::default() });
    // Two bytes a node in the file, hundreds in memory.
    let bomb = GraphProto { node: vec![NodeProto::default(); 60_000], ..Default::default() };
    check(Net(bomb).bytes(), Limits::default());
    // Sub-graphs in sub-graphs.
    let mut deep = GraphProto::default();
    for _ in 0..40 {
        let node = NodeProto { attribute: vec![graph("g", deep)], ..Default::default() };
        deep = GraphProto { node: vec![node], ..Default::default() };
    }
    check(Net(deep).bytes(), Limits::default());
}

#[test]
fn graphs_that_do_not_hang_together() {
    let base = || Net::default().input("x", &[1, 4]);
    base().node("Relu", "x", "y", &[]).node("Neg", "x", "y", &[]).output("y").fails(Code::ModelDuplicate);
    base().node("Relu", "x", "x", &[]).output("x").fails(Code::ModelDuplicate);
    base().input("x", &[1]).node("Relu", "x", "y", &[]).output("y").fails(Code::ModelDuplicate);
    base().node("Relu", "ghost", "y", &[]).output("y").fails(Code::ModelMissing);
    base().node("Relu", "x", "y", &[]).output("ghost").fails(Code::ModelMissing);
    base().node("Add", "x b", "a", &[]).node("Relu", "a", "b", &[]).output("b").fails(Code::ModelCycle);
    base().node("Relu", "x", "y", &[]).fails(Code::ModelNoOutput);
    base().output("x").fails(Code::ModelNoOutput);
    // The file's order does not matter.
    let late = base().node("Neg", "a", "y", &[]).node("Relu", "x", "a", &[]).output("y").layers();
    assert_eq!(late.len(), 2);
}

#[test]
fn dimensions_that_no_tensor_has() {
    let relu = |net: Net| net.node("Relu", "x", "y", &[]).output("y");
    relu(Net::default().input("x", &[1, -3])).fails(Code::ModelDimension);
    relu(Net::default().input("x", &[1, i64::MIN])).fails(Code::ModelDimension);
    relu(Net::default().input("x", &[i64::MAX, i64::MAX])).fails(Code::ModelTooLarge);
    relu(Net::default().input("x", &[0, i64::MAX, i64::MAX])).fails(Code::ModelTooLarge);
    relu(Net::default().input("x", &[1; 40])).fails(Code::ModelTooLarge);
    let huge = Net::default().input("x", &[1 << 20, 1 << 20]).constant(weights("w", &[1 << 20, 1 << 20]));
    huge.node("MatMul", "x w", "y", &[]).output("y").fails(Code::ModelOverflow);
    let window = Net::default().input("x", &[1, 1, 8, 8]);
    let pads = [i64::MAX, 0, i64::MAX, 0];
    window
        .clone()
        .node("MaxPool", "x", "y", &[ints("kernel_shape", &[2, 2]), ints("pads", &pads)])
        .output("y")
        .fails(Code::ModelOperator);
    for kernel in [0, -1, i64::MAX] {
        let attrs = [ints("kernel_shape", &[kernel, 1])];
        window.clone().node("MaxPool", "x", "y", &attrs).output("y").fails(Code::ModelOperator);
    }
    let mut short = weights("w", &[4, 4]);
    short.float_data = vec![0.0; 3];
    let net = Net::default().input("x", &[1, 4]).constant(short);
    net.node("MatMul", "x w", "y", &[]).output("y").fails(Code::ModelTensor);
    // A shape that depends on what enters.
    let net = Net::default().input("x", &[1, 4]).node("NonZero", "x", "y", &[]).output("y");
    net.fails(Code::ModelDynamic);
}

#[test]
fn external_data_is_sized_but_never_opened() {
    let with = |location: &str| {
        let mut w = weights("w", &[4, 8]);
        w.data_location = Some(1);
        w.external_data =
            vec![StringStringEntryProto { key: Some("location".into()), value: Some(location.into()) }];
        Net::default().input("x", &[1, 4]).constant(w).node("MatMul", "x w", "y", &[]).output("y")
    };
    assert_eq!(with("weights.bin").layers().params(), 32);
    for path in ["", "../weights.bin", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", "a\0b"] {
        with(path).fails(Code::ModelExternal);
    }
}

#[test]
fn operators_of_unknown_cost_are_named_and_may_be_let_through() {
    let mut net = Net::default().input("x", &[1, 4]).node("Relu", "x", "a", &[]).node("Magic", "a", "b", &[]);
    net.0.node[1].domain = Some("com.example".into());
    let net = net.node("Magic2", "b", "c", &[]).node("Neg", "c", "y", &[]).output("y");
    let text = net.clone().fails(Code::ModelUnknownOperator);
    assert!(text.contains("com.example.Magic"), "{text}");
    let options = Options { allow_unknown: true, ..Options::default() };
    let graph = net.read(&options).unwrap();
    assert_eq!((graph.len(), graph.notes().len()), (4, 2));
    assert_eq!(graph.layers().filter(|l| !l.support.general.is_empty()).count(), 2);
    let body = Net::default().node("Relu", "x", "z", &[]).output("z").0;
    let net = Net::default().input("x", &[1, 4]).node("Loop", "x", "y", &[graph_attr(body)]).output("y");
    net.fails(Code::ModelSubgraph);
}

fn graph_attr(body: GraphProto) -> AttributeProto {
    graph("body", body)
}

#[test]
fn all_mistakes_are_listed_up_to_a_bound() {
    let mut net = Net::default().input("x", &[1, 4]);
    for n in 0..300 {
        net = net.node("Concat", "x x", &format!("y{n}"), &[int("axis", 7)]);
    }
    let issues = net.output("y0").read(&Options::default()).err().unwrap();
    assert_eq!(issues.list().len(), MAX_ISSUES);
    assert!(issues.omitted() > 0);
}

/// Models that use many operators, to mutate.
fn seeds() -> Vec<Vec<u8>> {
    let shapes = Net::default()
        .input("x", &[2, 3, 4, 5])
        .node("Shape", "x", "s", &[])
        .constant(integers("zero", &[0]))
        .constant(integers("rest", &[-1]))
        .constant(integers("a0", &[0, 1]))
        .constant(integers("a1", &[2, 3]))
        .node("Gather", "s zero", "n", &[])
        .node("Concat", "n rest", "to", &[int("axis", 0)])
        .node("Slice", "x a0 a1 a0", "sl", &[])
        .node("Pad", "sl pads", "p", &[])
        .constant(integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1]))
        .node("Resize", "p _ _ sizes", "r", &[])
        .constant(integers("sizes", &[2, 2, 8, 8]))
        .node("Split", "r", "l m", &[int("axis", 1)])
        .node("Mul", "l m", "lm", &[])
        .node("ConvTranspose", "lm w", "t", &[ints("strides", &[2, 2])])
        .constant(weights("w", &[1, 4, 3, 3]))
        .node("Reshape", "t to", "y", &[])
        .output("y");
    vec![residual().bytes(), shapes.bytes()]
}

#[test]
fn the_seeds_are_valid() {
    for bytes in seeds() {
        read(bytes, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a file, it is read or refused with a code; nothing panics.
    #[test]
    fn mutations_never_panic(
        which in 0_usize..2,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..12),
        allow_unknown in any::<bool>(),
    ) {
        let mut bytes = seeds().swap_remove(which);
        for (at, byte, how) in edits {
            if bytes.is_empty() { break }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte & 7),
                2 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        let options = Options { allow_unknown, ..Options::default() };
        match Inspection::of("m", bytes, &options, 12, None) {
            Ok(look) => {
                let blocks: u64 = look.pieces.iter().map(|p| p.block.flops).sum();
                prop_assert_eq!(blocks, look.graph.flops());
                prop_assert!(look.pieces.len() <= 12);
                let cuts: Vec<String> = look.graph.cuts().into_iter().map(|c| c.tensor).collect();
                prop_assert_eq!(cuts, look.graph.dominating_tensors());
                for format in [Format::Table, Format::Json, Format::Dot, Format::Svg] {
                    prop_assert!(look.render(format).is_ok());
                }
            }
            Err(issues) => prop_assert!(issues.list().iter().all(|i| i.code.as_str().starts_with("E15"))),
        }
    }
}
