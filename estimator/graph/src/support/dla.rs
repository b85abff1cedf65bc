//! What the DLA of an Orin runs through TensorRT.
//!
//! Sources: the support matrix of ONNX operators in NVIDIA's Deep-Learning-Accelerator-SW
//! repository (TensorRT 8.6.2, JetPack 6: the column "Orin DLA support through TensorRT", "native"
//! only), and for the bounds "DLA Supported Layers and Restrictions" in the TensorRT documentation.
//! Precision is FP16 or INT8. What depends on the neighbours (formats, loadables, memory pools) is
//! not checked.

use crate::attrs::Attrs;
use crate::build::{Op, Program};
use crate::fact::Fact;
use crate::fuse::is_constant;
use crate::infer::{Call, Window};
use crate::shape::Shape;

/// Largest batch.
const MAX_BATCH: u64 = 4096;
/// Largest channel, height or width.
const MAX_DIM: u64 = 8192;

/// Why the DLA cannot run `op`; empty when it can.
pub(super) fn refusals(program: &Program<'_>, op: &Op<'_>) -> Vec<String> {
    let facts: Vec<Option<Fact>> = op
        .inputs
        .iter()
        .map(|t| t.and_then(|t| program.tensors.get(t)).and_then(|t| t.fact.clone()))
        .collect();
    let name = op.node.op_type();
    let call = Call {
        op: name,
        inputs: &facts,
        attrs: Attrs::of(op.node),
        outputs: op.outputs.len(),
        opset: program.opset,
    };
    let out = op.outputs.first().and_then(|t| program.tensors.get(*t)).and_then(|t| t.fact.as_ref());
    let constant = |n: usize| op.inputs.get(n).copied().flatten().is_some_and(|t| is_constant(program, t));
    let mut check = Check { call: &call, reasons: Vec::new() };
    for shape in call.inputs.iter().flatten().map(|f| &f.shape).chain(out.map(|f| &f.shape)).take(1) {
        check.limits(shape);
    }
    if let Some(out) = out {
        check.limits(&out.shape);
    }
    check.operator(name, &constant);
    check.reasons.dedup();
    check.reasons
}

struct Check<'c, 'a> {
    call: &'c Call<'a>,
    reasons: Vec<String>,
}

