//! `If`: one of two sub-graphs runs.

use super::Builder;
use crate::attrs::Attrs;
use crate::fault::{Fault, short};
use crate::onnx::messages::NodeProto;
use ecomap_instances::Code;

impl<'m> Builder<'m, '_> {
    /// Inlines the branch that a constant condition selects, else the dearer one: a plan must hold
    /// for every input. Weights of the other branch are not counted.
    pub(super) fn branches(&mut self, node: &'m NodeProto, at: &str, name: &str, inputs: &[Option<usize>]) {
        let attrs = Attrs::of(node);
        let (Some(then), Some(other)) = (attrs.graph("then_branch"), attrs.graph("else_branch")) else {
            self.issue(Fault::operator(format!("`{}` (If) lacks a branch", short(name))), at);
            return;
        };
        let condition = inputs.first().copied().flatten().and_then(|t| self.program.tensors.get(t));
        let condition = condition.and_then(|t| t.fact.as_ref()?.value.as_ref()?.ints()?.first().copied());
        let prefix = format!("{name}/");
        let start = self.program.ops.len();
        let outputs = match condition {
            Some(0) => self.graph(other, &format!("{at}/else_branch"), &prefix, false),
            Some(_) => self.graph(then, &format!("{at}/then_branch"), &prefix, false),
            None => {
                let first = self.graph(then, &format!("{at}/then_branch"), &prefix, false);
                let middle = self.program.ops.len();
                let second = self.graph(other, &format!("{at}/else_branch"), &prefix, false);
                let ops = &self.program.ops;
                let cost = |part: Option<&[super::Op<'_>]>| {
                    part.unwrap_or_default().iter().fold(0_u64, |a, op| a.saturating_add(op.flops))
                };
                let (a, b) = (cost(ops.get(start..middle)), cost(ops.get(middle..)));
                let (taken, kept) = if b > a { ("else", second) } else { ("then", first) };
                if b > a {
                    self.program.ops.drain(start..middle);
                } else {
                    self.program.ops.truncate(middle);
                }
                let note = format!(
                    "`{}` (If): the {taken} branch is counted, {} operations against {}",
                    short(name),
                    a.max(b),
                    a.min(b)
                );
                self.program.notes.push(note);
                kept
            }
        };
        if outputs.len() < node.output.len() && !outputs.is_empty() {
            let message = format!("`{}` (If) names more results than its branches give", short(name));
            self.issue(Fault::new(Code::ModelOperator, message), at);
        }
        for (n, output) in node.output.iter().enumerate() {
            let tensor = outputs.get(n).copied().flatten();
            let tensor = tensor.unwrap_or_else(|| self.tensor(output, None, None, false));
            self.define(output, tensor);
        }
    }
}
