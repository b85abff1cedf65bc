//! What enters a graph: its constants, its inputs with their dimensions fixed, and the types it
//! declares.

use super::{Builder, Declared};
use crate::fact::Fact;
use crate::fault::{Fault, short};
use crate::infer::{self, Call};
use crate::onnx::is_external;
use crate::onnx::messages::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::shape::DType;
use crate::value::Value;
use ecomap_instances::Code;

/// External data may lie beside the model only. It is never opened; this protects whoever does.
fn check_external(tensor: &TensorProto) -> Result<(), Fault> {
    let location = tensor.external_data.iter().find(|e| e.key() == "location");
    let path = location.map_or("", |e| e.value());
    let escapes = path.is_empty()
        || path.starts_with(['/', '\\'])
        || path.contains(':')
        || path.contains('\0')
        || path.split(['/', '\\']).any(|part| part == "..");
    if escapes {
        return Err(Fault::new(
            Code::ModelExternal,
            format!("data of `{}` at `{}`", short(tensor.name()), short(path)),
        ));
    }
    Ok(())
}

/// Name by which the first axis of an input may be given a size.
const BATCH: &str = "batch";

impl<'m> Builder<'m, '_> {
    pub(super) fn initializer(&mut self, tensor: &'m TensorProto, name: &'m str, pointer: &str, top: bool) {
        if self.scopes.last().is_some_and(|s| s.contains_key(name)) {
            let message = format!("`{}` again", short(name));
            self.issue(Fault::new(Code::ModelDuplicate, message), pointer);
            return;
        }
        if is_external(tensor)
            && let Err(fault) = check_external(tensor)
        {
            self.issue(fault, pointer);
        }
        let fact = match infer::of_tensor(tensor) {
            Ok(fact) => Some(fact),
            Err(fault) => {
                self.issue(fault, pointer);
                None
            }
        };
        if let Some(f) = &fact {
            let bytes = f.shape.elements().saturating_mul(f.dtype.bits()).div_ceil(8);
            self.program.stored_bytes = self.program.stored_bytes.saturating_add(bytes);
        }
        let constant = fact.as_ref().map(|f| self.constant(f));
        let t = self.tensor(name, fact, constant, top);
        self.define(name, t);
    }

    pub(super) fn sparse(&mut self, values: &'m TensorProto, dims: &[i64], pointer: &str, top: bool) {
        let dims = dims.iter().map(|d| u64::try_from(*d).ok()).collect::<Option<Vec<_>>>();
        let fact = DType::from_onnx(values.data_type()).and_then(|dtype| {
            let dims = dims.ok_or_else(|| Fault::new(Code::ModelDimension, "a negative dimension"))?;
            Fact::of(dims, dtype)
        });
        match fact {
            Ok(fact) => {
                let constant = self.constant(&fact);
                let t = self.tensor(values.name(), Some(fact), Some(constant), top);
                self.define(values.name(), t);
            }
            Err(fault) => self.issue(fault, pointer),
        }
    }

    pub(super) fn inputs(&mut self, graph: &'m GraphProto, at: &str, top: bool) {
        let mut seen = std::collections::HashSet::new();
        for (n, input) in graph.input.iter().enumerate() {
            let pointer = format!("{at}/input/{n}");
            let name = input.name();
            if !seen.insert(name) {
                let message = format!("`{}` again", short(name));
                self.issue(Fault::new(Code::ModelDuplicate, message), pointer);
                continue;
            }
            // Older files list initializers among the inputs.
            if self.scopes.last().is_some_and(|s| s.contains_key(name)) {
                continue;
            }
            // An integer by which the model chooses a branch, such as a sampling rate.
            let choice = self.given(name).and_then(|v| i64::try_from(v).ok());
            let fact = match self.declared_fact(input, true) {
                Ok(fact)
                    if matches!(fact.dtype, DType::Int64 | DType::Int32) && fact.shape.elements() == 1 =>
                {
                    Some(fact.with(choice.map(|v| Value::Ints(vec![v]))))
                }
                Ok(fact) => Some(fact),
                Err(fault) => {
                    self.issue(fault, pointer);
                    None
                }
            };
            let t = self.tensor(name, fact, None, top);
            self.define(name, t);
            if top {
                self.program.inputs.push(t);
            }
        }
    }

    /// The declared type of a value. Symbolic dimensions take the value given by name, or by
    /// `input.axis`; the first axis of an input otherwise the batch size.
    fn declared_fact(&self, value: &ValueInfoProto, is_input: bool) -> Result<Fact, Fault> {
        let name = value.name();
        let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let Some(tensor) = tensor else {
            return Err(Fault::new(Code::ModelTensor, format!("`{}` is not a tensor", short(name))));
        };
        let dtype = DType::from_onnx(tensor.elem_type())?;
        let Some(shape) = &tensor.shape else {
            return Err(Fault::new(Code::ModelDimension, format!("`{}` has no shape", short(name))));
        };
        let mut dims = Vec::with_capacity(shape.dim.len());
        for (axis, dim) in shape.dim.iter().enumerate() {
            let fixed = dim.dim_value.filter(|v| *v != -1);
            let by_place = self.given(&format!("{name}.{axis}"));
            let given = by_place.or_else(|| dim.dim_param.as_ref().and_then(|p| self.given(p)));
            let size = match (given, fixed) {
                (Some(size), _) => size,
                (None, Some(v)) => u64::try_from(v).map_err(|_| {
                    Fault::new(Code::ModelDimension, format!("axis {axis} of `{}` is {v}", short(name)))
                })?,
                (None, None) if is_input && axis == 0 => self.given(BATCH).unwrap_or(self.options.batch),
                (None, None) => {
                    let param = dim.dim_param();
                    let what =
                        if param.is_empty() { "unnamed".to_owned() } else { format!("`{}`", short(param)) };
                    return Err(Fault::new(
                        Code::ModelDimension,
                        format!("axis {axis} of `{}` ({what}) has no value", short(name)),
                    ));
                }
            };
            dims.push(size);
        }
        Fact::of(dims, dtype)
    }

    /// Facts of the results of an operator that is not known: as the file declares them, else, for
    /// a single result, the shape of the first input.
    pub(super) fn declared(
        &self,
        call: &Call<'_>,
        node: &NodeProto,
        declared: &Declared<'m>,
    ) -> Result<Vec<Fact>, Fault> {
        let mut facts = Vec::with_capacity(node.output.len());
        for output in &node.output {
            let declared = declared.get(output.as_str()).map(|v| self.declared_fact(v, false));
            let first = call.inputs.iter().flatten().next();
            facts.push(match (declared, first) {
                (Some(Ok(fact)), _) => fact,
                (_, Some(x)) if node.output.len() == 1 => Fact::new(x.shape.clone(), x.dtype),
                _ => {
                    return Err(Fault::new(
                        Code::ModelUnknownOperator,
                        format!("the shape of `{}` is not declared", short(output)),
                    ));
                }
            });
        }
        Ok(facts)
    }
}