impl Check<'_, '_> {
    fn no(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    fn must(&mut self, fine: bool, reason: &str) {
        if !fine {
            self.no(reason);
        }
    }

    /// Bounds that hold for every tensor: the last three axes are channels, height and width.
    fn limits(&mut self, shape: &Shape) {
        let lead = shape.rank().saturating_sub(3).max(1);
        let batch = shape.dims().iter().take(lead).try_fold(1_u64, |a, d| a.checked_mul(*d));
        self.must(batch.is_some_and(|b| b <= MAX_BATCH), "batch above 4096");
        self.must(shape.dims().iter().skip(lead).all(|d| *d <= MAX_DIM), "a dimension above 8192");
    }

    fn input(&self, n: usize) -> Shape {
        self.call.optional(n).map_or_else(Shape::scalar, |f| f.shape.clone())
    }

    fn within(&mut self, values: &[u64], low: u64, high: u64, what: &str) {
        if values.iter().any(|v| *v < low || *v > high) {
            let list: Vec<String> = values.iter().map(u64::to_string).collect();
            self.no(format!("{what} {} outside {low} to {high}", list.join("×")));
        }
    }

    fn operator(&mut self, name: &str, constant: &dyn Fn(usize) -> bool) {
        match name {
            "Conv" => self.conv(constant),
            "ConvTranspose" => self.deconv(constant),
            "Gemm" | "MatMul" => {
                self.must(constant(1), "the second operand must be constant");
                let outputs = self.input(1).elements();
                self.must(outputs > 0, "empty weights");
                self.must(self.call.attrs.int_or("transA", 0) == 0, "the first operand is transposed");
            }
            "MaxPool" | "AveragePool" => self.pool(),
            "GlobalMaxPool" => self.plane(0),
            "Relu" | "Sigmoid" | "Tanh" | "LeakyRelu" | "Clip" | "BatchNormalization" => {
                self.activation(name);
            }
            "PRelu" => {
                self.must(constant(1), "the slope must be constant");
                self.must(
                    self.input(1).rank() <= self.input(0).rank(),
                    "the slope has more axes than the input",
                );
            }
            "LRN" => {
                let size = self.call.attrs.int_or("size", 0);
                self.must(matches!(size, 3 | 5 | 7 | 9), "only windows of 3, 5, 7 or 9");
            }
            "Concat" => {
                let rank = self.input(0).rank();
                let axis = self.input(0).axis(self.call.attrs.int_or("axis", 1), 0).ok();
                self.must(rank == 4 && axis == Some(1), "only along the channels of four axes");
            }
            "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow" | "Sum" | "Equal" | "Greater" | "Less" => {
                self.elementwise(name);
            }
            "Resize" | "Upsample" => self.resize(),
            "Softmax" => {
                let x = self.input(0);
                let axis =
                    x.axis(self.call.attrs.int_or("axis", if self.call.opset < 13 { 1 } else { -1 }), 0);
                let size = axis.map_or(u64::MAX, |a| x.dim(a));
                self.must(size <= 1024, "more than 1024 classes");
            }
            "Slice" | "Split" | "Transpose" | "Reshape" => {
                self.must(self.input(0).rank() <= 4, "more than four axes");
                if name == "Transpose" {
                    let first = self.call.attrs.ints("perm").and_then(<[i64]>::first);
                    self.must(first == Some(&0), "the batch axis moves");
                }
            }
            "Abs" | "Sin" | "Cos" | "Atan" | "Atanh" => {}
            // Fused away or folded by the builder.
            "Dropout" | "Constant" | "Cast" => {}
            _ => self.no("not native on DLA in TensorRT 8.6"),
        }
    }

    /// A window over two spatial axes.
    fn window(&mut self, kernel: Vec<u64>) -> Option<Window> {
        let shape = self.input(0);
        if shape.rank() != 4 {
            self.no("needs two spatial axes");
            return None;
        }
        Window::of(self.call, &shape, kernel).ok()
    }

    fn plane(&mut self, n: usize) {
        self.must(self.input(n).rank() == 4, "needs four axes");
    }

    fn conv(&mut self, constant: &dyn Fn(usize) -> bool) {
        let w = self.input(1);
        self.must(constant(1), "weights must be constant");
        self.within(&[w.dim(0)], 1, 8192, "output channels");
        if let Some(window) = self.window(w.dims().get(2..).unwrap_or_default().to_vec()) {
            self.within(&window.kernel, 1, 32, "kernel");
            self.within(&window.strides, 1, 8, "stride");
            self.within(&window.dilations, 1, 32, "dilation");
            self.padding(&window, 31);
        }
    }

    fn deconv(&mut self, constant: &dyn Fn(usize) -> bool) {
        let w = self.input(1);
        self.must(constant(1), "weights must be constant");
        self.must(self.call.attrs.int_or("group", 1) == 1, "grouped");
        if let Some(window) = self.window(w.dims().get(2..).unwrap_or_default().to_vec()) {
            let long = |k: &[u64]| matches!(k, [1, 64 | 96 | 128] | [64 | 96 | 128, 1]);
            if !long(&window.kernel) {
                self.within(&window.kernel, 1, 32, "kernel");
            }
            self.must(window.dilations.iter().all(|d| *d == 1), "dilated");
            self.padding(&window, 0);
        }
    }

    fn pool(&mut self) {
        let Ok(kernel) = self.call.attrs.spatial("kernel_shape", 2, 1) else {
            self.no("needs two spatial axes");
            return;
        };
        if let Some(window) = self.window(kernel) {
            self.within(&window.kernel, 1, 8, "window");
            self.within(&window.strides, 1, 16, "stride");
            self.must(window.dilations.iter().all(|d| *d == 1), "dilated");
            self.padding(&window, 7);
        }
    }

    fn padding(&mut self, window: &Window, most: u64) {
        let pads: Vec<u64> = window.pads.iter().flat_map(|(a, b)| [*a, *b]).collect();
        self.within(&pads, 0, most, "padding");
    }

    fn activation(&mut self, name: &str) {
        if name == "Clip" {
            let bound = |n: usize, attr: &str, open: f32| {
                let given = self
                    .call
                    .optional(n)
                    .and_then(|f| f.value.as_ref())
                    .and_then(|v| v.reals().first().copied());
                given.unwrap_or_else(|| f64::from(self.call.attrs.float_or(attr, open)))
            };
            let (low, high) = (bound(1, "min", f32::NEG_INFINITY), bound(2, "max", f32::INFINITY));
            self.must(
                low == 0.0 && (1.0..=127.0).contains(&high),
                "clips only from 0 to a bound of 1 to 127",
            );
        }
    }

    fn elementwise(&mut self, name: &str) {
        let (a, b) = (self.input(0), self.input(1));
        self.must(a.rank() <= 4 && b.rank() <= 4, "more than four axes");
        self.must(name != "Sum" || self.call.inputs.len() <= 2, "more than two operands");
        // NCHW with NCHW, NC11 or N111.
        let (small, large) = if a.elements() < b.elements() { (&a, &b) } else { (&b, &a) };
        let dims = small.dims();
        let lead = large.rank().saturating_sub(dims.len());
        let whole = dims == large.dims();
        let last = |k: usize| dims.iter().rev().take(k).all(|d| *d == 1);
        let per_channel = large.rank() == 4 && (lead == 0 || lead == 1) && last(2);
        self.must(whole || small.elements() == 1 || per_channel, "broadcasts other than per channel");
    }

    fn resize(&mut self) {
        self.plane(0);
        let x = self.input(0);
        let slot = if self.call.op == "Upsample" || self.call.opset <= 10 { 1 } else { 2 };
        let given = self.call.optional(slot).and_then(|f| f.value.as_ref()).map(|v| v.reals());
        let scales = given.filter(|s| s.len() == x.rank());
        let linear = matches!(self.call.attrs.text("mode"), "linear" | "bilinear");
        self.must(self.call.attrs.text("mode") != "cubic", "cubic");
        let most = if linear { 4.0 } else { 32.0 };
        match scales.as_deref() {
            Some([n, c, rest @ ..]) => {
                self.must(*n == 1.0 && *c == 1.0, "scales batch or channels");
                let whole = rest.iter().all(|s| s.fract() == 0.0 && (1.0..=most).contains(s));
                self.must(
                    whole,
                    if linear { "scales other than 1 to 4" } else { "scales other than 1 to 32" },
                );
            }
            _ => self.no("sizes instead of scales"),
        }
    }
}
